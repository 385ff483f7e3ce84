//! Webhooks: signed notifications of changed secrets.

mod dispatcher;
mod post;
mod verbs;

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;

use crate::{canaries, origin, random};
pub(crate) use dispatcher::{Dispatcher, News};

/// A receiver of webhooks on this machine: an HTTP server of the program under test.
///
/// Each rotation of a secret (`secret_rotate`) and each deletion (`secret_delete`) is delivered to it once, in order,
/// and signed with its signing secret. For early, late and repeated deliveries there are
/// [`Emulator::send_webhook`](crate::Emulator::send_webhook) and
/// [`Emulator::repeat_webhook`](crate::Emulator::repeat_webhook).
///
/// ```
/// use sikkerkey_emulator::{Emulator, Webhook};
///
/// let hook = Webhook::new("http://localhost:8080/hooks/sikkerkey", "whsec_1")?;
/// let vault = Emulator::builder().secret("sk_a", "1").webhook(hook).start()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[must_use = "a webhook is delivered once an emulator has it"]
pub struct Webhook {
    url: String,
    /// The `host:port` of the URL.
    authority: String,
    path: String,
    secret: String,
    prefix: bool,
}

/// An error: the URL of a [`Webhook`] is not plain http to this machine, or its signing secret is empty.
///
/// ```
/// use sikkerkey_emulator::Webhook;
///
/// assert!(Webhook::new("https://hooks.example/sikkerkey", "whsec_1").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a webhook goes to this machine, by plain http: http://localhost:PORT/PATH; and its signing secret is not empty"
)]
#[non_exhaustive]
pub struct WebhookError;

impl Webhook {
    /// Returns a receiver at this URL, which must be plain http to this machine, with its signing secret.
    ///
    /// # Errors
    ///
    /// [`WebhookError`] for any other URL, and for an empty secret.
    pub fn new(url: impl Into<String>, secret: impl Into<String>) -> Result<Self, WebhookError> {
        let (url, secret) = (url.into(), secret.into());
        let rest = url.strip_prefix("http://").ok_or(WebhookError)?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let plain = |b: u8| b.is_ascii_graphic() && b != b'#';
        let is_possible = origin::is_loopback_authority(authority) && has_port(authority);
        if !is_possible || !path.bytes().all(plain) || secret.is_empty() {
            return Err(WebhookError);
        }
        Ok(Self {
            authority: authority.into(),
            path: path.into(),
            secret,
            prefix: false,
            url,
        })
    }

    /// Returns a new random signing secret, such as `whsec_1f0c…`.
    pub fn new_secret() -> String {
        format!("whsec_{}", random::hex::<20>())
    }

    /// Sets whether the signature begins with `sha256=`, as some services write it. Defaults to `false`.
    pub fn signature_prefix(mut self, on: bool) -> Self {
        self.prefix = on;
        self
    }

    /// The value of `X-SikkerKey-Signature` for this body.
    fn signature(&self, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes())
            .expect("HMAC takes a key of any length");
        mac.update(body);
        let hex = random::hex_of(&mac.finalize().into_bytes());
        if self.prefix {
            format!("sha256={hex}")
        } else {
            hex
        }
    }

    /// Notes the signing secret for the search that `canaries` describes.
    fn note(&self) {
        canaries::note(&self.secret);
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("url", &self.url)
            .field("signature_prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// One delivery of a webhook, and its outcome.
///
/// ```
/// # use std::time::Duration;
/// use sikkerkey_emulator::{Emulator, Webhook};
///
/// # let other = Emulator::builder().start()?;
/// # let receiver = other.url();
/// // `receiver` is the URL of an HTTP server on this machine.
/// let hook = Webhook::new(format!("{receiver}/hooks/sikkerkey"), "whsec_1")?;
/// let vault = Emulator::builder().secret("sk_a", "1").webhook(hook).start()?;
/// vault.put("sk_a", "2");
/// assert!(vault.wait_for_webhooks(Duration::from_secs(20), |sent| sent.len() == 1));
///
/// let delivery = vault.webhook_deliveries().remove(0);
/// assert_eq!((delivery.event.as_str(), delivery.secret_id.as_str()), ("secret_rotate", "sk_a"));
/// println!("the receiver responded with {}", delivery.status);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebhookDelivery {
    /// The header `X-SikkerKey-Delivery-Id`, which a repetition has as well.
    pub id: String,
    /// The event: `secret_rotate`, `secret_delete`, or the one given to
    /// [`Emulator::send_webhook`](crate::Emulator::send_webhook).
    pub event: String,
    /// The id of the secret that the event is about.
    pub secret_id: String,
    /// The URL of the receiver.
    pub url: String,
    /// The JSON body, as it was signed and sent.
    pub body: String,
    /// The status of the receiver's response; 0 if there was none.
    pub status: u16,
    /// Counts the deliveries of this emulator, from 1.
    pub number: u64,
}

/// Whether the port, if there is one, is a number from 1 to 65535. An address of IPv6 is in brackets.
fn has_port(authority: &str) -> bool {
    match authority.rsplit_once(':') {
        Some((_, port)) if !port.ends_with(']') => port.parse().is_ok_and(|port: u16| port > 0),
        _ => true,
    }
}

impl WebhookDelivery {
    /// A delivery of this event, at this time in milliseconds.
    fn of(event: &str, secret_id: &str, now: i64) -> Self {
        let severity = if event == "secret_delete" {
            "warning"
        } else {
            "info"
        };
        let body = json!({
            "id": random::uuid(),
            "event": event,
            "severity": severity,
            "timestamp": now,
            "data": { "secretId": secret_id },
        });
        Self {
            id: random::uuid(),
            event: event.into(),
            secret_id: secret_id.into(),
            url: String::new(),
            body: body.to_string(),
            status: 0,
            number: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_receivers_on_this_machine_are_accepted() {
        for url in [
            "http://localhost:1",
            "http://127.0.0.1:80/a?b=c",
            "http://[::1]:5/",
            "http://[::1]/",
            "http://localhost",
        ] {
            assert!(Webhook::new(url, "s").is_ok(), "{url}");
        }
        for url in [
            "",
            "https://localhost:1/",
            "http://example.com/",
            "http://localhost.evil.example/",
            "http://localhost@evil.example/",
            "http://localhost:1/a b",
            "http://localhost:/",
            "http://localhost:0/",
            "http://localhost:99999/",
            "http://localhost:1/\r\nX: y",
        ] {
            assert_eq!(Webhook::new(url, "s").err(), Some(WebhookError), "{url}");
        }
        assert!(Webhook::new("http://localhost:1", "").is_err());
    }

    #[test]
    fn a_body_is_signed_by_hmac_sha256_in_hex() -> Result<(), WebhookError> {
        // RFC 4231, test case 2.
        let hook = Webhook::new("http://localhost:1/", "Jefe")?;
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let body = b"what do ya want for nothing?";
        assert_eq!(hook.signature(body), expected);
        let hook = hook.signature_prefix(true);
        assert_eq!(hook.signature(body), format!("sha256={expected}"));
        assert!(!format!("{hook:?}").contains("Jefe"));
        Ok(())
    }
}
