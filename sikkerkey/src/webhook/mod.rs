//! Verifies the service's webhooks, so that a rotation is swapped in without waiting for a poll (feature `webhook`).
//!
//! The service calls a URL of yours when a secret changes. A [`Webhook`] says whether a delivery is genuine,
//! and [`Live::on_webhook`](crate::Live::on_webhook) reads its secret at once. Polls continue, so if a
//! delivery is lost, the change is only found later.
//!
//! The route of a service, for any framework:
//!
//! ```
//! # #[cfg(all(feature = "derive", feature = "live"))] {
//! use sikkerkey::webhook::{Webhook, WebhookError};
//! use sikkerkey::{Live, SikkerKeyConfig};
//!
//! #[derive(SikkerKeyConfig)]
//! struct AppConfig {
//!     #[sikkerkey(secret = "sk_db_prod", field = "password")]
//!     password: sikkerkey::SecretString,
//! }
//!
//! /// `POST /hooks/sikkerkey`, with the header `X-SikkerKey-Signature` and the body as it came; the status of the response.
//! fn hook(webhook: &Webhook, live: &Live<AppConfig>, signature: &str, body: &[u8]) -> u16 {
//!     match webhook.verify(signature, body) {
//!         Ok(event) => match live.on_webhook(&event) {
//!             Ok(_changed) => 200, // also for a repeated delivery, and for one about another secret
//!             Err(_) => 200,       // it was read in vain; status() says so, and the next poll tries again
//!         },
//!         Err(WebhookError::TooLarge) => 413,
//!         Err(WebhookError::Signature) => 401,
//!         Err(_) => 400,
//!     }
//! }
//! # }
//! ```
//!
//! `cargo run -p sikkerkey-service-examples --example axum_service` has it as a route of axum.

mod event;
mod seen;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

pub use event::WebhookEvent;

use self::event::SignedBody;
use self::seen::Seen;
use crate::clock::{Clock, SystemClock};
use crate::sync::lock;

/// How old a delivery may be.
const MAX_AGE: Duration = Duration::from_secs(300);

/// How many bytes a delivery may have. Real deliveries have a few hundred.
const MAX_SIZE: usize = 64 * 1024;

/// The longest age that can be set, because the ids of all deliveries of that time are kept.
const LONGEST_AGE: Duration = Duration::from_secs(86_400);

/// A verifier of webhook deliveries, by their signing secret.
///
/// A clone shares the record of received deliveries. The secret may be a live one:
/// [`Webhook::live`](Webhook::live).
///
/// ```
/// use sikkerkey::webhook::{Webhook, WebhookError};
///
/// let webhook = Webhook::new("whsec_31337");
/// let forged = webhook.verify("sha256=00", b"{}");
/// assert_eq!(forged.unwrap_err(), WebhookError::Signature);
/// ```
#[derive(Clone)]
#[must_use = "a webhook does nothing until it verifies"]
pub struct Webhook(Arc<WebhookInner>);

struct WebhookInner {
    secrets: Box<SigningSecrets>,
    max_age: Duration,
    max_size: usize,
    clock: Arc<dyn Clock>,
    seen: Mutex<Seen>,
}

/// Calls the function with each accepted secret until it returns `true`.
type SigningSecrets = dyn Fn(&mut dyn FnMut(&SecretString) -> bool) -> bool + Send + Sync;

/// The reason why a delivery was refused. A refused delivery has no effect.
///
/// ```
/// use sikkerkey::webhook::{Webhook, WebhookError};
///
/// /// The HTTP status of the response to a refused delivery.
/// fn status(error: WebhookError) -> u16 {
///     match error {
///         WebhookError::TooLarge => 413,
///         WebhookError::Signature => 401,
///         _ => 400,
///     }
/// }
///
/// let webhook = Webhook::new("whsec_31337").max_size(1024);
/// let error = webhook.verify("sha256=00", [0; 4096]).unwrap_err();
/// assert_eq!(status(error), 413);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// The body is longer than [`max_size`](Webhook::max_size). The body was not read.
    #[error("the webhook's body is too large")]
    TooLarge,
    /// The signature is missing, malformed, or not that of this body under the signing secret.
    #[error("the webhook's signature does not fit its body")]
    Signature,
    /// The signature is right, but the body is not an event of the service.
    #[error("the webhook's body is not an event")]
    Malformed,
    /// The event is further from this machine's time than [`max_age`](Webhook::max_age), in the past or in the future.
    #[error("the webhook is too old, or this machine's clock is off")]
    Age,
}

impl Webhook {
    /// Makes a verifier with this signing secret.
    pub fn new(secret: impl Into<SecretString>) -> Self {
        let secret = secret.into();
        Self::with_secrets(move |accept| accept(&secret))
    }

