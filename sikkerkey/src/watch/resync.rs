//! When a secret is read again although the service reported no change. Pure arithmetic.

use std::time::Duration;

use super::schedule::share;
use super::state::Time;
use crate::resync::Resync;

/// The first gap of [`Resync::Adaptive`], and its gap while another process consumes reports.
pub(crate) const FIRST_GAP: Duration = Duration::from_secs(300);
/// The longest gap of [`Resync::Adaptive`].
pub const LONGEST_GAP: Duration = Duration::from_secs(3600);
/// How long one swallowed change (whose report another process consumed) keeps the gaps short.
const ALERT: Duration = Duration::from_secs(24 * 3600);

/// Returns the delay to the next resync: a little shorter than the interval, so that clients spread out, and
/// never longer.
fn resync_delay(interval: Duration, random: f64) -> Duration {
    share(interval, 0.9 + 0.1 * random)
}

/// The time over which resyncs after a lost poll are spread. An outage with timeouts looks like a lost poll,
/// and at its end all clients of a fleet read.
const DOUBT: Duration = Duration::from_secs(900);

/// Swallowed changes that are found within this time are one sighting, because the first one causes the
/// search for others.
const ONE_SIGHTING: Duration = Duration::from_secs(60);

/// The schedule of one secret's resyncs.
#[derive(Debug)]
pub struct ResyncSchedule {
    wanted: Resync,
    /// The current gap of [`Resync::Adaptive`].
    gap: Duration,
    due: Option<Time>,
}

impl ResyncSchedule {
    /// Makes a schedule that starts now.
    pub fn new(wanted: Resync, now: Time, random: f64) -> Self {
        let mut schedule = ResyncSchedule {
            wanted,
            gap: FIRST_GAP,
            due: None,
        };
        schedule.restart(now, random);
        schedule
    }

    /// Whether a resync is due at `now`: the next chance, after `ahead`, would be too late.
    pub fn is_due(&self, now: Time, ahead: Duration) -> bool {
        self.due.is_some_and(|due| due <= now.saturating_add(ahead))
    }

    /// Changes the setting. The time since the last read still counts.
    pub fn set(&mut self, wanted: Resync, now: Time, random: f64) {
        if self.wanted != wanted {
            self.wanted = wanted;
            let due = self.due;
            self.restart(now, random);
            // A party that joins or leaves never delays a resync.
            if let (Some(new), Some(old)) = (&mut self.due, due) {
                *new = (*new).min(old);
            }
        }
    }

    /// Records that the secret was read, for any reason: the gap starts again.
    pub fn restart(&mut self, now: Time, random: f64) {
        let interval = match self.wanted {
            Resync::Adaptive => Some(self.gap),
            Resync::Every(interval) => Some(interval),
            Resync::Never => None,
        };
        self.due = interval.map(|interval| now.saturating_add(resync_delay(interval, random)));
    }

    /// Records that a resync found the known value: the next gap is longer.
    pub fn confirmed(&mut self, now: Time, random: f64, longest: Duration) {
        self.gap = (self.gap * 2).min(longest);
        self.restart(now, random);
    }

    /// Records a swallowed change: gaps are short again, and a secret that was not just read is read at the
    /// next chance.
    pub fn alert(&mut self, now: Time, random: f64, was_read: bool) {
        self.gap = FIRST_GAP;
        if self.wanted == Resync::Adaptive {
            self.restart(now, random);
            self.due = self.due.filter(|_| was_read).or(Some(now));
        }
    }

    /// Records that a report may have been lost: an adaptive resync follows soon.
    pub fn doubt(&mut self, now: Time, random: f64) {
        self.gap = FIRST_GAP;
        if self.wanted == Resync::Adaptive {
            let soon = now.saturating_add(share(DOUBT, random));
            self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
        }
    }

    /// Delays a resync that is overdue after an outage: if all clients of a fleet caught up at once, they
    /// would cause the next outage. The delay must not let a lease end.
    pub fn postpone(&mut self, now: Time, random: f64) {
        let spread = match self.wanted {
            Resync::Every(interval) => interval.min(FIRST_GAP),
            Resync::Adaptive | Resync::Never => self.gap,
        };
        if let Some(due) = &mut self.due
            && *due <= now
        {
            *due = now.saturating_add(share(spread, random));
        }
    }
}

/// Returns the more frequent of two settings.
pub(crate) fn more_frequent(a: Resync, b: Resync) -> Resync {
    let gap = |resync: Resync| match resync {
        Resync::Adaptive => LONGEST_GAP,
        Resync::Every(interval) => interval,
        Resync::Never => Duration::MAX,
    };
    match gap(b) < gap(a) {
        true => b,
        false => a,
    }
}

/// Tracks whether another process with the same identity consumes reports of changes: the service reports
/// each change once to a machine.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    sightings: u32,
    last: Time,
}

/// The meaning of one more swallowed change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sighting {
    /// It may have been a coincidence: gaps are short for a day.
    First,
    /// Another process shares the identity: gaps are short for good.
    Second,
    /// This was known already.
    Known,
}

impl Sharing {
    pub(crate) fn sighted(&mut self, now: Time) -> Sighting {
        if self.sightings == 1 && now.saturating_sub(self.last) < ONE_SIGHTING {
            return Sighting::Known;
        }
        self.sightings = self.sightings.saturating_add(1);
        self.last = now;
        match self.sightings {
            1 => Sighting::First,
            2 => Sighting::Second,
            _ => Sighting::Known,
        }
    }

    pub(crate) fn is_certain(&self) -> bool {
        self.sightings >= 2
    }

