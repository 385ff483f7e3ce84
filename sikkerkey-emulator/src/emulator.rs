//! The running service.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::builder::EmulatorBuilder;
use crate::recorded::Recorded;
use crate::server::Server;
use crate::service::Service;
use crate::vault::{Token, Vault};
use crate::webhook::Dispatcher;

/// The running service: one vault, served on this machine until this value is dropped.
///
/// Every method takes `&self` and can be called from any thread, at any time.
///
/// ```
/// use sikkerkey_emulator::Emulator;
///
/// let vault = Emulator::builder().secret("sk_a", "1").start()?;
/// assert!(vault.identity_path().exists()); // give a client this file
/// vault.put("sk_a", "2"); // a rotation
/// vault.delete("sk_a");
/// assert_eq!((vault.request_count(), vault.reads("sk_a")), (0, 0)); // no client has asked yet
/// # Ok::<(), sikkerkey_emulator::Error>(())
/// ```
pub struct Emulator {
    // First, because fields drop in order: it stops before the folder of its identity is removed.
    pub(crate) server: Server,
    /// None until the first receiver is added, which starts its thread.
    pub(crate) webhooks: Mutex<Option<Arc<Dispatcher>>>,
    pub(crate) service: Arc<Service>,
    pub(crate) id: String,
    pub(crate) machine_id: String,
    pub(crate) url: String,
    pub(crate) home: PathBuf,
    pub(crate) identity_path: PathBuf,
    pub(crate) ca_pem: Option<String>,
    pub(crate) _temporary: Option<tempfile::TempDir>,
}

/// # Identity and address
impl Emulator {
    /// Returns the default settings, which are right for most tests.
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder::default()
    }

    /// Returns the path of the identity file, for a client or for `SIKKERKEY_IDENTITY`.
    pub fn identity_path(&self) -> &Path {
        &self.identity_path
    }

    /// Returns the folder of the identity, for `SIKKERKEY_HOME`.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Returns the service's URL, `http://localhost:PORT` or https; also for `SIKKERKEY_API_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the port, on 127.0.0.1 and, if this machine has IPv6, on ::1.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Returns the vault's id, `vault_emulator` by default.
    pub fn vault_id(&self) -> &str {
        &self.id
    }

    /// Returns the id of the machine whose identity is on disk.
    pub fn machine_id(&self) -> &str {
        &self.machine_id
    }

    /// Returns the ids of all machines, including enrolled ones, sorted.
    pub fn machine_ids(&self) -> Vec<String> {
        self.service.vault().machine_ids()
    }

    /// Returns the name of a machine; `None` for an unknown id.
    pub fn machine_name(&self, id: &str) -> Option<String> {
        self.service
            .vault()
            .machine(id)
            .map(|machine| machine.name.clone())
    }

    /// Returns the authority of a secret that issues certificates, in PEM; `None` for any other secret.
    pub fn authority_pem(&self, id: impl AsRef<str>) -> Option<String> {
        self.service.vault().authority_pem(id.as_ref())
    }

    /// Returns the authority of the emulator's own TLS certificate, in PEM, for the client to trust; `None` without
    /// TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }
}

impl Emulator {
    /// Changes the vault atomically: no request sees half of it.
    pub(crate) fn vault<R>(&self, change: impl FnOnce(&mut Vault) -> R) -> R {
        change(&mut self.service.vault())
    }
}

/// # Machines, tokens and time
impl Emulator {
    /// Returns a new token for this many enrollments, valid for `ttl` of the service's time.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().start()?;
    /// let token = vault.enrollment_token(3, Duration::from_secs(60));
    /// assert!(token.starts_with("sket_"));
    /// vault.advance(Duration::from_secs(61)); // now an enrollment with it is refused
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
    pub fn enrollment_token(&self, uses: u32, ttl: Duration) -> String {
        self.issue(Token::new(uses, ttl))
    }

    /// Returns a new token with a policy: machine names, their lifetime, the secrets that they may read.
    pub fn issue(&self, policy: Token) -> String {
        let now = self.service.clock.now();
        self.vault(|vault| vault.issue(policy, now))
    }

    /// Expires every machine that exists now, including the one on disk: their requests get 401. Machines that enroll
    /// later are not affected.
    pub fn expire_machines(&self) {
        self.vault(|vault| vault.each_machine(|machine| machine.expires = Some(i64::MIN)));
    }

    /// Disables every machine that exists now: their requests get 403 until [`Emulator::enable_machines`].
    pub fn disable_machines(&self) {
        self.vault(Vault::disable_machines);
    }

    /// Enables every machine that exists now; an expired one stays expired.
    pub fn enable_machines(&self) {
        self.vault(|vault| vault.each_machine(|machine| machine.enabled = true));
    }

    /// Ends every lock-out and resets the count of failed authentications.
    pub fn unlock(&self) {
        self.service.gate().unlock();
    }

    /// Moves the service's clock forward, without waiting.
    pub fn advance(&self, by: Duration) {
        self.service.clock.advance(by);
    }

    /// Sets the service's clock this many seconds ahead of this machine's; negative for behind.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.service.clock.set_offset(seconds);
    }
}

/// # Recorded requests
impl Emulator {
    /// Returns the recorded requests, oldest first. Only the newest 10,000 are kept, or
    /// [`EmulatorBuilder::record_limit`].
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().start()?;
    /// let polls = vault.requests().iter().filter(|r| r.path == "/v1/secrets/poll").count();
    /// assert_eq!(polls, 0);
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
    pub fn requests(&self) -> Vec<Recorded> {
        self.service.log.requests()
    }

    /// Returns the number of requests so far, recorded or not.
    pub fn request_count(&self) -> u64 {
        self.service.log.count()
    }

    /// Clears the recorded requests; [`Emulator::request_count`] goes on counting.
    pub fn clear_requests(&self) {
        self.service.log.clear();
    }

    /// Waits until `holds` returns true for the recorded requests. Returns false if that does not happen within
    /// `timeout`.
    ///
    /// `holds` is called at once, when a request arrives and just before its response is sent. The record is locked
    /// meanwhile: use only the slice, and call no method of this emulator.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().start()?;
    /// let polled = vault.wait_for(Duration::from_millis(1), |requests| {
    ///     requests.iter().any(|r| r.path == "/v1/secrets/poll" && r.status == 200)
    /// });
    /// assert!(!polled);
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
    pub fn wait_for(&self, timeout: Duration, holds: impl FnMut(&[Recorded]) -> bool) -> bool {
        self.service.log.wait_for(timeout, holds)
    }

    /// Returns the number of connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.server.connections()
    }

    /// Returns the number of connections that are open now.
    pub fn open_connections(&self) -> usize {
        self.server.open_connections()
    }
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator")
            .field("vault", &self.id)
            .field("url", &self.url)
            .field("home", &self.home)
            .field("secrets", &self.service.vault().secret_count())
            .field("requests", &self.request_count())
            .finish_non_exhaustive()
    }
}
