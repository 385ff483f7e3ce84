//! Everything that differs from one run to the next: the time, sleep, and randomness.
//!
//! It comes in through one seam, so that schedules, clock skew and nonces are tested exactly.

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::error::{Error, ErrorKind};

/// A year: a longer time cannot be told from never, and arithmetic with this one stays in range.
pub(crate) const FAR_FUTURE: Duration = Duration::from_secs(365 * 24 * 3600);

/// Where the client takes time and randomness from.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Seconds since 1970 by this machine's own clock, however wrong it is.
    fn unix_now(&self) -> i64;

    /// Time since some fixed moment; never goes back.
    fn monotonic(&self) -> Duration;

    /// Returns after this time.
    fn sleep(&self, time: Duration);

    /// A random number from 0 up to, and without, 1; it spreads delays.
    fn fraction(&self) -> f64;

    /// Bytes that nobody can foretell and that never repeat: nonces and keys.
    fn random(&self, bytes: &mut [u8]) -> Result<(), Error>;
}

/// The operating system's clock and randomness.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
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
        // A clock before 1970 is as wrong as one at 1970: the service's `Date` corrects both.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }

    fn sleep(&self, time: Duration) {
        thread::sleep(time);
    }

    fn fraction(&self) -> f64 {
        // 53 bits are what a double holds exactly; without randomness, delays are not spread.
        getrandom::u64().map_or(0.5, |bits| (bits >> 11) as f64 / (1_u64 << 53) as f64)
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), Error> {
        getrandom::fill(bytes).map_err(|cause| {
            Error::new(
                ErrorKind::Configuration,
                "the operating system gives no random bytes, without which no request is signed",
            )
            .with_source(cause)
        })
    }
}
