//! What every handle of one live config shares: the running config, the record about it, and who
//! is told. The worker writes it; everybody reads it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use event_listener::Event;

use super::change::Change;
use super::status::{Freshness, LiveStatus, SecretState};
use crate::clock::Clock;
use crate::config::error::{ConfigError, Problem};
use crate::contain::contain_drop;
use crate::error::Error;
use crate::log::log;
use crate::sync::lock;
use crate::watch::callbacks::{CallbackCall, Callbacks, Lane};

type ListenerFn<T> = Arc<dyn Fn(LiveEvent<T>) + Send + Sync>;

/// What a listener is called for, on the client's callback thread.
pub(super) enum LiveEvent<T> {
    /// A config was swapped in.
    Changed(Change<T>),
    /// A cycle ended, with or without a change, and this listener has something to try again.
    Retry,
}

pub(super) struct LiveState<T> {
    /// The running config. Readers touch this alone: one atomic load, no lock.
    pub(super) current: ArcSwap<T>,
    /// Notified after each swap, refusal, and at the end.
    pub(super) happened: Event,
    /// Notified after each cycle too, for those who try again with each.
    pub(super) ticked: Event,
    clock: Arc<dyn Clock>,
    max_stale: Duration,
    grace: Duration,
    /// What errors call the config.
    name: &'static str,
    /// The process whose worker keeps it up to date.
    process: u32,
    record: Mutex<Record<T>>,
    listeners: Mutex<Vec<RegisteredListener<T>>>,
    callbacks: Arc<Callbacks>,
}

/// What is known about the running config. Locked for moments only, never while user code runs.
struct Record<T> {
    generation: u64,
    /// For each key path, the generation that changed it last; in the order of the schema.
    changed_in: Vec<(String, u64)>,
    previous: Option<(Arc<T>, Duration)>,
    loaded_at: SystemTime,
    confirmed: Duration,
    secrets: BTreeMap<String, SecretState>,
    /// Why the candidate was refused; cleared by the next config that is adopted.
    refused: Option<ConfigError>,
    /// Why the last cycle failed; cleared by the next that is answered.
    unanswered: Option<ConfigError>,
    refusals: u64,
    failures: u32,
    closed: bool,
}

/// Lanes of callbacks are shared by all lives of a client, so the numbers are the process's.
static LISTENERS: AtomicU64 = AtomicU64::new(0);

struct RegisteredListener<T> {
    number: u64,
    stopped: Arc<AtomicBool>,
    /// Whether it has something to try again.
    retry: Arc<AtomicBool>,
    callback: ListenerFn<T>,
}

impl<T: Send + Sync + 'static> RegisteredListener<T> {
    fn call(&self, event: LiveEvent<T>) -> CallbackCall {
        let callback = Arc::clone(&self.callback);
        CallbackCall {
            lane: Lane::Listener(self.number),
            stopped: Arc::clone(&self.stopped),
            name: "a listener of a live config".into(),
            run: Box::new(move || callback(event)),
        }
    }
}

impl<T> Record<T> {
    fn adopt(&mut self, changed: &[String]) {
        self.generation += 1;
        self.refused = None;
        for path in changed {
            let known = self.changed_in.iter_mut().find(|(known, _)| known == path);
            match known {
                Some((_, changed_in)) => *changed_in = self.generation,
                None => self.changed_in.push((path.clone(), self.generation)),
            }
        }
    }

    /// Whether this is news: the same refusal again is not.
    fn refuse(&mut self, error: ConfigError, text: &str) -> bool {
        let known = self.refused.as_ref().map(ConfigError::to_string);
        if known.as_deref() == Some(text) {
            return false;
        }
        self.refused = Some(error);
        self.refusals += 1;
        true
    }
}

/// How a cycle or a refresh ended.
pub(super) struct Attempt<T> {
    /// Why the service did not answer, in whole or in part.
    pub(super) unanswered: Option<ConfigError>,
    /// The secrets of which something new is known.
    pub(super) secrets: BTreeMap<String, SecretState>,
    pub(super) adoption: Adoption<T>,
}

/// What became of the newest values.
pub(super) enum Adoption<T> {
    /// They are what runs.
    Same,
    /// Not all of them could be read yet: they wait for the rest.
    Held,
    Swap {
        new: Arc<T>,
        /// The key paths that differ.
        changed: Vec<String>,
    },
    Refused(ConfigError),
}

