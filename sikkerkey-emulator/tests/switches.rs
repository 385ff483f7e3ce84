//! Each open question of the service's behaviour, under both answers.

mod support;

use std::time::Duration;

use serde_json::json;
use sikkerkey_emulator::{Emulator, EmulatorBuilder};
use support::{Client, enroll};

fn start(setting: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder) -> (Emulator, Client) {
    let vault = setting(Emulator::builder().secret("sk_a", "1").secret("sk_b", "1"))
        .start()
        .unwrap();
    let client = Client::of(&vault);
    (vault, client)
}

#[test]
fn a_lost_secret_is_reported_in_every_poll_or_once() {
    for (every, again) in [(true, "sk_a=deleted sk_b=access_denied"), (false, "")] {
        let (vault, client) = start(|b| b.gone_in_every_poll(every));
        vault.delete("sk_a");
        vault.deny("sk_b");
        assert_eq!(
            client.poll(&["sk_a", "sk_b"]),
            "sk_a=deleted sk_b=access_denied"
        );
        assert_eq!(client.poll(&["sk_a", "sk_b"]), again);
        // It is news again when it happens again.
        vault.allow("sk_b");
        client.value("sk_b");
        vault.deny("sk_b");
        assert_eq!(client.poll(&["sk_b"]), "sk_b=access_denied");
    }
}

#[test]
fn a_secret_that_was_never_read_is_changed_or_not() {
    let (vault, client) = start(|b| b);
    assert_eq!(client.poll(&["sk_a"]), "");
    vault.put("sk_a", "2");
    assert_eq!(client.poll(&["sk_a"]), "sk_a=changed");

    let (_vault, client) = start(|b| b.unread_is_changed(true));
    assert_eq!(client.poll(&["sk_a"]), "sk_a=changed");
    assert_eq!(client.poll(&["sk_a"]), "sk_a=changed");
    client.value("sk_a");
    assert_eq!(client.poll(&["sk_a"]), "");
}

#[test]
fn a_change_is_reported_until_it_is_read_or_once() {
    for (until_read, again) in [(true, "sk_a=changed"), (false, "")] {
        let (vault, client) = start(|b| b.changed_until_read(until_read));
        client.value("sk_a");
        vault.put("sk_a", "2");
        assert_eq!(client.poll(&["sk_a"]), "sk_a=changed");
        assert_eq!(client.poll(&["sk_a"]), again);
        vault.put("sk_a", "3");
        assert_eq!(client.poll(&["sk_a"]), "sk_a=changed");
    }
}

#[test]
fn a_returned_secret_is_changed_or_left_out() {
    for (changed, said) in [(true, "sk_a=changed sk_b=changed"), (false, "")] {
        let (vault, client) = start(|b| b.returned_is_changed(changed));
        client.value("sk_a");
        client.value("sk_b");
        vault.delete("sk_a");
        vault.deny("sk_b");
        client.poll(&["sk_a", "sk_b"]);
        vault.put("sk_a", "2");
        vault.allow("sk_b");
        assert_eq!(client.poll(&["sk_a", "sk_b"]), said);
    }
}

#[test]
fn a_secret_without_a_grant_is_denied_or_hidden() {
    for (hide, status) in [(false, 403), (true, 404)] {
        let (vault, client) = start(|b| b.hide_denied(hide));
        vault.deny("sk_a");
        assert_eq!(client.get("/v1/secret/sk_a").status, status);
    }
}

#[test]
fn missing_fields_are_null_or_left_out() {
    let (_vault, client) = start(|b| b.null_fields(false));
    assert_eq!(
        client.get("/v1/secrets").expect(200)["secrets"][0],
        json!({ "id": "sk_a", "name": "sk_a" })
    );
    let (_vault, client) = start(|b| b);
    let item = &client.get("/v1/secrets").expect(200)["secrets"][0];
    assert_eq!(
        item,
        &json!({ "id": "sk_a", "name": "sk_a", "fieldNames": null, "projectId": null })
    );
}

#[test]
fn polls_may_have_to_wait() {
    let (vault, client) = start(|b| b.poll_minimum(Duration::from_secs(10)));
    client.poll(&["sk_a"]);
    vault.put("sk_a", "2");
    let early = client.post("/v1/secrets/poll", r#"{"watch":["sk_a"]}"#);
    assert_eq!(
        (early.status, early.header("Retry-After")),
        (429, Some("10"))
    );
    vault.advance(Duration::from_secs(10));
    assert_eq!(client.poll(&["sk_a"]), "sk_a=changed");
}

#[test]
fn an_enrollment_answers_in_different_forms() {
    let response = |setting: fn(EmulatorBuilder) -> EmulatorBuilder| {
        let (vault, _) = start(setting);
        let token = vault.enrollment_token(1, Duration::from_secs(60));
        enroll(&vault, &token, json!({})).0
    };
    let seconds = response(|b| b).expect(201)["expiresAt"].as_i64().unwrap();
    assert!(seconds < 1_000_000_000_000);
    let millis = response(|b| b.expiry_in_milliseconds(true)).expect(201)["expiresAt"]
        .as_i64()
        .unwrap();
    assert!(millis > 1_000_000_000_000);
    assert!(
        response(|b| b.machine_lifetime(None))
            .expect(201)
            .get("expiresAt")
            .is_none()
    );
    assert!(
        response(|b| b.enrolled_api_url(None))
            .expect(201)
            .get("apiUrl")
            .is_none()
    );
    assert_eq!(
        response(|b| b.enrolled_api_url(Some("https://eu"))).expect(201)["apiUrl"],
        "https://eu"
    );
    assert_eq!(response(|b| b.enrollment_status(200)).status, 200);

    let (vault, _) = start(|b| b.token_refused_status(403));
    assert_eq!(enroll(&vault, "nonsense", json!({})).0.status, 403);
}

#[test]
fn a_header_can_be_added_to_every_response() {
    let (_vault, client) = start(|b| b.header("Age", "5").header("Date", "nonsense"));
    let response = client.get("/v1/secrets");
    assert_eq!(
        (response.header("Age"), response.header("Date")),
        (Some("5"), Some("nonsense"))
    );
    assert_eq!(response.all("Date").len(), 1);
}
