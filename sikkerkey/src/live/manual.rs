//! Live configs without a service: one that never changes, and one that a test changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::fail_closed::FailClosed;
use super::fingerprint::Fingerprint;
use super::inbox::Inbox;
use super::state::{Adoption, Attempt, LiveBegin, LiveState};
use super::{Live, Owner};
use crate::clock::{Clock, SystemClock};
use crate::config::error::ConfigError;
use crate::contain::contain_drop;
use crate::error::ErrorKind;
use crate::log::HeldEvents;
use crate::sync::lock;
use crate::watch::callbacks::{Callbacks, in_callback};

/// The age at which the config is stale: a loader's default.
const MAX_STALE: Duration = Duration::from_secs(300);

/// # Without a service
impl<T: Send + Sync + 'static> Live<T> {
    /// Makes a live config that never changes, for code that needs a `Live` without secrets to follow.
    ///
    /// It has no client and no thread. It is always [`Fresh`](super::Freshness::Fresh), its age is zero, and a
    /// refresh changes nothing.
    ///
    /// ```
    /// use sikkerkey::Live;
    ///
    /// let live = Live::fixed("db.internal");
    /// assert_eq!(*live.load(), "db.internal");
    /// assert_eq!(live.status().generation(), 1);
    /// ```
    pub fn fixed(config: T) -> Live<T> {
        let clock = Arc::new(ManualClock::default());
        start(config, clock, Duration::MAX).0
    }

    /// Makes a live config for a test, which changes the config through the [`LiveControl`].
    ///
    /// Listeners, subscriptions, resources and the status behave as with a service.
    /// [`previous`](Live::previous) keeps earlier configs without a time limit. A refresh changes nothing.
    ///
    /// ```
    /// use sikkerkey::{Freshness, Live};
    ///
    /// # fn main() -> Result<(), std::convert::Infallible> {
    /// let (live, control) = Live::manual("first".to_owned());
    /// let length = live.resource(|config| Ok::<_, std::convert::Infallible>(config.len()))?;
    /// control.swap("another".to_owned());
    /// assert_eq!((live.load().as_str(), *length.load()), ("another", 7));
    /// control.stale();
    /// assert_eq!(live.status().freshness(), Freshness::Stale);
    /// # Ok(())
    /// # }
    /// ```
    pub fn manual(config: T) -> (Live<T>, LiveControl<T>) {
        let clock = Arc::new(ManualClock::default());
        let (live, core) = start(config, Arc::clone(&clock), MAX_STALE);
        let control = LiveControl {
            core,
            clock,
            turn: Mutex::default(),
        };
        (live, control)
    }
}

fn start<T: Send + Sync + 'static>(
    config: T,
    clock: Arc<ManualClock>,
    max_stale: Duration,
) -> (Live<T>, Arc<LiveState<T>>) {
    let clock: Arc<dyn Clock> = clock;
    unattended(LiveBegin {
        name: "the config",
        first: Arc::new(config),
        fingerprint: Fingerprint::default(),
        places: None,
        secrets: BTreeMap::new(),
        names: BTreeMap::new(),
        inbox: Arc::new(Inbox::unattended(Arc::clone(&clock))),
        clock,
        counters: Arc::default(),
        callbacks: Callbacks::new(Arc::new(SystemClock::new())),
        max_stale,
        grace: Duration::MAX,
        refresh_gap: Duration::ZERO,
        fail_closed: FailClosed::new(),
        overridden: BTreeMap::new(),
    })
}

/// Makes a live config without a worker.
pub(super) fn unattended<T: Send + Sync + 'static>(
    begin: LiveBegin<T>,
) -> (Live<T>, Arc<LiveState<T>>) {
    let inbox = Arc::clone(&begin.inbox);
    let core = Arc::new(LiveState::new(begin).unattended());
    let owner = Arc::new(Owner {
        inbox,
        close: Box::new({
            let core = Arc::clone(&core);
            move || core.close()
        }),
        following: Arc::default(),
        // No caller ever waits.
        deadline: Duration::ZERO,
    });
    let live = Live {
        core: Arc::clone(&core),
        owner,
    };
    (live, core)
}

