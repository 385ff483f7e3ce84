//! Keeps failed authentications few: the service locks a source address out after three of them.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Instant;

use crate::log::HeldEvents;
use crate::sync::{lock, wait_deadline};

/// How many requests may be under way while the service may refuse them all. A clock that is off,
/// or a machine that has expired, fails every request that is under way at that moment.
const UNCERTAIN: usize = 2;

/// Limits concurrent requests until the service has accepted the identity once, near the known end of its
/// life, and after a refusal if another identity can replace it. Remembers refusals.
#[derive(Debug)]
pub(crate) struct Lockout {
    /// Whether another identity replaces this one when it expires.
    replaceable: bool,
    accepted: AtomicBool,
    /// Whether the service itself has refused the identity.
    refused: AtomicBool,
    refusals: AtomicU32,
    under_way: Mutex<usize>,
    changed: Condvar,
}

/// A permit for one request; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    lockout: &'a Lockout,
    /// Set if the permit is counted, so that other requests may wait for it.
    counted: Option<HeldEvents>,
}

impl Lockout {
    pub(crate) fn new(replaceable: bool) -> Self {
        Lockout {
            replaceable,
            accepted: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            refusals: AtomicU32::new(0),
            under_way: Mutex::new(0),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn is_replaceable(&self) -> bool {
        self.replaceable
    }

    /// Records that the service accepted the identity.
    pub(crate) fn accept(&self) {
        if !self.accepted.swap(true, Ordering::AcqRel) {
            // A waiter may have checked just before; taking the lock makes sure that it is woken.
            drop(lock(&self.under_way));
            self.changed.notify_all();
        }
    }

    /// Whether the service has ever accepted the identity.
    pub(crate) fn was_accepted(&self) -> bool {
        self.accepted.load(Ordering::Acquire)
    }

    /// Records a 401, which a corrected clock did not help. `by_service` says whether it came with the
    /// service's own JSON. Any 401 fails the calls that are under way, because the service may have counted it;
    /// only its own says something about the identity.
    pub(crate) fn refuse(&self, by_service: bool) {
        self.refused.fetch_or(by_service, Ordering::AcqRel);
        self.refusals.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether the service refuses an identity that it accepted before: the machine has expired. An identity
    /// that was never accepted cannot have expired.
    pub(crate) fn has_ended(&self) -> bool {
        self.was_accepted() && self.refused.load(Ordering::Acquire)
    }

    /// How often the service refused the identity.
    pub(crate) fn refusals(&self) -> u32 {
        self.refusals.load(Ordering::Acquire)
    }

    /// Whether a request would fail because the identity was refused: since the call began, or, if another
    /// identity will replace it, at any time. `seen` is the number of refusals when the call began.
    pub(crate) fn is_locked_out(&self, seen: u32) -> bool {
        let refusals = self.refusals();
        refusals != seen || (self.replaceable && self.has_ended())
    }

    /// Whether requests are not limited: the identity was accepted, and is neither refused since nor `ending`.
    fn is_certain(&self, ending: bool) -> bool {
        self.was_accepted() && !ending && !(self.replaceable && self.has_ended())
    }

    /// Returns a permit if one is free. `ending` says whether the identity's life is nearly over.
    pub(crate) fn try_permit(&self, ending: bool) -> Option<Permit<'_>> {
        if self.is_certain(ending) {
            return Some(self.uncounted());
        }
        let mut under_way = lock(&self.under_way);
        (*under_way < UNCERTAIN).then(|| self.counted(&mut under_way))
    }

    /// Waits for a permit. Returns `None` once the deadline has passed.
    pub(crate) fn permit(&self, ending: bool, deadline: Instant) -> Option<Permit<'_>> {
        let mut under_way = lock(&self.under_way);
        loop {
            if self.is_certain(ending) {
                return Some(self.uncounted());
            }
            if *under_way < UNCERTAIN {
                return Some(self.counted(&mut under_way));
            }
            under_way = wait_deadline(&self.changed, under_way, deadline)?;
        }
    }

    fn uncounted(&self) -> Permit<'_> {
        Permit {
            lockout: self,
            counted: None,
        }
    }

