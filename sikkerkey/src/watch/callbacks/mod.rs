//! Runs the callbacks of a client: those of its watches, and the listeners of its live configs.
//!
//! One thread runs them one after the other, outside every lock, and ends when none is waiting. A call that
//! still runs after 10 s keeps its thread, and another thread runs the rest. At most 8 threads are kept by
//! such calls; then events wait. The events of one secret, and those of one listener, keep their order.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::event::WatchEvent;
use crate::clock::{Clock, FAR_FUTURE, Signal};
use crate::contain::{contain, contain_drop};
use crate::log::log;
use crate::sync::lock;

/// How long a call may run before others no longer wait for it.
pub(crate) const HANGS_AFTER: Duration = Duration::from_secs(10);

/// How many calls may hang, each on a thread of its own.
const MOST_HANGING: usize = 8;

/// The most events of one secret or listener that wait while its callback hangs. Beyond it the oldest are
/// dropped; their values are superseded.
const QUEUE_LIMIT: usize = 1_000;

type WatchCallback = Box<dyn FnMut(&WatchEvent) + Send>;

thread_local! {
    /// Whether user code that the client called runs on this thread.
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Whether the caller runs inside a callback. There, waiting for work that itself waits for callbacks would
/// be a deadlock.
#[cfg_attr(not(feature = "live"), allow(dead_code))]
pub(crate) fn in_callback() -> bool {
    IN_CALLBACK.get()
}

/// Marks this thread as one that runs user code, for the rest of its life.
#[cfg_attr(not(feature = "live"), allow(dead_code))]
pub(crate) fn mark_callback_thread() {
    IN_CALLBACK.set(true);
}

/// A group of events that keep their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Secret(Arc<str>),
    #[cfg_attr(not(feature = "live"), allow(dead_code))]
    Listener(u64),
}

/// One call that is waiting.
pub(crate) struct CallbackCall {
    pub(crate) lane: Lane,
    /// Whether its callback was stopped. If so, the call does not begin.
    pub(crate) stopped: Arc<AtomicBool>,
    /// The callback's name for the log.
    pub(crate) name: Cow<'static, str>,
    pub(crate) run: Box<dyn FnOnce() + Send>,
}

/// The callback of one watch.
pub(crate) struct Registration {
    id: Arc<str>,
    /// Only the thread that runs the secret's lane locks it, so no thread waits for it.
    callback: Mutex<WatchCallback>,
    stopped: Arc<AtomicBool>,
}

impl Registration {
    pub(crate) fn new(id: Arc<str>, callback: WatchCallback) -> Arc<Self> {
        Arc::new(Registration {
            id,
            callback: Mutex::new(callback),
            stopped: Arc::default(),
        })
    }

    pub(crate) fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub(crate) fn stopped(&self) -> &AtomicBool {
        &self.stopped
    }

    /// Makes the call that delivers this event.
    pub(crate) fn call(self: &Arc<Self>, event: WatchEvent) -> CallbackCall {
        let registration = self.clone();
        CallbackCall {
            lane: Lane::Secret(self.id.clone()),
            stopped: self.stopped.clone(),
            name: format!("the callback of a watch on {}", self.id).into(),
            run: Box::new(move || {
                let mut callback = lock(&registration.callback);
                (*callback)(&event);
            }),
        }
    }
}

