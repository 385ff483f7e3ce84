//! The methods for webhooks.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::{Dispatcher, News, Webhook, WebhookDelivery};
use crate::builder::EmulatorBuilder;
use crate::emulator::Emulator;

/// # Webhooks
impl EmulatorBuilder {
    /// Adds a receiver of every rotation and deletion, from the start on. Defaults to none.
    pub fn webhook(mut self, receiver: Webhook) -> Self {
        self.webhooks.push(receiver);
        self
    }
}

/// # Webhooks
///
/// A thread delivers webhooks, after the change is in the vault. So a receiver that reads at once gets the new value.
impl Emulator {
    /// Adds a receiver of every rotation and deletion from now on.
    ///
    /// # Errors
    ///
    /// The error of the operating system if the delivering thread cannot be started.
    pub fn add_webhook(&self, receiver: Webhook) -> std::io::Result<()> {
        self.change_webhooks(&[], &[receiver])
    }

    /// Sends an event to all receivers, without changing the vault. It can be early, or be about a secret that did not
    /// change.
    ///
    /// ```
    /// # use sikkerkey_emulator::{Emulator, Webhook};
    /// # let other = Emulator::builder().start()?;
    /// # let hook = Webhook::new(other.url(), "whsec_1")?;
    /// let vault = Emulator::builder().secret("sk_a", "1").webhook(hook).start()?;
    /// vault.send_webhook("secret_rotate", "sk_a"); // early: sk_a has not changed yet
    /// vault.repeat_webhook(); // the same delivery again
    /// # assert!(vault.wait_for_webhooks(std::time::Duration::from_secs(20), |sent| sent.len() == 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_webhook(&self, event: impl Into<String>, secret_id: impl Into<String>) {
        if let Some(dispatcher) = self.dispatcher() {
            dispatcher.tell(News::Event(event.into(), secret_id.into()));
        }
    }

    /// Delivers the newest webhook once more, byte for byte.
    pub fn repeat_webhook(&self) {
        if let Some(dispatcher) = self.dispatcher() {
            dispatcher.tell(News::Repeat);
        }
    }

    /// Returns the deliveries so far, successful or not, oldest first. Only the newest 10,000 are kept.
    pub fn webhook_deliveries(&self) -> Vec<WebhookDelivery> {
        self.dispatcher()
            .map_or_else(Vec::new, |dispatcher| dispatcher.sent())
    }

    /// Waits until `holds` returns true for the deliveries. Returns false if that does not happen within `timeout`, and
    /// at once if no receiver was ever added. The record is locked while `holds` runs: use only the slice, and call no
    /// method of this emulator.
    pub fn wait_for_webhooks(
        &self,
        timeout: Duration,
        mut holds: impl FnMut(&[WebhookDelivery]) -> bool,
    ) -> bool {
        match self.dispatcher() {
            Some(dispatcher) => dispatcher.wait_for(timeout, holds),
            None => holds(&[]),
        }
    }

    /// Removes these receivers and adds others. The first one starts the thread that delivers.
    pub(crate) fn change_webhooks(&self, old: &[Webhook], new: &[Webhook]) -> std::io::Result<()> {
        let mut slot = self.webhooks.lock().unwrap_or_else(PoisonError::into_inner);
        let dispatcher = match &*slot {
            Some(dispatcher) => Arc::clone(dispatcher),
            None if new.is_empty() => return Ok(()),
            None => {
                let dispatcher = Arc::new(Dispatcher::start(Arc::clone(&self.service))?);
                self.vault(|vault| vault.news = Some(dispatcher.news()));
                *slot = Some(Arc::clone(&dispatcher));
                dispatcher
            }
        };
        dispatcher.replace(old, new);
        Ok(())
    }

    fn dispatcher(&self) -> Option<Arc<Dispatcher>> {
        let slot = self.webhooks.lock().unwrap_or_else(PoisonError::into_inner);
        slot.clone()
    }
}
