//! A weekly time window, in a time zone.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::{Offset, TimeZone};

const DAY: u16 = 24 * 60;

/// A weekly time window in which a policy allows reads: days of the week, between two times of the day.
///
/// It is parsed from days, times and a zone: `mon-fri 08:00-18:00 Europe/Oslo`, `sat,sun 00:00-24:00 UTC`,
/// `daily 22:00-06:00 +02:00`. Days have three letters, with commas or a hyphen between them, or are `daily`. A window
/// whose end is earlier than its begin ends on the following day. A zone is `UTC`, an offset, or a name of the IANA
/// database, which is built in.
///
/// ```
/// use sikkerkey_emulator::{Policy, Window};
///
/// let office: Window = "mon-fri 08:00-18:00 Europe/Oslo".parse()?;
/// let policy = Policy::new().window(office);
/// # Ok::<(), sikkerkey_emulator::WindowError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Monday first.
    days: [bool; 7],
    /// Minutes of the day; the end is not part of the window.
    from: u16,
    to: u16,
    zone: TimeZone,
}

/// An error in the text of a [`Window`]; its message gives the reason.
///
/// ```
/// use sikkerkey_emulator::Window;
///
/// let error = "mon-fri".parse::<Window>().unwrap_err();
/// assert!(error.to_string().contains("it needs days, times and a zone"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a window like \"mon-fri 08:00-18:00 Europe/Oslo\": {reason}")]
pub struct WindowError {
    reason: &'static str,
}

impl Window {
    /// Whether the window is open at this time, in milliseconds since the Unix epoch.
    pub(crate) fn is_open(&self, now: i64) -> bool {
        let end = if now < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        };
        let now = Timestamp::from_millisecond(now).unwrap_or(end);
        let now = now.to_zoned(self.zone.clone());
        let minute = now.hour() as u16 * 60 + now.minute() as u16;
        let today = now.weekday().to_monday_zero_offset() as usize;
        let yesterday = (today + 6) % 7;
        if self.from < self.to {
            self.days[today] && (self.from..self.to).contains(&minute)
        } else {
            self.days[today] && minute >= self.from || self.days[yesterday] && minute < self.to
        }
    }
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let wrong = |reason| WindowError { reason };
        let [days, times, zone] = text.split_whitespace().collect::<Vec<_>>()[..] else {
            return Err(wrong(
                "it needs days, times and a zone, with spaces between them",
            ));
        };
        let times = times
            .split_once('-')
            .and_then(|(from, to)| Some((minutes(from)?, minutes(to)?)));
        let (from, to) = times.ok_or(wrong("the times are not two of HH:MM"))?;
        if from == to || from == DAY {
            return Err(wrong("the window is empty; a whole day is 00:00-24:00"));
        }
        Ok(Self {
            days: self::days(days).ok_or(wrong(
                "the days are not of mon, tue, wed, thu, fri, sat, sun",
            ))?,
            from,
            to,
            zone: self::zone(zone).ok_or(wrong(
                "the zone is not UTC, +HH:MM or a name of the IANA database",
            ))?,
        })
    }
}

fn days(text: &str) -> Option<[bool; 7]> {
    let mut days = [false; 7];
    if text == "daily" {
        return Some([true; 7]);
    }
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (weekday(first)?, weekday(last)?);
        loop {
            days[day.to_monday_zero_offset() as usize] = true;
            if day == last {
                break;
            }
            day = day.next();
        }
    }
    Some(days)
}

fn weekday(text: &str) -> Option<Weekday> {
    let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let at = names.iter().position(|name| *name == text)?;
    Weekday::from_monday_zero_offset(at as i8).ok()
}

fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= DAY).then_some(all)
}

fn zone(text: &str) -> Option<TimeZone> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ if text == "UTC" => return Some(TimeZone::UTC),
        _ => return TimeZone::get(text).ok(),
    };
    let seconds = i32::from(minutes(&text[1..])?) * 60;
    Some(TimeZone::fixed(Offset::from_seconds(sign * seconds).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn open(window: &str, at: &str) -> bool {
        let at: Timestamp = at.parse().unwrap();
        window
            .parse::<Window>()
            .unwrap()
            .is_open(at.as_millisecond())
    }

    #[test]
    fn a_window_is_open_on_its_days_between_its_times() {
        let office = "mon-fri 08:00-18:00 UTC";
        // 2 March 2026 is a Monday.
        for (at, expected) in [
            ("2026-03-02T07:59:59Z", false),
            ("2026-03-02T08:00:00Z", true),
            ("2026-03-06T17:59:59Z", true),
            ("2026-03-06T18:00:00Z", false),
            ("2026-03-07T12:00:00Z", false),
        ] {
            assert_eq!(open(office, at), expected, "{at}");
        }
        assert!(open("sat,sun 00:00-24:00 UTC", "2026-03-08T23:59:59Z"));
        assert!(open("fri-mon 00:00-24:00 UTC", "2026-03-08T12:00:00Z"));
        assert!(!open("fri-mon 00:00-24:00 UTC", "2026-03-04T12:00:00Z"));
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let night = "fri 22:00-06:00 UTC";
        for (at, expected) in [
            ("2026-03-06T05:00:00Z", false),
            ("2026-03-06T22:00:00Z", true),
            ("2026-03-07T05:59:00Z", true),
            ("2026-03-07T06:00:00Z", false),
            ("2026-03-07T22:00:00Z", false),
        ] {
            assert_eq!(open(night, at), expected, "{at}");
        }
    }

    #[test]
    fn a_zone_moves_the_window_with_its_summer_time() {
        for (window, at, expected) in [
            ("daily 08:00-09:00 +02:00", "2026-01-01T06:30:00Z", true),
            ("daily 08:00-09:00 -03:30", "2026-01-01T11:45:00Z", true),
            (
                "daily 08:00-09:00 Europe/Oslo",
                "2026-01-15T07:30:00Z",
                true,
            ),
            (
                "daily 08:00-09:00 Europe/Oslo",
                "2026-07-15T07:30:00Z",
                false,
            ),
            (
                "daily 08:00-09:00 Europe/Oslo",
                "2026-07-15T06:30:00Z",
                true,
            ),
        ] {
            assert_eq!(open(window, at), expected, "{window}");
        }
    }

    #[test]
    fn other_texts_are_no_windows() {
        for text in [
            "",
            "mon-fri",
            "mon 08:00-18:00",
            "monday 08:00-18:00 UTC",
            "mon 8:00-18:00 UTC",
            "mon 08:00-24:01 UTC",
            "mon 08:60-18:00 UTC",
            "mon 08:00-08:00 UTC",
            "mon 24:00-08:00 UTC",
            "mon 08:00-18:00 Nowhere/None",
            "mon 08:00-18:00 +2",
            "mon, 08:00-18:00 UTC",
        ] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
        let all = "daily 00:00-24:00 UTC".parse::<Window>().unwrap();
        assert!(all.is_open(i64::MAX) && all.is_open(i64::MIN) && all.is_open(0));
    }
}
