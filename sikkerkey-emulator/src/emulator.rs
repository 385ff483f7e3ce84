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

/// A vault served on this machine until this value is dropped.
///
/// Every method takes `&self` and can be called from any thread, at any time.
pub struct Emulator {
    // First: it stops before the folder with its identity goes.
    pub(crate) server: Server,
    /// The thread that delivers them starts with the first receiver.
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

/// # Where it is
impl Emulator {
    /// Default settings, right for most tests.
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder::default()
    }

    /// The file to give to a client, or to put into `SIKKERKEY_IDENTITY`.
    pub fn identity_path(&self) -> &Path {
        &self.identity_path
    }

    /// The folder to put into `SIKKERKEY_HOME`.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// `http://localhost:PORT`, or https; also for `SIKKERKEY_API_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port on 127.0.0.1, and on ::1 where this machine has it.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// The vault's id.
    pub fn vault_id(&self) -> &str {
        &self.id
    }

    /// The id of the machine whose identity is on disk.
    pub fn machine_id(&self) -> &str {
        &self.machine_id
    }

    /// The ids of all machines, including enrolled ones, sorted.
    pub fn machine_ids(&self) -> Vec<String> {
        self.service.vault().machine_ids()
    }

    /// The name of a machine; `None` for an unknown id.
    pub fn machine_name(&self, id: &str) -> Option<String> {
        self.service
            .vault()
            .machine(id)
            .map(|machine| machine.name.clone())
    }

    /// The authority of a secret that issues certificates, in PEM; none where it issues none.
    pub fn authority_pem(&self, id: impl AsRef<str>) -> Option<String> {
        self.service.vault().authority_pem(id.as_ref())
    }

    /// The authority of the emulator's own TLS certificate, in PEM, to trust; none without TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }
}

impl Emulator {
    /// One change of the vault, which no request sees half of.
    pub(crate) fn vault<R>(&self, change: impl FnOnce(&mut Vault) -> R) -> R {
        change(&mut self.service.vault())
    }
}

/// # Machines, tokens and time
impl Emulator {
    /// Issues a token for this many enrollments, valid for `ttl` of the service's time.
    pub fn enrollment_token(&self, uses: u32, ttl: Duration) -> String {
        self.issue(Token::new(uses, ttl))
    }

    /// Issues a token with a policy: names, lifetime, secrets.
    pub fn issue(&self, policy: Token) -> String {
        let now = self.service.clock.now();
        self.vault(|vault| vault.issue(policy, now))
    }

    /// Expires every present machine, including the one on disk: 401 from now on. Machines that enroll later are not
    /// affected.
    pub fn expire_machines(&self) {
        self.vault(|vault| vault.each_machine(|machine| machine.expires = Some(i64::MIN)));
    }

    /// Disables every present machine: 403 until [`Emulator::enable_machines`].
    pub fn disable_machines(&self) {
        self.vault(Vault::disable_machines);
    }

    /// Approves every present machine.
    pub fn enable_machines(&self) {
        self.vault(|vault| vault.each_machine(|machine| machine.enabled = true));
    }

    /// Ends every lock-out and forgets the failed authentications.
    pub fn unlock(&self) {
        self.service.gate().unlock();
    }

    /// Moves the service's clock forward.
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
    /// The recorded requests, oldest first; the newest 10,000 unless [`EmulatorBuilder::record_limit`] says otherwise.
    pub fn requests(&self) -> Vec<Recorded> {
        self.service.log.requests()
    }

    /// The number of requests so far, recorded or not.
    pub fn request_count(&self) -> u64 {
        self.service.log.count()
    }

    /// Forgets the recorded requests; [`Emulator::request_count`] goes on.
    pub fn clear_requests(&self) {
        self.service.log.clear();
    }

    /// Waits until `holds` is true for the recorded requests; returns false after `timeout`.
    ///
    /// `holds` runs when a request arrives and just before its response is sent. The record is locked meanwhile: use only
    /// the slice, and call no method of this emulator.
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

    /// The number of connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.server.connections()
    }

    /// The number of open connections.
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
