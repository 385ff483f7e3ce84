//! Correction of a wrong clock by the service's `Date`.
//!
//! The service refuses a timestamp that is more than five minutes from its own clock, with the same 401 as a
//! wrong key. Its `Date` header distinguishes the two. The correction is always measured against this
//! machine's own clock, never against a corrected one, so it cannot accumulate; it is dropped once that clock
//! is right again.

use std::sync::atomic::{AtomicI64, Ordering};

/// The largest difference, in seconds, of clocks that agree.
const AGREED: i64 = 60;

/// Dates outside 2020 to 2100 come from a server whose own clock is off.
const SANE: std::ops::Range<i64> = 1_577_836_800..4_102_444_800;

/// The largest correction into the future, in seconds, that is made on the word of a `Date` alone.
const DAY: i64 = 24 * 60 * 60;

/// A clock that is before this (2026-11-01) is wrong for certain, because this version did not exist then.
const RELEASED: i64 = 1_793_491_200;

/// The seconds to be added to this machine's clock; zero while it is right.
#[derive(Debug)]
pub(crate) struct Skew {
    correction: AtomicI64,
    enabled: bool,
}

/// The conclusion from a 401 about the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockJudgment {
    /// The timestamp was off. Signing with this correction is worth one more attempt.
    Retry { correction: i64 },
    /// The timestamp was right, or nothing is known. `ahead` is how many seconds this machine's clock is
    /// ahead of the service's, if that is more than clocks usually differ.
    Final { ahead: Option<i64> },
}

impl Default for Skew {
    fn default() -> Self {
        Skew::new(true)
    }
}

impl Skew {
    /// Starts without a correction; `enabled` says whether the clock is ever corrected.
    pub(crate) fn new(enabled: bool) -> Self {
        Skew {
            correction: AtomicI64::new(0),
            enabled,
        }
    }

    /// Does [`judge`], but without a correction if corrections are off.
    pub(crate) fn judge(&self, signed: i64, own: i64, date: Option<i64>) -> ClockJudgment {
        match judge(signed, own, date) {
            ClockJudgment::Retry { correction } if !self.enabled => ClockJudgment::Final {
                ahead: Some(-correction),
            },
            judgment => judgment,
        }
    }

    pub(crate) fn correction(&self) -> i64 {
        self.correction.load(Ordering::Relaxed)
    }

    /// Keeps a correction that has helped; zero drops it. Returns whether it is new.
    pub(crate) fn keep(&self, correction: i64) -> bool {
        let old = self.correction.swap(correction, Ordering::Relaxed);
        old.abs_diff(correction) > AGREED.unsigned_abs()
    }

    /// After a response other than 401: drops or renews a correction that no longer fits the clock.
    pub(crate) fn review(&self, own: i64, date: Option<i64>) {
        let correction = self.correction();
        let Some(date) = date.filter(|date| SANE.contains(date)) else {
            return;
        };
        let needed = date - own;
        if correction != 0 && (needed - correction).abs() > AGREED {
            let off = needed.abs() > AGREED && is_plausible(needed, own);
            self.keep(if off { needed } else { 0 });
        }
    }
}

/// Judges a 401 to a request that was signed at `signed`, while this machine's clock said `own`.
pub(crate) fn judge(signed: i64, own: i64, date: Option<i64>) -> ClockJudgment {
    let Some(date) = date.filter(|date| SANE.contains(date)) else {
        return ClockJudgment::Final { ahead: None };
    };
    let needed = date - own;
    let off = needed.abs() > AGREED;
    if off && !is_plausible(needed, own) {
        return ClockJudgment::Final {
            ahead: Some(-needed),
        };
    }
    if (date - signed).abs() > AGREED {
        return ClockJudgment::Retry {
            correction: if off { needed } else { 0 },
        };
    }
    ClockJudgment::Final {
        ahead: off.then_some(-needed),
    }
}

/// Whether a correction may be made. A large one into the future needs a clock that is wrong for certain;
/// otherwise a wrong `Date` could collect signatures for a later time.
fn is_plausible(correction: i64, own: i64) -> bool {
    correction <= DAY || own < RELEASED
}

