//! The poller's state: watches, followers, and their pending notifications. Pure: no socket, no thread, no
//! clock.
//!
//! The steps of a cycle, between which parties may be added and removed: [`WatchState::begin`] returns the
//! ids to poll for, [`WatchState::polled`] takes the response, [`WatchState::reads`] returns what to read,
//! [`WatchState::read`] takes each value, and [`WatchState::finish`] returns the notifications.

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

/// The service's report about a secret in a poll's response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretChange {
    Changed,
    Deleted,
    Denied,
}

/// A notification for a watch.
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
    /// Whether the last poll failed.
    failing: bool,
    /// The resync of secrets for which no party has a setting.
    resync: Resync,
    sharing: Sharing,
}

/// A user's watch on one secret, or a follower of many.
#[derive(Debug)]
struct Party {
    role: Role,
    ids: Vec<Arc<str>>,
}

/// A secret that a follower follows: the value that it has, and its settings.
#[derive(Clone, Debug)]
pub(crate) struct Followed<V> {
    pub(crate) id: String,
    /// The value that it has.
    pub(crate) value: Option<V>,
    /// Whether that value must be read again at the next poll, because it came from the fallback cache.
    pub(crate) unconfirmed: bool,
    /// `None` for the client's setting.
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
        /// The value that its user saw last; `None` if unknown.
        seen: Option<Digest>,
        /// Whether an error was sent, without a recovery so far.
        troubled: bool,
    },
    Follower,
}

#[derive(Debug)]
struct WatchedSecret {
    interests: Vec<Interest>,
    resync: ResyncSchedule,
    /// Whether a value must still be read.
    pending: bool,
    /// Whether the service reported the change, so that even a watch without a value to compare with is
    /// notified.
    reported: bool,
    /// The value that followers got last.
    followed: Option<Digest>,
    /// The value that the user read since, and how often: a read that began before the last of these reads
    /// proves nothing.
    noted: Option<Digest>,
    notes: u64,
    /// The number of the user's reads that are under way.
    reading: u32,
    /// The value that this client read last, through any call.
    last: Option<Digest>,
    /// Events between the last two polls that explain another value.
    explained: Explained,
    gone: Option<Gone>,
}

/// Reasons why a resync may find another value without another process that shares the identity.
#[derive(Clone, Copy, Debug, Default)]
struct Explained {
    /// This client has read the secret since the last poll, and before it.
    read: bool,
    read_before: bool,
    /// The response of a poll was lost since the last read.
    lost_poll: bool,
}

/// A deleted or denied secret that is still followed. The service does not document whether it reports such a
/// secret when it comes back, so it is read again with growing gaps.
#[derive(Clone, Copy, Debug)]
struct Gone {
    /// When the service first reported it.
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

    /// Returns the state of a client that ends its watches: the knowledge about its identity stays. Ids of
    /// parties are not given out again, because handles of the old ones may still exist.
    pub(crate) fn cleared(&mut self) -> Self {
        WatchState {
            last: self.last,
            resync: self.resync,
            sharing: std::mem::take(&mut self.sharing),
            ..WatchState::default()
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parties.is_empty()
    }

    /// Whether any party is interested in this secret.
    #[cfg(test)]
    fn knows(&self, id: &str) -> bool {
        self.entries.contains_key(id)
    }

    /// Whether a user's watch, not only a follower, exists for this secret.
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
                // Another reader of this client has read a newer value, and the service will not report it
                // again.
                let known = [last_read(id), entry.followed, entry.last];
                let is_other = known.iter().flatten().any(|known| Some(*known) != *value);
                entry.pending |= *unconfirmed || is_other;
                entry.followed = *value;
                entry.last = entry.last.or(known[0]).or(*value);
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
        // Allocated with its exact size, like `interests`: each of ten thousand watches has one of both.
        let mut ids: Vec<Arc<str>> = Vec::with_capacity(wishes.size_hint().0);
        for (id, resync) in wishes {
            let id = match self.entries.get_key_value(id) {
                Some((known, _)) => known.clone(),
                None => Arc::from(id),
            };
            let first = resync.unwrap_or(self.resync);
            let entry = self.entries.entry(id.clone());
            let entry = entry.or_insert_with(|| WatchedSecret::new(first, now, random));
            // The new party must still be notified that the secret is gone, if it is.
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

    /// Removes a party. Returns whether it existed.
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

    /// Returns the watches, without the followers, of one secret.
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

    /// Records that a user's read begins.
    pub(crate) fn reading(&mut self, id: &str) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.reading = entry.reading.saturating_add(1);
        }
    }

    /// Records that a user's read has ended, with or without success.
    pub(crate) fn ended(&mut self, id: &str) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.reading = entry.reading.saturating_sub(1);
            entry.explained.read = true;
        }
    }

    /// Whether a user's read is under way.
    #[cfg(test)]
    pub(crate) fn is_read(&self, id: &str) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.reading > 0)
    }

    /// Records that a value was read through the same client. The service then assumes that this machine
    /// knows it, so we must notify every party that knows another value, except the one that read it.
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
            // No other party must be notified, so nothing is read.
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

    /// Records that the response to a user's read was lost: that read may have consumed the report of a
    /// change.
    pub(crate) fn suspect(&mut self, id: &str) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.suspect();
        }
    }

    pub(crate) fn suspect_all(&mut self) {
        self.entries.values_mut().for_each(WatchedSecret::suspect);
    }

    /// Whether another process that shares the identity consumes reports of changes.
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

    /// Combines the settings of all parties. A party's setting takes precedence over the client's, and of two
    /// parties' settings the more frequent one.
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
