//! When the next certificate is asked for.

use std::time::Duration;

/// The longest and the shortest time between two attempts.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(600));

/// Between two attempts when the certificate has ended.
const RETRY_AFTER_THE_END: Duration = Duration::from_secs(60);

/// How long after a certificate came the next one is asked for: at nine to ten tenths of two thirds of its life. `fraction` is a
/// random number from 0 to 1.
pub(super) fn renew_in(life: Duration, fraction: f64) -> Duration {
    (life * 2 / 3).mul_f64(0.9 + 0.1 * fraction)
}

/// How long after an attempt that failed the next one is made, with so much time left. `asked` is what the service asked for.
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
        // With 20 s left there are still several attempts before the end.
        let mut left = 20 * SECOND;
        let attempts = std::iter::from_fn(|| {
            left = left.checked_sub(retry_in(left, None, 1.0))?;
            (!left.is_zero()).then_some(())
        });
        assert!(attempts.count() >= 10);
    }
}
