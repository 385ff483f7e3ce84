//! From when until when a certificate is valid.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last second of the year 9999, which stands for "no end" (RFC 5280).
const NO_END: i64 = 253_402_300_799;

/// From when until when a certificate is valid, in seconds since 1970, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "hidden")]
pub struct Validity {
    /// The first second of validity.
    pub from: i64,
    /// The last second of validity.
    pub until: i64,
}

impl Validity {
    /// Says why it is not valid at this time; `None` if it is.
    pub(crate) fn refusal_at(self, now: i64) -> Option<String> {
        if now < self.from {
            let date = date(self.from);
            return Some(format!("not yet valid: the certificate begins on {date}"));
        }
        (now > self.until).then(|| {
            let date = date(self.until);
            format!("expired: the certificate was valid until {date}")
        })
    }
}

/// Formats a time for people: `Thu, 01 Jan 2026 00:00:00 GMT`.
pub(crate) fn date(seconds: i64) -> String {
    httpdate::fmt_http_date(system_time(seconds))
}

/// Converts a time of a certificate. A time before 1970 becomes 1970.
pub(crate) fn system_time(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.clamp(0, NO_END).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_second_count() {
        let day = Validity {
            from: 1_767_225_600,
            until: 1_767_312_000,
        };
        assert_eq!(
            day.refusal_at(day.from - 1).unwrap(),
            "not yet valid: the certificate begins on Thu, 01 Jan 2026 00:00:00 GMT"
        );
        assert_eq!(day.refusal_at(day.from), None);
        assert_eq!(day.refusal_at(day.until), None);
        assert_eq!(
            day.refusal_at(day.until + 1).unwrap(),
            "expired: the certificate was valid until Fri, 02 Jan 2026 00:00:00 GMT"
        );
    }

    #[test]
    fn any_time_can_be_said() {
        assert_eq!(date(i64::MIN), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(date(i64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
