use std::borrow::Cow;
use std::time::Duration;

use super::form::stray;
use super::{FromSecret, ValueError};

/// The units, largest first, in nanoseconds.
const UNITS: [(&str, u128); 8] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];

const NO_UNIT: ValueError = ValueError::new("a number needs a unit, as in 30s or 1h30m");
const TOO_LONG: ValueError = ValueError::new("it is too long");

/// Parses `1h30m`: whole numbers, each with its unit, largest unit first.
impl FromSecret for Duration {
    fn from_secret(text: &str) -> Result<Self, ValueError> {
        if let Some(stray) = stray(text) {
            return Err(ValueError::new(stray));
        }
        let mut rest = text;
        let mut total: u128 = 0;
        let mut smallest = u128::MAX;
        while !rest.is_empty() {
            let (number, tail) = split(rest, |c| c.is_ascii_digit());
            let (unit, tail) = split(tail, |c| c.is_alphabetic());
            let (number, unit) = match (number, unit) {
                ("", _) => return Err(ValueError::new("one looks like 30s or 1h30m")),
                (_, "") => return Err(NO_UNIT),
                (number, unit) => (number.parse::<u128>().map_err(|_| TOO_LONG)?, unit),
            };
            let Some((_, nanoseconds)) = UNITS.into_iter().find(|(known, _)| *known == unit) else {
                return Err(ValueError::new("the units are d, h, m, s, ms, us and ns"));
            };
            if nanoseconds >= smallest {
                return Err(ValueError::new(
                    "a larger unit comes first, and each comes once",
                ));
            }
            smallest = nanoseconds;
            total = number
                .checked_mul(nanoseconds)
                .and_then(|part| total.checked_add(part))
                .ok_or(TOO_LONG)?;
            rest = tail;
        }
        let seconds = u64::try_from(total / 1_000_000_000).map_err(|_| TOO_LONG)?;
        // A remainder of a division by 10^9 fits.
        Ok(Duration::new(seconds, (total % 1_000_000_000) as u32))
    }

    fn expected() -> Cow<'static, str> {
        Cow::Borrowed("a duration")
    }
}

/// Splits the text after the longest start whose characters all match.
fn split(text: &str, is: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !is(c)).unwrap_or(text.len()))
}