/// Says how far off the clock is, as part of a sentence.
pub(crate) fn describe(ahead: i64) -> String {
    let direction = if ahead > 0 { "ahead of" } else { "behind" };
    format!(
        "this machine's clock is {} s {direction} the service's",
        ahead.abs()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    #[test]
    fn a_timestamp_that_was_off_is_worth_one_attempt() {
        let judged = |own, date| judge(own, own, Some(date));
        for near in [0, 1, 60, -60] {
            assert_eq!(
                judged(NOW + near, NOW),
                ClockJudgment::Final { ahead: None }
            );
        }
        for far in [61, -61, 7200, -7200, NOW - 1] {
            assert_eq!(
                judged(NOW + far, NOW),
                ClockJudgment::Retry { correction: -far }
            );
        }
        // A board without a battery starts in 1970.
        assert_eq!(judged(0, NOW), ClockJudgment::Retry { correction: NOW });
    }

    #[test]
    fn a_corrected_timestamp_that_was_good_is_final_and_says_so() {
        assert_eq!(
            judge(NOW, NOW + 500, Some(NOW)),
            ClockJudgment::Final { ahead: Some(500) }
        );
        assert_eq!(
            judge(NOW, NOW - 500, Some(NOW)),
            ClockJudgment::Final { ahead: Some(-500) }
        );
        assert_eq!(
            describe(500),
            "this machine's clock is 500 s ahead of the service's"
        );
        assert_eq!(
            describe(-500),
            "this machine's clock is 500 s behind the service's"
        );
    }

    #[test]
    fn a_correction_that_is_no_longer_needed_is_taken_back() {
        // The clock was put right while a correction of -500 was in use.
        assert_eq!(
            judge(NOW - 500, NOW, Some(NOW)),
            ClockJudgment::Retry { correction: 0 }
        );
    }

    #[test]
    fn a_correction_is_news_where_clocks_do_not_agree() {
        let skew = Skew::default();
        assert!(!skew.keep(60));
        assert!(!skew.keep(120));
        assert!(skew.keep(181));
        assert!(skew.keep(0));
        assert!(!skew.keep(-60));
    }

    #[test]
    fn far_into_the_future_only_from_a_clock_that_is_wrong_for_certain() {
        let year_2099 = 4_070_908_800;
        let refused = |ahead| ClockJudgment::Final { ahead: Some(ahead) };
        let date = NOW + DAY;
        assert_eq!(
            judge(NOW, NOW, Some(date)),
            ClockJudgment::Retry { correction: DAY }
        );
        assert_eq!(judge(NOW, NOW, Some(date + 1)), refused(-DAY - 1));
        assert_eq!(judge(NOW, NOW, Some(year_2099)), refused(NOW - year_2099));
        assert_eq!(
            judge(RELEASED, RELEASED, Some(NOW)),
            refused(RELEASED - NOW)
        );
        let unset = RELEASED - 1;
        assert_eq!(
            judge(unset, unset, Some(NOW)),
            ClockJudgment::Retry {
                correction: NOW - unset
            }
        );
        // Into the past, a signature is for a time that is over.
        assert_eq!(
            judge(NOW, NOW, Some(NOW - 9 * DAY)),
            ClockJudgment::Retry {
                correction: -9 * DAY
            }
        );
        let skew = Skew::default();
        skew.keep(500);
        skew.review(NOW, Some(year_2099));
        assert_eq!(skew.correction(), 0);
    }

    #[test]
    fn without_corrections_a_clock_that_is_off_is_only_told() {
        let judged = |enabled| Skew::new(enabled).judge(NOW + 500, NOW + 500, Some(NOW));
        assert_eq!(judged(false), ClockJudgment::Final { ahead: Some(500) });
        assert_eq!(judged(true), ClockJudgment::Retry { correction: -500 });
    }

    #[test]
    fn absurd_and_missing_dates_say_nothing() {
        for date in [
            None,
            Some(0),
            Some(1_500_000_000),
            Some(5_000_000_000),
            Some(i64::MAX),
        ] {
            assert_eq!(judge(NOW, NOW, date), ClockJudgment::Final { ahead: None });
        }
    }

    #[test]
    fn good_answers_review_the_correction() {
        let skew = Skew::default();
        skew.review(NOW, Some(NOW + 500));
        assert_eq!(
            skew.correction(),
            0,
            "nothing was wrong with these timestamps"
        );
        assert!(skew.keep(500));
        assert!(!skew.keep(501));
        skew.review(NOW, Some(NOW + 510));
        assert_eq!(skew.correction(), 501);
        skew.review(NOW, None);
        skew.review(NOW, Some(0));
        assert_eq!(skew.correction(), 501);
        skew.review(NOW, Some(NOW + 900));
        assert_eq!(skew.correction(), 900);
        skew.review(NOW, Some(NOW + 3));
        assert_eq!(skew.correction(), 0);

        // Clocks agree up to a minute, with and without a correction.
        for (needed, kept) in [(560, 500), (440, 500), (561, 561), (60, 0), (61, 61)] {
            skew.keep(500);
            skew.review(NOW, Some(NOW + needed));
            assert_eq!(skew.correction(), kept, "{needed}");
        }
    }
}
