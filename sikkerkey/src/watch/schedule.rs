//! When to poll. Pure arithmetic, with time and randomness as arguments.
//!
//! Time is a [`Duration`] since any fixed moment; randomness is a number in `0.0..1.0`.

use std::time::Duration;

use crate::clock::FAR_FUTURE;

/// The default poll interval of a client.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(15);
/// The shortest interval that the service accepts.
pub const SERVICE_FLOOR: Duration = Duration::from_secs(10);

/// The shortest interval on loopback: zero would be a busy loop.
const SHORTEST: Duration = Duration::from_millis(1);
/// The service locks an address out after three failed authentications, so the second attempt
/// already waits for several intervals, and the fourth for minutes.
const UNAUTHORIZED_FACTOR: u32 = 4;
const UNAUTHORIZED_CAP: Duration = Duration::from_secs(600);
/// The longest `Retry-After` that is obeyed: a longer one would mean not watching at all.
const RETRY_AFTER_CAP: Duration = Duration::from_secs(900);

/// How a poll ended, as far as it affects the time of the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "hidden: only this workspace's tests see it"
)]
pub enum PollOutcome {
    /// The service responded with success.
    Answered,
    /// It failed without a hint about when to try again.
    Failed,
    /// 401: this machine is unknown or expired, and every further attempt counts against its address.
    Unauthorized,
    /// 429 or 503 with a `Retry-After`.
    RetryAfter(Duration),
}

/// Raises an interval to the floor, and limits it so that calculations with it cannot overflow.
fn within_bounds(interval: Duration, floor: Duration) -> Duration {
    interval.max(floor).clamp(SHORTEST, FAR_FUTURE)
}

/// The schedule of polls: when the next one is due.
#[derive(Clone, Debug)]
pub struct PollSchedule {
    interval: Duration,
    /// The shortest time between two polls: none on loopback.
    floor: Duration,
    /// The number of 401s since the last success.
    unauthorized: u32,
    last: Option<Duration>,
    /// No poll is made before this time, even if one is requested.
    hold: Duration,
    due: Duration,
}

impl PollSchedule {
    /// Makes a schedule whose first poll is due at once. On loopback any interval is allowed; otherwise an
    /// interval below the service's 10 s is raised to it.
    pub fn new(interval: Duration, loopback: bool) -> Self {
        let floor = if loopback {
            Duration::ZERO
        } else {
            SERVICE_FLOOR
        };
        PollSchedule {
            interval: within_bounds(interval, floor),
            floor,
            unauthorized: 0,
            last: None,
            hold: Duration::ZERO,
            due: Duration::ZERO,
        }
    }

    /// Returns the time of the next poll.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// Returns the interval without jitter, raised to the service's minimum.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Changes the interval. It counts from the last poll, so it has effect at once.
    pub fn set_interval(&mut self, interval: Duration, now: Duration) {
        self.interval = within_bounds(interval, self.floor);
        let due = self.last.map_or(now, |last| last + self.interval);
        self.due = due.max(self.hold);
    }

    /// Makes the next poll due as soon as the service allows it.
    pub fn hurry(&mut self, now: Duration) {
        self.due = self.due.min(now.max(self.hold));
    }

    /// Records that a poll has ended at `now`. The next one counts from this end, so two polls never arrive
    /// closer together than the floor, even if the first took long.
    pub fn polled(&mut self, now: Duration, outcome: PollOutcome, random: f64) {
        self.last = Some(now);
        self.hold = now + self.floor;
        match outcome {
            PollOutcome::Answered => self.unauthorized = 0,
            PollOutcome::Failed => {}
            PollOutcome::RetryAfter(wait) => {
                self.hold = self.hold.max(now + wait.min(RETRY_AFTER_CAP));
            }
            PollOutcome::Unauthorized => self.unauthorized = self.unauthorized.saturating_add(1),
        }
        if self.unauthorized > 0 {
            self.hold = self
                .hold
                .max(now + jittered(self.unauthorized_delay(), random));
        }
        self.due = self.hold.max(now + jittered(self.interval, random));
    }

    /// Returns the delay after a 401. It applies until a poll succeeds, because a locked-out address may get
    /// another status than 401.
    fn unauthorized_delay(&self) -> Duration {
        let factor = UNAUTHORIZED_FACTOR.saturating_pow(self.unauthorized);
        let cap = UNAUTHORIZED_CAP.max(self.interval);
        self.interval.saturating_mul(factor).min(cap)
    }
}

/// Returns the interval changed by up to 20 %, so that clients that were started together spread out.
pub fn jittered(interval: Duration, random: f64) -> Duration {
    share(interval, 0.8 + 0.4 * random)
}

