use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;

use super::Live;
use super::change::Change;
use super::listener::Listener;
use super::loaded::Loaded;
use super::state::LiveEvent;

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

    /// Before each build: one that panics has failed too.
    pub(super) fn begin(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// After each build; whether it succeeded.
    pub(super) fn end<E>(&self, outcome: Result<R, E>) -> bool {
        match outcome {
            Ok(new) => {
                self.current.store(Arc::new(new));
                self.failures.store(0, Ordering::Relaxed);
                true
            }
            Err(_) => {
                tracing::warn!(target: "sikkerkey", "building a live resource failed; the old one stays");
                false
            }
        }
    }
}

/// Builds again, on the live config's own thread.
struct Rebuilder<R, B, W> {
    /// Empty until the first build has ended.
    built: OnceLock<Arc<Built<R>>>,
    /// Whether the config has changed since the resource was built.
    due: AtomicBool,
    build: B,
    when: W,
}

impl<R, B, W> Rebuilder<R, B, W> {
    fn look<T, E>(&self, event: &LiveEvent<'_, T>)
    where
        B: Fn(&T) -> Result<R, E>,
        W: Fn(&Change<T>) -> bool,
    {
        match event {
            LiveEvent::Changed(change) => {
                if (self.when)(change) {
                    self.due.store(true, Ordering::Relaxed);
                }
            }
            // Each swap is followed by a tick, so that this alone builds, and tries again.
            LiveEvent::Ticked(config) => {
                let Some(built) = self.built.get() else {
                    return;
                };
                if self.due.load(Ordering::Relaxed) {
                    built.begin();
                    let succeeded = built.end((self.build)(config));
                    self.due.store(!succeeded, Ordering::Relaxed);
                }
            }
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
    let rebuilder = Arc::new(Rebuilder {
        built: OnceLock::new(),
        due: AtomicBool::new(false),
        build,
        when,
    });
    // Listening before building: a swap during the first build makes the next one due.
    let listening = Arc::clone(&rebuilder);
    let guard = StopOnDrop::new(live.listen(move |event| listening.look(&event)));
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
    F: Future<Output = Result<R, E>> + Send,
{
    let due = Arc::new(AtomicBool::new(false));
    let marked = Arc::clone(&due);
    let guard = StopOnDrop::new(live.listen(move |event| {
        if let LiveEvent::Changed(change) = event
            && when(change)
        {
            marked.store(true, Ordering::Relaxed);
        }
    }));
    let built = Arc::new(Built::new(build(live.get()).await?));
    let written = Arc::clone(&built);
    let core = Arc::clone(&live.core);
    let task = tokio::spawn(async move {
        while !core.is_closed() {
            let tick = core.ticked.listen();
            if due.swap(false, Ordering::Relaxed) {
                written.begin();
                let outcome = build(core.current.load_full()).await;
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

#[cfg(feature = "tokio")]
struct AbortOnDrop(tokio::task::AbortHandle);

#[cfg(feature = "tokio")]
impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
