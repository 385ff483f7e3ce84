use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::SikkerKey;
use super::inner::{ClientInner, Renewal};
use super::key_source::KeySource;
use super::machine::Machine;
use super::reload::Reload;
use super::retry::RetryPolicy;
use super::session::Session;
use super::settings::Settings;
#[cfg(feature = "cache")]
use crate::cache::{Cache, CacheOptions};
use crate::clock::Clock;
use crate::error::Error;
use crate::identity::{self, Choice, Environment, TrustRules};
use crate::protocol::signing::RequestSigner;
use crate::random::Randomness;
use crate::resync::Resync;
use crate::transport::Transport;

/// A builder of a client with settings of its own; from [`SikkerKey::builder`].
///
/// If none of [`vault`](Self::vault), [`identity_file`](Self::identity_file) and
/// [`machine`](Self::machine) is set, the identity is found as [`SikkerKey::auto`] finds it.
///
/// ```
/// # use sikkerkey_emulator::Emulator;
/// # let vault = Emulator::builder().start()?;
/// # let path = vault.identity_path();
/// use std::time::Duration;
/// use sikkerkey::{RetryPolicy, SikkerKey};
///
/// let sk = SikkerKey::builder()
///     .identity_file(path)
///     .timeout(Duration::from_secs(5))
///     .deadline(Duration::from_secs(12))
///     .retry(RetryPolicy::default().attempts(2))
///     .build()?;
/// # let _ = sk;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`Bootstrap`](crate::Bootstrap) is this builder for a machine that is enrolled in memory, with the same
/// settings of requests.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until its last method is called"]
pub struct SikkerKeyBuilder<I = KnownMachine> {
    pub(super) identity: I,
    pub(super) settings: Settings,
}

/// The part of a [`SikkerKeyBuilder`] that chooses a machine that is already enrolled.
#[derive(Clone, Debug)]
pub struct KnownMachine {
    choice: Option<Choice>,
    machine: Option<Machine>,
    key: KeySource,
    rules: TrustRules,
    #[cfg(feature = "cache")]
    cache: Option<CacheOptions>,
}

