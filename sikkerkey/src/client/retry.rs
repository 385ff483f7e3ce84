//! When a call is retried. Pure: time and randomness are arguments.

use std::time::Duration;

/// How often and how soon a call is retried after no response, 429 or 503.
///
/// The default is up to four attempts, after about 1, 2 and 4 seconds. Each delay varies by a quarter, so
/// that many machines do not come back at once. A `Retry-After` of the service replaces the delay, up to
/// 30 seconds. Each attempt has a new signature. The
/// [`deadline`](crate::SikkerKeyBuilder::deadline) bounds all attempts together: a delay that would end
/// after it is not begun.
///
/// A reused connection that turns out to be dead is not an attempt: the call is sent again at once, on a
/// new connection.
///
/// ```
/// use std::time::Duration;
/// use sikkerkey::RetryPolicy;
///
/// let patient = RetryPolicy::default().attempts(6).base_delay(Duration::from_millis(500));
/// let never = RetryPolicy::none();
/// # let _ = (patient, never);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a policy does nothing until a builder is given it"]
pub struct RetryPolicy {
    attempts: u32,
    base_delay: Duration,
    jitter: f64,
    retry_after_cap: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            attempts: 4,
            base_delay: Duration::from_secs(1),
            jitter: 0.25,
            retry_after_cap: Duration::from_secs(30),
        }
    }
}

impl RetryPolicy {
    /// Makes a policy without retries: each call has one attempt.
    ///
    /// ```
    /// use sikkerkey::RetryPolicy;
    ///
    /// assert_eq!(RetryPolicy::none(), RetryPolicy::default().attempts(1));
    /// ```
    pub fn none() -> Self {
        RetryPolicy::default().attempts(1)
    }

    /// Limits the attempts of a call, the first one included; zero counts as one. Defaults to 4.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets the delay after the first attempt; it doubles after each further one. Defaults to 1 s.
    pub fn base_delay(mut self, delay: Duration) -> Self {
        self.base_delay = delay;
        self
    }

    /// Sets by what part a delay may be shorter or longer, from 0 to 1. Defaults to 0.25.
    pub fn jitter(mut self, part: f64) -> Self {
        self.jitter = if part.is_finite() {
            part.clamp(0.0, 1.0)
        } else {
            0.0
        };
        self
    }

    /// Limits the `Retry-After` of the service: a longer one is cut to this. Defaults to 30 s.
    pub fn retry_after_cap(mut self, cap: Duration) -> Self {
        self.retry_after_cap = cap;
        self
    }

    /// Returns the delay before the next attempt after `made` failed ones, or `None` if no attempt is left.
    /// `fraction` is a random number from 0 to 1. The service's own `retry_after` is never cut short by
    /// chance, only made longer.
    #[doc(hidden)]
    pub fn delay(
        &self,
        made: u32,
        retry_after: Option<Duration>,
        fraction: f64,
    ) -> Option<Duration> {
        if made >= self.attempts {
            return None;
        }
        if let Some(asked) = retry_after {
            let asked = asked.min(self.retry_after_cap);
            let spread = scaled(asked, 1.0 + self.jitter * fraction);
            return Some(spread.min(self.retry_after_cap));
        }
        // 2^20 base delays are longer than any deadline.
        let doubled = self
            .base_delay
            .saturating_mul(1 << made.saturating_sub(1).min(20));
        let spread = 1.0 + self.jitter * (2.0 * fraction - 1.0);
        Some(scaled(doubled, spread))
    }
}

/// A time that is too long for a `Duration` becomes the longest one.
fn scaled(time: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(time.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn one_two_four_seconds_within_a_quarter() {
        let policy = RetryPolicy::default();
        for (made, low, middle, high) in [
            (1, 750, 1000, 1250),
            (2, 1500, 2000, 2500),
            (3, 3000, 4000, 5000),
        ] {
            assert_eq!(policy.delay(made, None, 0.0), Some(MS(low)));
            assert_eq!(policy.delay(made, None, 0.5), Some(MS(middle)));
            assert_eq!(policy.delay(made, None, 1.0), Some(MS(high)));
        }
        assert_eq!(policy.delay(4, None, 0.5), None);
        assert_eq!(policy.delay(u32::MAX, None, 0.5), None);
    }

    #[test]
    fn what_the_service_asks_for_is_kept_up_to_the_cap() {
        let policy = RetryPolicy::default();
        let asked = |s| policy.delay(1, Some(Duration::from_secs(s)), 0.0);
        assert_eq!(asked(0), Some(MS(0)));
        assert_eq!(asked(7), Some(MS(7_000)));
        assert_eq!(asked(30), Some(MS(30_000)));
        assert_eq!(asked(u64::MAX), Some(MS(30_000)));
        assert_eq!(policy.delay(1, Some(MS(8_000)), 1.0), Some(MS(10_000)));
        assert_eq!(policy.delay(1, Some(MS(29_000)), 1.0), Some(MS(30_000)));
        assert_eq!(policy.delay(4, Some(MS(1)), 0.0), None);
        let patient = policy.retry_after_cap(MS(100_000));
        assert_eq!(patient.delay(1, Some(MS(90_000)), 0.0), Some(MS(90_000)));
    }

    #[test]
    fn a_policy_can_be_changed_or_turned_off() {
        assert_eq!(RetryPolicy::none().delay(1, None, 0.5), None);
        assert_eq!(RetryPolicy::default().attempts(0).delay(1, None, 0.5), None);
        let fixed = RetryPolicy::default()
            .attempts(99)
            .base_delay(MS(10))
            .jitter(0.0);
        assert_eq!(fixed.delay(1, None, 0.9), Some(MS(10)));
        assert_eq!(fixed.delay(3, None, 0.1), Some(MS(40)));
        assert_eq!(fixed.clone().jitter(f64::NAN), fixed);
        assert!(
            fixed
                .base_delay(Duration::MAX)
                .delay(50, None, 0.5)
                .is_some()
        );
    }
}
