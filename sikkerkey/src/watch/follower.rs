//! What a party inside this crate that follows many secrets at once agrees on with the poller.

use std::fmt;
use std::sync::Arc;

use secrecy::SecretString;

use crate::error::Error;

/// A party that follows a set of secrets.
///
/// Told at the end of each poll cycle, on the poller's thread and outside every lock. Must return
/// quickly: whatever takes time belongs on a thread of its own.
pub(crate) trait Follower: Send + Sync {
    fn cycle(&self, cycle: Cycle);
}

/// What one poll brought for one follower. All of it arrives together, and a cycle that brought
/// nothing arrives too.
#[derive(Debug)]
pub(crate) struct Cycle {
    /// Whether the poll itself was answered.
    pub outcome: Result<(), Error>,
    /// Only ids of this follower, in the order of the ids; may be empty.
    pub updates: Vec<Update>,
    /// Whether another process takes reports of changes that are meant for this one.
    pub shared: bool,
}

#[derive(Debug)]
pub(crate) struct Update {
    pub id: Arc<str>,
    pub kind: UpdateKind,
}

pub(crate) enum UpdateKind {
    /// The value was read, because it changed or because it was time; it may be an old one.
    Value(SecretString),
    /// Told each time that a poll or a read says so; the id stays followed, and a `Value` follows when
    /// the secret comes back.
    Deleted,
    /// The grant was taken away.
    Denied,
    /// The value could not be read; the next cycle tries again, and tells again if it fails.
    Failed(Error),
}

impl fmt::Debug for UpdateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpdateKind::Value(_) => f.write_str("Value(..)"),
            UpdateKind::Deleted => f.write_str("Deleted"),
            UpdateKind::Denied => f.write_str("Denied"),
            UpdateKind::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}
