//! One identity in use, and how many requests may bear it while it is not certain to be good.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::identity::{Identity, Origin};
use crate::transport::Transport;

/// How many requests may be on their way while the service may refuse them all. It locks an
/// address out after three failed authentications, and one clock that is off, or one machine that
/// has expired, makes every request fail that is on its way at that moment.
const UNCERTAIN: usize = 2;

/// One identity and the connections to where it is known.
pub(crate) struct Session {
    pub(crate) identity: Identity,
    pub(crate) transport: Transport,
    /// Whether another identity takes its place when it expires, so that reads must survive that.
    replaceable: bool,
    accepted: AtomicBool,
    refusals: AtomicU32,
    under_way: Mutex<usize>,
    changed: Condvar,
}

/// The right to have a request on its way; given back when dropped.
pub(crate) struct Turn<'a> {
    session: &'a Session,
    counted: bool,
}

impl Session {
    pub(crate) fn new(identity: Identity, transport: Transport, replaceable: bool) -> Self {
        Session {
            identity,
            transport,
            replaceable,
            accepted: AtomicBool::new(false),
            refusals: AtomicU32::new(0),
            under_way: Mutex::new(0),
            changed: Condvar::new(),
        }
    }

    /// Notes that the service knew this identity.
    pub(crate) fn accept(&self) {
        if !self.accepted.swap(true, Ordering::AcqRel) {
            // Whoever waits may have looked just before; the lock makes it look again.
            drop(self.lock());
            self.changed.notify_all();
        }
    }

    /// Whether the service has ever known this identity. One that it never knew did not expire.
    pub(crate) fn was_accepted(&self) -> bool {
        self.accepted.load(Ordering::Acquire)
    }

    /// Notes that the service refused this identity for good.
    pub(crate) fn refuse(&self) {
        self.refusals.fetch_add(1, Ordering::AcqRel);
    }

    /// How often it was refused.
    pub(crate) fn refusals(&self) -> u32 {
        self.refusals.load(Ordering::Acquire)
    }

    /// Whether a request is better not sent: it would fail as another one just did. `seen` is the
    /// number of refusals when its call began.
    pub(crate) fn is_barred(&self, seen: u32) -> bool {
        let refusals = self.refusals();
        refusals != seen || (self.replaceable && self.was_accepted() && refusals > 0)
    }

    /// Whether the lifetime that the service gave is over, by a clock that no wrong date confuses.
    pub(crate) fn has_expired(&self, monotonic: Duration) -> bool {
        match &self.identity.origin {
            Origin::Memory {
                expires_monotonic, ..
            } => expires_monotonic.is_some_and(|end| end <= monotonic),
            Origin::Disk(_) => false,
        }
    }

    /// Waits until one more request may be on its way: at once for an identity that is known to be
    /// good and stays so. `None` when the time is over first.
    pub(crate) fn turn(&self, until: Instant) -> Option<Turn<'_>> {
        let is_certain = || self.was_accepted() && !self.replaceable;
        if is_certain() {
            return Some(Turn {
                session: self,
                counted: false,
            });
        }
        let mut under_way = self.lock();
        while *under_way >= UNCERTAIN && !is_certain() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let waited = self.changed.wait_timeout(under_way, left);
            under_way = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *under_way += 1;
        Some(Turn {
            session: self,
            counted: true,
        })
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.counted {
            *self.session.lock() -= 1;
            self.session.changed.notify_one();
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

    use super::*;
    use crate::api_url::ApiUrl;
    use crate::settings::Settings;
    use crate::signing::Signer;

    fn session(replaceable: bool) -> Session {
        let api_url = ApiUrl::parse("http://localhost:1").unwrap();
        let transport = Transport::new(&api_url, &Settings::default().transport().unwrap());
        let identity = Identity {
            vault_id: "vault_x".to_owned(),
            machine_id: "m".to_owned(),
            machine_name: "n".to_owned(),
            api_url,
            signer: Signer::from_seed(&[1; 32]),
            origin: Origin::Memory {
                expires_at: None,
                expires_monotonic: Some(Duration::from_secs(100)),
            },
        };
        Session::new(identity, transport.unwrap(), replaceable)
    }

    #[test]
    fn two_requests_at_once_until_the_service_knew_the_identity() {
        let session = session(false);
        let now = Instant::now;
        let first = session.turn(now()).unwrap();
        let second = session.turn(now()).unwrap();
        assert!(session.turn(now()).is_none());
        drop(first);
        let third = session.turn(now()).unwrap();
        assert!(session.turn(now()).is_none());
        session.accept();
        let many: Vec<_> = (0..20).map(|_| session.turn(now()).unwrap()).collect();
        drop((second, third, many));
        assert_eq!(*session.lock(), 0);
    }

    #[test]
    fn two_at_once_for_good_where_any_may_be_the_one_that_expired() {
        let session = session(true);
        session.accept();
        let turns = (session.turn(Instant::now()), session.turn(Instant::now()));
        assert!(turns.0.is_some() && turns.1.is_some());
        assert!(session.turn(Instant::now()).is_none());
    }

    #[test]
    fn who_waits_goes_on_when_a_turn_or_certainty_comes() {
        let session = session(false);
        let far = Instant::now() + Duration::from_secs(600);
        let turns = (session.turn(far), session.turn(far));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| session.turn(far).is_some());
            drop(turns.0);
            assert!(waiting.join().unwrap());
            let turn = session.turn(far);
            let waiting = scope.spawn(|| session.turn(far).is_some());
            session.accept();
            assert!(waiting.join().unwrap());
            drop(turn);
        });
    }

    #[test]
    fn a_refusal_bars_calls_that_had_begun_and_all_of_an_expired_identity() {
        let fixed = session(false);
        let seen = fixed.refusals();
        assert!(!fixed.is_barred(seen));
        fixed.refuse();
        assert!(fixed.is_barred(seen));
        assert!(!fixed.is_barred(fixed.refusals()), "a later call may try");

        let replaceable = session(true);
        replaceable.refuse();
        assert!(
            !replaceable.is_barred(replaceable.refusals()),
            "it was never known"
        );
        replaceable.accept();
        assert!(
            replaceable.is_barred(replaceable.refusals()),
            "it is to be replaced"
        );
    }

    #[test]
    fn expiry() {
        let session = session(true);
        assert!(!session.has_expired(Duration::from_secs(99)));
        assert!(session.has_expired(Duration::from_secs(100)));
    }
}
