//! Who calls the users' callbacks: a thread of its own, never the poller's.
//!
//! Each secret has a lane, and a lane is worked on in order by one thread at a time. One thread
//! takes the lanes in turn. Where its callback is still running when the next cycle begins and
//! others wait, a fresh thread takes the others over; the slow one finishes its call and goes. So
//! no secret waits for another one's callback longer than a cycle, in order all the same.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::event::WatchEvent;
use crate::sync::lock;

/// How many events a secret's lane keeps while its callback does not return; past it the oldest
/// go. They would tell of values that are long superseded.
const LANE_LIMIT: usize = 1_000;

type WatchCallback = Box<dyn FnMut(&WatchEvent) + Send>;

/// One user's callback, and whether it is still wanted.
pub(crate) struct Registration {
    id: Arc<str>,
    /// Only the thread that works on the lane locks it, so it is never waited for.
    callback: Mutex<WatchCallback>,
    /// Written and read under the lanes' lock.
    stopped: AtomicBool,
}

impl Registration {
    pub(crate) fn new(id: Arc<str>, callback: WatchCallback) -> Arc<Self> {
        Arc::new(Registration {
            id,
            callback: Mutex::new(callback),
            stopped: AtomicBool::new(false),
        })
    }

    pub(crate) fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// A panic ends the call and nothing else. Its text is the user's and may quote a value, so
    /// it is left to the user's own panic hook.
    fn call(&self, event: &WatchEvent) {
        let mut callback = lock(&self.callback);
        if catch_unwind(AssertUnwindSafe(|| callback(event))).is_err() {
            tracing::error!(target: "sikkerkey", "the callback of a watch on {} panicked; the watch goes on",
                self.id
            );
        }
    }
}

/// One event for one callback.
pub(crate) struct CallbackCall {
    pub to: Arc<Registration>,
    pub event: WatchEvent,
}

#[derive(Default)]
pub(crate) struct Callbacks {
    lanes: Mutex<Lanes>,
}

#[derive(Default)]
struct Lanes {
    lanes: HashMap<Arc<str>, Lane>,
    /// Lanes with events that no thread works on.
    ready: VecDeque<Arc<str>>,
    /// The thread that takes ready lanes; others only finish their call.
    current: Option<CallbackThread>,
    last_worker: u64,
    cycle: u64,
}

#[derive(Default)]
struct Lane {
    queue: VecDeque<CallbackCall>,
    busy: bool,
}

struct CallbackThread {
    number: u64,
    /// The cycle in which its call began.
    calling_since: Option<u64>,
}

impl Callbacks {
    /// A cycle begins: a callback of an earlier one that is still running holds nobody up any more.
    pub(crate) fn cycle_began(self: &Arc<Self>) {
        let mut lanes = lock(&self.lanes);
        lanes.cycle += 1;
        self.staff(&mut lanes);
    }

    pub(crate) fn enqueue(self: &Arc<Self>, calls: Vec<CallbackCall>) {
        if calls.is_empty() {
            return;
        }
        let mut dropped = Vec::new();
        let mut lanes = lock(&self.lanes);
        for call in calls {
            let id = call.to.id.clone();
            let lane = lanes.lanes.entry(id.clone()).or_default();
            let idle = !lane.busy && lane.queue.is_empty();
            lane.queue.push_back(call);
            if lane.queue.len() > LANE_LIMIT {
                dropped.extend(lane.queue.pop_front());
            }
            if idle {
                lanes.ready.push_back(id);
            }
        }
        self.staff(&mut lanes);
        drop(lanes);
        if !dropped.is_empty() {
            let count = dropped.len();
            tracing::warn!(target: "sikkerkey", "a callback does not return: {count} old events that wait for it were dropped"
            );
        }
    }

    /// No call of this registration begins after this.
    pub(crate) fn stop(&self, registration: &Registration) {
        let _lanes = lock(&self.lanes);
        registration.stopped.store(true, Ordering::Relaxed);
    }

    /// No queued call of this secret, or of any, begins after this.
    pub(crate) fn clear(&self, id: Option<&str>) {
        let mut dropped = VecDeque::new();
        let mut lanes = lock(&self.lanes);
        lanes.lanes.retain(|lane_id, lane| {
            let cleared = id.is_none_or(|id| id == &**lane_id);
            if cleared {
                dropped.append(&mut lane.queue);
            }
            !cleared || lane.busy
        });
        lanes
            .ready
            .retain(|lane_id| id.is_some_and(|id| id != &**lane_id));
        // The calls hold the users' closures, which may do anything when they are dropped:
        // outside the lock.
        drop(lanes);
        drop(dropped);
    }

    /// Sees to it that ready lanes have a thread that is not held up.
    fn staff(self: &Arc<Self>, lanes: &mut Lanes) {
        let held_up = lanes.current.as_ref().is_none_or(|worker| {
            worker
                .calling_since
                .is_some_and(|since| since < lanes.cycle)
        });
        if lanes.ready.is_empty() || !held_up {
            return;
        }
        lanes.last_worker += 1;
        let number = lanes.last_worker;
        let callbacks = self.clone();
        let spawned = thread::Builder::new()
            .name("sikkerkey-callbacks".into())
            .spawn(move || callbacks.work(number));
        match spawned {
            Ok(_) => {
                lanes.current = Some(CallbackThread {
                    number,
                    calling_since: None,
                })
            }
            // The events stay queued, and the next cycle tries again.
            Err(error) => {
                tracing::error!(target: "sikkerkey", "no thread for the callbacks of watches: {error}")
            }
        }
    }

    fn work(self: Arc<Self>, number: u64) {
        let mut lanes = lock(&self.lanes);
        while lanes.is_current(number) {
            let Some((id, call)) = lanes.take() else {
                lanes.current = None;
                return;
            };
            let wanted = !call.to.is_stopped();
            let cycle = lanes.cycle;
            if let Some(worker) = &mut lanes.current {
                worker.calling_since = Some(cycle);
            }
            drop(lanes);
            if wanted {
                call.to.call(&call.event);
            }
            // With it may go the user's closure, and with that the last handle of the client.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(call)));
            lanes = lock(&self.lanes);
            lanes.done(&id);
            // Whoever took its place has run out of work.
            if lanes.current.is_none() {
                lanes.current = Some(CallbackThread {
                    number,
                    calling_since: None,
                });
            }
        }
        self.staff(&mut lanes);
    }
}

impl Lanes {
    fn is_current(&self, number: u64) -> bool {
        self.current
            .as_ref()
            .is_some_and(|worker| worker.number == number)
    }

    fn take(&mut self) -> Option<(Arc<str>, CallbackCall)> {
        let id = self.ready.pop_front()?;
        let lane = self.lanes.get_mut(&id)?;
        let call = lane.queue.pop_front()?;
        lane.busy = true;
        Some((id, call))
    }

    fn done(&mut self, id: &Arc<str>) {
        if let Some(lane) = self.lanes.get_mut(id) {
            lane.busy = false;
            if lane.queue.is_empty() {
                self.lanes.remove(id);
            } else {
                self.ready.push_back(id.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
