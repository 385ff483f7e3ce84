use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;

use super::Live;
use super::change::Change;
use super::listener::Listener;
use super::loaded::Loaded;
use super::state::LiveEvent;
use crate::contain::{Panicked, contain, contain_drop};
use crate::log::log;

/// Something built from a live config, such as a pool of connections, that is built again when
/// the config changes; from [`Live::resource`].
///
/// The old one stays while the new one is being built and while building fails; a build that
/// failed is tried again after each poll. One that was replaced is dropped when its last holder
/// lets go: a query that runs on the old pool ends on the old pool.
///
/// A resource keeps the live config going. A clone is another handle on the same resource, and
/// the rebuilding ends with the last of them.
pub struct LiveResource<R> {
    built: Arc<Built<R>>,
    _rebuilder: Arc<dyn Send + Sync>,
}

impl<R> LiveResource<R> {
    pub(super) fn from_parts(built: Arc<Built<R>>, rebuilder: impl Send + Sync + 'static) -> Self {
        LiveResource {
            built,
            _rebuilder: Arc::new(rebuilder),
        }
    }

    /// The resource as it is now: one atomic load, no lock.
    pub fn load(&self) -> Loaded<R> {
        Loaded::new(self.built.current.load())
    }

    /// The resource as it is now, to keep or to send to another thread.
    pub fn get(&self) -> Arc<R> {
        self.built.current.load_full()
    }

    /// How many builds in a row have failed since the config changed; 0 while the resource fits
    /// the config. The error of a build is the builder's own to log.
    pub fn consecutive_failures(&self) -> u32 {
        self.built.failures.load(Ordering::Relaxed)
    }
}

impl<R> Clone for LiveResource<R> {
    fn clone(&self) -> Self {
        LiveResource {
            built: Arc::clone(&self.built),
            _rebuilder: Arc::clone(&self._rebuilder),
        }
    }
}

impl<R> fmt::Debug for LiveResource<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveResource")
            .field("consecutive_failures", &self.consecutive_failures())
            .finish_non_exhaustive()
    }
}

/// What the builder writes and the holders read.
pub(super) struct Built<R> {
    current: ArcSwap<R>,
    failures: AtomicU32,
}

impl<R> Built<R> {
    pub(super) fn new(first: R) -> Self {
        Built {
            current: ArcSwap::from_pointee(first),
            failures: AtomicU32::new(0),
        }
    }

    /// After each build; whether it succeeded.
    pub(super) fn end<E>(&self, outcome: Result<Result<R, E>, Panicked>) -> bool {
        if let Ok(Ok(new)) = outcome {
            let old = self.current.swap(Arc::new(new));
            self.failures.store(0, Ordering::Relaxed);
            contain_drop(old);
            return true;
        }
        let how = match &outcome {
            Ok(_) => "failed",
            Err(Panicked) => "panicked",
        };
        self.failures.fetch_add(1, Ordering::Relaxed);
        log!(warn, "building a live resource {how}; the old one stays");
        contain_drop(outcome);
        false
    }
}

/// Builds again, on the client's callback thread.
struct Rebuilder<R, B, W> {
    /// Empty until the first build has ended.
    built: OnceLock<Arc<Built<R>>>,
    /// Whether the config has changed since the resource was built.
    due: Arc<AtomicBool>,
    build: B,
    when: W,
}

impl<R, B, W> Rebuilder<R, B, W> {
    fn look<T, E>(&self, event: LiveEvent<T>, current: impl FnOnce() -> Option<Arc<T>>)
    where
        B: Fn(&T) -> Result<R, E>,
        W: Fn(&Change<T>) -> bool,
    {
        if let LiveEvent::Changed(change) = &event
            && (self.when)(change)
        {
            self.due.store(true, Ordering::Relaxed);
        }
        let Some(built) = self.built.get() else {
            // The first build is under way; the next cycle tries again.
            return;
        };
        if self.due.load(Ordering::Relaxed)
            && let Some(config) = current()
        {
            let succeeded = built.end(contain(|| (self.build)(&config)));
            self.due.store(!succeeded, Ordering::Relaxed);
        }
    }
}

