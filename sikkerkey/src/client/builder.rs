use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::SikkerKey;
use super::inner::ClientInner;
use super::retry::RetryPolicy;
use super::session::Session;
use super::settings::{Pem, Settings};
#[cfg(feature = "cache")]
use crate::cache::{Cache, CacheOptions};
use crate::clock::Clock;
use crate::error::Error;
use crate::identity::{self, Choice, Environment};
use crate::random::Randomness;
use crate::transport::Transport;

/// Settings of a client whose identity is on disk; made by [`SikkerKey::builder`].
///
/// Without [`vault`](Self::vault) and [`identity_file`](Self::identity_file) the identity is found
/// as [`SikkerKey::auto`] finds it.
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
pub struct SikkerKeyBuilder<I = DiskIdentity> {
    pub(super) identity: I,
    pub(super) settings: Settings,
}

/// An identity on disk, as a [`SikkerKeyBuilder`] chooses it.
#[derive(Clone, Debug)]
pub struct DiskIdentity {
    choice: Choice,
    refuse_shared_key: bool,
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

    /// How often everything that is watched is read again although no change was reported,
    /// because a report can be lost on its way. 5 minutes by default; `None` turns it off.
    pub fn resync(mut self, every: Option<Duration>) -> Self {
        self.settings.resync = every;
        self
    }

    /// Trusts this certificate authority, given as PEM with one certificate or more, *instead
    /// of* the bundled ones; a second call adds to the first.
    ///
    /// Without it, Mozilla's authorities count, as they were when this crate was built: they
    /// are part of the program, so that it works in an image without any files. A company's
    /// own authority, or a proxy that inspects TLS, needs this setting.
    pub fn root_certificate_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        let pem = Pem(pem.as_ref().to_vec());
        self.settings.root_pems.push(pem);
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
            identity: DiskIdentity {
                choice: Choice::Auto,
                refuse_shared_key: false,
                #[cfg(feature = "cache")]
                cache: None,
            },
            settings: Settings::default(),
        }
    }

    /// The vault whose identity on this machine is used. `vault_` is added if it is missing. What
    /// starts with `/` or contains `identity.json` is taken as a path.
    pub fn vault(mut self, vault: impl AsRef<OsStr>) -> Self {
        self.identity.choice = Choice::from_argument(vault.as_ref());
        self
    }

    /// The `identity.json` that is used.
    pub fn identity_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.identity.choice = Choice::File(path.into());
        self
    }

    /// Refuses a private key that other users of this machine can read, instead of a warning in
    /// the log. Off by default, because Kubernetes mounts secrets as files that all can read.
    pub fn refuse_shared_key_file(mut self, refuse: bool) -> Self {
        self.identity.refuse_shared_key = refuse;
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
    /// or a setting is missing, unreadable or wrong; the text names the file and what to do.
    pub fn build(self) -> Result<SikkerKey, Error> {
        let connections = self.settings.connections()?;
        let path = identity::find(&self.identity.choice, &Environment::of_process())?;
        let identity = identity::load(&path, self.identity.refuse_shared_key)?;
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
            None,
            #[cfg(feature = "cache")]
            cache,
        )))
    }
}
