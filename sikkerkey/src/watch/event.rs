use secrecy::SecretString;

use super::state::Notice;
use crate::error::Error;
use crate::protocol::fields::Fields;

/// An event of a watched secret, for the callback of [`SikkerKey::watch`](crate::SikkerKey::watch).
///
/// ```
/// use sikkerkey::{WatchEvent, WatchKind};
///
/// fn on_event(event: &WatchEvent) {
///     match &event.kind {
///         WatchKind::Changed { value, .. } => drop(value.clone()), // connect again with it
///         WatchKind::Deleted | WatchKind::AccessDenied => eprintln!("{} is gone", event.secret_id),
///         other => eprintln!("{}: {other:?}", event.secret_id),
///     }
/// }
/// # let _ = on_event;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WatchEvent {
    /// The id of the watched secret.
    pub secret_id: String,
    /// The kind of the event: what happened to the secret.
    pub kind: WatchKind,
}

/// The kind of a [`WatchEvent`]: what happened to a watched secret.
///
/// `Debug` shows no value.
///
/// ```
/// use sikkerkey::WatchKind;
///
/// /// The line for a log, and whether the watch goes on.
/// fn shown(kind: &WatchKind) -> (String, bool) {
///     match kind {
///         WatchKind::Changed { fields: Some(fields), .. } => (format!("{} fields", fields.len()), true),
///         WatchKind::Changed { .. } => ("a new value".to_owned(), true),
///         WatchKind::Deleted | WatchKind::AccessDenied => ("the last value stays".to_owned(), false),
///         WatchKind::Error(error) => (error.to_string(), true),
///         other => (format!("{other:?}"), true),
///     }
/// }
///
/// assert_eq!(shown(&WatchKind::Recovered), ("Recovered".to_owned(), true));
/// assert!(!shown(&WatchKind::Deleted).1);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WatchKind {
    /// The value differs from the last one that this watch knows.
    Changed {
        /// The new value.
        value: SecretString,
        /// The fields of a structured secret; `None` if the value is not a JSON object.
        fields: Option<Fields>,
    },
    /// The secret was deleted, and this watch has ended. If the secret is created again, start a new watch.
    Deleted,
    /// This machine may no longer read the secret, and this watch has ended. If the grant returns, start a
    /// new watch.
    AccessDenied,
    /// An outage began: a poll failed, or the new value could not be read. Sent once for each outage; the
    /// watch continues, and no change is lost.
    Error(Error),
    /// The outage after [`Error`](WatchKind::Error) is over. A change during the outage is a separate event,
    /// after this one.
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