impl<T> LiveState<T> {
    #[allow(clippy::too_many_arguments, reason = "one place makes it")]
    pub(super) fn new(
        name: &'static str,
        first: Arc<T>,
        paths: Vec<String>,
        secrets: BTreeMap<String, SecretState>,
        clock: Arc<dyn Clock>,
        callbacks: Arc<Callbacks>,
        max_stale: Duration,
        grace: Duration,
    ) -> Self {
        let record = Record {
            generation: 1,
            changed_in: paths.into_iter().map(|path| (path, 1)).collect(),
            previous: None,
            loaded_at: system_time(&*clock),
            confirmed: clock.monotonic(),
            secrets,
            refused: None,
            unanswered: None,
            refusals: 0,
            failures: 0,
            closed: false,
        };
        LiveState {
            current: ArcSwap::new(first),
            happened: Event::new(),
            ticked: Event::new(),
            clock,
            max_stale,
            grace,
            name,
            process: std::process::id(),
            record: Mutex::new(record),
            listeners: Mutex::default(),
            callbacks,
        }
    }

    fn record(&self) -> MutexGuard<'_, Record<T>> {
        // Nothing panics under this lock; were it to, the record would still be whole.
        lock(&self.record)
    }

    /// Why this config does not follow its secrets: the process was forked from the one that has the
    /// worker.
    pub(super) fn forked(&self) -> Option<ConfigError> {
        (self.process != std::process::id()).then(|| {
            let error = Error::configuration(
                "this process was forked from the one that keeps the live config up to date: start \
                 one here",
            );
            ConfigError::new(self.name, vec![Problem::unavailable(&error)])
        })
    }

    pub(super) fn status(&self) -> LiveStatus {
        // Before any lock: a thread of the other process may have held it.
        if let Some(error) = self.forked() {
            return LiveStatus {
                generation: 0,
                loaded_at: system_time(&*self.clock),
                age: Duration::MAX,
                freshness: Freshness::Stale,
                last_error: Some(error),
                consecutive_failures: 0,
                secrets: BTreeMap::new(),
            };
        }
        let record = self.record();
        let age = self.clock.monotonic().saturating_sub(record.confirmed);
        let degraded =
            record.refused.is_some() || record.secrets.values().any(|state| state.degrades());
        let freshness = if age > self.max_stale {
            Freshness::Stale
        } else if degraded {
            Freshness::Degraded
        } else {
            Freshness::Fresh
        };
        LiveStatus {
            generation: record.generation,
            loaded_at: record.loaded_at,
            age,
            freshness,
            last_error: record.refused.clone().or_else(|| record.unanswered.clone()),
            consecutive_failures: record.failures,
            secrets: record.secrets.clone(),
        }
    }

    /// Whether the config reads this secret, by its id.
    #[cfg(feature = "webhook")]
    pub(super) fn follows(&self, id: &str) -> bool {
        self.record().secrets.contains_key(id)
    }

    pub(super) fn previous(&self) -> Option<Arc<T>> {
        if self.forked().is_some() {
            return None;
        }
        let record = self.record();
        let (previous, until) = record.previous.as_ref()?;
        (self.clock.monotonic() < *until).then(|| Arc::clone(previous))
    }

    /// Lets the previous config go when its time is over; otherwise returns how much is left.
    pub(super) fn expire_previous(&self) -> Option<Duration> {
        let mut record = self.record();
        let until = record.previous.as_ref()?.1;
        let left = until.saturating_sub(self.clock.monotonic());
        if !left.is_zero() {
            return Some(left);
        }
        let gone = record.previous.take();
        drop(record);
        // The config's own drop may be user code: outside the lock.
        contain_drop(gone);
        None
    }

    /// Where a new subscription begins: at what runs now.
    pub(super) fn place(&self) -> (Arc<T>, u64, u64) {
        let record = self.record();
        (self.current.load_full(), record.generation, record.refusals)
    }

    pub(super) fn change_since(&self, seen: u64) -> Option<(Arc<T>, u64, Arc<[String]>)> {
        if self.forked().is_some() {
            return None;
        }
        let record = self.record();
        if record.generation == seen {
            return None;
        }
        let paths = record
            .changed_in
            .iter()
            .filter(|(_, changed_in)| *changed_in > seen)
            .map(|(path, _)| path.clone())
            .collect();
        Some((self.current.load_full(), record.generation, paths))
    }

    pub(super) fn refusal_since(&self, seen: u64) -> Option<(ConfigError, u64)> {
        if self.forked().is_some() {
            return None;
        }
        let record = self.record();
        if record.refusals == seen {
            return None;
        }
        let error = record.refused.clone()?;
        Some((error, record.refusals))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.forked().is_some() || self.record().closed
    }

    pub(super) fn close(&self) {
        self.record().closed = true;
        self.happened.notify(usize::MAX);
        self.ticked.notify(usize::MAX);
        let listeners = std::mem::take(&mut *self.listeners());
        for listener in &listeners {
            self.callbacks.stop(&listener.stopped);
        }
        // The callbacks may hold resources and handles: dropped outside the lock.
        contain_drop(listeners);
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<RegisteredListener<T>>> {
        lock(&self.listeners)
    }

    /// Registers a listener; `retry` says whether it has something to try again.
    pub(super) fn listen(&self, callback: ListenerFn<T>, retry: Arc<AtomicBool>) -> u64 {
        let number = LISTENERS.fetch_add(1, Ordering::Relaxed);
        self.listeners().push(RegisteredListener {
            number,
            stopped: Arc::default(),
            retry,
            callback,
        });
        number
    }

    pub(super) fn unlisten(&self, number: u64) {
        let gone = {
            let mut listeners = self.listeners();
            let place = listeners.iter().position(|to| to.number == number);
            place.map(|place| listeners.remove(place))
        };
        if let Some(gone) = gone {
            self.callbacks.stop(&gone.stopped);
            contain_drop(gone);
        }
    }
}

