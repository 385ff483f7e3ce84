//! Where the fuzz targets reach into `sikkerkey`, of which this is a module while they are built.

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use crate::cache::fuzz_open;
use crate::client::error_text::{Purpose, refused};
use crate::client::retry::RetryPolicy;
use crate::clock::Clock;
use crate::id::{SecretId, is_id as is_checked};
use crate::protocol::api_url::ApiUrl;
use crate::protocol::export::Export;
use crate::protocol::fields::Fields;
use crate::protocol::messages;
use crate::protocol::skew::{ClockJudgment, Skew, judge};
use crate::protocol::unescape::unescape;
use crate::read::fuzz_aliases;
use crate::transport::{Body, Response, fuzz_read};
use crate::watch::schedule::{DEFAULT_INTERVAL, PollOutcome, PollSchedule};
use crate::webhook::{Webhook, WebhookError};

/// What the clock says: a day in 2026.
const NOW: i64 = 1_790_000_000;
const SECONDS_OF_A_YEAR: i64 = 31_556_952;

/// Reads an answer as it comes from a connection, and all that its head and its body could be.
pub fn answer(bytes: &[u8]) {
    let Some(reply) = fuzz_read(bytes) else {
        return;
    };
    delays(&reply);
    let ahead = dates(&reply);
    let line = refused(Purpose::Read("sk_a"), &reply, ahead).to_string();
    assert!(
        line.chars().count() < 512 && !line.contains(char::is_control),
        "{line:?}"
    );
    let (Body::Whole(body) | Body::UntilClose(body)) = reply.body else {
        return;
    };
    let _ = messages::value(&body);
    let _ = messages::list(&body);
    let _ = messages::changes(&body);
    let _ = messages::enrollment(&body);
    if let Ok(entries) = messages::export(&body, &|| true) {
        let _ = Export::from_entries(entries, &|| true);
    }
}

/// Whatever `Retry-After` says, a call comes back within its cap, and so does a poll.
fn delays(reply: &Response) {
    let Some(asked) = reply.retry_after_from(NOW) else {
        return;
    };
    let cap = Duration::from_secs(30);
    let patient = RetryPolicy::default().retry_after_cap(Duration::MAX);
    for fraction in [0.0, 0.999] {
        let delay = RetryPolicy::default().delay(1, Some(asked), fraction);
        assert!(delay.is_some_and(|delay| asked.min(cap) <= delay && delay <= cap));
        assert!(patient.delay(1, Some(asked), fraction).is_some());
        let mut schedule = PollSchedule::new(DEFAULT_INTERVAL, false);
        schedule.polled(Duration::ZERO, PollOutcome::RetryAfter(asked), fraction);
        assert!(schedule.due() <= Duration::from_secs(900));
    }
}

/// Whatever `Date` says, the clock is corrected to a time that can be. Returns how far this
/// machine's clock is ahead.
fn dates(reply: &Response) -> Option<i64> {
    let skew = Skew::default();
    skew.keep(-500);
    skew.review(NOW, reply.date);
    let mut ahead = None;
    for signed in [NOW, NOW - 600, reply.date.unwrap_or(NOW)] {
        match judge(signed, NOW, reply.date) {
            ClockJudgment::Retry { correction } => {
                let year = 1970 + (NOW + correction) / SECONDS_OF_A_YEAR;
                assert!((2019..=2100).contains(&year), "{year}");
            }
            ClockJudgment::Final { ahead: found } => ahead = ahead.or(found),
        }
    }
    ahead
}

/// Opens a file of the cache that nobody sealed.
pub fn cache_file(bytes: &[u8]) {
    assert!(!fuzz_open(bytes), "a forged entry was opened");
}

/// Whether the client takes this for an id.
pub fn is_id(text: &str) -> bool {
    is_checked(text)
}

/// Decodes a JSON string, and says whether serde_json agrees.
pub fn unescaper(text: &str) {
    let theirs = serde_json::from_str::<String>(text).ok();
    // Around a JSON text serde_json allows white space; a raw value never has any.
    let ours = unescape(text.trim_matches([' ', '\n', '\r', '\t']))
        .map(|text| text.expose_secret().to_owned());
    assert_eq!(ours, theirs, "{text:?}");
}

/// Aliases as an environment variable holds them: what is taken is written the same way, and what is
/// not is told in short lines.
pub fn aliases(text: &str) {
    let (aliases, problems) = fuzz_aliases(text);
    for line in &problems {
        assert!(
            line.chars().count() < 1024 && !line.contains(char::is_control),
            "{line:?}"
        );
    }
    let written: Vec<String> = aliases
        .iter()
        .map(|(from, to)| format!("{from}={to}"))
        .collect();
    assert_eq!(fuzz_aliases(&written.join(",")).0, aliases);
}

/// A webhook's body: with its signature it is an event, or refused for what it is; with another it is always refused.
pub fn webhook(body: &[u8]) {
    let mut mac =
        <Hmac<Sha256> as KeyInit>::new_from_slice(b"whsec_fuzz").expect("a key of any length");
    mac.update(body);
    let signature = mac.finalize().into_bytes();
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let webhook = Webhook::new("whsec_fuzz").clock(Arc::new(Now));
    match webhook.verify(hex(&signature), body) {
        Ok(event) => {
            assert!(!event.is_repeat() && !event.id().is_empty());
            assert!(event.secret_id().is_none_or(is_checked));
            let line = format!("{event:?}");
            assert!(!line.contains(char::is_control), "{line:?}");
            assert!(
                webhook
                    .verify(hex(&signature), body)
                    .is_ok_and(|event| event.is_repeat())
            );
        }
        Err(error) => assert!(matches!(
            error,
            WebhookError::TooLarge | WebhookError::Malformed | WebhookError::Age
        )),
    }
    let mut other = signature;
    other[0] ^= 1;
    let refused = webhook.verify(hex(&other), body);
    assert!(matches!(
        refused,
        Err(WebhookError::Signature | WebhookError::TooLarge)
    ));
}

/// A clock that stands still.
#[derive(Debug)]
struct Now;

impl Clock for Now {
    fn unix_now(&self) -> i64 {
        NOW
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _time: Duration) {}
}

/// An id, an address, and a value with fields.
pub fn text(text: &str) {
    match SecretId::new(text) {
        Ok(_) => assert!(
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        ),
        Err(error) => {
            let line = error.to_string();
            assert!(!line.contains(char::is_control), "{line:?}");
        }
    }
    if let Ok(url) = ApiUrl::parse(text) {
        assert!(url.is_tls() || url.is_loopback(), "unprotected: {text}");
    }
    if let Some(fields) = Fields::parse(&SecretString::from(text)) {
        assert!(fields.names().all(|name| fields.get(name).is_some()));
    }
}
