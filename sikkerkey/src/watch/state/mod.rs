//! Who watches what, and what is still owed to whom: the poller's state, without a socket, a
//! thread or a clock.
//!
//! A cycle takes four steps, and between them anyone may add and remove parties:
//! [`WatchState::begin`] says what to ask for, [`WatchState::polled`] takes the answer, [`WatchState::reads`] says
//! what to read, [`WatchState::read`] takes each value, and [`WatchState::finish`] gives what is to be told.

mod cycle;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

pub(crate) use cycle::{PendingRead, Round, Told};

use super::schedule::{baseline_delay, resync_delay};
use super::seen::Digest;
use crate::error::Error;

/// Time since any fixed moment.
pub(crate) type Time = Duration;
pub(crate) type PartyId = u64;

/// What the service says about a secret in an answer to a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretChange {
    Changed,
    Deleted,
    Denied,
}

/// What a watch is told.
#[derive(Clone, Debug)]
pub(crate) enum Notice {
    Changed(SecretString),
    Deleted,
    Denied,
    Error(Error),
    Recovered,
}

#[derive(Debug, Default)]
pub(crate) struct WatchState {
    entries: BTreeMap<Arc<str>, WatchedSecret>,
    parties: BTreeMap<PartyId, Party>,
    last: PartyId,
    /// The last poll failed.
    failing: bool,
}

/// A user's watch on one secret, or a follower of many.
#[derive(Debug)]
struct Party {
    role: Role,
    ids: Vec<Arc<str>>,
    resync: Option<Duration>,
    /// When its secrets are read whatever the polls say.
    due: Option<Time>,
}

#[derive(Debug)]
enum Role {
    Watch {
        /// What its user saw last; `None` while that is not known.
        seen: Option<Digest>,
        /// An error was told, and its end was not.
        troubled: bool,
    },
    Follower,
}

#[derive(Debug, Default)]
struct WatchedSecret {
    parties: Vec<PartyId>,
    /// A value must be read before this secret is quiet again.
    pending: bool,
    /// The service itself said so, so that even a watch that has nothing to compare with is told.
    reported: bool,
    /// What the followers were given last.
    followed: Option<Digest>,
    /// What the user read since, and how often: a read that began before the last of them proves nothing.
    noted: Option<Digest>,
    notes: u64,
    gone: Option<Gone>,
}

/// A deleted or denied secret that somebody still follows. Whether the service will say "changed"
/// when it comes back is not documented, so it is read again with growing gaps.
#[derive(Clone, Copy, Debug)]
struct Gone {
    denied: bool,
    gap: Duration,
    next: Time,
}

impl WatchState {
    pub(crate) fn is_empty(&self) -> bool {
        self.parties.is_empty()
    }

    /// Whether anyone wants to know about this secret.
    #[cfg(test)]
    fn knows(&self, id: &str) -> bool {
        self.entries.contains_key(id)
    }

    /// Whether a user's watch, not only a follower, is on this secret.
    pub(crate) fn is_watched(&self, id: &str) -> bool {
        self.entries
            .get(id)
            .is_some_and(|entry| entry.parties.iter().any(|party| self.is_watch(*party)))
    }

    pub(crate) fn watch(
        &mut self,
        id: &str,
        seen: Option<Digest>,
        resync: Option<Duration>,
        now: Time,
        random: f64,
    ) -> PartyId {
        let delay = if seen.is_some() {
            resync_delay
        } else {
            baseline_delay
        };
        let due = resync.map(|interval| now + delay(interval, random));
        let role = Role::Watch {
            seen,
            troubled: false,
        };
        self.add(role, &[id.to_owned()], resync, due)
    }

    pub(crate) fn follow(
        &mut self,
        known: &[(String, Option<Digest>)],
        last_read: impl Fn(&str) -> Option<Digest>,
        resync: Option<Duration>,
        now: Time,
        random: f64,
    ) -> PartyId {
        let due = resync.map(|interval| now + resync_delay(interval, random));
        let ids: Vec<String> = known.iter().map(|(id, _)| id.clone()).collect();
        let party = self.add(Role::Follower, &ids, resync, due);
        for (id, known) in known {
            if let Some(entry) = self.entries.get_mut(id.as_str()) {
                // Another reader of this client was quicker, and the service will not tell again.
                let newer = last_read(id);
                entry.pending |= newer.is_some() && newer != *known;
                entry.followed = *known;
            }
        }
        party
    }

    fn add(
        &mut self,
        role: Role,
        ids: &[String],
        resync: Option<Duration>,
        due: Option<Time>,
    ) -> PartyId {
        self.last += 1;
        let mut own: Vec<Arc<str>> = Vec::with_capacity(ids.len());
        for id in ids {
            let id = match self.entries.get_key_value(id.as_str()) {
                Some((known, _)) => known.clone(),
                None => Arc::from(id.as_str()),
            };
            let entry = self.entries.entry(id.clone()).or_default();
            // The newcomer has not been told that it is gone, if it still is.
            entry.pending |= entry.gone.take().is_some();
            if entry.parties.last() != Some(&self.last) {
                entry.parties.push(self.last);
                own.push(id);
            }
        }
        let party = Party {
            role,
            ids: own,
            resync,
            due,
        };
        self.parties.insert(self.last, party);
        self.last
    }

    /// Whether the party was there.
    pub(crate) fn remove(&mut self, party: PartyId) -> bool {
        let Some(removed) = self.parties.remove(&party) else {
            return false;
        };
        for id in &removed.ids {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.parties.retain(|other| *other != party);
                if entry.parties.is_empty() {
                    self.entries.remove(id);
                }
            }
        }
        true
    }

    /// The watches, not the followers, of one secret.
    pub(crate) fn watches(&self, id: &str) -> Vec<PartyId> {
        let parties = self.entries.get(id).map_or(&[][..], |entry| &entry.parties);
        parties
            .iter()
            .copied()
            .filter(|party| self.is_watch(*party))
            .collect()
    }

    fn is_watch(&self, party: PartyId) -> bool {
        self.parties
            .get(&party)
            .is_some_and(|party| matches!(party.role, Role::Watch { .. }))
    }

    /// The user has read a value through the same client, and so the service holds that this
    /// machine knows it: whoever was told another one must be told by us.
    pub(crate) fn note(&mut self, id: &str, digest: Digest) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        entry.notes += 1;
        entry.noted = Some(digest);
        for party in &entry.parties {
            match self.parties.get_mut(party).map(|party| &mut party.role) {
                Some(Role::Watch {
                    seen: Some(seen), ..
                }) => entry.pending |= *seen != digest,
                Some(Role::Watch { seen, .. }) if !entry.reported => *seen = Some(digest),
                Some(Role::Follower) => entry.pending |= entry.followed != Some(digest),
                _ => {}
            }
        }
    }

    /// A read of the user's was sent and its answer lost, so it may have swallowed a change.
    pub(crate) fn suspect(&mut self, id: &str) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.notes += 1;
            entry.noted = None;
            entry.pending = true;
        }
    }

    pub(crate) fn suspect_all(&mut self) {
        for entry in self.entries.values_mut() {
            entry.notes += 1;
            entry.noted = None;
            entry.pending = true;
        }
    }
}

#[cfg(test)]
mod tests;
