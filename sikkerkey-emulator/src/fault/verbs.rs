//! The methods that schedule faults.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Fault;
use crate::emulator::Emulator;

/// # Faults
///
/// A request meets the first queued fault that fits its path; otherwise the newest standing rule that fits; otherwise
/// the random fault, if one is set. Path prefixes are of the path as sent, such as `/v1/secret/sk_a`.
impl Emulator {
    /// Queues a fault for one request, whatever its path.
    ///
    /// ```
    /// # use sikkerkey_emulator::{Emulator, Fault};
    /// # let vault = Emulator::builder().start()?;
    /// vault.fail_next(Fault::Status(503)); // one failure, and the next request succeeds
    /// # let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
    /// assert_eq!(agent.get(vault.url()).call()?.status(), 503);
    /// assert_eq!(vault.queued_faults(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fail_next(&self, fault: impl Into<Fault>) {
        self.fail_next_matching("", fault);
    }

    /// Queues a fault for one request whose path has this prefix.
    ///
    /// ```
    /// # use sikkerkey_emulator::{Emulator, Fault};
    /// # let vault = Emulator::builder().secret("sk_a", "1").start()?;
    /// vault.fail_next_matching("/v1/secrets/poll", Fault::Close); // the next poll
    /// vault.fail_next_matching("/v1/secret/sk_a", Fault::Hang); // the next read of sk_a
    /// assert_eq!(vault.queued_faults(), 2);
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
    pub fn fail_next_matching(&self, path_prefix: impl AsRef<str>, fault: impl Into<Fault>) {
        self.service
            .plan()
            .queue(path_prefix.as_ref(), fault.into());
    }

    /// Fails every request whose path has this prefix, until [`Emulator::clear_faults`].
    ///
    /// ```
    /// # use sikkerkey_emulator::{Emulator, Fault};
    /// # let vault = Emulator::builder().start()?;
    /// vault.fail_matching("/v1/secrets/poll", Fault::Status(500)); // all polls
    /// vault.clear_faults();
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
    pub fn fail_matching(&self, path_prefix: impl AsRef<str>, fault: impl Into<Fault>) {
        self.service.plan().rule(path_prefix.as_ref(), fault.into());
    }

    /// Fails every request with this fault, until [`Emulator::clear_faults`].
    pub fn fail_always(&self, fault: impl Into<Fault>) {
        self.fail_matching("", fault);
    }

    /// Fails this percentage of requests, each with one of these faults. The same seed gives the same sequence of
    /// faults, in the order in which requests arrive.
    ///
    /// ```
    /// # use sikkerkey_emulator::{Emulator, Fault};
    /// # let vault = Emulator::builder().start()?;
    /// vault.fail_randomly(7, 20, [Fault::Close, Fault::Status(503), Fault::after(Fault::Reset)]);
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
    pub fn fail_randomly(&self, seed: u64, percent: u8, faults: impl IntoIterator<Item = Fault>) {
        self.service
            .plan()
            .chance(seed, percent, faults.into_iter().collect());
    }

    /// Removes every fault: queued, standing and random. Latency and outage stay.
    pub fn clear_faults(&self) {
        self.service.plan().clear();
    }

    /// Returns the number of queued faults that no request has met yet.
    pub fn queued_faults(&self) -> usize {
        self.service.plan().queued()
    }

    /// Delays every response by this time, after the service acted. Defaults to none.
    pub fn latency(&self, latency: Duration) {
        *self.service.latency() = latency;
    }

    /// Delays every new connection by this time, before its first request is read. Defaults to none.
    pub fn connection_latency(&self, latency: Duration) {
        *self.service.connection_latency() = latency;
    }

    /// Starts or ends an outage: open connections are cut, and new ones are reset without a response.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().start()?;
    /// # let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
    /// vault.outage(true);
    /// assert!(agent.get(vault.url()).call().is_err());
    /// vault.outage(false);
    /// assert!(agent.get(vault.url()).call().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn outage(&self, on: bool) {
        self.service.outage.store(on, Ordering::Release);
        if on {
            self.server.cut_connections();
        }
    }

    /// Cuts every open connection, as a restart of the service does. New ones are accepted.
    pub fn cut_connections(&self) {
        self.server.cut_connections();
    }

    /// Stops or resumes accepting. While it is stopped, the operating system still makes connections and nothing serves
    /// them, as when the service's accept loop hangs. Open connections go on; waiting ones are served afterwards.
    pub fn pause_accepting(&self, on: bool) {
        self.server.pause_accepting(on);
    }

    /// Fills or empties the accept queue. While it is full, a connection attempt gets no response at all, as from an
    /// address that drops packets. Guaranteed on Linux only.
    ///
    /// # Errors
    ///
    /// The error of the operating system if the queue cannot be filled.
    pub fn fill_accept_queue(&self, on: bool) -> std::io::Result<()> {
        self.server.fill_accept_queue(on)
    }
}
