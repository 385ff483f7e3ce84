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

pub(crate) use cycle::{PendingRead, REVOKED_AFTER, Round, Told};

use super::resync::{ResyncSchedule, Sharing, more_frequent};
use super::seen::Digest;
use crate::error::Error;
use crate::resync::Resync;

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
    /// Of secrets for which no party says otherwise.
    resync: Resync,
    sharing: Sharing,
}

/// A user's watch on one secret, or a follower of many.
#[derive(Debug)]
struct Party {
    role: Role,
    ids: Vec<Arc<str>>,
}

/// What a follower has of a secret, and wants of it.
#[derive(Clone, Debug)]
pub(crate) struct Followed<V> {
    pub(crate) id: String,
    /// The value that it has.
    pub(crate) value: Option<V>,
    /// Whether that value is to be read anew at the next poll: it came from the fallback cache.
    pub(crate) unconfirmed: bool,
    /// `None`: as the client is set.
    pub(crate) resync: Option<Resync>,
}

/// A party's interest in one secret.
#[derive(Debug)]
struct Interest {
    party: PartyId,
    resync: Option<Resync>,
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

#[derive(Debug)]
struct WatchedSecret {
    interests: Vec<Interest>,
    resync: ResyncSchedule,
    /// A value must be read before this secret is quiet again.
    pending: bool,
    /// The service itself said so, so that even a watch that has nothing to compare with is told.
    reported: bool,
    /// What the followers were given last.
    followed: Option<Digest>,
    /// What the user read since, and how often: a read that began before the last of them proves nothing.
    noted: Option<Digest>,
    notes: u64,
    /// Reads of the user's that are under way.
    reading: u32,
    /// What this client read last, by whichever call.
    last: Option<Digest>,
    /// What has happened between the last two polls that explains another value.
    explained: Explained,
    gone: Option<Gone>,
}

/// Why a re-read may find another value without another process that shares the identity.
#[derive(Clone, Copy, Debug, Default)]
struct Explained {
    /// This client has read the secret since the last poll, and before it.
    read: bool,
    read_before: bool,
    /// The response of a poll was lost since the last read.
    lost_poll: bool,
}

/// A deleted or denied secret that somebody still follows. Whether the service will say "changed"
/// when it comes back is not documented, so it is read again with growing gaps.
#[derive(Clone, Copy, Debug)]
struct Gone {
    /// When that was first said.
    since: Time,
    gap: Duration,
    next: Time,
}

impl WatchState {
    pub(crate) fn new(resync: Resync) -> Self {
        WatchState {
            resync,
            ..WatchState::default()
        }
    }

    /// The state of a client that ends its watches: what it knows of its identity stays.
    pub(crate) fn cleared(&mut self) -> Self {
        WatchState {
            resync: self.resync,
            sharing: std::mem::take(&mut self.sharing),
            ..WatchState::default()
        }
    }

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
            .is_some_and(|entry| entry.interests.iter().any(|to| self.is_watch(to.party)))
    }

    pub(crate) fn watch(
        &mut self,
        id: &str,
        seen: Option<Digest>,
        resync: Option<Resync>,
        now: Time,
        random: f64,
    ) -> PartyId {
        let role = Role::Watch {
            seen,
            troubled: false,
        };
        let party = self.add(role, [(id, resync)], now, random);
        if let Some(entry) = self.entries.get_mut(id) {
            entry.last = entry.last.or(seen);
        }
        party
    }

    pub(crate) fn follow(
        &mut self,
        secrets: &[Followed<Digest>],
        last_read: impl Fn(&str) -> Option<Digest>,
        now: Time,
        random: f64,
    ) -> PartyId {
        let wishes = secrets.iter().map(|to| (&*to.id, to.resync));
        let party = self.add(Role::Follower, wishes, now, random);
        for Followed {
            id,
            value,
            unconfirmed,
            ..
        } in secrets
        {
            if let Some(entry) = self.entries.get_mut(id.as_str()) {
                // Another reader of this client was quicker, and the service will not tell again.
                let newer = last_read(id);
                entry.pending |= *unconfirmed || (newer.is_some() && newer != *value);
                entry.followed = *value;
                entry.last = newer.or(*value);
            }
        }
        party
    }