    /// Returns the longest gap at this time.
    pub(crate) fn longest_gap(&self, now: Time) -> Duration {
        let alert = self.sightings == 1 && now.saturating_sub(self.last) < ALERT;
        match alert || self.is_certain() {
            true => FIRST_GAP,
            false => LONGEST_GAP,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Returns the times, in seconds, of the resyncs of a secret that is polled every 15 s.
    fn reads(wanted: Resync, random: f64, until: u64) -> Vec<u64> {
        let sharing = Sharing::default();
        let mut schedule = ResyncSchedule::new(wanted, s(0), random);
        let mut reads = Vec::new();
        for now in (15..=until).step_by(15) {
            if schedule.is_due(s(now), s(15)) {
                reads.push(now);
                schedule.confirmed(s(now), random, sharing.longest_gap(s(now)));
            }
        }
        reads
    }

    #[test]
    fn a_quiet_day_has_28_rereads() {
        let day = 86_400;
        for (random, count) in [(0.0, 29), (0.5, 28), (0.999, 26)] {
            assert_eq!(reads(Resync::Adaptive, random, day).len(), count);
        }
        let first = reads(Resync::Adaptive, 1.0, 20_000);
        assert_eq!(first[..6], [285, 870, 2055, 4440, 8025, 11_610]);
        assert_eq!(reads(Resync::Never, 0.5, 365 * day).len(), 0);
    }

    #[test]
    fn an_interval_is_never_exceeded() {
        for random in [0.0, 0.3, 0.999] {
            let times = reads(Resync::Every(s(2400)), random, 86_400);
            let mut before = 0;
            for time in times {
                assert!((2130..=2400).contains(&(time - before)), "{time} {before}");
                before = time;
            }
        }
        assert_eq!(reads(Resync::Every(s(1)), 0.5, 60), [15, 30, 45, 60]);
    }

    #[test]
    fn one_swallowed_change_means_short_gaps_for_a_day_and_a_second_one_for_good() {
        let mut sharing = Sharing::default();
        assert_eq!(sharing.longest_gap(s(5)), LONGEST_GAP);
        assert_eq!(sharing.sighted(s(1000)), Sighting::First);
        assert_eq!(
            sharing.sighted(s(1015)),
            Sighting::Known,
            "found because of it"
        );
        assert_eq!(sharing.longest_gap(s(1000)), FIRST_GAP);
        assert_eq!(sharing.longest_gap(s(87_399)), FIRST_GAP);
        assert_eq!(sharing.longest_gap(s(87_400)), LONGEST_GAP);
        assert!(!sharing.is_certain());
        assert_eq!(sharing.sighted(s(900_000)), Sighting::Second);
        assert!(sharing.is_certain());
        assert_eq!(sharing.longest_gap(s(9_000_000)), FIRST_GAP);
        assert_eq!(sharing.sighted(s(900_001)), Sighting::Known);

        let mut sharing = Sharing::default();
        sharing.sighted(s(1000));
        assert_eq!(sharing.sighted(s(1059)), Sighting::Known);
        assert_eq!(sharing.sighted(s(1060)), Sighting::Second);
    }

    #[test]
    fn a_swallowed_change_brings_the_next_reread_of_adaptive_secrets_alone() {
        for (wanted, due) in [
            (Resync::Adaptive, true),
            (Resync::Every(s(2400)), false),
            (Resync::Never, false),
        ] {
            let mut schedule = ResyncSchedule::new(wanted, s(0), 0.5);
            schedule.alert(s(10), 0.5, false);
            assert_eq!(schedule.is_due(s(10), s(0)), due, "{wanted}");
            let mut schedule = ResyncSchedule::new(wanted, s(0), 0.5);
            schedule.doubt(s(10), 0.1);
            assert_eq!(schedule.is_due(s(100), s(0)), due, "{wanted}");
        }
    }

    #[test]
    fn overdue_resyncs_are_spread_after_an_outage_and_those_of_a_lease_over_five_minutes_at_most() {
        for (wanted, random, due) in [
            (Resync::Adaptive, 0.5, 150),
            (Resync::Every(s(60)), 0.5, 30),
            (Resync::Every(s(7200)), 0.999, 300),
        ] {
            let mut schedule = ResyncSchedule::new(wanted, s(0), 0.0);
            schedule.postpone(s(50_000), random);
            assert!(!schedule.is_due(s(50_000 + due - 2), s(0)), "{wanted}");
            assert!(schedule.is_due(s(50_000 + due), s(0)), "{wanted}");
        }
    }

    #[test]
    fn a_wish_that_joins_makes_a_reread_sooner_or_leaves_it() {
        let mut schedule = ResyncSchedule::new(Resync::Adaptive, s(0), 1.0);
        schedule.set(Resync::Every(s(3000)), s(200), 1.0);
        assert!(schedule.is_due(s(300), s(0)));
        schedule.restart(s(300), 1.0);
        schedule.set(Resync::Every(s(100)), s(310), 1.0);
        assert!(schedule.is_due(s(410), s(0)) && !schedule.is_due(s(409), s(0)));
        schedule.set(Resync::Never, s(320), 1.0);
        assert!(!schedule.is_due(s(99_999), s(0)));
    }

    #[test]
    fn the_more_frequent_wish_wins() {
        let every = |seconds| Resync::Every(s(seconds));
        for (a, b, wins) in [
            (Resync::Never, Resync::Adaptive, Resync::Adaptive),
            (Resync::Adaptive, every(7200), Resync::Adaptive),
            (Resync::Adaptive, every(600), every(600)),
            (every(600), every(300), every(300)),
            (every(600), Resync::Never, every(600)),
        ] {
            assert_eq!(more_frequent(a, b), wins);
            assert_eq!(more_frequent(b, a), wins);
        }
    }
}
