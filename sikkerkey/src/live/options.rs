use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Loader;

/// How long a config may go unconfirmed before it is stale: a resync of the poller.
const MAX_STALE: Duration = Duration::from_secs(300);
/// How far apart refreshes begin: a thousand threads that the database refused are one read.
const REFRESH_GAP: Duration = Duration::from_secs(1);

type Verdict = Result<(), Cow<'static, str>>;

/// What a [`Loader`] knows about the live config that it is asked for.
pub(crate) struct LiveOptions<T> {
    /// `None`: what the client is set to.
    pub(super) resync: Option<Option<Duration>>,
    pub(super) max_stale: Duration,
    pub(super) grace: Duration,
    pub(super) refresh_gap: Duration,
    probe: Option<Probe<T>>,
}

enum Probe<T> {
    Blocking(Arc<dyn Fn(&T) -> Verdict + Send + Sync>),
    #[cfg(feature = "tokio")]
    Async {
        runtime: Option<tokio::runtime::Handle>,
        probe: Arc<dyn Fn(Arc<T>) -> futures::Verdict + Send + Sync>,
    },
}

#[cfg(feature = "tokio")]
mod futures {
    pub(super) type Verdict = std::pin::Pin<Box<dyn Future<Output = super::Verdict> + Send>>;
}

impl<T> Clone for Probe<T> {
    fn clone(&self) -> Self {
        match self {
            Probe::Blocking(probe) => Probe::Blocking(Arc::clone(probe)),
            #[cfg(feature = "tokio")]
            Probe::Async { runtime, probe } => Probe::Async {
                runtime: runtime.clone(),
                probe: Arc::clone(probe),
            },
        }
    }
}

impl<T> Clone for LiveOptions<T> {
    fn clone(&self) -> Self {
        LiveOptions {
            resync: self.resync,
            max_stale: self.max_stale,
            grace: self.grace,
            refresh_gap: self.refresh_gap,
            probe: self.probe.clone(),
        }
    }
}

impl<T> Default for LiveOptions<T> {
    fn default() -> Self {
        LiveOptions {
            resync: None,
            max_stale: MAX_STALE,
            grace: Duration::ZERO,
            refresh_gap: REFRESH_GAP,
            probe: None,
        }
    }
}

impl<T> LiveOptions<T> {
    /// Asks the user's probe, if there is one. Not on a thread of an async runtime.
    pub(super) fn probe(&self, config: &Arc<T>) -> Verdict {
        match &self.probe {
            None => Ok(()),
            Some(Probe::Blocking(probe)) => probe(config),
            #[cfg(feature = "tokio")]
            Some(Probe::Async { runtime, probe }) => match runtime {
                Some(runtime) => runtime.block_on(probe(Arc::clone(config))),
                None => Err("probe_async was called outside a tokio runtime".into()),
            },
        }
    }
}

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
    /// [`Stale`](crate::State::Stale); 5 minutes by default.
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
    /// [`Status::last_error`](crate::Status::last_error) shows, and is the caller's own: never
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
        let probe = move |config: &T| probe(config).map_err(Into::into);
        self.live.probe = Some(Probe::Blocking(Arc::new(probe)));
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
        self.live.probe = Some(Probe::Async {
            runtime: tokio::runtime::Handle::try_current().ok(),
            probe: Arc::new(move |config| {
                let verdict = probe(config);
                Box::pin(async move { verdict.await.map_err(Into::into) }) as futures::Verdict
            }),
        });
        self
    }
}
