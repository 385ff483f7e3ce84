use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The config, or the resource, that was in place when it was loaded; dereferences to it.
///
/// It keeps that one alive, swapped out or not: hold it for a request, not for the life of the
/// program.
pub struct Loaded<T>(arc_swap::Guard<Arc<T>>);

impl<T> Loaded<T> {
    pub(super) fn new(guard: arc_swap::Guard<Arc<T>>) -> Self {
        Loaded(guard)
    }

    /// One that was loaded before, to keep for long: it takes no slot of the readers'.
    #[cfg(feature = "tokio")]
    pub(super) fn owned(value: Arc<T>) -> Self {
        Loaded(arc_swap::Guard::from_inner(value))
    }

    /// The same, shared: to keep it longer, or to send it to another thread.
    pub fn into_arc(self) -> Arc<T> {
        arc_swap::Guard::into_inner(self.0)
    }
}

impl<T> Deref for Loaded<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Loaded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
