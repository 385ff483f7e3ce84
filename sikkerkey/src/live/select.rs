use std::fmt;
use std::ops::Deref;

use super::Live;
use super::change::PartChange;
use super::listener::Listener;
use super::loaded::Loaded;

/// One part of a live config, from [`Live::select`]: silent while the part stays equal.
pub struct Select<T, U: ?Sized> {
    live: Live<T>,
    part: fn(&T) -> &U,
}

impl<T: Send + Sync + 'static, U: ?Sized + 'static> Select<T, U> {
    pub(super) fn new(live: Live<T>, part: fn(&T) -> &U) -> Self {
        Select { live, part }
    }

    /// The part as it is now: one atomic load, no lock.
    pub fn load(&self) -> LoadedPart<T, U> {
        LoadedPart {
            whole: self.live.load(),
            part: self.part,
        }
    }

    /// Calls `f` after each swap in which the part became another, by its `PartialEq`.
    ///
    /// What [`Live::on_change`] says of threads, panics and the returned [`Listener`] is true
    /// here too.
    pub fn on_change(&self, f: impl Fn(&PartChange<'_, U>) + Send + Sync + 'static) -> Listener
    where
        U: PartialEq,
    {
        let part = self.part;
        self.live.on_change(move |change| {
            let (before, after) = (part(change.before()), part(change.after()));
            if before != after {
                f(&PartChange {
                    before,
                    after,
                    paths: change.paths(),
                });
            }
        })
    }
}

impl<T, U: ?Sized> Clone for Select<T, U> {
    fn clone(&self) -> Self {
        Select {
            live: self.live.clone(),
            part: self.part,
        }
    }
}

impl<T, U: ?Sized> fmt::Debug for Select<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select").finish_non_exhaustive()
    }
}

/// A part of the config that ran when it was loaded; dereferences to it.
pub struct LoadedPart<T, U: ?Sized> {
    whole: Loaded<T>,
    part: fn(&T) -> &U,
}

impl<T, U: ?Sized> Deref for LoadedPart<T, U> {
    type Target = U;

    fn deref(&self) -> &U {
        (self.part)(&self.whole)
    }
}

impl<T, U: ?Sized + fmt::Debug> fmt::Debug for LoadedPart<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