    fn counted(&self, under_way: &mut usize) -> Permit<'_> {
        *under_way += 1;
        Permit {
            lockout: self,
            counted: Some(HeldEvents::new()),
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Some(held) = self.counted.take() {
            *lock(&self.lockout.under_way) -= 1;
            self.lockout.changed.notify_one();
            // Events are logged only now: a logger may need a permit.
            drop(held);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn two_requests_at_once_until_the_identity_was_accepted() {
        for replaceable in [false, true] {
            let lockout = Lockout::new(replaceable);
            let first = lockout.try_permit(false).unwrap();
            let second = lockout.try_permit(false).unwrap();
            assert!(lockout.try_permit(false).is_none());
            drop(first);
            let third = lockout.try_permit(false).unwrap();
            assert!(lockout.try_permit(false).is_none());
            assert!(lockout.permit(false, Instant::now()).is_none());
            lockout.accept();
            let many: Vec<_> = (0..20)
                .map(|_| lockout.try_permit(false).unwrap())
                .collect();
            drop((second, third, many));
            assert_eq!(*lock(&lockout.under_way), 0);
        }
    }

    #[test]
    fn two_requests_at_once_near_the_end_and_after_a_refusal() {
        let is_limited = |lockout: &Lockout, ending| {
            let permits = (lockout.try_permit(ending), lockout.try_permit(ending));
            assert!(permits.0.is_some() && permits.1.is_some());
            lockout.try_permit(ending).is_none()
        };
        let lockout = Lockout::new(true);
        lockout.accept();
        assert!(!is_limited(&lockout, false));
        assert!(is_limited(&lockout, true));
        lockout.refuse(true);
        assert!(is_limited(&lockout, false));

        // Without a replacement, a refusal is final for each call.
        let fixed = Lockout::new(false);
        fixed.accept();
        fixed.refuse(true);
        assert!(!is_limited(&fixed, false));
    }

    #[test]
    fn waiter_resumes_when_permit_is_released_or_the_identity_accepted() {
        let lockout = Lockout::new(false);
        let far = Instant::now() + Duration::from_secs(600);
        let permits = (lockout.try_permit(false), lockout.try_permit(false));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| lockout.permit(false, far).is_some());
            drop(permits.0);
            assert!(waiting.join().unwrap());
            let permit = lockout.permit(false, far);
            let waiting = scope.spawn(|| lockout.permit(false, far).is_some());
            lockout.accept();
            assert!(waiting.join().unwrap());
            drop(permit);
        });
    }

    /// Whether the waiter is asleep when the identity is accepted is up to the scheduler, so many rounds try it.
    #[test]
    fn the_first_acceptance_wakes_every_waiter() {
        for pause in 0..200 {
            let lockout = Lockout::new(false);
            let far = Instant::now() + Duration::from_secs(600);
            let _permits = (lockout.try_permit(false), lockout.try_permit(false));
            let begun = std::sync::Barrier::new(3);
            std::thread::scope(|scope| {
                let wait = || {
                    begun.wait();
                    lockout.permit(false, far).is_some()
                };
                let waiting = [scope.spawn(wait), scope.spawn(wait)];
                begun.wait();
                for _ in 0..pause {
                    std::thread::yield_now();
                }
                lockout.accept();
                for waiter in waiting {
                    assert!(waiter.join().unwrap());
                }
            });
        }
    }

    #[test]
    fn a_401_of_a_proxy_fails_the_calls_under_way_and_no_later_one() {
        let lockout = Lockout::new(true);
        lockout.accept();
        let seen = lockout.refusals();
        lockout.refuse(false);
        assert!(lockout.is_locked_out(seen));
        assert!(!lockout.is_locked_out(lockout.refusals()));
        assert!(!lockout.has_ended() && lockout.is_certain(false));
        lockout.refuse(true);
        assert!(lockout.has_ended() && lockout.is_locked_out(lockout.refusals()));
    }

    #[test]
    fn a_refusal_locks_out_calls_that_had_begun_and_all_of_an_expired_identity() {
        let fixed = Lockout::new(false);
        let seen = fixed.refusals();
        assert!(!fixed.is_locked_out(seen));
        fixed.refuse(true);
        assert!(fixed.is_locked_out(seen));
        assert!(
            !fixed.is_locked_out(fixed.refusals()),
            "a later call may try"
        );

        let replaceable = Lockout::new(true);
        replaceable.refuse(true);
        assert!(
            !replaceable.is_locked_out(replaceable.refusals()),
            "it was never accepted"
        );
        replaceable.accept();
        assert!(
            replaceable.is_locked_out(replaceable.refusals()),
            "it is to be replaced"
        );
    }
}
