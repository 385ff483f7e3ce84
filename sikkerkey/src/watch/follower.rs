//! The interface between the poller and a part of this crate that follows many secrets at once.

use std::fmt;
use std::sync::Arc;

use secrecy::SecretString;

use crate::error::Error;

/// A party that follows a set of secrets.
///
/// Called at the end of each poll cycle, on the poller's thread and outside every lock. It must return
/// quickly: slow work belongs on another thread.
pub(crate) trait Follower: Send + Sync {
    fn cycle(&self, cycle: Cycle);
}

/// The result of one poll for one follower. All updates arrive together, and a cycle without updates arrives,
/// too.
#[derive(Debug)]
pub(crate) struct Cycle {
    /// Whether the poll succeeded.
    pub outcome: Result<(), Error>,
    /// Updates of this follower's secrets, sorted by id; may be empty.
    pub updates: Vec<Update>,
    /// Whether another process consumes reports of changes that this one needs.
    pub shared: bool,
}

#[derive(Debug)]
pub(crate) struct Update {
    pub id: Arc<str>,
    pub kind: UpdateKind,
}

pub(crate) enum UpdateKind {
    /// The value was read, because it changed or for a resync; it may be unchanged.
    Value(SecretString),
    /// The secret was deleted. Sent each time that a poll or a read says so; the id stays followed, and a
    /// `Value` follows if the secret comes back.
    Deleted,
    /// The machine may no longer read the secret.
    Denied,
    /// The value could not be read. The next cycle tries again, and reports each failure.
    Failed(Error),
    /// The value was read while another read of this client was under way, so it may not be the newest one. The
    /// next cycle reads it again.
    Outdated,
}

impl UpdateKind {
    /// Whether the newest value is still to be read.
    #[cfg_attr(not(feature = "live"), allow(dead_code))]
    pub(crate) fn is_unread(&self) -> bool {
        matches!(self, UpdateKind::Failed(_) | UpdateKind::Outdated)
    }
}

impl fmt::Debug for UpdateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpdateKind::Value(_) => f.write_str("Value(..)"),
            UpdateKind::Deleted => f.write_str("Deleted"),
            UpdateKind::Denied => f.write_str("Denied"),
            UpdateKind::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
            UpdateKind::Outdated => f.write_str("Outdated"),
        }
    }
}
