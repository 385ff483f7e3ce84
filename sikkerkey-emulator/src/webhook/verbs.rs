//! What a test says to webhooks.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::{News, Sender, Webhook, WebhookDelivery};
use crate::builder::EmulatorBuilder;
use crate::emulator::Emulator;

/// # Webhooks
impl EmulatorBuilder {
    /// A receiver that is told of every rotation and deletion from the start on. It may be called several times.
    pub fn webhook(mut self, receiver: Webhook) -> Self {
        self.webhooks.push(receiver);
        self
    }
}

/// # Webhooks
///
/// Deliveries go out in a thread of their own, so that a change is in the vault before its receiver is told.
impl Emulator {
    /// Adds a receiver that is told of every rotation and deletion from now on.
    ///
    /// # Errors
    ///
    /// Where the thread that delivers cannot be started.
    pub fn add_webhook(&self, receiver: Webhook) -> std::io::Result<()> {
        self.change_webhooks(&[], &[receiver])
    }

    /// Tells the receivers of an event that did not happen, or did not happen yet.
    pub fn send_webhook(&self, event: impl Into<String>, secret_id: impl Into<String>) {
        if let Some(sender) = self.sender() {
            sender.tell(News::Event(event.into(), secret_id.into()));
        }
    }

    /// Delivers the newest webhook once more, the same in every byte.
    pub fn repeat_webhook(&self) {
        if let Some(sender) = self.sender() {
            sender.tell(News::Repeat);
        }
    }

    /// What was delivered so far, with and without success, oldest first.
    pub fn webhook_deliveries(&self) -> Vec<WebhookDelivery> {
        self.sender().map_or_else(Vec::new, |sender| sender.sent())
    }

    /// Waits until this is true of the deliveries; false when it is not within `timeout`. Look at the slice alone
    /// meanwhile, and call nothing of this emulator.
    pub fn wait_for_webhooks(
        &self,
        timeout: Duration,
        mut holds: impl FnMut(&[WebhookDelivery]) -> bool,
    ) -> bool {
        match self.sender() {
            Some(sender) => sender.wait_for(timeout, holds),
            None => holds(&[]),
        }
    }

    /// Takes these receivers out, and others in; the thread that tells them starts with the first one.
    pub(crate) fn change_webhooks(&self, old: &[Webhook], new: &[Webhook]) -> std::io::Result<()> {
        let mut slot = self.webhooks.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = match &*slot {
            Some(sender) => Arc::clone(sender),
            None if new.is_empty() => return Ok(()),
            None => {
                let sender = Arc::new(Sender::start(Arc::clone(&self.service))?);
                self.vault(|vault| vault.news = Some(sender.news()));
                *slot = Some(Arc::clone(&sender));
                sender
            }
        };
        sender.replace(old, new);
        Ok(())
    }

    fn sender(&self) -> Option<Arc<Sender>> {
        let slot = self.webhooks.lock().unwrap_or_else(PoisonError::into_inner);
        slot.clone()
    }
}
