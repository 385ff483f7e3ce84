//! Runs the callbacks of a client: those of its watches and of the listeners of its live configs.
//!
//! One thread runs them one after the other, outside every lock, and ends when none waits. A call
//! that is still running after 10 s keeps its thread, and another thread goes on with the rest; at
//! most 8 threads are kept so, and then events wait. The events of one secret, and those of one
//! listener, keep their order.

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

/// How many events of one secret or listener wait while its callback does not return; beyond it
/// the oldest are dropped. Their values are long superseded.
const QUEUE_LIMIT: usize = 1_000;

type WatchCallback = Box<dyn FnMut(&WatchEvent) + Send>;

thread_local! {
    /// Whether user code that the client called runs on this thread.
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Whether the caller is a callback: waiting for work that waits for callbacks would be a deadlock.
#[cfg_attr(not(feature = "live"), allow(dead_code))]
pub(crate) fn in_callback() -> bool {
    IN_CALLBACK.get()
}

/// Marks this thread as one that runs the user's code, for as long as it lives.
#[cfg_attr(not(feature = "live"), allow(dead_code))]
pub(crate) fn mark_callback_thread() {
    IN_CALLBACK.set(true);
}

/// Whose events keep their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Secret(Arc<str>),
    #[cfg_attr(not(feature = "live"), allow(dead_code))]
    Listener(u64),
}

/// One call that is due.
pub(crate) struct CallbackCall {
    pub(crate) lane: Lane,
    /// Whether its callback was stopped: then it does not begin.
    pub(crate) stopped: Arc<AtomicBool>,
    /// What is called, in words.
    pub(crate) name: Cow<'static, str>,
    pub(crate) run: Box<dyn FnOnce() + Send>,
}

/// The callback of one watch.
pub(crate) struct Registration {
    id: Arc<str>,
    /// Only the thread that works on the secret's lane locks it, so it is never waited for.
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

    /// The call that hands this event over.
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
    /// A call was added or has ended.
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

/// What a thread does next.
enum Step {
    Run(u64, CallbackCall),
    /// Looks again at this time, or when something has changed.
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

    /// No call of this callback begins after this.
    pub(crate) fn stop(&self, stopped: &AtomicBool) {
        // Under the lock under which a thread looks at it and takes the call.
        let _state = lock(&self.state);
        stopped.store(true, Ordering::Relaxed);
    }

    /// No call that waits for this secret's watches, or for any watch, begins after this.
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
        // The calls hold the user's closures, which may do anything when they are dropped.
        contain_drop(cleared);
    }

    /// Waits until every call has run that was added by now or by such a call, apart from those that
    /// hang and what waits for them. Not for a callback, which would wait for itself.
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
            // The events stay; the next one tries again.
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
                // Others do not wait for this call for ever: a thread stands by.
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
    /// Adds a call; returns the one that gives way to it.
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

    /// Whether calls wait and every thread is in a call: then one more runs them, or stands by
    /// until a call hangs.
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
            // Dropped like one that has run: the closure is the user's.
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

    /// When the last of the calls that run will count as hanging; `None` where all do already.
    fn all_hang_at(&self, now: Duration) -> Option<Duration> {
        let hangs = |running: &RunningCall| running.since.saturating_add(HANGS_AFTER);
        let fresh = self.running.iter().map(hangs).filter(|time| *time > now);
        fresh.max()
    }

    /// The place of the first call that may begin while others hang.
    fn first_free(&self) -> Option<usize> {
        let running = &self.running;
        let is_free = |call: &CallbackCall| running.iter().all(|other| other.lane != call.lane);
        match running.len() < MOST_HANGING {
            true => self.waiting.iter().position(is_free),
            false => None,
        }
    }

    /// Until when a call runs or is about to begin, as far as can be told; `None` where none does.
    fn busy_until(&self, now: Duration) -> Option<Duration> {
        let begins = || {
            // Without a thread none begins: the system gave none.
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
