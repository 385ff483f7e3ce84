use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use super::LiveResource;
use super::basis::Basis;
use super::built::Built;
use super::runtime::Runtime;
use crate::contain::{contain, contain_drop};
use crate::live::Live;
use crate::live::state::LiveState;
use crate::sync::lock;

/// Builds a resource now, and again on the client's callback thread after each change of the part of the
/// config whose keys `spanned` returns.
pub(in crate::live) fn build<T, R, E>(
    live: &Live<T>,
    spanned: impl Fn(&LiveState<T>, &T) -> Option<BTreeSet<String>> + Send + Sync + 'static,
    build: impl Fn(&T) -> Result<R, E> + Send + Sync + 'static,
) -> Result<LiveResource<R>, E>
where
    T: Send + Sync + 'static,
    R: Send + Sync + 'static,
    E: 'static,
{
    let core = &live.core;
    let place = core.place();
    let basis = Basis::new(&place, spanned(core, &place.config));
    let built = Built::new(core, build(&place.config)?);
    let rebuilder = Arc::new(Rebuilder {
        core: Arc::downgrade(core),
        built: Arc::clone(&built),
        from: Mutex::new(basis),
        failed: Arc::default(),
        runtime: Runtime::current(),
        spanned,
        build,
    });
    let failed = Arc::clone(&rebuilder.failed);
    let number = core.listen(Arc::new(move |_| rebuilder.look()), failed);
    if core.place().generation != place.generation {
        // No callback ran for a swap during the first build.
        core.call(number);
    }
    let listening = StopOnDrop {
        core: Arc::downgrade(core),
        number,
    };
    Ok(LiveResource::from_parts(built, (listening, live.clone())))
}

/// The state of the callback that rebuilds. Its calls never overlap, so no second build starts while one
/// hangs.
struct Rebuilder<T, R, S, B> {
    core: Weak<LiveState<T>>,
    built: Arc<Built<R>>,
    from: Mutex<Basis>,
    /// Whether the last build failed. If so, it is tried again after each cycle.
    failed: Arc<AtomicBool>,
    runtime: Runtime,
    spanned: S,
    build: B,
}

impl<T, R, S, B> Rebuilder<T, R, S, B>
where
    R: Send + Sync + 'static,
    S: Fn(&LiveState<T>, &T) -> Option<BTreeSet<String>>,
{
    fn look<E: 'static>(&self)
    where
        B: Fn(&T) -> Result<R, E>,
    {
        let Some(core) = self.core.upgrade() else {
            return;
        };
        let place = core.place();
        // The function that selects the part is user code, too.
        let basis = contain(|| Basis::new(&place, (self.spanned)(&core, &place.config)));
        let built = match basis {
            Ok(basis) => self.fit(&place.config, basis),
            Err(panicked) => self.built.end::<E>(Err(panicked)),
        };
        self.failed.store(!built, Ordering::Relaxed);
        contain_drop(place);
    }

    /// Builds if needed. Returns whether the resource then fits this config.
    fn fit<E: 'static>(&self, config: &T, basis: Basis) -> bool
    where
        B: Fn(&T) -> Result<R, E>,
    {
        if lock(&self.from).differs(&basis) {
            self.built.record.begin();
            let outcome = contain(|| self.runtime.run(|| (self.build)(config)));
            if !self.built.end(outcome) {
                return false;
            }
        } else {
            self.built.record.succeed();
        }
        *lock(&self.from) = basis;
        true
    }
}

/// Removes the callback when the last handle is dropped.
struct StopOnDrop<T> {
    core: Weak<LiveState<T>>,
    number: u64,
}

impl<T> Drop for StopOnDrop<T> {
    fn drop(&mut self) {
        if let Some(core) = self.core.upgrade() {
            core.unlisten(self.number);
        }
    }
}
