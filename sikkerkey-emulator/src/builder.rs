//! The settings of an emulator, before it starts.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::canaries;
use crate::emulator::Emulator;
use crate::error::Error;
use crate::identity::{self, Identity};
use crate::recorded::Log;
use crate::server::{Limits, Server};
use crate::service::Service;
use crate::switches::Switches;
use crate::tls::{Certificate, Tls};
use crate::vault::{Machine, Vault};
use crate::webhook::Webhook;

/// Requests kept for [`Emulator::requests`], unless told otherwise.
const RECORD_LIMIT: usize = 10_000;

/// Settings of an [`Emulator`], from [`Emulator::builder`] to [`EmulatorBuilder::start`].
///
/// The settings that name a secret create it if it does not exist.
///
/// ```
/// use sikkerkey_emulator::{Emulator, Kind, Policy};
///
/// let vault = Emulator::builder()
///     .vault("vault_shop")
///     .structured("sk_db_prod", [("host", "db.example"), ("password", "hunter2")])
///     .policy("sk_db_prod", Policy::new().reads_per_minute(30))
///     .denied("sk_admin", "no machine may read this")
///     .secret("sk_trap", "nobody needs this")
///     .kind("sk_trap", Kind::Canary)
///     .start()?;
/// assert_eq!(vault.vault_id(), "vault_shop");
/// # Ok::<(), sikkerkey_emulator::Error>(())
/// ```
#[must_use = "nothing runs before start()"]
pub struct EmulatorBuilder {
    pub(crate) switches: Switches,
    vault: String,
    machine_name: String,
    home: Option<PathBuf>,
    port: u16,
    certificate: Option<Certificate>,
    clock_offset: i64,
    record_limit: usize,
    limits: Limits,
    headers: Vec<(String, String)>,
    pub(crate) webhooks: Vec<Webhook>,
    changes: Vec<Change>,
}

/// A change of the vault's content before the emulator starts.
type Change = Box<dyn FnOnce(&mut Vault) + Send>;

impl Default for EmulatorBuilder {
    fn default() -> Self {
        Self {
            switches: Switches::default(),
            vault: "vault_emulator".into(),
            machine_name: "emulated-machine".into(),
            home: None,
            port: 0,
            certificate: None,
            clock_offset: 0,
            record_limit: RECORD_LIMIT,
            limits: Limits::default(),
            headers: Vec::new(),
            webhooks: Vec::new(),
            changes: Vec::new(),
        }
    }
}

impl EmulatorBuilder {
    pub(crate) fn change(mut self, change: impl FnOnce(&mut Vault) + Send + 'static) -> Self {
        self.changes.push(Box::new(change));
        self
    }
}

/// # Identity and address
impl EmulatorBuilder {
    /// Sets the vault's id: letters, digits, `-` and `_`. Defaults to `vault_emulator`.
    pub fn vault(mut self, id: impl Into<String>) -> Self {
        self.vault = id.into();
        self
    }

    /// Sets the name of the machine whose identity is on disk. Defaults to `emulated-machine`.
    pub fn machine_name(mut self, name: impl Into<String>) -> Self {
        self.machine_name = name.into();
        self
    }

    /// Sets the folder of the identity, as in `SIKKERKEY_HOME`. It is created if it is missing and kept afterwards; an
    /// identity of this vault in it is used again. Defaults to a private temporary folder that is removed with the
    /// emulator.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let folder = tempfile::tempdir().unwrap();
    /// let first = Emulator::builder().home(folder.path()).start()?;
    /// let machine = first.machine_id().to_owned();
    /// drop(first); // a restart of the service
    ///
    /// let second = Emulator::builder().home(folder.path()).start()?;
    /// assert_eq!(second.machine_id(), machine);
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
    pub fn home(mut self, folder: impl Into<PathBuf>) -> Self {
        self.home = Some(folder.into());
        self
    }

    /// Sets the port to listen on, on localhost; 0 takes any free one. Defaults to 0, which is right for tests.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Serves https with a valid certificate, issued by the emulator's own authority. Defaults to plain http.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// let vault = Emulator::builder().tls().start()?;
    /// assert!(vault.url().starts_with("https://localhost:"));
    /// let authority = vault.ca_pem().expect("TLS is on"); // the client must trust it
    /// assert!(authority.starts_with("-----BEGIN CERTIFICATE-----"));
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
    pub fn tls(self) -> Self {
        self.tls_with(Certificate::Valid)
    }