    fn add<'a>(
        &mut self,
        role: Role,
        wishes: impl IntoIterator<Item = (&'a str, Option<Resync>)>,
        now: Time,
        random: f64,
    ) -> PartyId {
        self.last += 1;
        let party = self.last;
        let wishes = wishes.into_iter();
        // Of exactly this size, as `interests`: of ten thousand watches each has one of either.
        let mut ids: Vec<Arc<str>> = Vec::with_capacity(wishes.size_hint().0);
        for (id, resync) in wishes {
            let id = match self.entries.get_key_value(id) {
                Some((known, _)) => known.clone(),
                None => Arc::from(id),
            };
            let first = resync.unwrap_or(self.resync);
            let entry = self.entries.entry(id.clone());
            let entry = entry.or_insert_with(|| WatchedSecret::new(first, now, random));
            // The newcomer has not been told that it is gone, if it still is.
            entry.pending |= entry.gone.take().is_some();
            if entry.interests.last().map(|last| last.party) != Some(party) {
                entry.interests.push(Interest { party, resync });
                entry.agree(self.resync, now, random);
                ids.push(id);
            }
        }
        self.parties.insert(party, Party { role, ids });
        party
    }

    /// Whether the party was there.
    pub(crate) fn remove(&mut self, party: PartyId, now: Time, random: f64) -> bool {
        let Some(removed) = self.parties.remove(&party) else {
            return false;
        };
        for id in &removed.ids {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.interests.retain(|other| other.party != party);
                if entry.interests.is_empty() {
                    self.entries.remove(id);
                } else {
                    entry.agree(self.resync, now, random);
                }
            }
        }
        true
    }

    /// The watches, not the followers, of one secret.
    pub(crate) fn watches(&self, id: &str) -> Vec<PartyId> {
        let interests = self.entries.get(id);
        let interests = interests.map_or(&[][..], |entry| &entry.interests);
        let parties = interests.iter().map(|interest| interest.party);
        parties.filter(|party| self.is_watch(*party)).collect()
    }

    fn is_watch(&self, party: PartyId) -> bool {
        self.parties
            .get(&party)
            .is_some_and(|party| matches!(party.role, Role::Watch { .. }))
    }

    /// A read of the user's begins.
    pub(crate) fn reading(&mut self, id: &str) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.reading = entry.reading.saturating_add(1);
        }
    }

    /// A read of the user's has ended, in whichever way.
    pub(crate) fn ended(&mut self, id: &str) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.reading = entry.reading.saturating_sub(1);
            entry.explained.read = true;
        }
    }

    /// A value was read through the same client, and so the service holds that this machine knows it:
    /// whoever was told another one must be told by us. The party that read it, if one did, knows it.
    pub(crate) fn note(
        &mut self,
        id: &str,
        digest: Digest,
        by: Option<PartyId>,
        now: Time,
        random: f64,
    ) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        entry.was_read(digest, now, random);
        if let [only] = &entry.interests[..]
            && by == Some(only.party)
        {
            // Nobody else is to be told, so nothing is read for it.
            entry.followed = Some(digest);
            (entry.pending, entry.reported) = (false, false);
        }
        entry.notes += 1;
        entry.noted = Some(digest);
        for interest in &entry.interests {
            let party = self.parties.get_mut(&interest.party);
            match party.map(|party| &mut party.role) {
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
            entry.suspect();
        }
    }

    pub(crate) fn suspect_all(&mut self) {
        self.entries.values_mut().for_each(WatchedSecret::suspect);
    }

    /// Whether another process that shares the identity takes reports of changes.
    pub(crate) fn is_shared(&self) -> bool {
        self.sharing.is_certain()
    }
}

impl WatchedSecret {
    fn new(resync: Resync, now: Time, random: f64) -> Self {
        WatchedSecret {
            interests: Vec::with_capacity(1),
            resync: ResyncSchedule::new(resync, now, random),
            pending: false,
            reported: false,
            followed: None,
            noted: None,
            notes: 0,
            reading: 0,
            last: None,
            explained: Explained::default(),
            gone: None,
        }
    }

    /// Takes the wishes of all parties. A stated one counts for more than the client's setting, and
    /// of two stated ones the more frequent.
    fn agree(&mut self, default: Resync, now: Time, random: f64) {
        let stated = self.interests.iter().filter_map(|to| to.resync);
        let wanted = stated.reduce(more_frequent).unwrap_or(default);
        self.resync.set(wanted, now, random);
    }

    fn was_read(&mut self, digest: Digest, now: Time, random: f64) {
        self.last = Some(digest);
        self.explained.read = true;
        self.explained.lost_poll = false;
        self.resync.restart(now, random);
    }

    fn suspect(&mut self) {
        self.notes += 1;
        self.noted = None;
        self.pending = true;
        self.explained.read = true;
    }
}

#[cfg(test)]
mod tests;