pub(crate) struct Callbacks {
    state: Mutex<CallbackState>,
    /// Raised when a call was added or has ended.
    changed: Signal,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct CallbackState {
    waiting: VecDeque<CallbackCall>,
    running: Vec<RunningCall>,
    threads: usize,
    started: u64,
}

struct RunningCall {
    number: u64,
    lane: Lane,
    since: Duration,
}

/// The next step of a thread.
enum Step {
    Run(u64, CallbackCall),
    /// Wait until this time, or until something has changed.
    WaitUntil(Duration),
    End,
}

impl Callbacks {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Callbacks {
            state: Mutex::default(),
            changed: Signal::default(),
            clock,
        })
    }

    pub(crate) fn enqueue(self: &Arc<Self>, calls: impl IntoIterator<Item = CallbackCall>) {
        let mut dropped = Vec::new();
        let wanted = {
            let mut state = lock(&self.state);
            for call in calls {
                dropped.extend(state.add(call));
            }
            let wanted = state.wants_a_thread();
            state.threads += usize::from(wanted);
            wanted
        };
        self.changed.raise();
        if wanted {
            self.start_thread();
        }
        if !dropped.is_empty() {
            let count = dropped.len();
            log!(
                warn,
                "a callback does not return: {count} old events that wait for it were dropped"
            );
            contain_drop(dropped);
        }
    }

    /// Stops a callback: after this, no call of it begins.
    pub(crate) fn stop(&self, stopped: &AtomicBool) {
        // A thread checks the flag and takes the call under the same lock.
        let _state = lock(&self.state);
        stopped.store(true, Ordering::Relaxed);
    }

    /// Removes the waiting calls of one secret's watches, or of all watches. None of them begins after this.
    pub(crate) fn clear_watches(&self, id: Option<&str>) {
        let cleared: VecDeque<CallbackCall> = {
            let mut state = lock(&self.state);
            let (cleared, kept) = state.waiting.drain(..).partition(|call| match &call.lane {
                Lane::Secret(secret) => id.is_none_or(|id| id == &**secret),
                Lane::Listener(_) => false,
            });
            state.waiting = kept;
            cleared
        };
        // The calls own the user's closures, and dropping them is user code.
        contain_drop(cleared);
    }

    /// Waits until every call has run that was added so far, or by such a call, except calls that hang and
    /// calls behind them. Must not be used in a callback, which would wait for itself.
    #[cfg_attr(not(feature = "live"), allow(dead_code))]
    pub(crate) fn wait_until_idle(&self) {
        loop {
            let seen = self.changed.count();
            let busy_until = lock(&self.state).busy_until(self.clock.monotonic());
            match busy_until {
                None => return,
                Some(time) => self.clock.wait(&self.changed, seen, time),
            }
        }
    }

    fn start_thread(self: &Arc<Self>) {
        let callbacks = self.clone();
        let thread = thread::Builder::new().name("sikkerkey-callbacks".to_owned());
        if let Err(error) = thread.spawn(move || callbacks.work()) {
            // The events stay, and the next one tries again to start a thread.
            lock(&self.state).threads -= 1;
            log!(error, "no thread for the callbacks: {error}");
        }
    }

    fn work(self: Arc<Self>) {
        mark_callback_thread();
        loop {
            let seen = self.changed.count();
            let now = self.clock.monotonic();
            let (step, wanted) = {
                let mut state = lock(&self.state);
                let step = state.next(now);
                // Other calls do not wait for this one forever: another thread stands by.
                let wanted = state.wants_a_thread();
                state.threads += usize::from(wanted);
                (step, wanted)
            };
            if wanted {
                self.start_thread();
            }
            match step {
                Step::End => return self.changed.raise(),
                Step::WaitUntil(time) => self.clock.wait(&self.changed, seen, time),
                Step::Run(number, call) => {
                    run(call);
                    let mut state = lock(&self.state);
                    state.running.retain(|running| running.number != number);
                    drop(state);
                    self.changed.raise();
                }
            }
        }
    }
}

fn run(call: CallbackCall) {
    if contain(call.run).is_err() {
        let name = call.name;
        log!(error, "{name} panicked; it stays registered");
    }
}

impl CallbackState {
    /// Adds a call. Returns the call that was dropped for it, if any.
    fn add(&mut self, call: CallbackCall) -> Option<CallbackCall> {
        let same = |waiting: &&CallbackCall| waiting.lane == call.lane;
        let dropped = match self.waiting.len() >= QUEUE_LIMIT
            && self.waiting.iter().filter(same).count() >= QUEUE_LIMIT
        {
            true => self.waiting.iter().position(|waiting| same(&waiting)),
            false => None,
        };
        let dropped = dropped.and_then(|place| self.waiting.remove(place));
        self.waiting.push_back(call);
        dropped
    }

    /// Whether calls wait and every thread is in a call. If so, one more thread runs them, or stands by until
    /// a call hangs.
    fn wants_a_thread(&self) -> bool {
        !self.waiting.is_empty()
            && self.threads == self.running.len()
            && self.threads <= MOST_HANGING
    }

    fn next(&mut self, now: Duration) -> Step {
        if self.waiting.is_empty() {
            self.threads -= 1;
            return Step::End;
        }
        if let Some(end) = self.all_hang_at(now) {
            return Step::WaitUntil(end);
        }
        let call = self.first_free();
        let Some(call) = call.and_then(|place| self.waiting.remove(place)) else {
            return Step::WaitUntil(now.saturating_add(FAR_FUTURE));
        };
        if call.stopped.load(Ordering::Relaxed) {
            // Dropped as after a call, because dropping the closure is user code.
            return Step::Run(
                self.begin(call.lane.clone(), now),
                CallbackCall {
                    run: Box::new(move || drop(call.run)),
                    ..call
                },
            );
        }
        Step::Run(self.begin(call.lane.clone(), now), call)
    }

    /// Returns when the last of the running calls will count as hanging; `None` if all do already.
    fn all_hang_at(&self, now: Duration) -> Option<Duration> {
        let hangs = |running: &RunningCall| running.since.saturating_add(HANGS_AFTER);
        let fresh = self.running.iter().map(hangs).filter(|time| *time > now);
        fresh.max()
    }

    /// Returns the position of the first call that may begin while others hang.
    fn first_free(&self) -> Option<usize> {
        let running = &self.running;
        let is_free = |call: &CallbackCall| running.iter().all(|other| other.lane != call.lane);
        match running.len() < MOST_HANGING {
            true => self.waiting.iter().position(is_free),
            false => None,
        }
    }

    /// Returns until when calls are expected to run or to begin; `None` if none is.
    fn busy_until(&self, now: Duration) -> Option<Duration> {
        let begins = || {
            // Without a thread no call begins: the system gave none.
            let begins = self.threads > 0 && self.first_free().is_some();
            begins.then(|| now.saturating_add(FAR_FUTURE))
        };
        self.all_hang_at(now).or_else(begins)
    }

    fn begin(&mut self, lane: Lane, since: Duration) -> u64 {
        self.started += 1;
        self.running.push(RunningCall {
            number: self.started,
            lane,
            since,
        });
        self.started
    }
}

#[cfg(test)]
mod tests;
