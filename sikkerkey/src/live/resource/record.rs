use std::borrow::Cow;
use std::fmt;
use std::sync::Mutex;

use serde::Serialize;

use crate::sync::lock;
use crate::text;

/// The state of a live resource: current, building or failed.
///
/// ```
/// use sikkerkey::Live;
/// use sikkerkey::live::ResourceState;
///
/// let (live, control) = Live::manual(4_u8);
/// let threads = live.resource(|workers| workers.checked_mul(2).ok_or("too many workers"))?;
/// assert_eq!(threads.state(), ResourceState::Current);
///
/// control.swap(200);
/// assert_eq!(threads.state(), ResourceState::Failed);
/// assert_eq!(*threads.load(), 8); // the old one is in place
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ResourceState {
    /// The resource was built from the running config.
    Current,
    /// The config changed, and a build from the new one runs; the old resource is in place.
    Building,
    /// The last build failed; the old resource is in place, and building is tried again after each
    /// poll.
    Failed,
}

impl fmt::Display for ResourceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ResourceState::Current => "current",
            ResourceState::Building => "building",
            ResourceState::Failed => "failed",
        })
    }
}

/// The state of one resource at one instant; from
/// [`LiveStatus::resources`](crate::LiveStatus::resources).
///
/// ```
/// use sikkerkey::Live;
///
/// fn failing<T>(live: &Live<T>) -> Vec<String> {
///     let status = live.status();
///     let failing = status.resources().filter(|resource| resource.consecutive_failures() > 0);
///     failing.map(|resource| resource.name().to_owned()).collect()
/// }
/// assert!(failing(&Live::fixed(1)).is_empty());
/// ```
#[derive(Clone, Debug, Serialize)]
pub struct ResourceStatus {
    name: String,
    state: ResourceState,
    #[serde(rename = "consecutive_failures")]
    failures: u32,
    last_error: Option<Cow<'static, str>>,
}

impl ResourceStatus {
    /// The resource's name: set by [`LiveResource::named`](crate::LiveResource::named), or the name of its
    /// type.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is current, being built, or failed to be built.
    pub fn state(&self) -> ResourceState {
        self.state
    }

    /// How many builds in a row have failed since the config changed.
    pub fn consecutive_failures(&self) -> u32 {
        self.failures
    }

    /// Why the last build failed, in words that quote no secret; `None` once the resource fits the
    /// config.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }
}

/// The status record of a resource, independent of its type.
pub(in crate::live) struct ResourceRecord(Mutex<ResourceStatus>);

impl ResourceRecord {
    /// Makes the record of a resource that was just built.
    pub(super) fn new(name: &str) -> Self {
        ResourceRecord(Mutex::new(ResourceStatus {
            name: text::name(name),
            state: ResourceState::Current,
            failures: 0,
            last_error: None,
        }))
    }

    pub(in crate::live) fn status(&self) -> ResourceStatus {
        lock(&self.0).clone()
    }

    pub(super) fn rename(&self, name: &str) {
        lock(&self.0).name = text::name(name);
    }

    pub(super) fn begin(&self) {
        lock(&self.0).state = ResourceState::Building;
    }

    pub(super) fn succeed(&self) {
        let mut status = lock(&self.0);
        status.state = ResourceState::Current;
        status.failures = 0;
        status.last_error = None;
    }

    /// Records a failed build. Returns whether the error differs from the last one.
    pub(super) fn fail(&self, error: Cow<'static, str>) -> bool {
        let mut status = lock(&self.0);
        status.state = ResourceState::Failed;
        status.failures = status.failures.saturating_add(1);
        let news = status.last_error.as_ref() != Some(&error);
        status.last_error = Some(error);
        news
    }
}
