use std::fmt;
use std::sync::{Arc, Weak};

use super::callbacks::Registration;
use super::poller::Poller;
use super::state::PartyId;

/// A handle on a watch of one secret; from [`SikkerKey::watch`](crate::SikkerKey::watch).
///
/// Dropping it does not end the watch. [`stop`](Self::stop), `unwatch` and `close` do, and the secret's
/// deletion or denial. It does not keep the client alive.
///
/// ```
/// # let vault = sikkerkey_emulator::Emulator::builder().secret("sk_flags", "on").start()?;
/// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
/// let watch = sk.watch("sk_flags", |event| println!("{event:?}"))?;
/// println!("following {}", watch.secret_id());
/// // Later, for instance when the part of the program that needs it shuts down:
/// watch.stop();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Watch {
    poller: Weak<Poller>,
    party: PartyId,
    registration: Weak<Registration>,
    id: Arc<str>,
}

impl Watch {
    pub(crate) fn new(
        poller: &Arc<Poller>,
        party: PartyId,
        registration: &Arc<Registration>,
    ) -> Self {
        Watch {
            poller: Arc::downgrade(poller),
            party,
            registration: Arc::downgrade(registration),
            id: registration.id().clone(),
        }
    }

    /// Ends this watch only, not others on the same secret. After it returns, no further call of the
    /// callback starts; one that has started may still run. It may be called from inside the callback, and
    /// more than once.
    pub fn stop(&self) {
        if let (Some(poller), Some(registration)) =
            (self.poller.upgrade(), self.registration.upgrade())
        {
            poller.stop(self.party, &registration);
        }
    }

    /// Returns the id of the watched secret.
    pub fn secret_id(&self) -> &str {
        &self.id
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("secret_id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Keeps a follower registered with the poller; dropping it ends that at once. It does not keep the client
/// alive.
pub(crate) struct Follow {
    poller: Weak<Poller>,
    party: PartyId,
}

impl Follow {
    pub(crate) fn new(poller: &Arc<Poller>, party: PartyId) -> Self {
        Follow {
            poller: Arc::downgrade(poller),
            party,
        }
    }
}

#[cfg_attr(not(feature = "live"), allow(dead_code))]
impl Follow {
    /// The follower's id, for reads of its own.
    pub(crate) fn party(&self) -> PartyId {
        self.party
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        if let Some(poller) = self.poller.upgrade() {
            poller.leave(self.party);
        }
    }
}
