//! The methods that schedule faults.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Fault;
use crate::emulator::Emulator;

/// # Faults
///
/// The next request takes the first queued fault that fits its path; without one, the newest standing rule that
/// fits; without one, the random fault, if any.
impl Emulator {
    /// Queues a fault for one request.
    pub fn fail_next(&self, fault: impl Into<Fault>) {
        self.fail_next_matching("", fault);
    }

    /// Queues a fault for one request whose path has this prefix.
    pub fn fail_next_matching(&self, path_prefix: impl AsRef<str>, fault: impl Into<Fault>) {
        self.service
            .plan()
            .queue(path_prefix.as_ref(), fault.into());
    }

    /// Every request whose path has this prefix meets this fault, until [`Emulator::clear_faults`].
    pub fn fail_matching(&self, path_prefix: impl AsRef<str>, fault: impl Into<Fault>) {
        self.service.plan().rule(path_prefix.as_ref(), fault.into());
    }

    /// Every request meets this fault, until [`Emulator::clear_faults`].
    pub fn fail_always(&self, fault: impl Into<Fault>) {
        self.fail_matching("", fault);
    }

    /// This percentage of requests meets one of these faults. The same seed gives the same sequence of
    /// faults, in the order in which requests arrive.
    pub fn fail_randomly(&self, seed: u64, percent: u8, faults: impl IntoIterator<Item = Fault>) {
        self.service
            .plan()
            .chance(seed, percent, faults.into_iter().collect());
    }

    /// Removes every fault, queued or standing. Latency and outage stay.
    pub fn clear_faults(&self) {
        self.service.plan().clear();
    }

    /// The number of queued faults that no request has met yet.
    pub fn queued_faults(&self) -> usize {
        self.service.plan().queued()
    }

    /// Delays every response by this time, after the service acted.
    pub fn latency(&self, latency: Duration) {
        *self.service.latency() = latency;
    }

    /// Delays every new connection by this time, before its first request is read.
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

    /// Cuts every open connection, as a restart of the service does.
    pub fn cut_connections(&self) {
        self.server.cut_connections();
    }

    /// While on, the operating system accepts connections and nothing serves them, as when the service's accept loop
    /// hangs. Open connections go on; waiting ones are served once this is off.
    pub fn pause_accepting(&self, on: bool) {
        self.server.pause_accepting(on);
    }

    /// While on, the accept queue is full: a connection attempt gets no response at all, as from an address that drops
    /// packets. Guaranteed on Linux only.
    ///
    /// # Errors
    ///
    /// The error of the operating system if the queue cannot be filled.
    pub fn fill_accept_queue(&self, on: bool) -> std::io::Result<()> {
        self.server.fill_accept_queue(on)
    }
}
