use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::change::Change;
use super::state::{LiveState, Place};
use crate::config::error::ConfigError;

/// A receiver of a live config's changes; from [`Live::subscribe`](super::Live::subscribe).
///
/// The latest config wins: a slow receiver gets one [`Change`] from the config it saw last to the one that
/// runs now, and never misses that something changed. It works on any async runtime, and without one. It
/// holds the config that it last returned until the next call, and does not keep the live config running.
///
/// ```
/// use std::time::Duration;
/// use sikkerkey::Live;
/// use sikkerkey::live::RecvError;
///
/// let (live, control) = Live::manual(1);
/// let mut changes = live.subscribe();
/// assert!(matches!(changes.try_recv(), Err(RecvError::Empty)));
/// control.swap(2);
/// control.swap(3);
/// let change = changes.recv_timeout(Duration::from_secs(5))?;
/// assert_eq!((change.before(), change.after()), (&1, &3)); // the latest wins
/// # Ok::<(), RecvError>(())
/// ```
pub struct Subscription<T> {
    core: Arc<LiveState<T>>,
    seen: Place<T>,
}

/// The reason why a [`Subscription`] returned no change.
///
/// ```
/// use sikkerkey::live::RecvError;
///
/// fn shown(error: &RecvError) -> String {
///     match error {
///         RecvError::Refused(error) => format!("the last good config stays: {error}"),
///         RecvError::Closed => "the live config has ended".to_owned(),
///         other => other.to_string(),
///     }
/// }
/// # let _ = shown;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RecvError {
    /// An update failed, and the last good config stays. Returned once for each distinct failure; the next
    /// call waits for the next event.
    Refused(ConfigError),
    /// The wait of [`recv_timeout`](Subscription::recv_timeout) timed out.
    Timeout,
    /// Nothing has changed since the last call of [`try_recv`](Subscription::try_recv).
    Empty,
    /// The live config has ended: its last handle was dropped.
    Closed,
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecvError::Refused(_) => "the new values were refused, the last good config goes on",
            RecvError::Timeout => "no change came within the timeout",
            RecvError::Empty => "nothing has happened since the last call",
            RecvError::Closed => "the live config was dropped",
        })
    }
}

impl std::error::Error for RecvError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RecvError::Refused(error) => Some(error),
            _ => None,
        }
    }
}

impl<T> Subscription<T> {
    pub(super) fn new(core: Arc<LiveState<T>>) -> Self {
        let seen = core.place();
        Subscription { core, seen }
    }

    /// Waits for the next change as a future, on any async runtime.
    ///
    /// Dropping the future loses nothing.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// use sikkerkey::Live;
    ///
    /// let (live, control) = Live::manual(1);
    /// let mut changes = live.subscribe();
    /// control.swap(2);
    /// let change = changes.recv_async().await?;
    /// assert_eq!((change.before(), change.after()), (&1, &2));
    /// # Ok::<(), sikkerkey::live::RecvError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RecvError::Refused`] and [`RecvError::Closed`].
    pub async fn recv_async(&mut self) -> Result<Change<T>, RecvError> {
        loop {
            // Listen before checking, so an event in between wakes the listener.
            let listener = self.core.happened.listen();
            if let Some(news) = self.news() {
                return news;
            }
            listener.await;
        }
    }

    /// Waits for the next change, blocking this thread.
    ///
    /// # Errors
    /// [`RecvError::Refused`] and [`RecvError::Closed`].
    pub fn recv(&mut self) -> Result<Change<T>, RecvError> {
        loop {
            let listener = self.core.happened.listen();
            if let Some(news) = self.news() {
                return news;
            }
            event_listener::Listener::wait(listener);
        }
    }

    /// Waits for the next change for at most `timeout`, blocking this thread.
    ///
    /// # Errors
    /// [`RecvError::Timeout`], [`RecvError::Refused`] and [`RecvError::Closed`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Change<T>, RecvError> {
        let Some(deadline) = Instant::now().checked_add(timeout) else {
            return self.recv();
        };
        loop {
            let listener = self.core.happened.listen();
            if let Some(news) = self.news() {
                return news;
            }
            if event_listener::Listener::wait_deadline(listener, deadline).is_none() {
                return self.news().unwrap_or(Err(RecvError::Timeout));
            }
        }
    }

    /// Returns a change that has not been returned yet, without waiting.
    ///
    /// # Errors
    /// [`RecvError::Empty`] if there is none, [`RecvError::Refused`] and [`RecvError::Closed`].
    pub fn try_recv(&mut self) -> Result<Change<T>, RecvError> {
        self.news().unwrap_or(Err(RecvError::Empty))
    }

    fn news(&mut self) -> Option<Result<Change<T>, RecvError>> {
        if let Some(change) = self.core.change_since(&mut self.seen) {
            return Some(Ok(change));
        }
        if let Some((error, refusals)) = self.core.refusal_since(self.seen.refusals) {
            self.seen.refusals = refusals;
            return Some(Err(RecvError::Refused(error)));
        }
        self.core.is_closed().then_some(Err(RecvError::Closed))
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("generation", &self.seen.generation)
            .finish_non_exhaustive()
    }
}
