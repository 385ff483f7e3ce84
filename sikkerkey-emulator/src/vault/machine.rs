//! A machine: its key, how long it lives, and what it knows of each secret.

use std::collections::{HashMap, HashSet};

use ed25519_dalek::VerifyingKey;

/// An enrolled machine.
pub(crate) struct Machine {
    pub(crate) name: String,
    pub(crate) key: VerifyingKey,
    /// Milliseconds since the Unix epoch.
    pub(crate) expires: Option<i64>,
    /// A disabled machine is known and gets 403.
    pub(crate) enabled: bool,
    /// The only secrets it may read; all of them when there is no such list.
    pub(crate) only: Option<HashSet<String>>,
    pub(crate) last_poll: Option<i64>,
    known: HashMap<String, Known>,
}

/// What one machine knows of one secret: the ground for `changed`.
#[derive(Default)]
struct Known {
    /// The revision it read last; one that never was after the secret came back.
    read: Option<u64>,
    /// What a poll said last, for the switches that say a thing once.
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

    /// The machine has read this revision; whether the response arrives is not the service's to know.
    pub(crate) fn read(&mut self, id: &str, revision: u64) {
        *self.known.entry(id.to_owned()).or_default() = Known {
            read: Some(revision),
            told: None,
        };
    }

    /// What a poll says of a secret in this state; none when there is nothing to say.
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
                // A policy refused it before, and polls said so: it has returned.
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

    /// The secret came back at this revision.
    pub(crate) fn returned(&mut self, id: &str, revision: u64, changed: bool) {
        if let Some(known) = self.known.get_mut(id) {
            // No secret has revision 0: it differs from every one there is.
            *known = Known {
                read: Some(if changed { 0 } else { revision }),
                told: None,
            };
        }
    }
}
