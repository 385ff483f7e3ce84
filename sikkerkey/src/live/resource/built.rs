use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;

use super::record::ResourceRecord;
use crate::config::error::short_name;
use crate::config::own_text::words_of;
use crate::contain::{Panicked, contain_drop};
use crate::live::state::{LiveState, next_listener};
use crate::log::log;
use crate::sync::lock;
use crate::watch::callbacks::{CallbackCall, Callbacks, Lane};

type ReplacedFn<R> = Arc<dyn Fn(Arc<R>) + Send + Sync>;

/// The current resource, which the builder replaces and the handles read.
pub(super) struct Built<R> {
    current: ArcSwap<R>,
    pub(super) record: Arc<ResourceRecord>,
    replaced: Mutex<Vec<ReplacedFn<R>>>,
    callbacks: Arc<Callbacks>,
    /// Calls the callbacks of replaced resources, apart from builds, so that one that hangs delays no build.
    lane: Lane,
}

impl<R> Built<R> {
    /// Adds the first resource to the status of the live config.
    pub(super) fn new<T>(core: &LiveState<T>, first: R) -> Arc<Self> {
        let record = Arc::new(ResourceRecord::new(short_name(std::any::type_name::<R>())));
        core.show_resource(&record);
        Arc::new(Built {
            current: ArcSwap::from_pointee(first),
            record,
            replaced: Mutex::default(),
            callbacks: Arc::clone(core.callbacks()),
            lane: Lane::Listener(next_listener()),
        })
    }

    pub(super) fn current(&self) -> arc_swap::Guard<Arc<R>> {
        self.current.load()
    }

    pub(super) fn on_replaced(&self, f: ReplacedFn<R>) {
        lock(&self.replaced).push(f);
    }
}

impl<R: Send + Sync + 'static> Built<R> {
    /// Records the outcome of a build. Returns whether it succeeded.
    pub(super) fn end<E: 'static>(&self, outcome: Result<Result<R, E>, Panicked>) -> bool {
        let error = match outcome {
            Ok(Ok(new)) => {
                let old = self.current.swap(Arc::new(new));
                self.record.succeed();
                self.hand_over(&old);
                contain_drop(old);
                return true;
            }
            Ok(Err(error)) => {
                let words = words_of(&error, "the build failed");
                contain_drop(error);
                words
            }
            Err(Panicked) => "the build panicked".into(),
        };
        let text = error.clone();
        if self.record.fail(error) {
            let name = self.record.status().name().to_owned();
            log!(
                warn,
                "the live resource {name:?} could not be built, the old one stays: {text}"
            );
        }
        false
    }

    fn hand_over(&self, old: &Arc<R>) {
        let replaced = lock(&self.replaced).clone();
        let calls = replaced.into_iter().map(|f| {
            let old = Arc::clone(old);
            CallbackCall {
                lane: self.lane.clone(),
                stopped: Arc::<AtomicBool>::default(),
                name: "what takes the replaced resources of a live config".into(),
                run: Box::new(move || f(old)),
            }
        });
        self.callbacks.enqueue(calls);
    }
}
