//! The time, and waiting for it.
//!
//! All time comes from one trait, so that tests control it exactly and a day of polls takes a moment. Only
//! the deadlines of sockets use the operating system's clock directly.

use std::fmt::Debug;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::sync::{lock, wait_timeout};

/// A year: long enough to mean "never", and short enough that arithmetic stays in range.
pub(crate) const FAR_FUTURE: Duration = Duration::from_secs(365 * 24 * 3600);

/// The client's source of time.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Returns seconds since 1970 by this machine's clock, uncorrected.
    fn unix_now(&self) -> i64;

    /// Returns the time since some fixed moment; never goes back.
    fn monotonic(&self) -> Duration;

    /// Blocks until the signal was raised more often than `seen`, or until
    /// [`monotonic`](Self::monotonic) reaches `until`.
    fn wait(&self, signal: &Signal, seen: u64, until: Duration) {
        signal.wait_while(seen, || until.saturating_sub(self.monotonic()));
    }

    /// Waits as [`wait`](Self::wait) does, for work that another thread does. A test's clock, which checks
    /// whether threads are idle, does not count this one.
    fn wait_for_work(&self, signal: &Signal, seen: u64, until: Duration) {
        self.wait(signal, seen, until);
    }

    /// Blocks for this time.
    fn sleep(&self, time: Duration) {
        let until = self.monotonic().saturating_add(time);
        let signal = Signal::default();
        self.wait(&signal, signal.count(), until);
    }
}

/// The clock of the operating system.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// Makes a clock whose monotonic time starts now.
    pub fn new() -> Self {
        SystemClock {
            origin: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn unix_now(&self) -> i64 {
        // A clock before 1970 is reported as 1970; the service's `Date` corrects both.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// Wakes threads that wait on a [`Clock`]. A clone is the same signal.
///
/// It counts, so that no signal is missed: read the [`count`](Self::count), check the state that the signal
/// is about, then wait for a higher count.
#[derive(Clone, Debug, Default)]
pub struct Signal(Arc<Raised>);

#[derive(Debug, Default)]
struct Raised {
    count: Mutex<u64>,
    changed: Condvar,
}

impl Signal {
    /// Returns how often the signal was raised.
    pub fn count(&self) -> u64 {
        *lock(&self.0.count)
    }

    /// Wakes every thread that waits for it.
    pub fn raise(&self) {
        *lock(&self.0.count) += 1;
        self.0.changed.notify_all();
    }

    /// Makes waiting threads check the time again, for clocks whose time jumps.
    pub fn look_again(&self) {
        drop(lock(&self.0.count));
        self.0.changed.notify_all();
    }

    /// Blocks while the count is `seen` and `left` is not zero. `left` is asked again after at most
    /// the time that it returned.
    pub fn wait_while(&self, seen: u64, left: impl Fn() -> Duration) {
        let mut count = lock(&self.0.count);
        while *count == seen {
            let left = left();
            if left.is_zero() {
                return;
            }
            count = wait_timeout(&self.0.changed, count, left.min(FAR_FUTURE));
        }
    }
}

#[cfg(test)]
#[allow(
    unreachable_pub,
    reason = "the file is one of the integration tests' too"
)]
#[path = "../tests/common/virtual_clock.rs"]
pub(crate) mod virtual_clock;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_with_the_signal_or_with_its_time() {
        let clock = SystemClock::new();
        let signal = Signal::default();
        let seen = signal.count();
        clock.wait(&signal, seen, clock.monotonic());
        clock.sleep(Duration::from_millis(1));
        assert!(clock.monotonic() >= Duration::from_millis(1));

        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| clock.wait(&signal, seen, FAR_FUTURE));
            signal.raise();
            waiting.join().unwrap();
        });
        // The signal was raised before, so the wait ends at once.
        clock.wait(&signal, seen, FAR_FUTURE);
    }
}
