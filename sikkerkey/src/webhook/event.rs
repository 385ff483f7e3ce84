use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use crate::id::is_id;
use crate::text;

/// The event of a genuine delivery; from [`Webhook::verify`](super::Webhook::verify).
///
/// For anything else that the service sends, such as who made the change, parse the body: after `verify` it
/// is genuine.
///
/// ```
/// # use hmac::{Hmac, KeyInit, Mac};
/// # let now = std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_millis();
/// # let data = r#"{"secretId":"sk_db_prod"}"#;
/// # let body = format!(r#"{{"id":"evt_1","event":"secret_rotate","timestamp":{now},"data":{data}}}"#);
/// # let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"whsec_31337")?;
/// # mac.update(body.as_bytes());
/// # let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
/// use sikkerkey::webhook::Webhook;
///
/// let webhook = Webhook::new("whsec_31337");
/// let event = webhook.verify(&signature, &body)?;
/// if event.event() == "secret_rotate" && !event.is_repeat() {
///     println!("{} rotated at {:?}", event.secret_id().unwrap_or("a secret"), event.timestamp());
/// }
/// # assert_eq!(event.secret_id(), Some("sk_db_prod"));
/// assert!(webhook.verify(&signature, &body)?.is_repeat()); // the service sent it once more
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookEvent {
    id: String,
    event: String,
    secret_id: Option<String>,
    timestamp: i64,
    is_repeat: bool,
}

/// The body of a delivery.
#[derive(Deserialize)]
pub(super) struct SignedBody {
    pub(super) id: String,
    event: String,
    /// In milliseconds since 1970.
    pub(super) timestamp: i64,
    #[serde(default)]
    data: Option<EventData>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventData {
    #[serde(default)]
    secret_id: Option<String>,
}

impl SignedBody {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let signed: SignedBody = serde_json::from_slice(body).ok()?;
        (!signed.id.is_empty()).then_some(signed)
    }

    pub(super) fn into_event(self, is_repeat: bool) -> WebhookEvent {
        let secret_id = self.data.and_then(|data| data.secret_id);
        WebhookEvent {
            id: self.id,
            event: self.event,
            secret_id: secret_id.filter(|id| is_id(id)),
            timestamp: self.timestamp,
            is_repeat,
        }
    }
}

impl WebhookEvent {
    /// The id that all deliveries of this event have, from the signed body.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The name of the event: `secret_rotate`, `secret_delete`, or another of the service's words.
    pub fn event(&self) -> &str {
        &self.event
    }

    /// The id of the secret that the event is about; `None` for an event that is about none.
    pub fn secret_id(&self) -> Option<&str> {
        self.secret_id.as_deref()
    }

    /// When the event happened, by the service's clock.
    pub fn timestamp(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.timestamp.max(0).unsigned_abs())
    }

    /// Whether a delivery of the same event came before. The service may repeat a delivery; respond to it
    /// with 200, as to the first.
    pub fn is_repeat(&self) -> bool {
        self.is_repeat
    }
}

/// Shows the texts of the body, escaped for a terminal.
impl fmt::Debug for WebhookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookEvent")
            .field("id", &format_args!("{}", text::name(&self.id)))
            .field("event", &format_args!("{}", text::name(&self.event)))
            .field("secret_id", &self.secret_id)
            .field("timestamp", &self.timestamp)
            .field("is_repeat", &self.is_repeat)
            .finish()
    }
}
