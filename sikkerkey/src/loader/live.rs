#[cfg(feature = "tokio")]
use std::sync::Arc;
use std::time::Duration;

use super::SikkerKeyConfig;
use super::builder::Loader;
use crate::config::error::ConfigError;
use crate::live::source::{ConfigSource, Derived};
use crate::live::start::start;
use crate::live::{FailClosed, Live};
use crate::resync::Resync;

/// # For a live config
///
/// These settings say how the config of [`live`](Loader::live) follows its secrets; they change
/// nothing about [`load`](Loader::load).
impl<T> Loader<T> {
    /// Sets how often each secret of this config is read again although no change was reported, so
    /// that a change that another process swallowed is found. Defaults to the client's setting,
    /// [`Resync::Adaptive`] unless
    /// [`SikkerKeyBuilder::resync`](crate::SikkerKeyBuilder::resync) says otherwise.
    ///
    /// A field's `resync = "…"` counts for more. An interval of zero, or of more than a year, is a
    /// problem of the load.
    pub fn resync(mut self, resync: Resync) -> Self {
        self.live.resync = Some(resync);
        self
    }

    /// [`resync`](Loader::resync) for one secret, by what the config calls it or by its id; it counts
    /// for more than the field's own. Defaults to that. For a secret that the config does not read it
    /// is a problem of the load.
    ///
    /// A leased credential lives as long as it is read: two thirds of the lease keep it alive, and
    /// replace it when the service mints another.
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

    /// How long the config may go without the service confirming it before its state is
    /// [`Stale`](crate::Freshness::Stale); 5 minutes by default.
    pub fn max_stale(mut self, age: Duration) -> Self {
        self.live.max_stale = age;
        self
    }

    /// How long [`Live::previous`](crate::Live::previous) and
    /// [`previous_all`](crate::Live::previous_all) return a config that was replaced; zero, the default,
    /// keeps none.
    pub fn grace(mut self, time: Duration) -> Self {
        self.live.grace = time;
        self
    }

    /// How far apart refreshes begin at the least; 1 second by default. A
    /// [`refresh`](crate::Live::refresh) that comes sooner waits.
    pub fn refresh_gap(mut self, gap: Duration) -> Self {
        self.live.refresh_gap = gap;
        self
    }

    /// Sets how long building a config and asking its probe may take together. Defaults to 30 s.
    ///
    /// What takes longer is refused, and until it returns no second build or probe begins: each new
    /// config is refused with that reason.
    pub fn probe_timeout(mut self, timeout: Duration) -> Self {
        self.live.probe_timeout = timeout;
        self
    }

    /// Sets when [`Live::try_load`] refuses the running config. Defaults to never.
    pub fn fail_closed(mut self, rules: FailClosed) -> Self {
        self.live.fail_closed = rules;
        self
    }

    /// Asks `probe` before a config is swapped in, the first one included: does the database take
    /// these credentials?
    ///
    /// It runs on a thread of its own, within [`probe_timeout`](Loader::probe_timeout). While it
    /// refuses, panics or takes too long, the last good config
    /// stays, and it is asked again after each poll.
    ///
    /// It may return any error. [`LiveStatus::last_error`](crate::LiveStatus::last_error) shows the
    /// error's text if it cannot quote a secret: a `&'static str`, or an error of this crate. Of any
    /// other error it says only that there was one.
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

    /// The async twin of [`probe`](Loader::probe): the future runs on the tokio runtime that this
    /// method is called in.
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
    /// Loads the config and keeps it up to date; see [`Live`].
    ///
    /// Blocks for the reads of the first load, and for the probe. In an async program, call it
    /// before the runtime starts or inside `spawn_blocking`.
    ///
    /// # Errors
    /// Every problem of the first load, and the probe's. Later ones keep the last good config.
    pub fn live(self) -> Result<Live<T>, ConfigError> {
        let Loader { fetch, live, .. } = self;
        start(Box::new(Derived::new()), fetch, live)
    }
}

/// A live config of another crate's source, with the settings of a [`loader`](super::builder::loader).
///
/// # Errors
/// As [`Loader::live`].
pub fn live_from<T: Send + Sync + 'static>(
    source: Box<dyn ConfigSource<T>>,
    loader: Loader<T>,
) -> Result<Live<T>, ConfigError> {
    let Loader { fetch, live, .. } = loader;
    start(source, fetch, live)
}
