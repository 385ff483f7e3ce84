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
    last: u64,
}

#[derive(Debug)]
struct Wait {
    number: u64,
    until: Duration,
    signal: Signal,
}

impl VirtualClock {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Lets this much time pass, and wakes the threads whose time has come.
    pub fn advance(&self, by: Duration) {
        let mut times = self.times();
        times.now += by;
        let signals: Vec<Signal> = times.waits.iter().map(|wait| wait.signal.clone()).collect();
        drop(times);
        for signal in signals {
            signal.look_again();
        }
    }

    /// Waits until this many threads wait for a later time than now.
    #[track_caller]
    pub fn at_rest(&self, threads: usize) {
        let mut times = self.times();
        loop {
            let now = times.now;
            let waiting = times.waits.iter().filter(|wait| wait.until > now).count();
            if waiting >= threads {
                return;
            }
            let (guard, timeout) = self
                .began
                .wait_timeout(times, PATIENCE)
                .unwrap_or_else(PoisonError::into_inner);
            assert!(!timeout.timed_out(), "{waiting} of {threads} threads wait");
            times = guard;
        }
    }

    /// The next time for which a thread waits, measured from now.
    pub fn next(&self) -> Option<Duration> {
        let times = self.times();
        let later = times.waits.iter().map(|wait| wait.until);
        let next = later.filter(|until| *until > times.now).min();
        next.map(|until| until - times.now)
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
        let number = {
            let mut times = self.times();
            times.last += 1;
            let number = times.last;
            times.waits.push(Wait {
                number,
                until,
                signal: signal.clone(),
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
