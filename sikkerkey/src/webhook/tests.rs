use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;

use super::{Webhook, WebhookError};
use crate::clock::virtual_clock::{START, VirtualClock};

const SECRET: &str = "whsec_of_the_tests";
const MINUTE: i64 = 60_000;
/// The clock's time in milliseconds.
const NOW: i64 = START * 1000;

fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    let bytes = mac.finalize().into_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn body(id: &str, timestamp: i64) -> Vec<u8> {
    json!({
        "id": id, "event": "secret_rotate", "severity": "info", "timestamp": timestamp,
        "data": {"secretId": "sk_a", "userId": "u", "detail": "by hand"},
    })
    .to_string()
    .into_bytes()
}

fn webhook() -> (Webhook, Arc<VirtualClock>) {
    let clock = VirtualClock::new();
    (Webhook::new(SECRET).clock(clock.clone()), clock)
}

#[track_caller]
fn refused(signature: &str, body: &[u8], error: WebhookError) {
    assert_eq!(webhook().0.verify(signature, body).unwrap_err(), error);
}

#[test]
fn a_signed_event_is_returned() {
    let (webhook, _) = webhook();
    let body = body("e1", NOW);
    let event = webhook.verify(sign(SECRET, &body), &body).unwrap();
    assert_eq!(event.id(), "e1");
    assert_eq!(event.event(), "secret_rotate");
    assert_eq!(event.secret_id(), Some("sk_a"));
    let since = event
        .timestamp()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    assert_eq!(i64::try_from(since.as_millis()).unwrap(), NOW);
    assert!(!event.is_repeat());
}

#[test]
fn every_spelling_of_a_signature_is_taken() {
    let body = body("e1", NOW);
    let signature = sign(SECRET, &body);
    for signature in [
        signature.clone(),
        signature.to_uppercase(),
        format!("sha256={signature}"),
    ] {
        assert!(webhook().0.verify(&signature, &body).is_ok(), "{signature}");
    }
}

#[test]
fn a_forged_delivery_is_refused() {
    let genuine = body("e1", NOW);
    let signature = sign(SECRET, &genuine);
    for signature in [
        // Signatures of the wrong length.
        "",
        "sha256=",
        &signature[1..],
        &signature[2..],
        &format!("{signature}00"),
        &format!("{signature}0"),
        // Signatures in another form.
        &format!(" {signature}"),
        &format!("SHA256={signature}"),
        &format!("sha256=sha256={signature}"),
        &"ä".repeat(32),
        &"g".repeat(64),
        // Signatures of another key or body.
        &"0".repeat(64),
        &sign("whsec_of_another", &genuine),
        &sign("", &genuine),
        &sign(SECRET, &body("e2", NOW)),
    ] {
        refused(signature, &genuine, WebhookError::Signature);
    }
    let empty = Webhook::new("");
    assert_eq!(
        empty.verify(sign("", &genuine), &genuine).unwrap_err(),
        WebhookError::Signature
    );
}

#[test]
fn a_body_without_bounds_is_not_looked_at() {
    let huge = vec![b' '; 10_000_000];
    refused(&sign(SECRET, &huge), &huge, WebhookError::TooLarge);
    let (webhook, clock) = webhook();
    let body = body("e1", NOW);
    let webhook = webhook.max_size(body.len());
    assert!(webhook.verify(sign(SECRET, &body), &body).is_ok());
    let tight = Webhook::new(SECRET).clock(clock).max_size(body.len() - 1);
    let error = tight.verify(sign(SECRET, &body), &body).unwrap_err();
    assert_eq!(error, WebhookError::TooLarge);
}