/// Removes the callback when the last handle goes.
pub(super) struct StopOnDrop(Option<Listener>);

impl StopOnDrop {
    pub(super) fn new(listener: Listener) -> Self {
        StopOnDrop(Some(listener))
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(listener) = self.0.take() {
            listener.stop();
        }
    }
}

pub(super) fn build<T, R, E>(
    live: &Live<T>,
    when: impl Fn(&Change<T>) -> bool + Send + Sync + 'static,
    build: impl Fn(&T) -> Result<R, E> + Send + Sync + 'static,
) -> Result<LiveResource<R>, E>
where
    T: Send + Sync + 'static,
    R: Send + Sync + 'static,
{
    let due = Arc::new(AtomicBool::new(false));
    let rebuilder = Arc::new(Rebuilder {
        built: OnceLock::new(),
        due: Arc::clone(&due),
        build,
        when,
    });
    // Listening before building: a swap during the first build makes the next one due.
    let listening = Arc::clone(&rebuilder);
    let state = Arc::downgrade(&live.core);
    let look = move |event| {
        listening.look(event, || Some(state.upgrade()?.current.load_full()));
    };
    let guard = StopOnDrop::new(live.listen(look, due));
    let built = Arc::new(Built::new((rebuilder.build)(&live.get())?));
    let first = Arc::clone(&built);
    rebuilder.built.get_or_init(|| first);
    Ok(LiveResource::from_parts(built, (guard, live.clone())))
}

#[cfg(feature = "tokio")]
pub(super) async fn build_async<T, R, E, F>(
    live: &Live<T>,
    when: impl Fn(&Change<T>) -> bool + Send + Sync + 'static,
    build: impl Fn(Arc<T>) -> F + Send + Sync + 'static,
) -> Result<LiveResource<R>, E>
where
    T: Send + Sync + 'static,
    R: Send + Sync + 'static,
    E: Send + 'static,
    F: Future<Output = Result<R, E>> + Send + 'static,
{
    let due = Arc::new(AtomicBool::new(false));
    let marked = Arc::clone(&due);
    let state = Arc::downgrade(&live.core);
    let mark = move |event| {
        if let LiveEvent::Changed(change) = event
            && when(&change)
        {
            marked.store(true, Ordering::Relaxed);
            if let Some(state) = state.upgrade() {
                state.ticked.notify(usize::MAX);
            }
        }
    };
    let guard = StopOnDrop::new(live.listen(mark, Arc::default()));
    let built = Arc::new(Built::new(build(live.get()).await?));
    let written = Arc::clone(&built);
    let core = Arc::clone(&live.core);
    let task = tokio::spawn(async move {
        while !core.is_closed() {
            let tick = core.ticked.listen();
            if due.swap(false, Ordering::Relaxed) {
                let config = core.current.load_full();
                let outcome = match contain(|| build(config)) {
                    Ok(building) => contained(building).await,
                    Err(panicked) => Err(panicked),
                };
                if !written.end(outcome) {
                    due.store(true, Ordering::Relaxed);
                }
            }
            tick.await;
        }
    });
    let task = AbortOnDrop(task.abort_handle());
    Ok(LiveResource::from_parts(built, (guard, task, live.clone())))
}

/// A build, in a task of its own: its panic ends that task alone.
#[cfg(feature = "tokio")]
async fn contained<F>(building: F) -> Result<F::Output, Panicked>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let task = tokio::spawn(building);
    let _abort = AbortOnDrop(task.abort_handle());
    task.await.map_err(|error| {
        contain_drop(error);
        Panicked
    })
}

#[cfg(feature = "tokio")]
struct AbortOnDrop(tokio::task::AbortHandle);

#[cfg(feature = "tokio")]
impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
