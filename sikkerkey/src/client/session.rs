//! One identity in use, with its connections to the service.

use std::fmt;
use std::sync::{Arc, RwLock, TryLockError};
use std::time::Duration;

use super::lockout::Lockout;
use super::refusals::Refusals;
use crate::identity::{Identity, Origin};
use crate::sync;
use crate::transport::Transport;

/// How long before its expiry an identity may already be refused.
const NEAR_END: Duration = Duration::from_secs(60);

pub(crate) struct Session {
    pub(crate) identity: Arc<Identity>,
    pub(crate) transport: Transport,
    pub(crate) lockout: Lockout,
    pub(crate) refusals: Refusals,
}

impl Session {
    /// `replaceable` says whether another identity replaces this one when it expires.
    pub(crate) fn new(
        identity: impl Into<Arc<Identity>>,
        transport: Transport,
        replaceable: bool,
    ) -> Self {
        Session {
            identity: identity.into(),
            transport,
            lockout: Lockout::new(replaceable),
            refusals: Refusals::default(),
        }
    }

    /// Returns a session for a forked process, with connections of its own.
    pub(crate) fn forked(&self) -> Self {
        Session::new(
            self.identity.clone(),
            self.transport.forked(),
            self.lockout.is_replaceable(),
        )
    }

    /// Whether the lifetime that the service gave is over, by the monotonic clock, so that a wrong date has
    /// no effect.
    pub(crate) fn has_expired(&self, monotonic: Duration) -> bool {
        self.end().is_some_and(|end| end <= monotonic)
    }

    /// Whether that lifetime is over or nearly over: the service's clock may differ a little, and a request
    /// takes time.
    pub(crate) fn is_ending(&self, monotonic: Duration) -> bool {
        self.end()
            .is_some_and(|end| end.saturating_sub(NEAR_END) <= monotonic)
    }

    fn end(&self) -> Option<Duration> {
        match &self.identity.origin {
            Origin::Memory {
                expires_monotonic, ..
            } => *expires_monotonic,
            Origin::Disk(_) => None,
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

/// The session that a client uses now. Re-enrollment replaces it.
#[derive(Debug)]
pub(crate) struct CurrentSession {
    current: RwLock<Arc<Session>>,
    first: Arc<Session>,
}

impl CurrentSession {
    pub(crate) fn new(session: Session) -> Self {
        let first = Arc::new(session);
        CurrentSession {
            current: RwLock::new(first.clone()),
            first,
        }
    }

    pub(crate) fn get(&self) -> Arc<Session> {
        sync::read(&self.current).clone()
    }

    /// Returns the session without waiting for the lock, which a thread of the parent process may have held
    /// at the fork. If it is locked, returns the first session.
    pub(crate) fn unlocked(&self) -> Arc<Session> {
        match self.current.try_read() {
            Ok(current) => current.clone(),
            Err(TryLockError::Poisoned(current)) => current.into_inner().clone(),
            Err(TryLockError::WouldBlock) => self.first.clone(),
        }
    }

    pub(crate) fn replace(&self, session: Arc<Session>) {
        *sync::write(&self.current) = session;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::settings::Settings;
    use crate::protocol::api_url::ApiUrl;
    use crate::protocol::signing::Signer;

    fn session(replaceable: bool) -> Session {
        let api_url = ApiUrl::parse("http://localhost:1").unwrap();
        let transport = Transport::new(&api_url, &Settings::default().connections().unwrap());
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
    fn a_forked_session_is_replaced_like_its_parent() {
        for replaceable in [false, true] {
            let forked = session(replaceable).forked();
            assert_eq!(forked.lockout.is_replaceable(), replaceable);
        }
    }

    #[test]
    fn a_session_expires_when_its_lifetime_ends() {
        let session = session(true);
        assert!(!session.has_expired(Duration::from_secs(99)));
        assert!(session.has_expired(Duration::from_secs(100)));
        assert!(!session.is_ending(Duration::from_secs(39)));
        assert!(session.is_ending(Duration::from_secs(40)));
    }
}