#[test]
fn a_signed_body_that_is_no_event_is_refused() {
    for body in [
        "",
        "{}",
        "[]",
        "null",
        "hunter2",
        r#"{"id":"e1","event":"x"}"#,
        r#"{"id":"","event":"x","timestamp":1}"#,
        r#"{"id":1,"event":"x","timestamp":1}"#,
        r#"{"id":"e1","event":"x","timestamp":1.5}"#,
        r#"{"id":"e1","event":"x","timestamp":"1"}"#,
        r#"{"id":"e1","event":"x","timestamp":1,"data":[1]}"#,
        r#"{"id":"e1","id":"e2","event":"x","timestamp":1}"#,
        &"[".repeat(10_000),
    ] {
        refused(
            &sign(SECRET, body.as_bytes()),
            body.as_bytes(),
            WebhookError::Malformed,
        );
    }
    refused(&sign(SECRET, &[0xff]), &[0xff], WebhookError::Malformed);
}

#[test]
fn an_event_without_a_secret_is_one() {
    let (webhook, _) = webhook();
    for (id, data) in [
        ("e1", json!(null)),
        ("e2", json!({})),
        ("e3", json!({"secretId": null})),
        ("e4", json!({"secretId": "../other"})),
    ] {
        let body = json!({"id": id, "event": "machine_enroll", "timestamp": NOW, "data": data});
        let body = body.to_string();
        let event = webhook
            .verify(sign(SECRET, body.as_bytes()), &body)
            .unwrap();
        assert_eq!(event.secret_id(), None, "{body}");
    }
    let body = json!({"id": "e5", "event": "x", "timestamp": NOW}).to_string();
    assert!(webhook.verify(sign(SECRET, body.as_bytes()), &body).is_ok());
}

#[test]
fn a_late_delivery_is_refused() {
    for (age, expected) in [
        (0, None),
        (5 * MINUTE, None),
        (5 * MINUTE + 1, Some(WebhookError::Age)),
        (-5 * MINUTE, None),
        (-5 * MINUTE - 1, Some(WebhookError::Age)),
        (NOW - i64::MAX, Some(WebhookError::Age)),
    ] {
        let body = body("e1", NOW - age);
        let result = webhook().0.verify(sign(SECRET, &body), &body);
        assert_eq!(result.err(), expected, "{age}");
    }
    let body = body("e1", NOW - 10 * MINUTE);
    let patient = webhook().0.max_age(Duration::from_secs(600));
    assert!(patient.verify(sign(SECRET, &body), &body).is_ok());
}

#[test]
fn a_repeated_delivery_is_recognized_for_as_long_as_it_is_accepted() {
    let (webhook, clock) = webhook();
    // As far in the future as allowed, so it is accepted for ten minutes.
    let body = body("e1", NOW + 5 * MINUTE);
    let signature = sign(SECRET, &body);
    let is_repeat = || {
        webhook
            .verify(&signature, &body)
            .map(|event| event.is_repeat())
    };
    assert_eq!(is_repeat(), Ok(false));
    assert_eq!(is_repeat(), Ok(true));
    // Another handle shares the record.
    let twin = webhook.clone();
    assert!(twin.verify(&signature, &body).unwrap().is_repeat());
    clock.advance(Duration::from_secs(600));
    assert_eq!(is_repeat(), Ok(true));
    clock.advance(Duration::from_secs(1));
    assert_eq!(is_repeat(), Err(WebhookError::Age));
}

#[test]
fn a_refused_delivery_does_not_count_as_seen() {
    let (webhook, _) = webhook();
    let body = body("e1", NOW);
    assert!(webhook.verify("00", &body).is_err());
    assert!(
        !webhook
            .verify(sign(SECRET, &body), &body)
            .unwrap()
            .is_repeat()
    );
}

#[test]
fn nothing_secret_and_nothing_dangerous_is_shown() {
    let (webhook, _) = webhook();
    let body = json!({"id": "e\u{1b}[2J", "event": "x\n\u{202e}", "timestamp": NOW}).to_string();
    let event = webhook
        .verify(sign(SECRET, body.as_bytes()), &body)
        .unwrap();
    let shown = format!("{webhook:?} {event:?}");
    assert!(
        shown.chars().all(|c| !c.is_control() && c != '\u{202e}'),
        "{shown}"
    );
    assert!(!shown.contains(SECRET));
}
