//! A hold: requests wait until the test releases them.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How often a held connection checks whether the emulator stops.
const ASK: Duration = Duration::from_millis(10);

/// Holds requests back until the test releases them. So a test decides what happens between two requests, without a
/// sleep. Clones are the same hold.
///
/// ```
/// # use std::time::Duration;
/// use sikkerkey_emulator::{Emulator, Fault, Hold};
///
/// let vault = Emulator::builder().secret("sk_a", "1").secret("sk_b", "1").start()?;
/// let hold = Hold::new();
/// vault.fail_next_matching("/v1/secret/sk_b", Fault::Hold(hold.clone()));
/// // … a client reads both in another thread; vault.wait_for(…) returns once it asks for sk_b …
/// vault.put_all([("sk_a", "2"), ("sk_b", "2")]);
/// hold.release();
/// # Ok::<(), sikkerkey_emulator::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Hold(Arc<(Mutex<bool>, Condvar)>);

impl Hold {
    /// Returns a new hold that is not released.
    pub fn new() -> Self {
        Self::default()
    }

    /// Releases the held requests. Later requests with this hold do not wait.
    pub fn release(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Waits for the release; false if `stopped` becomes true first.
    pub(crate) fn wait(&self, stopped: impl Fn() -> bool) -> bool {
        let mut released = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !*released {
            if stopped() {
                return false;
            }
            released = self
                .0
                .1
                .wait_timeout(released, ASK)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }
}

impl PartialEq for Hold {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Hold {}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hold")
    }
}