impl<T: Send + Sync + 'static> LiveState<T> {
    /// Takes the end of an attempt (a cycle of the poller, or a refresh): the record is brought up
    /// to date in one step, then the listeners are called.
    pub(super) fn end(&self, attempt: Attempt<T>) {
        let mut swapped = None;
        let mut refused = None;
        let news = {
            let mut record = self.record();
            let now = self.clock.monotonic();
            if attempt.unanswered.is_none() {
                record.confirmed = now;
            }
            record.unanswered = attempt.unanswered;
            record.secrets.extend(attempt.secrets);
            let news = match attempt.adoption {
                Adoption::Same => {
                    record.refused = None;
                    false
                }
                Adoption::Held => false,
                Adoption::Refused(error) => {
                    let text = error.to_string();
                    let news = record.refuse(error, &text);
                    refused = news.then_some(text);
                    news
                }
                Adoption::Swap { new, changed } => {
                    let old = self.current.swap(Arc::clone(&new));
                    record.adopt(&changed);
                    record.loaded_at = system_time(&*self.clock);
                    let until = now.saturating_add(self.grace);
                    let kept = (!self.grace.is_zero()).then(|| (Arc::clone(&old), until));
                    let gone = std::mem::replace(&mut record.previous, kept);
                    let change = Change {
                        before: old,
                        after: new,
                        paths: changed.into(),
                    };
                    swapped = Some((change, gone));
                    true
                }
            };
            let failed = record.unanswered.is_some() || record.refused.is_some();
            record.failures = match failed {
                true => record.failures.saturating_add(1),
                false => 0,
            };
            news
        };
        // A logger, a listener and the drop of a config are user code: outside the lock.
        if let Some(text) = refused {
            log!(warn, "the live config keeps its last good values: {text}");
        }
        if news {
            self.happened.notify(usize::MAX);
        }
        if let Some((change, gone)) = swapped {
            let event = || LiveEvent::Changed(change.clone());
            let calls: Vec<_> = self.listeners().iter().map(|to| to.call(event())).collect();
            self.callbacks.enqueue(calls);
            contain_drop((change, gone));
        }
        self.retry();
    }

    /// Calls the listeners that have something to try again.
    fn retry(&self) {
        let calls: Vec<_> = self
            .listeners()
            .iter()
            .filter(|to| to.retry.load(Ordering::Relaxed))
            .map(|to| to.call(LiveEvent::Retry))
            .collect();
        self.callbacks.enqueue(calls);
        self.ticked.notify(usize::MAX);
    }
}

fn system_time(clock: &dyn Clock) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(clock.unix_now().max(0).unsigned_abs())
}
