use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::identity::{Identity, Origin};
use crate::transport::Transport;

/// One identity and the connections to where it is known.
pub(crate) struct Session {
    pub(crate) identity: Identity,
    pub(crate) transport: Transport,
    accepted: AtomicBool,
}

impl Session {
    pub(crate) fn new(identity: Identity, transport: Transport) -> Self {
        Session {
            identity,
            transport,
            accepted: AtomicBool::new(false),
        }
    }

    /// Notes that the service knew this identity.
    pub(crate) fn accept(&self) {
        self.accepted.store(true, Ordering::Relaxed);
    }

    /// Whether the service has ever known this identity. One that it never knew did not expire.
    pub(crate) fn was_accepted(&self) -> bool {
        self.accepted.load(Ordering::Relaxed)
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
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}