/// The control of a live config that a test changes; from [`Live::manual`].
///
/// When a method returns, the callbacks that it caused have run: listeners, builds of resources, and what
/// those called. It does not wait for a callback that runs longer than 10 s, nor for builds of
/// [`resource_async`](Live::resource_async), which are tasks. Inside a callback it does not wait.
///
/// It does not keep the live config alive. After the last handle is dropped, its methods have no effect.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use sikkerkey::Live;
///
/// struct Config {
///     host: &'static str,
///     workers: u16,
/// }
///
/// let (live, control) = Live::manual(Config { host: "db", workers: 4 });
///
/// // The code under test: it follows one key.
/// let pool_sizes = Arc::new(Mutex::new(Vec::new()));
/// let sizes = Arc::clone(&pool_sizes);
/// live.on_change(move |change| {
///     if change.touches("workers") {
///         sizes.lock().unwrap().push(change.after().workers);
///     }
/// });
///
/// control.swap_paths(Config { host: "db2", workers: 4 }, &["host"]);
/// control.swap_paths(Config { host: "db2", workers: 8 }, &["workers"]);
/// assert_eq!(*pool_sizes.lock().unwrap(), [8]); // its callback has run
/// ```
pub struct LiveControl<T> {
    core: Arc<LiveState<T>>,
    clock: Arc<ManualClock>,
    /// Held while an attempt ends, so that listeners get changes in order.
    turn: Mutex<()>,
}

impl<T: Send + Sync + 'static> LiveControl<T> {
    /// Swaps in a new config, equal or not. [`Change::paths`](super::Change::paths) is empty, and listeners
    /// and resources of every [`select`](Live::select) treat it as a change of their part.
    pub fn swap(&self, config: T) {
        self.swap_paths(config, &[]);
    }

    /// Swaps in a new config as a change of these key paths, such as `&["db.password"]`.
    pub fn swap_paths(&self, config: T, paths: &[&str]) {
        self.end(None, |running| {
            let fingerprint = running.swapped(paths);
            Adoption::Swap {
                new: Arc::new(config),
                changed: running.difference(&fingerprint).unwrap_or_default(),
                fingerprint,
            }
        });
    }

    /// Fails an update with this error: the status is
    /// [`Degraded`](super::Freshness::Degraded), and subscribers get
    /// [`Refused`](super::RecvError::Refused). The next swap clears it.
    ///
    /// ```
    /// use sikkerkey::live::RecvError;
    /// use sikkerkey::{ErrorKind, Live};
    ///
    /// let (live, control) = Live::manual(1);
    /// let mut changes = live.subscribe();
    /// control.fail(ErrorKind::AccessDenied);
    /// assert!(matches!(changes.try_recv(), Err(RecvError::Refused(_))));
    /// ```
    pub fn fail(&self, error: impl Into<ConfigError>) {
        let error = error.into();
        self.end(None, |_| Adoption::Refused(error));
    }

    /// Makes the config [`Stale`](super::Freshness::Stale) until the next swap or failure, as if the service
    /// had not answered for longer than `max_stale`.
    pub fn stale(&self) {
        self.clock.pass(MAX_STALE + Duration::from_secs(1));
        self.end(Some(ErrorKind::Network.into()), |_| Adoption::Held);
    }

    /// Ends an attempt with an outcome that depends on the running config.
    fn end(
        &self,
        unanswered: Option<ConfigError>,
        adoption: impl FnOnce(&Fingerprint) -> Adoption<T>,
    ) {
        let gone = {
            // A logger may call this, too, so events are logged after the lock is released.
            let _held = HeldEvents::new();
            let _turn = lock(&self.turn);
            if self.core.is_closed() {
                return;
            }
            self.core.end(Attempt {
                confirmed: unanswered.is_none(),
                unanswered,
                since: self.clock.monotonic(),
                refreshed: None,
                changed_secrets: Vec::new(),
                waiting: BTreeSet::new(),
                shared: false,
                names: None,
                secrets: BTreeMap::new(),
                adoption: adoption(&self.core.place().fingerprint),
            })
        };
        contain_drop(gone);
        if !in_callback() {
            self.core.callbacks().wait_until_idle();
        }
    }
}

impl<T> fmt::Debug for LiveControl<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveControl").finish_non_exhaustive()
    }
}

/// A clock that stands still, so that nothing goes stale by itself.
#[derive(Debug, Default)]
pub(super) struct ManualClock {
    system: SystemClock,
    passed: Mutex<Duration>,
}

impl ManualClock {
    fn pass(&self, time: Duration) {
        let mut passed = lock(&self.passed);
        *passed = passed.saturating_add(time);
    }
}

impl Clock for ManualClock {
    fn unix_now(&self) -> i64 {
        self.system.unix_now()
    }

    fn monotonic(&self) -> Duration {
        *lock(&self.passed)
    }
}
