use secrecy::SecretString;

use super::state::Notice;
use crate::error::Error;
use crate::protocol::fields::Fields;

/// What a watch is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WatchEvent {
    /// The secret that was watched.
    pub secret_id: String,
    /// What happened to it.
    pub kind: WatchKind,
}

/// What happened to a watched secret.
///
/// `Debug` shows no value.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WatchKind {
    /// Its value is another one than the watch's user has seen last.
    Changed {
        /// The new value.
        value: SecretString,
        /// The fields of a structured secret; `None` where the value is not a JSON object.
        fields: Option<Fields>,
    },
    /// It was deleted, and this watch has ended. When the secret comes back, watch it again.
    Deleted,
    /// This machine may not read it any more, and this watch has ended. When the grant comes
    /// back, watch it again.
    AccessDenied,
    /// An outage began: the service could not be asked, or the new value not be read. Told once;
    /// the watch goes on, and no change is lost by it.
    Error(Error),
    /// The outage that [`Error`](WatchKind::Error) told of is over. A change that happened
    /// meanwhile comes as its own event, after this one.
    Recovered,
}

impl WatchEvent {
    pub(crate) fn new(secret_id: &str, notice: Notice) -> Self {
        let kind = match notice {
            Notice::Changed(value) => WatchKind::Changed {
                fields: Fields::parse(&value),
                value,
            },
            Notice::Deleted => WatchKind::Deleted,
            Notice::Denied => WatchKind::AccessDenied,
            Notice::Error(error) => WatchKind::Error(error),
            Notice::Recovered => WatchKind::Recovered,
        };
        WatchEvent {
            secret_id: secret_id.to_owned(),
            kind,
        }
    }
}
