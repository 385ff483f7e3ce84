//! Resources: built from a live config, and built again when it changes.

mod basis;
mod built;
mod rebuild;
mod record;
mod runtime;
#[cfg(feature = "tokio")]
mod task;

use std::fmt;
use std::sync::Arc;

use self::built::Built;
use self::runtime::Runtime;
use super::loaded::Loaded;

pub(super) use rebuild::build;
pub(super) use record::ResourceRecord;
pub use record::{ResourceState, ResourceStatus};
#[cfg(feature = "tokio")]
pub(super) use task::build_async;

/// A resource that is built from a live config, such as a pool of connections, and built again when the
/// config changes; from [`Live::resource`](super::Live::resource) and
/// [`Select::resource`](super::Select::resource).
///
/// The old one stays while the new one is being built and while building fails; a build that failed is tried
/// again after each poll. While a build runs no second one starts. A replaced resource is dropped with its
/// last `Arc` or guard: a query that runs on the old pool ends on the old pool.
/// [`on_replaced`](LiveResource::on_replaced) can close it earlier.
///
/// A resource keeps the live config running. A clone is another handle on the same resource; when the last
/// handle is dropped, rebuilding ends.
///
/// ```
/// # use sikkerkey::Live;
/// # struct Config { db: String }
/// # struct Pool(String);
/// # impl Pool {
/// #     fn connect(url: &str) -> Result<Pool, std::io::Error> { Ok(Pool(url.into())) }
/// #     fn close(&self) {}
/// # }
/// # let (live, control) = Live::manual(Config { db: "one".into() });
/// let pool = live.resource(|config| Pool::connect(&config.db))?.named("pool");
/// pool.on_replaced(|old| old.close());
/// assert_eq!(pool.load().0, "one");
/// # control.swap(Config { db: "two".into() });
/// # assert_eq!(pool.load().0, "two");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct LiveResource<R> {
    built: Arc<Built<R>>,
    _rebuilder: Arc<dyn Send + Sync>,
}

impl<R> LiveResource<R> {
    fn from_parts(built: Arc<Built<R>>, rebuilder: impl Send + Sync + 'static) -> Self {
        LiveResource {
            built,
            _rebuilder: Arc::new(rebuilder),
        }
    }

    /// Returns the current resource: one atomic load, no lock.
    pub fn load(&self) -> Loaded<R> {
        Loaded::new(self.built.current())
    }

    /// Returns the current resource as an `Arc`, to keep or to send to another thread.
    pub fn get(&self) -> Arc<R> {
        self.load().into_arc()
    }

    /// Sets the resource's name in [`LiveStatus::resources`](super::LiveStatus::resources) and in events, and
    /// returns another handle on it. Defaults to the name of its type.
    #[allow(
        clippy::return_self_not_must_use,
        reason = "it names the resource, whether the handle is used or not"
    )]
    pub fn named(&self, name: impl Into<String>) -> Self {
        self.built.record.rename(&name.into());
        self.clone()
    }

    /// Whether it is current, being built, or failed to be built.
    pub fn state(&self) -> ResourceState {
        self.status().state()
    }

    /// How many builds in a row have failed since the config changed; 0 while the resource fits
    /// the config, and during its first build after a change.
    pub fn consecutive_failures(&self) -> u32 {
        self.status().consecutive_failures()
    }

    /// Why the last build failed; `None` once the resource fits the config.
    ///
    /// The text of the builder's error is shown if it cannot quote a secret: a `&'static str`, or an error of
    /// this crate. For any other error the text says only that the build failed.
    pub fn last_error(&self) -> Option<String> {
        self.status().last_error().map(str::to_owned)
    }

    fn status(&self) -> ResourceStatus {
        self.built.record.status()
    }
}

impl<R: Send + Sync + 'static> LiveResource<R> {
    /// Calls `f` with each resource that was replaced, after the new one is in place: to close a
    /// pool whose connections would otherwise stay until the last query ends. Returns another
    /// handle on the resource.
    ///
    /// It is called on the client's callback thread, as [`Live::on_change`](super::Live::on_change)
    /// says, and inside the tokio runtime that this method was called in, if there was one, so that
    /// it can spawn a task. Others may still hold the old resource.
    #[allow(
        clippy::return_self_not_must_use,
        reason = "it registers `f`, whether the handle is used or not"
    )]
    pub fn on_replaced(&self, f: impl Fn(Arc<R>) + Send + Sync + 'static) -> Self {
        let runtime = Runtime::current();
        self.built
            .on_replaced(Arc::new(move |old| runtime.run(|| f(old))));
        self.clone()
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

/// Shows the state; the resource itself is left out.
impl<R> fmt::Debug for LiveResource<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status();
        f.debug_struct("LiveResource")
            .field("name", &status.name())
            .field("state", &status.state())
            .field("consecutive_failures", &status.consecutive_failures())
            .finish_non_exhaustive()
    }
}