    /// Makes a verifier whose signing secrets come from a function, which provides each secret that is
    /// accepted at that moment.
    pub(crate) fn with_secrets(
        secrets: impl Fn(&mut dyn FnMut(&SecretString) -> bool) -> bool + Send + Sync + 'static,
    ) -> Self {
        Webhook(Arc::new(WebhookInner {
            secrets: Box::new(secrets),
            max_age: MAX_AGE,
            max_size: MAX_SIZE,
            clock: Arc::new(SystemClock::new()),
            seen: Mutex::default(),
        }))
    }

    /// Limits the age of a delivery, by this machine's clock; also how far it may be in the future. At most a
    /// day. Repeated deliveries are recognized for the same time. Defaults to 5 minutes.
    pub fn max_age(self, age: Duration) -> Self {
        self.with(|inner| inner.max_age = age.min(LONGEST_AGE))
    }

    /// Limits the body of a delivery, in bytes. Set the same limit in the framework. Defaults to 64 KiB.
    pub fn max_size(self, bytes: usize) -> Self {
        self.with(|inner| inner.max_size = bytes)
    }

    /// Sets the source of the time, for tests.
    #[doc(hidden)]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        self.with(|inner| inner.clock = clock)
    }

    fn with(self, change: impl FnOnce(&mut WebhookInner)) -> Self {
        // If there is another handle, it keeps its settings and its record.
        let mut inner = Arc::try_unwrap(self.0).unwrap_or_else(|shared| shared.twin());
        change(&mut inner);
        Webhook(Arc::new(inner))
    }

    /// Verifies a delivery and returns its event. `signature` is the header `X-SikkerKey-Signature`, `body`
    /// the body as it came, byte for byte.
    ///
    /// The signature is hexadecimal, with or without `sha256=` in front, and is compared in constant time.
    /// Other headers are not signed, so they are ignored. A repeated delivery is `Ok`, and
    /// [`is_repeat`](WebhookEvent::is_repeat) returns `true`: respond with 200, or the service sends it once
    /// more.
    ///
    /// # Errors
    /// Why the delivery was refused. Respond with a 4xx status.
    pub fn verify(
        &self,
        signature: impl AsRef<[u8]>,
        body: impl AsRef<[u8]>,
    ) -> Result<WebhookEvent, WebhookError> {
        let inner = &*self.0;
        let (signature, body) = (signature.as_ref(), body.as_ref());
        if body.len() > inner.max_size {
            return Err(WebhookError::TooLarge);
        }
        let signature = decoded(signature).ok_or(WebhookError::Signature)?;
        if !(inner.secrets)(&mut |secret| is_signed(secret, body, &signature)) {
            return Err(WebhookError::Signature);
        }
        let signed = SignedBody::parse(body).ok_or(WebhookError::Malformed)?;
        let max_age = i64::try_from(inner.max_age.as_millis()).unwrap_or(i64::MAX);
        let now = inner.clock.unix_now().saturating_mul(1000);
        if signed.timestamp.abs_diff(now) > max_age.unsigned_abs() {
            return Err(WebhookError::Age);
        }
        let forget_at = signed.timestamp.saturating_add(max_age);
        let is_repeat = !lock(&inner.seen).insert(&signed.id, forget_at, now);
        Ok(signed.into_event(is_repeat))
    }
}

impl WebhookInner {
    /// Copies the settings, with a new record of deliveries. The secrets cannot be cloned, so the copy shares
    /// them.
    fn twin(self: Arc<Self>) -> WebhookInner {
        let (max_age, max_size) = (self.max_age, self.max_size);
        let clock = Arc::clone(&self.clock);
        WebhookInner {
            secrets: Box::new(move |accept| (self.secrets)(accept)),
            max_age,
            max_size,
            clock,
            seen: Mutex::default(),
        }
    }
}

/// Decodes the 32 bytes of a signature in hexadecimal.
fn decoded(signature: &[u8]) -> Option<[u8; 32]> {
    let hex = signature.strip_prefix(b"sha256=").unwrap_or(signature);
    let (pairs, []) = hex.as_chunks::<2>() else {
        return None;
    };
    let digit = |digit: u8| u8::try_from(char::from(digit).to_digit(16)?).ok();
    let bytes = pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

fn is_signed(secret: &SecretString, body: &[u8], signature: &[u8; 32]) -> bool {
    // Anyone could sign with an empty secret.
    let key = secret.expose_secret().as_bytes();
    if key.is_empty() {
        return false;
    }
    Hmac::<Sha256>::new_from_slice(key).is_ok_and(|mut mac| {
        mac.update(body);
        // Compares in constant time.
        mac.verify_slice(signature).is_ok()
    })
}

/// Shows the limits; the secret is left out.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("max_age", &self.0.max_age)
            .field("max_size", &self.0.max_size)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
