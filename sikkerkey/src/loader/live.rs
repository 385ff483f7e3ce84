#[cfg(feature = "tokio")]
use std::sync::Arc;
use std::time::Duration;

use super::SikkerKeyConfig;
use super::builder::Loader;
use super::overridden::Overridden;
use crate::config::error::{ConfigError, Problem};
use crate::config::overrides::Overrides;
use crate::config::schema::Schema;
use crate::live::source::{ConfigSource, Derived};
use crate::live::start::start;
use crate::live::{FailClosed, Live, offline};
use crate::read::source::SnapshotSource;
use crate::resync::Resync;

/// # For a live config
///
/// Settings of how a [`live`](Loader::live) config follows its secrets. They do not affect
/// [`load`](Loader::load).
impl<T> Loader<T> {
    /// Sets how often each secret of this config is read again unasked, to find a change whose report was
    /// lost or taken by another process. Defaults to the client's setting,
    /// [`Resync::Adaptive`] unless
    /// [`SikkerKeyBuilder::resync`](crate::SikkerKeyBuilder::resync) says otherwise.
    ///
    /// A field's `resync = "…"` takes precedence. An interval of zero, or of more than a year, is a problem of
    /// the load.
    pub fn resync(mut self, resync: Resync) -> Self {
        self.live.resync = Some(resync);
        self
    }

    /// Sets the [`resync`](Loader::resync) of one secret, by its id or as the config names it. Defaults to the
    /// field's own `resync`. A secret that the config does not read is a problem of the load.
    ///
    /// A *leased* credential is a login with a limited life, its *lease*. Each read extends it or makes a new
    /// one, so set an interval of two thirds of the lease.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use sikkerkey::{ConfigError, Live, Resync, SikkerKey, SikkerKeyConfig};
    /// # #[derive(SikkerKeyConfig)]
    /// # struct AppConfig { #[sikkerkey(secret = "sk_lease", field = "password")] password: String }
    /// # fn live(sk: &SikkerKey) -> Result<Live<AppConfig>, ConfigError> {
    /// AppConfig::loader(sk)
    ///     .resync_secret("sk_lease", Resync::Every(Duration::from_secs(40 * 60))) // of an hour
    ///     .live()
    /// # }
    /// ```
    pub fn resync_secret(mut self, secret: impl Into<String>, resync: Resync) -> Self {
        self.live.resync_secrets.insert(secret.into(), resync);
        self
    }

    /// Sets how long the config may be unconfirmed by the service before it is
    /// [`Stale`](crate::Freshness::Stale). Defaults to 5 minutes.
    pub fn max_stale(mut self, age: Duration) -> Self {
        self.live.max_stale = age;
        self
    }

    /// Sets how long [`Live::previous`](crate::Live::previous) and
    /// [`previous_all`](crate::Live::previous_all) return a config that was replaced. Defaults to zero, which
    /// keeps none.
    pub fn grace(mut self, time: Duration) -> Self {
        self.live.grace = time;
        self
    }

    /// Sets the shortest time between the starts of two refreshes. A sooner
    /// [`refresh`](crate::Live::refresh) waits. Defaults to 1 second.
    pub fn refresh_gap(mut self, gap: Duration) -> Self {
        self.live.refresh_gap = gap;
        self
    }

    /// Limits building a config and its probe together. Defaults to 30 s.
    ///
    /// A config that takes longer is refused. Until the build or probe returns, no second one starts: each new
    /// config is refused for that reason.
    pub fn probe_timeout(mut self, timeout: Duration) -> Self {
        self.live.probe_timeout = timeout;
        self
    }

    /// Sets the rules by which [`Live::try_load`] refuses the running config. Defaults to no rules.
    ///
    /// ```
    /// # #[cfg(feature = "derive")] {
    /// # let vault = sikkerkey_emulator::Emulator::builder().secret("sk_workers", "4").start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// use sikkerkey::SikkerKeyConfig;
    /// use sikkerkey::live::FailClosed;
    ///
    /// #[derive(SikkerKeyConfig)]
    /// struct Config {
    ///     #[sikkerkey(secret = "sk_workers")]
    ///     workers: usize,
    /// }
    ///
    /// let live = Config::loader(&sk).fail_closed(FailClosed::new().on_revoked()).live()?;
    /// assert_eq!(live.try_load()?.workers, 4); // an error after 10 minutes without the grant
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fail_closed(mut self, rules: FailClosed) -> Self {
        self.live.fail_closed = rules;
        self
    }

