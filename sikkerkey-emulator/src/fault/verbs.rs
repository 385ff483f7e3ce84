//! What a test says to make things go wrong.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Fault;
use crate::emulator::Emulator;

/// # Faults
///
/// The next request takes the first queued fault that fits its path; without one, the newest standing rule that
/// fits; without one, what chance says.
impl Emulator {
    /// Queues a fault for one request.
    pub fn fail_next(&self, fault: impl Into<Fault>) {
        self.fail_next_matching("", fault);
    }

    /// Queues a fault for one request whose path starts so.
    pub fn fail_next_matching(&self, path_prefix: impl AsRef<str>, fault: impl Into<Fault>) {
        self.service
            .plan()
            .queue(path_prefix.as_ref(), fault.into());
    }

    /// Every request whose path starts so meets this, until [`Emulator::clear_faults`].
    pub fn fail_matching(&self, path_prefix: impl AsRef<str>, fault: impl Into<Fault>) {
        self.service.plan().rule(path_prefix.as_ref(), fault.into());
    }

    /// Every request meets this, until [`Emulator::clear_faults`].
    pub fn fail_always(&self, fault: impl Into<Fault>) {
        self.fail_matching("", fault);
    }

    /// So many of a hundred requests meet one of these faults. The same seed gives the same row of
    /// faults, in the order in which requests arrive.
    pub fn fail_randomly(&self, seed: u64, percent: u8, faults: impl IntoIterator<Item = Fault>) {
        self.service
            .plan()
            .chance(seed, percent, faults.into_iter().collect());
    }

    /// Takes every fault back, queued or standing. Latency and outage stay.
    pub fn clear_faults(&self) {
        self.service.plan().clear();
    }

    /// How many queued faults no request has met yet.
    pub fn queued_faults(&self) -> usize {
        self.service.plan().queued()
    }

    /// Every response comes so much later, after the service acted.
    pub fn latency(&self, latency: Duration) {
        *self.service.latency() = latency;
    }

    /// Every connection takes so much longer to set up, before its first request is read.
    pub fn connection_latency(&self, latency: Duration) {
        *self.service.connection_latency() = latency;
    }

    /// While on, open connections are cut and new ones are reset without a response, as when the service is gone.
    pub fn outage(&self, on: bool) {
        self.service.outage.store(on, Ordering::Release);
        if on {
            self.server.cut_connections();
        }
    }

    /// Cuts every open connection, as a service that restarts.
    pub fn cut_connections(&self) {
        self.server.cut_connections();
    }

    /// While on, connections are made by the operating system and nobody serves them, as when the service's accept loop
    /// hangs. Those that are open go on; those in waiting are served once this is off.
    pub fn pause_accepting(&self, on: bool) {
        self.server.pause_accepting(on);
    }

    /// While on, the queue of connections in waiting is full, and a client that connects gets no answer at all, as from an
    /// address that swallows packets. Only Linux is sure to behave so.
    ///
    /// # Errors
    ///
    /// What the operating system says where the queue cannot be filled.
    pub fn fill_accept_queue(&self, on: bool) -> std::io::Result<()> {
        self.server.fill_accept_queue(on)
    }
}
