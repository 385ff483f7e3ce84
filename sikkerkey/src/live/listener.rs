use std::fmt;

/// A handle on a callback of a live config; from [`Live::on_change`](super::Live::on_change).
///
/// Dropping it changes nothing: the callback stays for as long as the live config.
/// [`stop`](Listener::stop) removes it.
///
/// ```
/// use sikkerkey::Live;
///
/// let (live, control) = Live::manual(1);
/// let listener = live.on_change(|change| println!("now {}", change.after()));
/// listener.stop();
/// control.swap(2); // nothing is printed
/// ```
pub struct Listener {
    stop: Box<dyn FnOnce() + Send + Sync>,
}

impl Listener {
    pub(super) fn new(stop: impl FnOnce() + Send + Sync + 'static) -> Self {
        Listener {
            stop: Box::new(stop),
        }
    }

    /// Removes the callback and drops it. A running call ends normally; no further call starts. It can be
    /// called from inside a callback.
    pub fn stop(self) {
        (self.stop)();
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}
