use std::time::Duration;

/// Rules by which [`Live::try_load`](super::Live::try_load) refuses the running config; for
/// [`Loader::fail_closed`](crate::Loader::fail_closed).
///
/// Without rules, the last good config is served as long as the process runs. That is right for most
/// services, and wrong if a revoked credential must not be used.
///
/// ```
/// use std::time::Duration;
/// use sikkerkey::live::FailClosed;
///
/// let rules = FailClosed::new()
///     .on_revoked()                                   // a secret was deleted, or its grant taken
///     .older_than(Duration::from_secs(24 * 3600));    // nothing confirmed it for a day
/// # let _ = rules;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "rules do nothing until a loader is given them"]
pub struct FailClosed {
    pub(super) on_revoked: bool,
    pub(super) older_than: Option<Duration>,
}

impl FailClosed {
    /// Makes rules that refuse nothing, to add to.
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses once the service has said for 10 minutes that a secret of the config is deleted or denied. A
    /// shorter denial can be a change of grants, or a policy's window that opens soon. Defaults to off.
    pub fn on_revoked(mut self) -> Self {
        self.on_revoked = true;
        self
    }

    /// Refuses while the service has not confirmed the config for longer than `age`. Defaults to no limit.
    pub fn older_than(mut self, age: Duration) -> Self {
        self.older_than = Some(age);
        self
    }
}
