//! The service's clock: this machine's, moved as a test asks.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The only source of time in the service: for timestamps of signed requests, the `Date` header, and the expiry of
/// tokens, machines, nonces and locks.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// Milliseconds ahead of this machine's clock: the offset, and the sum of `advance`.
    ahead: Mutex<(i64, i64)>,
}

impl Clock {
    /// Sets the clock this many seconds ahead of this machine's; negative for behind.
    pub(crate) fn set_offset(&self, seconds: i64) {
        self.lock().0 = seconds.saturating_mul(1000);
    }

    /// Moves the clock forward, in addition to the offset.
    pub(crate) fn advance(&self, by: Duration) {
        let mut ahead = self.lock();
        ahead.1 = ahead.1.saturating_add(millis(by));
    }

    /// The service's time, in milliseconds since the Unix epoch.
    pub(crate) fn now(&self) -> i64 {
        let real = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, millis);
        let (offset, advanced) = *self.lock();
        real.saturating_add(offset).saturating_add(advanced)
    }

    /// The service's time in the form of a `Date` header.
    pub(crate) fn date(&self) -> String {
        let now = u64::try_from(self.now()).unwrap_or(0);
        // httpdate panics past the year 9999.
        let now = now.min(253_402_300_799_000);
        httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(now))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (i64, i64)> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A duration in milliseconds, saturated.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_replaces_the_one_before_and_what_passed_stays() {
        let clock = Clock::default();
        let start = clock.now();
        clock.set_offset(-3600);
        clock.advance(Duration::from_secs(7200));
        assert!(clock.now() >= start + 3_600_000);
        clock.set_offset(3600);
        assert!(clock.now() >= start + 10_800_000);
    }

    #[test]
    fn an_extreme_offset_still_has_a_date() {
        let clock = Clock::default();
        clock.set_offset(i64::MAX);
        assert!(clock.date().ends_with("9999 23:59:59 GMT"));
        clock.set_offset(i64::MIN);
        assert!(clock.date().contains("1970"));
    }
}
