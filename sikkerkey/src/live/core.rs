//! What every handle of one live config shares: the running config, the book about it, and who
//! is told. The worker writes it; everybody reads it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use event_listener::Event;

use super::change::Change;
use super::status::{SecretState, State, Status};
use crate::clock::Clock;
use crate::config::ConfigError;

type Callback<T> = Arc<dyn Fn(Occasion<'_, T>) + Send + Sync>;

/// When a callback is called, on the worker's thread.
pub(super) enum Occasion<'a, T> {
    /// A config was swapped in.
    Changed(&'a Change<T>),
    /// A cycle ended, with or without a change: the moment to try again what failed.
    /// Comes after `Changed` too.
    Ticked(&'a T),
}

pub(super) struct Core<T> {
    /// The running config. Readers touch this alone: one atomic load, no lock.
    pub(super) current: ArcSwap<T>,
    /// Notified after each swap, refusal, and at the end.
    pub(super) happened: Event,
    /// Notified after each cycle too, for those who try again with each.
    pub(super) ticked: Event,
    clock: Arc<dyn Clock>,
    max_stale: Duration,
    grace: Duration,
    book: Mutex<Book<T>>,
    listeners: Mutex<Listeners<T>>,
}

/// What is known about the running config. Locked for moments only, never while user code runs.
struct Book<T> {
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

struct Listeners<T> {
    next: u64,
    list: Vec<(u64, Callback<T>)>,
}

/// How a cycle ended, for the book.
pub(super) struct Attempt {
    /// The service answered, so that every secret not named in `secrets` is as it was.
    pub(super) unanswered: Option<ConfigError>,
    /// New states of single secrets.
    pub(super) secrets: BTreeMap<String, SecretState>,
}

impl<T> Core<T> {
    pub(super) fn new(
        first: Arc<T>,
        paths: Vec<String>,
        secrets: BTreeMap<String, SecretState>,
        clock: Arc<dyn Clock>,
        max_stale: Duration,
        grace: Duration,
    ) -> Self {
        let book = Book {
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
        Core {
            current: ArcSwap::new(first),
            happened: Event::new(),
            ticked: Event::new(),
            clock,
            max_stale,
            grace,
            book: Mutex::new(book),
            listeners: Mutex::new(Listeners {
                next: 0,
                list: Vec::new(),
            }),
        }
    }

    fn book(&self) -> MutexGuard<'_, Book<T>> {
        // Nothing panics under this lock; were it to, the book would still be whole.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Swaps `new` in and tells the listeners. `changed` are its key paths.
    pub(super) fn swap(&self, new: Arc<T>, changed: Vec<String>) {
        let old = {
            let mut book = self.book();
            let old = self.current.swap(Arc::clone(&new));
            book.generation += 1;
            let generation = book.generation;
            for path in &changed {
                match book.changed_in.iter_mut().find(|(known, _)| known == path) {
                    Some((_, changed_in)) => *changed_in = generation,
                    None => book.changed_in.push((path.clone(), generation)),
                }
            }
            let now = self.clock.monotonic();
            book.loaded_at = system_time(&*self.clock);
            book.previous = (!self.grace.is_zero()).then(|| (Arc::clone(&old), now + self.grace));
            book.refused = None;
            old
        };
        self.happened.notify(usize::MAX);
        let change = Change {
            old,
            new,
            paths: changed.into(),
        };
        self.tell(|| Occasion::Changed(&change));
    }

    fn tell<'a>(&self, occasion: impl Fn() -> Occasion<'a, T>)
    where
        T: 'a,
    {
        let callbacks: Vec<_> = self.listeners().list.clone();
        for (id, callback) in callbacks {
            // One that an earlier one stopped is not called any more.
            if !self.listeners().list.iter().any(|(other, _)| *other == id) {
                continue;
            }
            if catch_unwind(AssertUnwindSafe(|| callback(occasion()))).is_err() {
                log::error!("a listener of a live config panicked; it stays registered");
            }
        }
    }

    /// Notes that a candidate was refused. The same refusal again is not news.
    pub(super) fn refuse(&self, error: ConfigError) {
        {
            let mut book = self.book();
            let text = error.to_string();
            if book
                .refused
                .as_ref()
                .is_some_and(|old| old.to_string() == text)
            {
                return;
            }
            log::warn!("the live config keeps its last good values: {text}");
            book.refused = Some(error);
            book.refusals += 1;
        }
        self.happened.notify(usize::MAX);
    }

    /// Notes that the newest values are the running ones: nothing is refused any more.
    pub(super) fn accept(&self) {
        self.book().refused = None;
    }

    /// Notes how an attempt (a cycle of the poller, or a refresh) ended.
    pub(super) fn note(&self, attempt: Attempt) {
        {
            let mut book = self.book();
            let now = self.clock.monotonic();
            if attempt.unanswered.is_none() {
                book.confirmed = now;
            }
            book.unanswered = attempt.unanswered;
            for (id, state) in attempt.secrets {
                book.secrets.insert(id, state);
            }
            let failed = book.unanswered.is_some() || book.refused.is_some();
            book.failures = if failed {
                book.failures.saturating_add(1)
            } else {
                0
            };
        }
        let current = self.current.load_full();
        self.tell(|| Occasion::Ticked(&current));
        self.ticked.notify(usize::MAX);
    }

    pub(super) fn status(&self) -> Status {
        let book = self.book();
        let age = self.clock.monotonic().saturating_sub(book.confirmed);
        let degraded =
            book.refused.is_some() || book.secrets.values().any(|state| state.degrades());
        let state = if age > self.max_stale {
            State::Stale
        } else if degraded {
            State::Degraded
        } else {
            State::Fresh
        };
        Status {
            generation: book.generation,
            loaded_at: book.loaded_at,
            age,
            state,
            last_error: book.refused.clone().or_else(|| book.unanswered.clone()),
            consecutive_failures: book.failures,
            secrets: book.secrets.clone(),
        }
    }

    pub(super) fn previous(&self) -> Option<Arc<T>> {
        let book = self.book();
        let (previous, until) = book.previous.as_ref()?;
        (self.clock.monotonic() < *until).then(|| Arc::clone(previous))
    }

    /// Lets the previous config go when its time is over; otherwise returns how much is left.
    pub(super) fn expire_previous(&self) -> Option<Duration> {
        let mut book = self.book();
        let until = book.previous.as_ref()?.1;
        let left = until.saturating_sub(self.clock.monotonic());
        if !left.is_zero() {
            return Some(left);
        }
        let gone = book.previous.take();
        drop(book);
        // The config's own drop may be user code: outside the lock.
        drop(gone);
        None
    }

    /// Where a new subscription begins: at what runs now.
    pub(super) fn place(&self) -> (Arc<T>, u64, u64) {
        let book = self.book();
        (self.current.load_full(), book.generation, book.refusals)
    }

    pub(super) fn change_since(&self, seen: u64) -> Option<(Arc<T>, u64, Arc<[String]>)> {
        let book = self.book();
        if book.generation == seen {
            return None;
        }
        let paths = book
            .changed_in
            .iter()
            .filter(|(_, changed_in)| *changed_in > seen)
            .map(|(path, _)| path.clone())
            .collect();
        Some((self.current.load_full(), book.generation, paths))
    }

    pub(super) fn refusal_since(&self, seen: u64) -> Option<(ConfigError, u64)> {
        let book = self.book();
        if book.refusals == seen {
            return None;
        }
        let error = book.refused.clone()?;
        Some((error, book.refusals))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.book().closed
    }

    pub(super) fn close(&self) {
        self.book().closed = true;
        self.happened.notify(usize::MAX);
        self.ticked.notify(usize::MAX);
        // The callbacks may hold resources and handles: dropped outside the lock.
        let callbacks = std::mem::take(&mut self.listeners().list);
        drop(callbacks);
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners<T>> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn listen(&self, callback: Callback<T>) -> u64 {
        let mut listeners = self.listeners();
        listeners.next += 1;
        let id = listeners.next;
        listeners.list.push((id, callback));
        id
    }

    pub(super) fn unlisten(&self, id: u64) {
        let gone = {
            let mut listeners = self.listeners();
            let place = listeners.list.iter().position(|(other, _)| *other == id);
            place.map(|place| listeners.list.remove(place))
        };
        drop(gone);
    }
}

fn system_time(clock: &dyn Clock) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(clock.unix_now().max(0).unsigned_abs())
}
