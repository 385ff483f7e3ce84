use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A guard on a config or a resource, as it was when it was loaded; dereferences to it.
///
/// It keeps that config alive, also after a swap. Hold it for a request, not for the life of the program.
///
/// ```
/// use sikkerkey::Live;
///
/// let (live, control) = Live::manual(1);
/// let before = live.load();
/// control.swap(2);
/// assert_eq!((*before, *live.load()), (1, 2)); // a guard keeps its config
/// ```
pub struct Loaded<T>(arc_swap::Guard<Arc<T>>);

impl<T> Loaded<T> {
    pub(super) fn new(guard: arc_swap::Guard<Arc<T>>) -> Self {
        Loaded(guard)
    }

    /// Makes a guard on an `Arc`, which may be kept long: it occupies no slot for fast readers.
    #[cfg(feature = "tokio")]
    pub(super) fn owned(value: Arc<T>) -> Self {
        Loaded(arc_swap::Guard::from_inner(value))
    }

    /// Converts the guard into an `Arc`, to keep it longer or to send it to another thread.
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
