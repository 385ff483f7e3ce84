//! Handling of a final 401: calls fail at once with the same error, and one call at a time tries again, with
//! growing gaps. The service locks a source address out after three failures.

use std::sync::Mutex;
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::sync::lock;

const FIRST_GAP: Duration = Duration::from_secs(10);
const LONGEST_GAP: Duration = Duration::from_secs(600);

/// The refusals of one identity.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Option<Refusal>>);

#[derive(Debug)]
struct Refusal {
    error: Error,
    gap: Duration,
    /// Until when calls fail at once, by the monotonic clock.
    until: Duration,
    trying: bool,
}

/// Permission to make a call.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    refusals: &'a Refusals,
    /// Whether this call is the one that tries again after a refusal.
    trial: bool,
}

impl Refusals {
    /// Permits a call, or fails it with the error of the last refusal. A call whose own schedule limits it
    /// (`paced`) is always permitted.
    pub(crate) fn turn(&self, now: Duration, paced: bool) -> Result<Turn<'_>, Error> {
        let mut refusal = lock(&self.0);
        let trial = match &mut *refusal {
            None => false,
            Some(_) if paced => false,
            Some(refusal) if refusal.trying || now < refusal.until => {
                return Err(refusal.error.clone());
            }
            Some(refusal) => {
                refusal.trying = true;
                true
            }
        };
        Ok(Turn {
            refusals: self,
            trial,
        })
    }
}

impl Turn<'_> {
    /// Records how the call ended, at the time `now`.
    pub(crate) fn ended(&self, error: Option<&Error>, now: Duration) {
        let mut refusal = lock(&self.refusals.0);
        match error {
            // Not if the call only received the error of another call's refusal.
            Some(error) if error.http_status() == Some(401) => {
                let gap = match &*refusal {
                    None => FIRST_GAP,
                    Some(last) if self.trial => (last.gap * 4).min(LONGEST_GAP),
                    // It was sent before another call was refused.
                    Some(_) => return,
                };
                *refusal = Some(Refusal {
                    error: error.clone(),
                    gap,
                    until: now.saturating_add(gap),
                    trying: false,
                });
            }
            // An outage or a proxy's page says nothing about the machine.
            Some(error) if error.verdict().is_none() && error.kind() != ErrorKind::Conflict => {}
            _ => *refusal = None,
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.trial
            && let Some(refusal) = &mut *lock(&self.refusals.0)
        {
            refusal.trying = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn refused() -> Error {
        Error::new(ErrorKind::Authentication, "who are you").with_status(401)
    }

    #[test]
    fn gaps_grow_from_ten_seconds_to_ten_minutes() {
        let refusals = Refusals::default();
        let mut now = S(0);
        for gap in [10, 40, 160, 600, 600] {
            refusals
                .turn(now, false)
                .unwrap()
                .ended(Some(&refused()), now);
            now += S(gap) - Duration::from_millis(1);
            let error = refusals.turn(now, false).unwrap_err();
            assert_eq!(error.to_string(), "who are you");
            now += Duration::from_millis(1);
        }
        refusals.turn(now, false).unwrap().ended(None, now);
        refusals
            .turn(now, false)
            .unwrap()
            .ended(Some(&refused()), now);
        refusals.turn(now + S(10), false).unwrap();
    }

    #[test]
    fn one_call_at_a_time_tries_again() {
        let refusals = Refusals::default();
        let under_way = refusals.turn(S(0), false).unwrap();
        refusals
            .turn(S(0), false)
            .unwrap()
            .ended(Some(&refused()), S(0));
        under_way.ended(Some(&refused()), S(1));
        drop(under_way);

        let trial = refusals.turn(S(10), false).unwrap();
        refusals.turn(S(10), false).unwrap_err();
        // An outage says nothing about the machine.
        trial.ended(Some(&Error::new(ErrorKind::Network, "x")), S(11));
        refusals.turn(S(11), false).unwrap_err();
        drop(trial);
        let trial = refusals.turn(S(11), false).unwrap();
        let unavailable = Error::new(ErrorKind::Unavailable, "x").with_status(503);
        trial.ended(Some(&unavailable), S(11));
        drop(trial);
        let trial = refusals.turn(S(11), false).unwrap();
        let page = Error::from(ErrorKind::AccessDenied).with_status(403);
        trial.ended(Some(&page.unconfirmed()), S(11));
        let denied = Error::new(ErrorKind::AccessDenied, "x").with_status(403);
        trial.ended(Some(&denied), S(11));
        drop(trial);
        let many: Vec<_> = (0..9)
            .map(|_| refusals.turn(S(11), false).unwrap())
            .collect();
        assert_eq!(many.len(), 9);
    }
}
