//! When the next certificate is requested.

use std::time::Duration;

/// The shortest and the longest time between two attempts.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(600));

/// The time between two attempts after the certificate has expired.
const RETRY_AFTER_THE_END: Duration = Duration::from_secs(60);

/// Returns how long after a certificate was issued the next one is requested: 90 to 100 % of two thirds of
/// its life. `fraction` is a random number from 0 to 1.
pub(super) fn renew_in(life: Duration, fraction: f64) -> Duration {
    (life * 2 / 3).mul_f64(0.9 + 0.1 * fraction)
}

/// Returns how long after a failed attempt the next one is made, with `left` until the certificate expires.
/// `asked` is the service's `Retry-After`.
pub(super) fn retry_in(left: Duration, asked: Option<Duration>, fraction: f64) -> Duration {
    let gap = match left.is_zero() {
        true => RETRY_AFTER_THE_END,
        false => (left / 8).clamp(RETRY.0, RETRY.1),
    };
    gap.mul_f64(0.9 + 0.1 * fraction)
        .max(asked.unwrap_or_default().min(RETRY.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_certificate_is_renewed_at_two_thirds_of_its_life() {
        assert_eq!(renew_in(24 * HOUR, 1.0), 16 * HOUR);
        assert_eq!(renew_in(24 * HOUR, 0.0), 16 * HOUR * 9 / 10);
        assert_eq!(renew_in(Duration::ZERO, 0.5), Duration::ZERO);
    }

    #[test]
    fn attempts_follow_each_other_until_the_end_and_beyond() {
        assert_eq!(retry_in(8 * HOUR, None, 1.0), 600 * SECOND);
        assert_eq!(retry_in(80 * SECOND, None, 1.0), 10 * SECOND);
        assert_eq!(retry_in(4 * SECOND, None, 1.0), SECOND);
        assert_eq!(retry_in(Duration::ZERO, None, 1.0), 60 * SECOND);
        assert_eq!(retry_in(80 * SECOND, Some(30 * SECOND), 0.0), 30 * SECOND);
        assert_eq!(retry_in(80 * SECOND, Some(HOUR), 0.0), 600 * SECOND);
        // With 20 s left, several attempts still fit before the end.
        let mut left = 20 * SECOND;
        let attempts = std::iter::from_fn(|| {
            left = left.checked_sub(retry_in(left, None, 1.0))?;
            (!left.is_zero()).then_some(())
        });
        assert!(attempts.count() >= 10);
    }
}