    /// Sets a probe, which tries each config before it is swapped in, the first one included: for instance:
    /// does the database accept these credentials? Defaults to no probe.
    ///
    /// It runs on a thread of its own, within [`probe_timeout`](Loader::probe_timeout). While it refuses,
    /// panics or takes too long, the last good config stays, and the probe is repeated after each poll.
    ///
    /// It may return any error. [`LiveStatus::last_error`](crate::LiveStatus::last_error) shows its text if it
    /// cannot quote a secret: a `&'static str`, or an error of this crate. For any other error it says only that
    /// the probe failed.
    ///
    /// ```no_run
    /// # use sikkerkey::{ConfigError, Live, SikkerKey, SikkerKeyConfig};
    /// # #[derive(SikkerKeyConfig)]
    /// # struct AppConfig { #[sikkerkey(secret = "sk_db_prod", field = "host")] host: String }
    /// # fn connects(_: &str) -> bool { true }
    /// # fn live(sk: &SikkerKey) -> Result<Live<AppConfig>, ConfigError> {
    /// AppConfig::loader(sk)
    ///     .probe(|config: &AppConfig| match connects(&config.host) {
    ///         true => Ok(()),
    ///         false => Err("the database does not answer"),
    ///     })
    ///     .live()
    /// # }
    /// ```
    pub fn probe<E>(mut self, probe: impl Fn(&T) -> Result<(), E> + Send + Sync + 'static) -> Self
    where
        E: 'static,
    {
        self.live.set_probe(probe);
        self
    }

    /// Sets an async [`probe`](Loader::probe) (feature `tokio`). Its future runs on the tokio runtime that this
    /// method is called in. Await [`live_async`](Loader::live_async) with it: a blocking [`live`](Loader::live)
    /// on a thread of that runtime is an error. Defaults to no probe.
    ///
    /// ```
    /// # #[cfg(feature = "derive")] {
    /// # let vault = sikkerkey_emulator::Emulator::builder().secret("sk_workers", "4").start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// use std::sync::Arc;
    /// use sikkerkey::SikkerKeyConfig;
    ///
    /// #[derive(SikkerKeyConfig)]
    /// struct Config {
    ///     #[sikkerkey(secret = "sk_workers")]
    ///     workers: usize,
    /// }
    ///
    /// /// Could the program start this many workers?
    /// async fn probe(config: Arc<Config>) -> Result<(), &'static str> {
    ///     if config.workers <= 64 { Ok(()) } else { Err("more workers than the database allows") }
    /// }
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let live = Config::loader(&sk).probe_async(probe).live_async().await?;
    /// assert_eq!(live.load().workers, 4);
    /// # Ok::<(), sikkerkey::ConfigError>(())
    /// # })?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "tokio")]
    pub fn probe_async<E, F>(mut self, probe: impl Fn(Arc<T>) -> F + Send + Sync + 'static) -> Self
    where
        E: 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        self.live.set_probe_async(probe);
        self
    }
}

impl<T: SikkerKeyConfig + Send + Sync + 'static> Loader<T> {
    /// Loads the config and follows its secrets; see [`Live`]. Without a vault
    /// ([`offline`](SikkerKeyConfig::offline)) it never changes.
    ///
    /// Blocks for the reads of the first load, and for the probe. In an async program, await
    /// [`live_async`](Loader::live_async).
    ///
    /// ```
    /// # #[cfg(feature = "derive")] {
    /// # let vault = sikkerkey_emulator::Emulator::builder().secret("sk_workers", "4").start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// use std::time::Duration;
    /// use sikkerkey::SikkerKeyConfig;
    ///
    /// #[derive(SikkerKeyConfig)]
    /// struct Config {
    ///     #[sikkerkey(secret = "sk_workers")]
    ///     workers: usize,
    /// }
    ///
    /// let live = Config::loader(&sk).max_stale(Duration::from_secs(600)).live()?;
    /// assert_eq!(live.load().workers, 4);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Every problem of the first load, and the probe's. Later problems keep the last good config. An async
    /// probe is an error on a thread that polls futures of a tokio runtime: it would wait for that thread.
    pub fn live(self) -> Result<Live<T>, ConfigError> {
        let source = Derived::new(self.source.clock());
        live_from(Box::new(source), self)
    }

