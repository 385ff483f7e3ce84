use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::SikkerKeyConfig;
use super::builder::Loader;
use crate::config::error::ConfigError;
use crate::live::Live;
use crate::live::source::{ConfigSource, Derived};
use crate::live::start::start;

/// # For a live config
///
/// These settings say how the config of [`live`](Loader::live) follows its secrets; they change
/// nothing about [`load`](Loader::load).
impl<T> Loader<T> {
    /// How often every secret of this config is read again, changed or not, so that a change that
    /// another reader swallowed is found; `None` for never.
    ///
    /// The default is the client's own, 5 minutes unless
    /// [`SikkerKeyBuilder::resync`](crate::SikkerKeyBuilder::resync) says otherwise.
    pub fn resync(mut self, every: impl Into<Option<Duration>>) -> Self {
        self.live.resync = Some(every.into());
        self
    }

    /// How long the config may go without the service confirming it before its state is
    /// [`Stale`](crate::Freshness::Stale); 5 minutes by default.
    pub fn max_stale(mut self, age: Duration) -> Self {
        self.live.max_stale = age;
        self
    }

    /// How long [`Live::previous`](crate::Live::previous) returns the config before a swap; zero,
    /// the default, keeps none.
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

    /// Asks `probe` before a config is swapped in, the first one included: does the database take
    /// these credentials?
    ///
    /// It runs on the live config's own thread. While it refuses, or panics, the last good config
    /// stays, and it is asked again after each poll. Its text becomes part of the error that
    /// [`LiveStatus::last_error`](crate::LiveStatus::last_error) shows, and is the caller's own: never
    /// put a value into it.
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
        E: Into<Cow<'static, str>>,
    {
        self.live.set_probe(probe);
        self
    }

    /// The async twin of [`probe`](Loader::probe): the future runs on the tokio runtime that this
    /// method is called in.
    #[cfg(feature = "tokio")]
    pub fn probe_async<E, F>(mut self, probe: impl Fn(Arc<T>) -> F + Send + Sync + 'static) -> Self
    where
        E: Into<Cow<'static, str>>,
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
        let clock = Arc::clone(&fetch.client.inner().settings().clock);
        start(Box::new(Derived::new(clock)), fetch, live)
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