/// # Requests
impl<I> SikkerKeyBuilder<I> {
    /// Limits one attempt, from the name look-up to the last byte. Defaults to 15 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// Limits a whole call, retries and delays included. Defaults to 30 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline;
        self
    }

    /// Sets how often and how soon a call is retried. Defaults to [`RetryPolicy::default`]: up to four
    /// attempts, after about 1, 2 and 4 s.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.settings.retry = policy;
        self
    }

    /// Sets the time between two polls, ±20 %. A *poll* is one request that asks for changes of everything
    /// that is watched; it reads nothing. Defaults to 15 s.
    ///
    /// The service requires at least 10 s, so a shorter interval counts as 10 s. Only an emulator on this
    /// machine takes any interval.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().start()?;
    /// # let path = vault.identity_path();
    /// use std::time::Duration;
    /// use sikkerkey::{Resync, SikkerKey};
    ///
    /// let sk = SikkerKey::builder()
    ///     .identity_file(path)
    ///     .poll_interval(Duration::from_secs(30))
    ///     .resync(Resync::Every(Duration::from_secs(3600)))
    ///     .resync_secret("sk_counted", Resync::Never) // a policy limits its reads
    ///     .build()?;
    /// # let _ = sk;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.settings.poll_interval = interval;
        self
    }

    /// Sets how often watched secrets are read again although no change was reported, because a report can
    /// be lost, or taken by another process of the same machine. Defaults to [`Resync::Adaptive`], about 28
    /// reads a day for each secret.
    ///
    /// An interval of zero, or of more than a year, is an error when the client is built.
    pub fn resync(mut self, resync: Resync) -> Self {
        self.settings.resync = resync;
        self
    }

    /// Sets the [`resync`](Self::resync) of one secret, by its id: `Never` if a policy limits the number of
    /// reads, an interval if reads keep a lease alive (a *lease* is the limited life of a login that the
    /// service makes for a reader). Defaults to the client's.
    pub fn resync_secret(mut self, id: impl Into<String>, resync: Resync) -> Self {
        self.settings.resync_secrets.insert(id.into(), resync);
        self
    }

    /// Pins the address of the service: an identity with another `apiUrl` is an error when the client is
    /// built. Defaults to no check.
    ///
    /// The signature does not cover the host, so a user who can change an identity's `apiUrl` can relay
    /// signed requests. For a machine that is enrolled in memory, this is the address that the service names
    /// for reads; [`api_url`](SikkerKeyBuilder::api_url) sets where the machine is enrolled.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().start()?;
    /// # let path = vault.identity_path();
    /// use sikkerkey::{ErrorKind, SikkerKey};
    ///
    /// let error = SikkerKey::builder()
    ///     .identity_file(path) // its apiUrl leads elsewhere
    ///     .expect_api_url("https://api.sikkerkey.com")
    ///     .build()
    ///     .unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Configuration);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn expect_api_url(mut self, url: impl Into<String>) -> Self {
        self.settings.expected_api_url = Some(url.into());
        self
    }

    /// Signs requests with the service's time if this machine's clock is more than a minute off. Defaults
    /// to on.
    ///
    /// The clock is corrected only after a 401, by the `Date` of that response. A correction of more than a
    /// day into the future is made only if this machine's clock is older than this version of the crate:
    /// otherwise a wrong `Date` could collect signatures for a later time.
    pub fn clock_correction(mut self, correct: bool) -> Self {
        self.settings.clock_correction = correct;
        self
    }

    /// Trusts these certificate authorities *instead of* the bundled ones: PEM, with one certificate or more.
    /// A second call adds to the first. Defaults to Mozilla's authorities, which are part of the program, so
    /// that it works in an image without any files.
    pub fn root_certificate_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.settings.trust.own.push(pem.as_ref().to_vec());
        self
    }

    /// Trusts these certificate authorities *in addition*: PEM, with one certificate or more. They add to the
    /// bundled ones, to [`root_certificate_pem`](Self::root_certificate_pem) or to `platform_roots`. For a
    /// company's own authority, or a proxy that inspects TLS. Defaults to none.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().tls().secret("sk_key", "1").start()?;
    /// # let (path, ca) = (vault.identity_path(), vault.ca_pem().unwrap());
    /// use sikkerkey::SikkerKey;
    ///
    /// let sk = SikkerKey::builder()
    ///     .identity_file(path)
    ///     .add_root_certificate_pem(ca) // for instance from std::fs::read("/etc/ssl/company.pem")?
    ///     .build()?;
    /// sk.get_secret("sk_key")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add_root_certificate_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.settings.trust.added.push(pem.as_ref().to_vec());
        self
    }

    /// Trusts the operating system's authorities *instead of* the bundled ones, and checks certificates as
    /// it does (feature `platform-roots`). Defaults to off.
    ///
    /// On Linux these are the certificates of the usual files, or of `SSL_CERT_FILE` and `SSL_CERT_DIR`, as
    /// they are when the client is built. An image without any is an error when the client is built.
    #[cfg(feature = "platform-roots")]
    pub fn platform_roots(mut self) -> Self {
        self.settings.trust.platform = true;
        self
    }

    /// Uses a TLS configuration of your own, for instance with a FIPS provider, TLS 1.3 only, a client
    /// certificate or revocation lists (feature `rustls`, which re-exports the crate as
    /// `sikkerkey::rustls`). Defaults to rustls with ring and the trusted authorities of this builder.
    ///
    /// It also decides which roots are trusted; together with a setting of roots it is an error when the
    /// client is built. ALPN is set to `http/1.1`, the only protocol of this client.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().tls().secret("sk_stripe_key", "x").start()?;
    /// # let (path, ca) = (vault.identity_path(), vault.ca_pem().unwrap());
    /// use std::sync::Arc;
    /// use sikkerkey::SikkerKey;
    /// use sikkerkey::rustls::pki_types::CertificateDer;
    /// use sikkerkey::rustls::pki_types::pem::PemObject;
    /// use sikkerkey::rustls::{ClientConfig, RootCertStore, crypto::ring, version::TLS13};
    ///
    /// let mut roots = RootCertStore::empty();
    /// roots.add(CertificateDer::from_pem_slice(ca.as_bytes())?)?;
    /// let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
    ///     .with_protocol_versions(&[&TLS13])?
    ///     .with_root_certificates(roots)
    ///     .with_no_client_auth(); // or with_client_auth_cert(chain, key)
    /// let sk = SikkerKey::builder()
    ///     .identity_file(path)
    ///     .tls_config(Arc::new(config))
    ///     .build()?;
    /// sk.get_secret("sk_stripe_key")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "rustls")]
    pub fn tls_config(mut self, config: Arc<rustls::ClientConfig>) -> Self {
        self.settings.trust.config = Some(config);
        self
    }

    /// Sets the `User-Agent` header. Defaults to `sikkerkey-rust/VERSION`.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.settings.user_agent = user_agent.into();
        self
    }

    /// Sets the source of randomness, for tests.
    #[doc(hidden)]
    pub fn randomness(mut self, random: Arc<dyn Randomness>) -> Self {
        self.settings.random = random;
        self
    }

    /// Sets the source of the time, for tests.
    #[doc(hidden)]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.settings.clock = clock;
        self
    }
}