    /// Starts a [`live`](Loader::live) config as a future, on any async runtime: a thread of the client
    /// reads, builds and probes, and no thread of the runtime blocks.
    ///
    /// ```
    /// # #[cfg(feature = "derive")] {
    /// # let vault = sikkerkey_emulator::Emulator::builder().secret("sk_workers", "4").start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// use sikkerkey::SikkerKeyConfig;
    ///
    /// #[derive(SikkerKeyConfig)]
    /// struct Config {
    ///     #[sikkerkey(secret = "sk_workers")]
    ///     workers: usize,
    /// }
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let live = Config::loader(&sk).live_async().await?;
    /// assert_eq!(live.load().workers, 4);
    /// # Ok::<(), sikkerkey::ConfigError>(())
    /// # })?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As `live`, except that an async probe is not an error.
    pub fn live_async(self) -> impl Future<Output = Result<Live<T>, ConfigError>> + Send + use<T> {
        let source = Derived::new(self.source.clock());
        live_from_async(Box::new(source), self)
    }
}

/// Starts a live config of another crate's source, with the settings of a [`loader`](super::builder::loader).
///
/// # Errors
/// As [`Loader::live`].
pub fn live_from<T: Send + Sync + 'static>(
    source: Box<dyn ConfigSource<T>>,
    loader: Loader<T>,
) -> Result<Live<T>, ConfigError> {
    if loader.live.would_wait_for_itself() {
        let text = "on a thread of an async runtime, a blocking live() would wait for its own async probe: \
                    call live_async().await";
        return Err(ConfigError::new(source.name(), vec![Problem::probe(text)]));
    }
    start_from(source, loader)
}

/// Starts a live config as [`live_from`] does, as a future.
///
/// # Errors
/// As [`Loader::live_async`].
pub fn live_from_async<T: Send + Sync + 'static>(
    source: Box<dyn ConfigSource<T>>,
    loader: Loader<T>,
) -> impl Future<Output = Result<Live<T>, ConfigError>> + Send + 'static {
    let name = source.name();
    let secrets = loader.source.clone();
    async move {
        let live = secrets.run(move || start_from(source, loader)).await;
        live.unwrap_or_else(|error| Err(ConfigError::new(name, vec![Problem::unavailable(&error)])))
    }
}

fn start_from<T: Send + Sync + 'static>(
    mut source: Box<dyn ConfigSource<T>>,
    mut loader: Loader<T>,
) -> Result<Live<T>, ConfigError> {
    let overrides = loader.overrides_of();
    if !overrides.is_empty() {
        let schema = source.schema()?;
        let refusals = loader.refusals(&schema, &overrides);
        if !refusals.is_empty() {
            return Err(ConfigError::new(source.name(), refusals));
        }
        loader = loader.below(&overrides, &schema);
        source = Box::new(Overridden::new(source, overrides, schema));
    }
    let reads_nothing = !source.has_more_than_secrets() && source.schema()?.is_empty();
    match loader.source {
        SnapshotSource::Vault(fetch) if !reads_nothing => start(source, fetch, loader.live),
        secrets => offline::start(source, |schema| secrets.snapshot(schema), &loader.live),
    }
}

impl<T> Loader<T> {
    /// Returns the settings for the part of a schema that these overrides do not cover.
    fn below(mut self, overrides: &Overrides, schema: &Schema) -> Self {
        let rest = overrides.rest(schema);
        let overridden = overrides.ids(schema);
        let aliases = self.source.options().alias_map();
        self.live.forget_resyncs(|of| {
            let is_open = rest.secrets().iter().any(|secret| secret.as_str() == of);
            let mut known = overridden
                .iter()
                .flat_map(|(said, own)| [Some(said), Some(own), aliases.get(said)]);
            !is_open && known.any(|known| known.is_some_and(|known| known == of))
        });
        self.live.overridden = overridden;
        self.source = self.source.for_part(&rest);
        self
    }
}
