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

/// Settings of a client; made by [`SikkerKey::builder`].
///
/// Without [`vault`](Self::vault), [`identity_file`](Self::identity_file) and
/// [`machine`](Self::machine) the identity is found as [`SikkerKey::auto`] finds it.
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
/// The settings of requests are those of [`Bootstrap`](crate::Bootstrap) too, which is this builder
/// for a machine that is enrolled in memory.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until its last method is called"]
pub struct SikkerKeyBuilder<I = KnownMachine> {
    pub(super) identity: I,
    pub(super) settings: Settings,
}

/// A machine that is enrolled already, as a [`SikkerKeyBuilder`] chooses it.
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
    /// The longest time of one attempt, from the name look-up to the last byte. 15 s by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// The longest time of a whole call, repetitions and delays included. 30 s by default.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline;
        self
    }

    /// How often and how soon a call is repeated.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.settings.retry = policy;
        self
    }

    /// The time between two polls of everything that is watched. 15 s by default. The service
    /// takes at least 10 s, so a shorter interval counts as 10 s, except against an emulator
    /// on this machine.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.settings.poll_interval = interval;
        self
    }

    /// Sets how often what is watched is read again although no change was reported, since a report
    /// can be lost, or taken by another process of the same identity. Defaults to
    /// [`Resync::Adaptive`], about 28 reads a day for each secret; the table in the documentation of
    /// [`live`](crate::live) has all that reads.
    ///
    /// An interval of zero, or of more than a year, is an error when the client is built.
    pub fn resync(mut self, resync: Resync) -> Self {
        self.settings.resync = resync;
        self
    }

    /// [`resync`](Self::resync) for one secret, by its id: `Never` where each read counts, an
    /// interval where reads keep a lease alive. Defaults to what is set for all.
    pub fn resync_secret(mut self, id: impl Into<String>, resync: Resync) -> Self {
        self.settings.resync_secrets.insert(id.into(), resync);
        self
    }

    /// Refuses to send requests anywhere but here: an identity whose `apiUrl` is another address is
    /// an error of the last method of the builder. Not checked by default.
    ///
    /// Where requests go is said by the identity, and a signature names no host: whoever can change
    /// `apiUrl` can pass signed requests on. With an enrollment, it is the address that the service
    /// names for reads; where the machine is enrolled is set by
    /// [`api_url`](SikkerKeyBuilder::api_url).
    pub fn expect_api_url(mut self, url: impl Into<String>) -> Self {
        self.settings.expected_api_url = Some(url.into());
        self
    }

    /// Whether requests are signed with the service's time where this machine's clock is more than
    /// a minute off. On by default.
    ///
    /// The clock is corrected after a 401 only, by the `Date` of that response. A correction of more
    /// than a day into the future is made only where this machine's clock is older than this
    /// version of the crate: a wrong `Date` would otherwise make signatures for a time to come.
    pub fn clock_correction(mut self, correct: bool) -> Self {
        self.settings.clock_correction = correct;
        self
    }

    /// Trusts this certificate authority, given as PEM with one certificate or more, *instead
    /// of* the bundled ones; a second call adds to the first.
    ///
    /// Without it, Mozilla's authorities count, as they were when this crate was built: they
    /// are part of the program, so that it works in an image without any files.
    pub fn root_certificate_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.settings.trust.own.push(pem.as_ref().to_vec());
        self
    }

    /// Trusts this certificate authority, given as PEM with one certificate or more, *beside* the
    /// bundled ones, or beside those of [`root_certificate_pem`](Self::root_certificate_pem) or
    /// `platform_roots`: a company's own authority, or that of a proxy that inspects TLS.
    pub fn add_root_certificate_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.settings.trust.added.push(pem.as_ref().to_vec());
        self
    }

    /// Trusts what the operating system trusts, *instead of* the bundled authorities, and checks
    /// certificates as it does.
    ///
    /// On Linux these are the certificates of the usual files, or of `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR`, as they are when the client is built; an image without them makes the last
    /// method of the builder fail. Needs the feature `platform-roots`.
    #[cfg(feature = "platform-roots")]
    pub fn platform_roots(mut self) -> Self {
        self.settings.trust.platform = true;
        self
    }

    /// Secures connections with a TLS configuration of your own: another cryptographic provider
    /// (FIPS, for one), TLS 1.3 alone, a client certificate, revocation lists. It says itself which
    /// roots are trusted. ALPN is set to `http/1.1`, the only protocol of this client.
    ///
    /// Needs the feature `rustls`, which re-exports the crate as `sikkerkey::rustls`.
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

    /// The `User-Agent` header, `sikkerkey-rust/VERSION` by default.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.settings.user_agent = user_agent.into();
        self
    }

    /// Takes randomness from here. For tests.
    #[doc(hidden)]
    pub fn randomness(mut self, random: Arc<dyn Randomness>) -> Self {
        self.settings.random = random;
        self
    }

    /// Takes the time from here. For tests.
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

    /// The vault whose identity on this machine is used. `vault_` is added if it is missing. What
    /// starts with `/` or contains `identity.json` is taken as a path.
    pub fn vault(mut self, vault: impl AsRef<OsStr>) -> Self {
        self.identity.choice = Some(Choice::from_argument(vault.as_ref()));
        self
    }

    /// The `identity.json` that is used. A relative path counts from the folder in which the process
    /// is at this call.
    pub fn identity_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.identity.choice = Some(Choice::file(path.into()));
        self
    }

    /// A machine without files, by its values. It needs [`private_key_pem`](Self::private_key_pem)
    /// or [`signer`](Self::signer).
    pub fn machine(mut self, machine: Machine) -> Self {
        self.identity.machine = Some(machine);
        self
    }

    /// The machine's private key as PKCS#8 PEM, in place of the file that `identity.json` names, or
    /// for a [`machine`](Self::machine) without files. Line ends may be `\n` or spaces, as
    /// variables of an environment have them.
    pub fn private_key_pem(mut self, pem: impl Into<SecretString>) -> Self {
        self.identity.key.pem = Some(pem.into());
        self
    }

    /// Signs requests in place of a private key in this process: a key in a hardware module, for
    /// instance.
    pub fn signer(mut self, signer: impl RequestSigner) -> Self {
        self.identity.key.signer = Some(Arc::new(signer));
        self
    }

    /// Also trusts identity files and folders that belong to this user of the operating system, by
    /// its numeric id. A second call adds another.
    ///
    /// Without it they must belong to the user as which the process runs, or to root; each folder
    /// up to `SIKKERKEY_HOME`, or, for a file elsewhere, the folder of
    /// [`identity_file`](Self::identity_file). Whoever owns one of them can decide where the
    /// machine's signed requests go. Folders that others can write to are refused unless they are
    /// this user's or root's and are sticky or on a read-only file system, as those are into which
    /// Kubernetes mounts secrets. It has no effect on Windows, where owners are not checked.
    pub fn trust_owner(mut self, uid: u32) -> Self {
        self.identity.rules.owners.push(uid);
        self
    }

    /// Refuses a private key that other users of this machine can read, instead of a warning in
    /// the log. Off by default, because Kubernetes mounts secrets as files that all can read. It has no effect on Windows,
    /// where the access rights of files are not checked.
    pub fn refuse_shared_key_file(mut self, refuse: bool) -> Self {
        self.identity.rules.refuse_shared_key = refuse;
        self
    }

    /// Turns the fallback cache on.
    ///
    /// Each value that the service sends is also sealed and written to `vaults/VAULT/cache`, and a
    /// read during an outage, after all its retries, is served from there. An outage is no response
    /// at all, or one of the statuses with which a proxy speaks for a service that it cannot reach:
    /// 502, 503, 504, 520 to 527 and 530. A certificate that is refused is not an outage, and never
    /// served over. The files are those of the official clients and their CLI, in both directions.
    ///
    /// Watches and `Live` never take a value of the cache for a new one.
    ///
    /// Off by default. The cache needs an identity on disk: its key is derived from the machine's.
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

    /// Reads the identity and makes the client. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) where the identity, its key
    /// or a setting is missing, unreadable or wrong, or two settings contradict each other; the text
    /// names the file and what to do.
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