/// # The identity
impl SikkerKeyBuilder {
    pub(crate) fn new() -> Self {
        SikkerKeyBuilder {
            identity: KnownMachine {
                choice: None,
                machine: None,
                key: KeySource::default(),
                rules: TrustRules::default(),
                #[cfg(feature = "cache")]
                cache: None,
            },
            settings: Settings::default(),
        }
    }

    /// Uses this machine's identity of a vault, by the vault's id; `vault_` is added if it is missing. An
    /// argument that starts with `/` or contains `identity.json` is a path. Defaults to the identity that
    /// [`SikkerKey::auto`] finds.
    ///
    /// ```no_run
    /// use sikkerkey::SikkerKey;
    ///
    /// let sk = SikkerKey::builder().vault("vault_abc123").build()?;
    /// # let _ = sk;
    /// # Ok::<(), sikkerkey::Error>(())
    /// ```
    pub fn vault(mut self, vault: impl AsRef<OsStr>) -> Self {
        self.identity.choice = Some(Choice::from_argument(vault.as_ref()));
        self
    }

    /// Uses the identity of this `identity.json`. A relative path is resolved against the current folder at
    /// this call. Defaults to the identity that [`SikkerKey::auto`] finds.
    pub fn identity_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.identity.choice = Some(Choice::file(path.into()));
        self
    }

    /// Uses a machine given by values, without files. It needs [`private_key_pem`](Self::private_key_pem) or
    /// [`signer`](Self::signer). Defaults to an identity on disk.
    pub fn machine(mut self, machine: Machine) -> Self {
        self.identity.machine = Some(machine);
        self
    }

    /// Sets the machine's private key, as PKCS#8 PEM. Line ends may be a literal `\n` or spaces, as in
    /// environment variables. Defaults to the file that `identity.json` names.
    pub fn private_key_pem(mut self, pem: impl Into<SecretString>) -> Self {
        self.identity.key.pem = Some(pem.into());
        self
    }

    /// Signs requests with a key outside this process, for instance in a hardware module. Defaults to the
    /// machine's private key.
    pub fn signer(mut self, signer: impl RequestSigner) -> Self {
        self.identity.key.signer = Some(Arc::new(signer));
        self
    }

    /// Also trusts identity files and folders of this user of the operating system, by its numeric id. A
    /// second call adds another. Defaults to the user of the process and root only.
    ///
    /// The rule covers the files and each folder up to `SIKKERKEY_HOME`, or the folder of
    /// [`identity_file`](Self::identity_file), because their owner can decide where signed requests go. A
    /// folder that others can write to is refused, unless it belongs to this user or root and is sticky or
    /// on a read-only file system, as Kubernetes mounts secrets. It has no effect on Windows, where owners
    /// are not checked.
    pub fn trust_owner(mut self, uid: u32) -> Self {
        self.identity.rules.owners.push(uid);
        self
    }

    /// Refuses a private key that other users can read, instead of logging a warning. Defaults to off,
    /// because Kubernetes mounts secrets as files that everyone can read. It has no effect on Windows,
    /// where the access rights of files are not checked.
    pub fn refuse_shared_key_file(mut self, refuse: bool) -> Self {
        self.identity.rules.refuse_shared_key = refuse;
        self
    }

    /// Turns on the fallback cache: encrypted values on disk, for reads during an outage (feature `cache`).
    /// Defaults to off.
    ///
    /// Each value that the service sends is encrypted and written to `vaults/VAULT/cache`. A read during an
    /// outage, after all its retries, is served from there. An outage is no response, or a gateway's status:
    /// 502, 503, 504, 520 to 527 and 530. A refused certificate is not an outage. The official clients and
    /// their CLI read and write the same files.
    ///
    /// Watches and `Live` never take a cached value for a new one. The cache needs an identity on disk,
    /// because its key is derived from the machine's.
    ///
    /// ```
    /// # use sikkerkey_emulator::{Emulator, Fault};
    /// # let vault = Emulator::builder().secret("sk_stripe_key", "sk-live-1").start()?;
    /// # let path = vault.identity_path();
    /// # let folder = vault.home().join("cache");
    /// use sikkerkey::{CacheOptions, ExposeSecret, SikkerKey};
    ///
    /// let sk = SikkerKey::builder()
    ///     .identity_file(&path)
    ///     .cache(
    ///         CacheOptions::new()
    /// #           .folder(folder)
    ///             .on_fallback(|id, cached_at| eprintln!("{id} is served as of {cached_at:?}")),
    ///     )
    ///     .build()?;
    /// sk.get_secret("sk_stripe_key")?;
    /// # vault.fail_always(Fault::Status(502));
    /// // The service is gone, and the value can still be read:
    /// assert_eq!(sk.get_secret("sk_stripe_key")?.expose_secret(), "sk-live-1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "cache")]
    pub fn cache(mut self, options: CacheOptions) -> Self {
        self.identity.cache = Some(options);
        self
    }

    /// Reads the identity and makes the client. Sends nothing.
    ///
    /// ```
    /// use sikkerkey::{ErrorKind, SikkerKey};
    ///
    /// let error = SikkerKey::builder().identity_file("/etc/missing/identity.json").build().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Configuration);
    /// eprintln!("{error}"); // names the file and what to do
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if the identity, its key or a setting
    /// is missing, unreadable or invalid, or if two settings contradict each other. The text names the file
    /// and what to do.
    pub fn build(self) -> Result<SikkerKey, Error> {
        self.identity.check()?;
        let connections = self.settings.connections()?;
        let signer = self.identity.key.signer()?;
        let (identity, reload) = match (&self.identity.machine, signer) {
            (Some(machine), Some(signer)) => (machine.identity(signer)?, None),
            (_, signer) => {
                let choice = self.identity.choice.as_ref().unwrap_or(&Choice::Auto);
                let file = identity::find(choice, &Environment::of_process()?)?;
                let identity = file.read(&self.identity.rules, signer)?;
                let reload = Reload::new(
                    file,
                    self.identity.rules,
                    self.identity.key,
                    connections.clone(),
                );
                (identity, Some(reload))
            }
        };
        self.settings.check_api_url(&identity.api_url)?;
        #[cfg(feature = "cache")]
        let cache = match self.identity.cache {
            Some(options) => Some(Cache::of(&identity, options)?),
            None => None,
        };
        let transport = Transport::new(&identity.api_url, &connections)?;
        let session = Session::new(identity, transport, false);
        Ok(SikkerKey::from_inner(ClientInner::new(
            session,
            self.settings,
            reload.map_or(Renewal::None, Renewal::Disk),
            #[cfg(feature = "cache")]
            cache,
        )))
    }
}

impl KnownMachine {
    /// Refuses settings that contradict each other.
    fn check(&self) -> Result<(), Error> {
        let refused = |text| Err(Error::configuration(text));
        if self.key.pem.is_some() && self.key.signer.is_some() {
            return refused("private_key_pem and signer both sign: keep one of them");
        }
        if self.machine.is_some() {
            if self.choice.is_some() {
                return refused(
                    "machine, and vault or identity_file, both name an identity: keep one of them",
                );
            }
            if self.key.pem.is_none() && self.key.signer.is_none() {
                return refused("machine needs a key: add private_key_pem or signer");
            }
        }
        #[cfg(feature = "cache")]
        if self.cache.is_some() {
            if self.key.signer.is_some() {
                return refused(
                    "cache and signer do not go together: the key of the cache is derived from the \
                     machine's private key, which a signer keeps to itself",
                );
            }
            if self.machine.is_some() {
                return refused(
                    "cache and machine do not go together: the cache needs an identity on disk",
                );
            }
        }
        Ok(())
    }
}