    /// Serves https with this certificate, to test that a client refuses a wrong one. Defaults to plain http.
    pub fn tls_with(mut self, certificate: Certificate) -> Self {
        self.certificate = Some(certificate);
        self
    }
}

/// # Behavior
impl EmulatorBuilder {
    /// Sets the service's clock this many seconds ahead of this machine's; negative for behind. Defaults to 0.
    pub fn clock_offset(mut self, seconds: i64) -> Self {
        self.clock_offset = seconds;
        self
    }

    /// Adds a header to every response; one named `Date` replaces the service's own. Defaults to no additional header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Limits how many requests [`Emulator::requests`] keeps: the newest ones. 0 keeps none, for long runs. Defaults to
    /// 10,000.
    pub fn record_limit(mut self, newest: usize) -> Self {
        self.record_limit = newest;
        self
    }

    /// Sets whether requests are recorded; `false` is `record_limit(0)`, `true` the default limit. Defaults to `true`.
    pub fn record(self, on: bool) -> Self {
        self.record_limit(if on { RECORD_LIMIT } else { 0 })
    }

    /// Limits how many connections may be open at once. One more closes the connection that has been idle longest; if
    /// none is idle, the new one is closed. Defaults to 1,000.
    pub fn connection_limit(mut self, open: usize) -> Self {
        self.limits.open = open;
        self
    }

    /// Limits how many connections may be idle at once. One more closes the connection that has been idle longest. A
    /// connection is idle until its next request has arrived completely. Defaults to 250.
    pub fn idle_limit(mut self, idle: usize) -> Self {
        self.limits.idle = idle;
        self
    }

    /// Starts the emulator: writes the identity, listens, and serves until the [`Emulator`] is dropped.
    ///
    /// # Errors
    ///
    /// [`Error`] if the port is taken, if the vault's id is malformed, if the certificates or the thread for webhooks
    /// cannot be made, or if the identity or the file named by `SIKKERKEY_EMULATOR_CANARIES` cannot be written.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// let vault = Emulator::builder().secret("sk_a", "1").start()?;
    /// println!("export SIKKERKEY_IDENTITY={}", vault.identity_path().display());
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
    pub fn start(self) -> Result<Emulator, Error> {
        let named = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.vault.is_empty() || !self.vault.chars().all(named) {
            return Err(Error::VaultId { id: self.vault });
        }
        canaries::open()?;
        let tls = self.certificate.map(Tls::new).transpose()?;
        let (home, temporary) = match self.home {
            Some(home) => (std::path::absolute(&home).unwrap_or(home), None),
            None => {
                let folder = identity::temporary_home().map_err(|source| Error::Identity {
                    path: std::env::temp_dir(),
                    source,
                })?;
                (folder.path().to_owned(), Some(folder))
            }
        };
        let identity = Identity::at(&home, &self.vault)?;

        let mut vault = Vault::new(self.vault.clone(), self.switches);
        let machine = Machine::new(self.machine_name.clone(), identity.key.verifying_key());
        vault.enter(identity.machine_id.clone(), machine);
        self.changes
            .into_iter()
            .for_each(|change| change(&mut vault));

        let service = Arc::new(Service::new(
            vault,
            Log::new(self.record_limit),
            self.certificate.and_then(Certificate::other_host),
        ));
        service.clock.set_offset(self.clock_offset);
        *service.headers() = self.headers;

        let (config, ca_pem) = tls.map(|tls| (tls.config, tls.ca_pem)).unzip();
        let scheme = if config.is_some() { "https" } else { "http" };
        let server = Server::start(Arc::clone(&service), config, self.port, self.limits).map_err(
            |source| Error::Listen {
                port: self.port,
                source,
            },
        )?;
        let url = format!("{scheme}://localhost:{}", server.port());
        service.vault().url.clone_from(&url);
        identity.write(&self.vault, &self.machine_name, &url)?;

        let identity_path = identity.path();
        let machine_id = identity.machine_id;
        let emulator = Emulator {
            server,
            webhooks: Mutex::default(),
            service,
            id: self.vault,
            machine_id,
            url,
            home,
            identity_path,
            ca_pem,
            _temporary: temporary,
        };
        emulator
            .change_webhooks(&[], &self.webhooks)
            .map_err(|source| Error::Webhooks { source })?;
        Ok(emulator)
    }
}

impl fmt::Debug for EmulatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmulatorBuilder")
            .field("vault", &self.vault)
            .field("home", &self.home)
            .field("port", &self.port)
            .field("tls", &self.certificate)
            .field("switches", &self.switches)
            .finish_non_exhaustive()
    }
}
