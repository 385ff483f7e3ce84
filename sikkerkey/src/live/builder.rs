use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::fail_closed::FailClosed;
#[cfg(feature = "tokio")]
use super::runtime;
use crate::config::error::{Problem, ProblemKind};
use crate::config::own_text::words_of;
use crate::resync::Resync;

/// How long a config may be unconfirmed before it is stale: twenty polls.
const MAX_STALE: Duration = Duration::from_secs(300);
/// The shortest time between the starts of two refreshes: a thousand threads that the database refuses cause
/// one read.
const REFRESH_GAP: Duration = Duration::from_secs(1);

/// The time limit of a build and its probe: as long as a call of the client.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);

type ProbeResult = Result<(), Cow<'static, str>>;

/// The settings of a [`Loader`] for a live config.
pub(crate) struct LiveOptions<T> {
    /// `None` for the client's setting.
    pub(crate) resync: Option<Resync>,
    /// By the config's name of the secret, or by its id.
    pub(crate) resync_secrets: BTreeMap<String, Resync>,
    pub(crate) max_stale: Duration,
    pub(crate) grace: Duration,
    pub(crate) refresh_gap: Duration,
    pub(crate) probe_timeout: Duration,
    pub(crate) fail_closed: FailClosed,
    /// The secrets that are overridden, in whole or in part: from the config's name to the id that is shown
    /// if nothing is read.
    pub(crate) overridden: BTreeMap<String, String>,
    probe: Option<Probe<T>>,
}

enum Probe<T> {
    Blocking(Arc<dyn Fn(&T) -> ProbeResult + Send + Sync>),
    #[cfg(feature = "tokio")]
    Async {
        runtime: Option<tokio::runtime::Handle>,
        probe: Arc<dyn Fn(Arc<T>) -> ProbeFuture + Send + Sync>,
    },
}

#[cfg(feature = "tokio")]
type ProbeFuture = std::pin::Pin<Box<dyn Future<Output = ProbeResult> + Send>>;

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
            resync_secrets: self.resync_secrets.clone(),
            max_stale: self.max_stale,
            grace: self.grace,
            refresh_gap: self.refresh_gap,
            probe_timeout: self.probe_timeout,
            fail_closed: self.fail_closed.clone(),
            overridden: self.overridden.clone(),
            probe: self.probe.clone(),
        }
    }
}

impl<T> Default for LiveOptions<T> {
    fn default() -> Self {
        LiveOptions {
            resync: None,
            resync_secrets: BTreeMap::new(),
            max_stale: MAX_STALE,
            grace: Duration::ZERO,
            refresh_gap: REFRESH_GAP,
            probe_timeout: PROBE_TIMEOUT,
            fail_closed: FailClosed::new(),
            overridden: BTreeMap::new(),
            probe: None,
        }
    }
}

impl<T> LiveOptions<T> {
    /// Whether these settings say how often a secret is read again.
    pub(crate) fn has_resync(&self, secret: &str, id: &str) -> bool {
        let said = |secret| self.resync_secrets.contains_key(secret);
        self.resync.is_some() || said(secret) || said(id)
    }

    /// Removes the resyncs of secrets for which `of` returns `true`.
    pub(crate) fn forget_resyncs(&mut self, of: impl Fn(&str) -> bool) {
        self.resync_secrets.retain(|secret, _| !of(secret));
    }

    /// Returns a problem for each impossible setting.
    pub(super) fn mistakes(&self) -> Vec<Problem> {
        match self.probe_timeout.is_zero() {
            true => vec![Problem::new(
                ProblemKind::Conflict,
                "a probe_timeout of zero refuses every config",
            )],
            false => Vec::new(),
        }
    }

    /// Whether this thread would wait for a probe that itself needs this thread.
    pub(crate) fn would_wait_for_itself(&self) -> bool {
        match &self.probe {
            None | Some(Probe::Blocking(_)) => false,
            #[cfg(feature = "tokio")]
            Some(Probe::Async { .. }) => runtime::is_polling(),
        }
    }

    pub(super) fn has_probe(&self) -> bool {
        self.probe.is_some()
    }

    /// Runs the user's probe, if one is set. Must not be called on a thread of an async runtime.
    pub(super) fn probe(&self, config: &Arc<T>) -> ProbeResult {
        match &self.probe {
            None => Ok(()),
            Some(Probe::Blocking(probe)) => probe(config),
            #[cfg(feature = "tokio")]
            Some(Probe::Async { runtime, probe }) => match runtime {
                Some(runtime) => {
                    let answer = runtime::wait_for(runtime, probe(Arc::clone(config)));
                    answer.unwrap_or_else(|| Err("the probe panicked, or its runtime ended".into()))
                }
                None => Err("probe_async was called outside a tokio runtime".into()),
            },
        }
    }

    pub(crate) fn set_probe<E>(
        &mut self,
        probe: impl Fn(&T) -> Result<(), E> + Send + Sync + 'static,
    ) where
        E: 'static,
    {
        let probe = move |config: &T| probe(config).map_err(|error| refused(&error));
        self.probe = Some(Probe::Blocking(Arc::new(probe)));
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn set_probe_async<E, F>(
        &mut self,
        probe: impl Fn(Arc<T>) -> F + Send + Sync + 'static,
    ) where
        E: 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        self.probe = Some(Probe::Async {
            runtime: tokio::runtime::Handle::try_current().ok(),
            probe: Arc::new(move |config| {
                let result = probe(config);
                Box::pin(async move { result.await.map_err(|error| refused(&error)) })
                    as ProbeFuture
            }),
        });
    }
}

/// Returns the text of a probe's refusal that may be shown.
fn refused(error: &dyn Any) -> Cow<'static, str> {
    words_of(error, "the probe refused it")
}
