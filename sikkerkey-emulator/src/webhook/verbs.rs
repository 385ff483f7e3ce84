//! The methods for webhooks.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::{Dispatcher, News, Webhook, WebhookDelivery};
use crate::builder::EmulatorBuilder;
use crate::emulator::Emulator;

/// # Webhooks
impl EmulatorBuilder {
    /// Adds a receiver of every rotation and deletion, from the start on.
    pub fn webhook(mut self, receiver: Webhook) -> Self {
        self.webhooks.push(receiver);
        self
    }
}

/// # Webhooks
///
/// A thread delivers webhooks after the change is in the vault.
impl Emulator {
    /// Adds a receiver of every rotation and deletion from now on.
    ///
    /// # Errors
    ///
    /// The error of the operating system if the delivering thread cannot be started.
    pub fn add_webhook(&self, receiver: Webhook) -> std::io::Result<()> {
        self.change_webhooks(&[], &[receiver])
    }

    /// Sends an event to all receivers, without changing the vault.
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

    /// All deliveries so far, successful or not, oldest first; the newest 10,000.
    pub fn webhook_deliveries(&self) -> Vec<WebhookDelivery> {
        self.dispatcher()
            .map_or_else(Vec::new, |dispatcher| dispatcher.sent())
    }

    /// Waits until `holds` is true for the deliveries; returns false after `timeout`. The record is locked meanwhile: use
    /// only the slice, and call no method of this emulator.
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

    /// Takes these receivers out, and others in; the thread that tells them starts with the first one.
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
