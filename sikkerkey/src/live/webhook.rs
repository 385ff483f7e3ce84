//! What a live config does with the service's webhooks.

use secrecy::SecretString;

use super::Live;
use crate::config::error::ConfigError;
use crate::webhook::{Webhook, WebhookEvent};

/// # Webhooks (feature `webhook`)
impl<T> Live<T> {
    /// Reads the secret of a webhook event now, and swaps if it differs. Returns whether it did.
    ///
    /// `false` for a secret that this config does not read, for a [repeated](WebhookEvent::is_repeat) delivery, which does nothing,
    /// and where nothing new was found: then the secret is read once more after 2 s, without its caller, since a delivery can be
    /// ahead of the value. Unlike [`refresh`](Live::refresh) it does not wait for a gap.
    ///
    /// Call it with events of [`Webhook::verify`] only, which no stranger can make.
    ///
    /// ```
    /// # #[cfg(feature = "derive")] {
    /// use sikkerkey::webhook::Webhook;
    /// use sikkerkey::{Live, SikkerKeyConfig};
    ///
    /// #[derive(SikkerKeyConfig)]
    /// struct Config {
    ///     #[sikkerkey(secret = "sk_workers")]
    ///     workers: usize,
    /// }
    ///
    /// /// The body of a route: the status of the response.
    /// fn hook(webhook: &Webhook, live: &Live<Config>, signature: &str, body: &[u8]) -> u16 {
    ///     let Ok(event) = webhook.verify(signature, body) else {
    ///         return 401;
    ///     };
    ///     if let Err(error) = live.on_webhook(&event) {
    ///         eprintln!("{error:#}"); // the next poll tries again
    ///     }
    ///     200
    /// }
    /// # let _ = hook;
    /// # }
    /// ```
    ///
    /// # Errors
    /// As `refresh`. Answer the service with 200 nevertheless: [`status`](Live::status) says what is wrong, and the next poll tries
    /// again.
    pub fn on_webhook(&self, event: &WebhookEvent) -> Result<bool, ConfigError> {
        match self.ask_told(event)? {
            Some(ticket) => self.wait(ticket, "the refresh"),
            None => Ok(false),
        }
    }

    /// [`on_webhook`](Live::on_webhook) as a future, on any async runtime.
    ///
    /// # Errors
    /// As `on_webhook`.
    pub async fn on_webhook_async(&self, event: &WebhookEvent) -> Result<bool, ConfigError> {
        match self.ask_told(event)? {
            Some(ticket) => self.wait_async(ticket, "the refresh").await,
            None => Ok(false),
        }
    }

    /// `None` where there is nothing to read.
    fn ask_told(&self, event: &WebhookEvent) -> Result<Option<u64>, ConfigError> {
        if let Some(error) = self.core.forked() {
            return Err(error);
        }
        let Some(id) = event.secret_id().filter(|_| !event.is_repeat()) else {
            return Ok(None);
        };
        let follows = self.core.follows(id);
        Ok(follows.then(|| self.owner.inbox.ask_told(id)))
    }
}

impl Webhook {
    /// A webhook whose signing secret is a part of a live config. After a rotation of it, what the config had before is accepted too, for
    /// the config's [`grace`](crate::Loader::grace): set one.
    ///
    /// It keeps the live config going.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// use sikkerkey::webhook::Webhook;
    /// use sikkerkey::{SecretString, SikkerKey, SikkerKeyConfig};
    ///
    /// #[derive(SikkerKeyConfig)]
    /// struct AppConfig {
    ///     #[sikkerkey(secret = "sk_webhook_signing")]
    ///     webhook: SecretString,
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let live = AppConfig::loader(&SikkerKey::auto()?).grace(Duration::from_secs(600)).live()?;
    /// let webhook = Webhook::live(&live, |config| &config.webhook);
    /// # let _ = webhook;
    /// # Ok(())
    /// # }
    /// ```
    pub fn live<T: Send + Sync + 'static>(live: &Live<T>, secret: fn(&T) -> &SecretString) -> Self {
        let live = live.clone();
        Self::with_secrets(move |accept| {
            accept(secret(&live.load()))
                || live
                    .previous_all()
                    .iter()
                    .any(|config| accept(secret(config)))
        })
    }
}
