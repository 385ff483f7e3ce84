//! How often a secret is read again although the service reported no change.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// How often a secret is read again although the service reported no change.
///
/// A *resync* finds a change whose report was lost, or went to another process of the same machine. Each
/// resync is a read: the service audits it, and policies that limit, rotate or end a secret after a number of
/// reads count it.
///
/// The derive takes it as `resync = "never"` or `resync = "40m"`, on a field or on a struct.
/// `Display` and `Serialize` write it the same way.
///
/// ```
/// use std::time::Duration;
/// use sikkerkey::Resync;
///
/// assert_eq!(Resync::default(), Resync::Adaptive);
/// assert_eq!(Resync::Every(Duration::from_secs(5400)).to_string(), "1h30m");
/// assert_eq!(Resync::Never.to_string(), "never");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resync {
    /// After 5 minutes, then at growing gaps of up to an hour, as long as no report was lost. The default.
    #[default]
    Adaptive,
    /// Once in each interval, which is longer than zero and at most 365 days.
    Every(Duration),
    /// Never: the secret is read again only after the service reported a change.
    Never,
}

/// The longest interval. A longer one is probably a mistake in the unit.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

impl Resync {
    /// Returns what is wrong with the interval; `None` if it is valid.
    pub(crate) fn mistake(self) -> Option<&'static str> {
        match self {
            Resync::Every(interval) if interval.is_zero() => {
                Some("the interval is 0; to read the secret only after a change, use `Never`")
            }
            Resync::Every(interval) if interval > LONGEST => Some(
                "the interval is longer than 365 days; to read the secret only after a change, use `Never`",
            ),
            Resync::Adaptive | Resync::Every(_) | Resync::Never => None,
        }
    }
}

impl fmt::Display for Resync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interval = match self {
            Resync::Adaptive => return f.write_str("adaptive"),
            Resync::Never => return f.write_str("never"),
            Resync::Every(interval) => interval,
        };
        let seconds = interval.as_secs();
        let parts = [
            (seconds / 86_400, "d"),
            (seconds / 3600 % 24, "h"),
            (seconds / 60 % 60, "m"),
            (seconds % 60, "s"),
            (interval.subsec_millis().into(), "ms"),
        ];
        if parts.iter().all(|(number, _)| *number == 0) {
            return f.write_str("0s");
        }
        parts
            .iter()
            .filter(|(number, _)| *number > 0)
            .try_for_each(|(number, unit)| write!(f, "{number}{unit}"))
    }
}

/// Serializes as text: `never`, `adaptive`, `1h30m`.
impl Serialize for Resync {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_the_attribute_has_it() {
        for (resync, written) in [
            (Resync::Adaptive, "adaptive"),
            (Resync::Never, "never"),
            (Resync::Every(Duration::from_secs(2400)), "40m"),
            (Resync::Every(Duration::from_secs(90_061)), "1d1h1m1s"),
            (Resync::Every(Duration::from_millis(1500)), "1s500ms"),
            (Resync::Every(Duration::ZERO), "0s"),
        ] {
            assert_eq!(resync.to_string(), written);
            assert_eq!(serde_json::to_value(resync).unwrap(), written);
        }
    }

    #[test]
    fn an_interval_is_above_zero_and_at_most_a_year() {
        let year = Duration::from_secs(365 * 86_400);
        for (resync, good) in [
            (Resync::Adaptive, true),
            (Resync::Never, true),
            (Resync::Every(Duration::from_secs(1)), true),
            (Resync::Every(year), true),
            (Resync::Every(Duration::ZERO), false),
            (Resync::Every(year + Duration::from_secs(1)), false),
        ] {
            assert_eq!(resync.mistake().is_none(), good, "{resync}");
        }
    }
}
