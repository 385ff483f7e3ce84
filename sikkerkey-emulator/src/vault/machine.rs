//! A machine: its key, its lifetime, and which revision of each secret it has read.

use std::collections::{HashMap, HashSet};

use ed25519_dalek::VerifyingKey;

/// An enrolled machine.
pub(crate) struct Machine {
    pub(crate) name: String,
    pub(crate) key: VerifyingKey,
    /// Milliseconds since the Unix epoch.
    pub(crate) expires: Option<i64>,
    /// The requests of a disabled machine get 403.
    pub(crate) enabled: bool,
    /// The only secrets that it may read; `None` for all.
    pub(crate) only: Option<HashSet<String>>,
    pub(crate) last_poll: Option<i64>,
    known: HashMap<String, Known>,
}

/// One machine's record of one secret, by which polls decide whether it is `changed`.
#[derive(Default)]
struct Known {
    /// The revision that it read last; after the secret returned, one that no value has.
    read: Option<u64>,
    /// The last report of a poll, for the switches that report a change once.
    told: Option<State>,
}

/// A secret as one machine sees it in a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Present(u64),
    Deleted,
    Denied,
}

impl Machine {
    pub(crate) fn new(name: String, key: VerifyingKey) -> Self {
        Self {
            name,
            key,
            expires: None,
            enabled: true,
            only: None,
            last_poll: None,
            known: HashMap::new(),
        }
    }

    pub(crate) fn expired(&self, now: i64) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    pub(crate) fn may_read(&self, id: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(id))
    }

    /// Records that the machine has read this revision. Whether the response arrives, the service cannot know.
    pub(crate) fn read(&mut self, id: &str, revision: u64) {
        *self.known.entry(id.to_owned()).or_default() = Known {
            read: Some(revision),
            told: None,
        };
    }

    /// The report of a poll on a secret in this state; `None` if it is left out.
    pub(crate) fn poll(
        &mut self,
        id: &str,
        state: State,
        switches: &crate::switches::Switches,
    ) -> Option<&'static str> {
        let known = self.known.entry(id.to_owned()).or_default();
        let (status, every_time) = match state {
            State::Deleted => ("deleted", switches.repeat_gone),
            State::Denied => ("access_denied", switches.repeat_gone),
            State::Present(revision) => {
                // A policy refused it before, and a poll reported that: it has returned.
                let told_gone = matches!(known.told, Some(State::Deleted | State::Denied));
                if told_gone && switches.returned_is_changed {
                    known.read = Some(0);
                }
                if known.read.is_none() && !switches.unread_is_changed {
                    known.read = Some(revision);
                }
                if known.read == Some(revision) {
                    return None;
                }
                ("changed", switches.changed_until_read)
            }
        };
        let again = known.told.replace(state) == Some(state);
        (every_time || !again).then_some(status)
    }

    /// Records that the secret returned at this revision.
    pub(crate) fn returned(&mut self, id: &str, revision: u64, changed: bool) {
        if let Some(known) = self.known.get_mut(id) {
            // No value has revision 0, so every poll sees a difference.
            *known = Known {
                read: Some(if changed { 0 } else { revision }),
                told: None,
            };
        }
    }
}
