use std::fmt;
use std::sync::{Arc, Weak};

use super::state::LiveState;
use super::{Live, Owner};

/// A weak handle on a live config, which does not keep it alive; from [`Live::downgrade`].
///
/// ```
/// use sikkerkey::Live;
/// use sikkerkey::live::WeakLive;
///
/// /// The line of a health route, which may be asked after the config was dropped.
/// fn health<T>(config: &WeakLive<T>) -> String {
///     match config.upgrade() {
///         Some(live) => live.status().to_string(),
///         None => "shutting down".to_owned(),
///     }
/// }
///
/// let live = Live::fixed(1);
/// let weak = live.downgrade();
/// assert_eq!(health(&weak), "fresh, generation 1, offline");
/// drop(live);
/// assert_eq!(health(&weak), "shutting down");
/// ```
pub struct WeakLive<T> {
    core: Weak<LiveState<T>>,
    owner: Weak<Owner>,
}

impl<T> Live<T> {
    /// Makes a weak handle, which does not keep the live config alive: for a listener, or for code inside a
    /// resource of the config.
    ///
    /// ```
    /// # use sikkerkey::Live;
    /// let (live, control) = Live::manual(1);
    /// let weak = live.downgrade();
    /// live.on_change(move |_| {
    ///     if let Some(live) = weak.upgrade() {
    ///         println!("generation {}", live.status().generation());
    ///     }
    /// });
    /// control.swap(2);
    /// let weak = live.downgrade();
    /// drop(live);
    /// assert!(weak.upgrade().is_none());
    /// ```
    pub fn downgrade(&self) -> WeakLive<T> {
        WeakLive {
            core: Arc::downgrade(&self.core),
            owner: Arc::downgrade(&self.owner),
        }
    }
}

impl<T> WeakLive<T> {
    /// Returns the live config, or `None` once its last handle was dropped.
    pub fn upgrade(&self) -> Option<Live<T>> {
        // The owner first: subscriptions keep the state alive after the owner has gone.
        let owner = self.owner.upgrade()?;
        let core = self.core.upgrade()?;
        Some(Live { core, owner })
    }
}

impl<T> Clone for WeakLive<T> {
    fn clone(&self) -> Self {
        WeakLive {
            core: Weak::clone(&self.core),
            owner: Weak::clone(&self.owner),
        }
    }
}

impl<T> fmt::Debug for WeakLive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakLive").finish_non_exhaustive()
    }
}