/// Returns a fraction of an interval, which is a year at most.
pub(super) fn share(interval: Duration, factor: f64) -> Duration {
    interval.min(FAR_FUTURE).mul_f64(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn no_interval_is_too_long_to_calculate_with() {
        for loopback in [false, true] {
            let mut schedule = PollSchedule::new(Duration::MAX, loopback);
            assert_eq!(schedule.interval(), FAR_FUTURE);
            schedule.polled(s(1), PollOutcome::Answered, 0.999);
            assert!(schedule.due() > s(1));
            schedule.set_interval(Duration::MAX, s(2));
            assert_eq!(schedule.interval(), FAR_FUTURE);
        }
    }

    #[test]
    fn the_first_poll_is_at_once_and_the_others_within_a_fifth_of_the_interval() {
        let mut schedule = PollSchedule::new(DEFAULT_INTERVAL, false);
        assert_eq!(schedule.due(), s(0));
        for (random, due) in [(0.0, 112), (0.5, 115), (0.999_999, 118)] {
            schedule.polled(s(100), PollOutcome::Answered, random);
            assert_eq!(schedule.due().as_secs_f64().round() as u64, due);
        }
    }

    #[test]
    fn an_interval_is_a_year_at_most() {
        const DAY: u64 = 24 * 3600;
        let mut schedule = PollSchedule::new(DEFAULT_INTERVAL, true);
        for (wanted, kept) in [
            (s(300 * DAY), 300),
            (s(366 * DAY), 365),
            (Duration::MAX, 365),
        ] {
            schedule.set_interval(wanted, s(0));
            assert_eq!(schedule.interval(), s(kept * DAY));
        }
    }

    #[test]
    fn no_jitter_and_no_hurry_goes_below_what_the_service_allows() {
        let mut schedule = PollSchedule::new(s(1), false);
        assert_eq!(schedule.interval(), s(10));
        schedule.polled(s(100), PollOutcome::Answered, 0.0);
        assert_eq!(schedule.due(), s(110));
        schedule.hurry(s(101));
        assert_eq!(schedule.due(), s(110));

        let mut slow = PollSchedule::new(s(60), false);
        slow.polled(s(100), PollOutcome::Answered, 0.5);
        slow.hurry(s(101));
        assert_eq!(slow.due(), s(110));
        slow.hurry(s(130));
        assert_eq!(slow.due(), s(110), "a wish never makes a poll later");
    }

    #[test]
    fn on_loopback_any_interval_goes() {
        let mut schedule = PollSchedule::new(Duration::from_millis(5), true);
        schedule.polled(s(1), PollOutcome::Answered, 0.5);
        assert_eq!(schedule.due(), Duration::from_millis(1005));
        assert_eq!(PollSchedule::new(s(0), true).interval(), SHORTEST);
    }

    #[test]
    fn a_new_interval_counts_from_the_last_poll() {
        let mut schedule = PollSchedule::new(s(600), false);
        schedule.set_interval(s(700), s(3));
        assert_eq!(schedule.due(), s(3), "no poll yet: at once");
        schedule.polled(s(100), PollOutcome::Answered, 0.5);
        schedule.set_interval(s(20), s(400));
        assert_eq!(schedule.due(), s(120), "overdue: at once");
        schedule.set_interval(s(2), s(105));
        assert_eq!(schedule.due(), s(110));
    }

    #[test]
    fn repeated_401s_back_off_to_minutes_and_nothing_hurries_them() {
        let mut schedule = PollSchedule::new(DEFAULT_INTERVAL, false);
        for delay in [60, 240, 600, 600, 600] {
            schedule.polled(s(1000), PollOutcome::Unauthorized, 0.5);
            schedule.hurry(s(1001));
            schedule.set_interval(s(15), s(1001));
            assert_eq!(schedule.due(), s(1000 + delay));
        }
        for _ in 0..100 {
            schedule.polled(s(1000), PollOutcome::Unauthorized, 0.999);
            assert!(schedule.due() <= s(1000 + 720));
        }
        schedule.polled(s(1000), PollOutcome::Failed, 0.5);
        assert_eq!(
            schedule.due(),
            s(1600),
            "a failure of another kind is no answer"
        );
        schedule.polled(s(1000), PollOutcome::Answered, 0.5);
        assert_eq!(schedule.due(), s(1015));
        schedule.polled(s(1000), PollOutcome::Unauthorized, 0.5);
        assert_eq!(schedule.due(), s(1060), "an answer ends the series");
    }

    #[test]
    fn a_time_to_wait_is_waited_for() {
        let mut schedule = PollSchedule::new(DEFAULT_INTERVAL, false);
        schedule.polled(s(100), PollOutcome::RetryAfter(s(30)), 0.5);
        schedule.hurry(s(101));
        assert_eq!(schedule.due(), s(130));
        schedule.polled(s(100), PollOutcome::RetryAfter(s(1)), 0.5);
        assert_eq!(schedule.due(), s(115), "never earlier than the interval");
        schedule.polled(s(100), PollOutcome::RetryAfter(s(1_000_000)), 0.5);
        assert_eq!(schedule.due(), s(1000));
    }
}
