//! A clock whose time passes when a test says so. Unit tests include this file too, so it names
//! what it needs through its parent.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Clock, Signal};

/// What the clock shows at its start, in seconds since 1970: a moment in 2026.
pub const START: i64 = 1_790_000_000;

/// How long a test waits for what must come, before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub struct VirtualClock {
    times: Mutex<Times>,
    /// A thread began to wait.
    began: Condvar,
}

#[derive(Debug, Default)]
struct Times {
    now: Duration,
    waits: Vec<Wait>,
    /// The number of the newest wait.
    last: u64,
}

#[derive(Clone, Debug)]
struct Wait {
    number: u64,
    thread: Option<String>,
    until: Duration,
    signal: Signal,
    seen: u64,
    /// For work of another thread, so that the one that waits is busy.
    busy: bool,
}

impl VirtualClock {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Lets this much time pass, and wakes the threads whose time has come.
    pub fn advance(&self, by: Duration) {
        let mut times = self.times();
        times.now += by;
        let waits = times.waits.clone();
        drop(times);
        for wait in waits {
            wait.signal.look_again();
        }
    }

    /// Waits until this many threads rest: their time is later than now, and nothing has woken them.
    #[track_caller]
    pub fn at_rest(&self, threads: usize) {
        self.resting(threads, |_| true);
    }

    /// Waits until this many threads of this name rest; how long the first of them goes on to.
    #[track_caller]
    #[allow(dead_code, reason = "the unit tests have no use for names")]
    pub fn threads_at_rest(&self, name: &str, threads: usize) -> Duration {
        let named = |wait: &Wait| wait.thread.as_deref() == Some(name);
        let (now, resting) = self.resting(threads, named);
        let until = resting.iter().map(|wait| wait.until).min();
        until.unwrap_or(now) - now
    }

    /// The next time for which a thread waits, measured from now.
    pub fn next(&self) -> Option<Duration> {
        let times = self.times();
        let later = times.waits.iter().map(|wait| wait.until);
        let next = later.filter(|until| *until > times.now).min();
        next.map(|until| until - times.now)
    }

    /// Waits until at least this many threads rest of those that `counts`; the time, and their waits.
    #[track_caller]
    fn resting(&self, threads: usize, counts: impl Fn(&Wait) -> bool) -> (Duration, Vec<Wait>) {
        loop {
            let (now, last, mut waits) = {
                let times = self.times();
                (times.now, times.last, times.waits.clone())
            };
            // Without the lock: a thread that waits holds its signal and asks for the time.
            waits.retain(|wait| {
                counts(wait) && !wait.busy && wait.until > now && wait.signal.count() == wait.seen
            });
            if waits.len() >= threads {
                return (now, waits);
            }
            let resting = waits.len();
            let (times, timeout) = self
                .began
                .wait_timeout_while(self.times(), PATIENCE, |times| times.last == last)
                .unwrap_or_else(PoisonError::into_inner);
            drop(times);
            assert!(
                !timeout.timed_out(),
                "{resting} of {threads} threads rest, the others are busy or have ended"
            );
        }
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for VirtualClock {
    fn unix_now(&self) -> i64 {
        START + i64::try_from(self.monotonic().as_secs()).unwrap_or(0)
    }

    fn monotonic(&self) -> Duration {
        self.times().now
    }

    fn wait(&self, signal: &Signal, seen: u64, until: Duration) {
        self.block(signal, seen, until, false);
    }

    fn wait_for_work(&self, signal: &Signal, seen: u64, until: Duration) {
        self.block(signal, seen, until, true);
    }
}

impl VirtualClock {
    fn block(&self, signal: &Signal, seen: u64, until: Duration, busy: bool) {
        let number = {
            let mut times = self.times();
            times.last += 1;
            let number = times.last;
            times.waits.push(Wait {
                number,
                thread: std::thread::current().name().map(str::to_owned),
                until,
                signal: signal.clone(),
                seen,
                busy,
            });
            number
        };
        self.began.notify_all();
        signal.wait_while(seen, || match self.monotonic() < until {
            true => Duration::MAX,
            false => Duration::ZERO,
        });
        self.times().waits.retain(|wait| wait.number != number);
    }
}
