//! Webhook events for a live config.

use secrecy::SecretString;

use super::Live;
use crate::config::error::ConfigError;
use crate::webhook::{Webhook, WebhookEvent};

/// # Webhooks (feature `webhook`)
impl<T> Live<T> {
    /// Reads the secret of a webhook event now, and swaps if it differs. Returns whether it did.
    ///
    /// Returns `false` for a secret that this config does not read, for a [repeated](WebhookEvent::is_repeat)
    /// delivery, which does nothing, and if the value has not changed. In the last case the secret is read
    /// once more in the background after 2 s, because a delivery can arrive before the new value can be read.
    /// Unlike [`refresh`](Live::refresh) it does not wait for the `refresh_gap`.
    ///
    /// Call it only with events of [`Webhook::verify`], which cannot be forged without the signing secret.
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
    /// As `refresh`. Respond with 200 nevertheless: [`status`](Live::status) says what is wrong, and the next
    /// poll retries.
    pub fn on_webhook(&self, event: &WebhookEvent) -> Result<bool, ConfigError> {
        match self.ask_told(event)? {
            Some(ticket) => self.wait(ticket, "the refresh"),
            None => Ok(false),
        }
    }

    /// Handles a webhook event as [`on_webhook`](Live::on_webhook) does, as a future, on any async runtime.
    ///
    /// # Errors
    /// As `on_webhook`.
    pub async fn on_webhook_async(&self, event: &WebhookEvent) -> Result<bool, ConfigError> {
        match self.ask_told(event)? {
            Some(ticket) => self.wait_async(ticket, "the refresh").await,
            None => Ok(false),
        }
    }

    /// Returns `None` if there is nothing to read.
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
    /// Makes a verifier whose signing secret is a part of a live config. After that secret rotates, the
    /// previous one is still accepted for the config's [`grace`](crate::Loader::grace), so set a grace.
    ///
    /// It keeps the live config running.
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
