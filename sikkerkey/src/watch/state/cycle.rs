//! The steps of one cycle.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::{Gone, Interest, Notice, PartyId, Role, SecretChange, Time, WatchState, WatchedSecret};
use crate::error::{Error, Verdict};
use crate::watch::follower::{Cycle, Update, UpdateKind};
use crate::watch::resync::{FIRST_GAP, LONGEST_GAP, Sighting};
use crate::watch::seen::Digest;

/// After this time a secret that is gone counts as revoked, so it is read once more then.
#[cfg_attr(not(feature = "live"), allow(dead_code))]
pub(crate) const REVOKED_AFTER: Duration = Duration::from_secs(600);

/// A cycle that is under way.
#[derive(Debug, Default)]
pub(crate) struct Round {
    followers: BTreeMap<PartyId, Vec<Update>>,
    /// The values for followers, each with the number of this client's reads before it.
    found: BTreeMap<Arc<str>, (u64, Digest)>,
    notices: Vec<(PartyId, Arc<str>, Notice)>,
    /// The poll interval, from which the gaps of missing secrets grow.
    interval: Duration,
    outcome: Option<Error>,
    /// When the poll ended.
    now: Time,
    /// Drawn once for each cycle, so that the resyncs of one client stay together.
    random: f64,
    /// The meaning of the swallowed changes that this cycle found: one for all of them.
    sighting: Option<Sighting>,
}

impl Round {
    /// Adds an update for a follower, also for one that joined after the round began: it gets nothing twice,
    /// and for the next round the values that this round read count as known.
    fn notify(&mut self, follower: PartyId, id: &Arc<str>, kind: UpdateKind) {
        let updates = self.followers.entry(follower).or_default();
        updates.push(Update {
            id: id.clone(),
            kind,
        });
    }
}

/// A value to read; passed back to [`WatchState::read`] with the result.
#[derive(Clone, Debug)]
pub(crate) struct PendingRead {
    pub id: Arc<str>,
    notes: u64,
    /// Whether this is only a resync: nothing indicates another value.
    unasked: bool,
    /// Whether another value could only be explained by another process with the same identity.
    unexplained: bool,
}

impl PendingRead {
    fn new(id: &Arc<str>, entry: &WatchedSecret, unasked: bool) -> Self {
        let explained = entry.explained;
        let is_explained = explained.read_before || explained.read || explained.lost_poll;
        PendingRead {
            id: id.clone(),
            notes: entry.notes,
            unasked,
            unexplained: unasked && !is_explained && entry.reading == 0,
        }
    }
}

/// The notifications of a cycle.
#[derive(Default)]
pub(crate) struct Told {
    pub notices: Vec<(PartyId, Arc<str>, Notice)>,
    pub cycles: Vec<(PartyId, Cycle)>,
    /// Set if a swallowed change was found in this cycle.
    pub sighting: Option<Sighting>,
}

/// Returns a random number in `0.0..1.0`.
pub(crate) type Random<'a> = &'a mut dyn FnMut() -> f64;

impl WatchState {
    /// Starts a cycle. Returns the ids to poll for.
    pub(crate) fn begin(&self, interval: Duration) -> (Round, Vec<Arc<str>>) {
        let followers = self
            .parties
            .iter()
            .filter(|(_, party)| matches!(party.role, Role::Follower));
        let round = Round {
            followers: followers.map(|(id, _)| (*id, Vec::new())).collect(),
            interval,
            ..Round::default()
        };
        (round, self.entries.keys().cloned().collect())
    }

    pub(crate) fn polled(
        &mut self,
        round: &mut Round,
        answer: Result<&[(String, SecretChange)], &Error>,
        now: Time,
        random: Random<'_>,
    ) {
        round.now = now;
        round.random = random();
        match answer {
            Ok(changes) => {
                if mem::take(&mut self.failing) {
                    self.spread(now, round.random);
                }
                for entry in self.entries.values_mut() {
                    let read = mem::take(&mut entry.explained.read);
                    entry.explained.read_before = read;
                }
                for (id, status) in changes {
                    match status {
                        SecretChange::Changed => {
                            if let Some(entry) = self.entries.get_mut(id.as_str()) {
                                (entry.pending, entry.reported) = (true, true);
                            }
                        }
                        SecretChange::Deleted => self.lost(round, id, false, now, false),
                        SecretChange::Denied => self.lost(round, id, true, now, false),
                    }
                }
            }
            Err(error) => {
                round.outcome = Some(error.clone());
                self.failing = true;
                if error.may_have_been_done() {
                    self.doubt(now, round.random);
                }
                let all: Vec<_> = self.parties.keys().copied().collect();
                for party in all {
                    self.trouble(round, party, error);
                }
            }
        }
    }

    /// Spreads resyncs that fell into an outage over the time after it. This is done once, at its end: if
    /// they were drawn again each time they fall due, they would be twice as frequent as normal. The resyncs
    /// of one client stay together.
    fn spread(&mut self, now: Time, random: f64) {
        for entry in self.entries.values_mut() {
            entry.resync.postpone(now, random);
        }
    }

    /// Handles a lost response, in which the service may have reported changes: it reports each only once.
    fn doubt(&mut self, now: Time, random: f64) {
        for entry in self.entries.values_mut() {
            if !mem::replace(&mut entry.explained.lost_poll, true) {
                entry.resync.doubt(now, random);
            }
        }
    }

    /// Handles a poll that was sent twice: its first response may have been lost.
    pub(crate) fn repeated(&mut self) {
        for entry in self.entries.values_mut() {
            entry.explained.lost_poll = true;
        }
    }

    /// Returns the values to read in this cycle; none after a failed poll.
    pub(crate) fn reads(&self, round: &Round, now: Time) -> Vec<PendingRead> {
        if round.outcome.is_some() {
            return Vec::new();
        }
        // The next cycle may be this late, but a resync must not be late.
        let ahead = round.interval.mul_f64(1.2);
        let wanted = |(id, entry): (&Arc<str>, &WatchedSecret)| {
            let asked = entry.pending || entry.gone.is_some_and(|gone| gone.next <= now);
            // Secrets that are gone have their own gaps.
            let unasked = entry.gone.is_none() && entry.resync.is_due(now, ahead);
            (asked || unasked).then(|| PendingRead::new(id, entry, !asked))
        };
        self.entries.iter().filter_map(wanted).collect()
    }

    pub(crate) fn read(
        &mut self,
        round: &mut Round,
        read: &PendingRead,
        answer: Result<(&SecretString, Digest), &Error>,
        now: Time,
    ) {
        match answer {
            Ok((value, digest)) => self.found(round, read, (value, digest), now),
            Err(error) => match error.verdict() {
                Some(Verdict::Missing) => self.lost(round, &read.id, false, now, true),
                Some(Verdict::Denied) => self.lost(round, &read.id, true, now, true),
                None => self.unread(round, read, error),
            },
        }
    }

    /// Takes back the values of this cycle that another read of this client has overtaken since: they are read
    /// again.
    fn overtake(&mut self, round: &mut Round) {
        for (id, (notes, digest)) in std::mem::take(&mut round.found) {
            let Some(entry) = self.entries.get_mut(&id) else {
                continue;
            };
            if entry.notes == notes || entry.noted == Some(digest) {
                continue;
            }
            entry.pending = true;
            for update in round.followers.values_mut().flatten() {
                if update.id == id && matches!(update.kind, UpdateKind::Value(_)) {
                    update.kind = UpdateKind::Outdated;
                }
            }
        }
    }

    /// Ends the cycle. Returns its notifications, in order for each party.
    pub(crate) fn finish(&mut self, mut round: Round) -> Told {
        self.overtake(&mut round);
        if matches!(round.sighting, Some(Sighting::First | Sighting::Second)) {
            self.alert(&round);
        }
        if round.outcome.is_none() {
            for (id, party) in &mut self.parties {
                if let Role::Watch { troubled, .. } = &mut party.role
                    && *troubled
                    && let Some(secret) = party.ids.first()
                    && self.entries.get(secret).is_none_or(|entry| !entry.pending)
                {
                    *troubled = false;
                    round.notices.push((*id, secret.clone(), Notice::Recovered));
                }
            }
        }
        let (outcome, sighting, shared) = (round.outcome, round.sighting, self.is_shared());
        let cycles = round.followers.into_iter();
        let cycles = cycles.filter(|(party, _)| self.parties.contains_key(party));
        let cycles = cycles.map(|(party, mut updates)| {
            updates.sort_by(|a, b| a.id.cmp(&b.id));
            let outcome = outcome.clone().map_or(Ok(()), Err);
            let cycle = Cycle {
                outcome,
                updates,
                shared,
            };
            (party, cycle)
        });
        Told {
            cycles: cycles.collect(),
            notices: round.notices,
            sighting,
        }
    }

    fn found(
        &mut self,
        round: &mut Round,
        read: &PendingRead,
        (value, digest): (&SecretString, Digest),
        now: Time,
    ) {
        let Some((id, _)) = self.entries.get_key_value(&read.id) else {
            return;
        };
        let id = id.clone();
        let longest = self.sharing.longest_gap(now);
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let same = entry.last == Some(digest);
        let alone = entry.notes == read.notes && entry.reading == 0;
        let swallowed = read.unexplained && alone && entry.last.is_some() && !same;
        let reported = mem::take(&mut entry.reported);
        entry.gone = None;
        // The user or a follower may have read a newer value while this read was under way. If so, the secret
        // is read again, and followers wait for that.
        let doubtful = entry.notes != read.notes && entry.noted != Some(digest);
        entry.pending = doubtful;
        if !doubtful {
            entry.followed = Some(digest);
        }
        entry.was_read(digest, now, round.random);
        if read.unasked && same {
            entry.resync.confirmed(now, round.random, longest);
        }
        if !doubtful {
            round.found.insert(id.clone(), (entry.notes, digest));
        }
        if swallowed && round.sighting.is_none() {
            round.sighting = Some(self.sharing.sighted(now));
        }
        for Interest { party, .. } in &entry.interests {
            match self.parties.get_mut(party).map(|party| &mut party.role) {
                Some(Role::Watch { seen, troubled }) => {
                    if std::mem::take(troubled) {
                        round.notices.push((*party, id.clone(), Notice::Recovered));
                    }
                    let news = seen.map_or(reported, |seen| seen != digest);
                    *seen = Some(digest);
                    if news {
                        let notice = Notice::Changed(value.clone());
                        round.notices.push((*party, id.clone(), notice));
                    }
                }
                Some(Role::Follower) if doubtful => {
                    round.notify(*party, &id, UpdateKind::Outdated);
                }
                Some(Role::Follower) => {
                    round.notify(*party, &id, UpdateKind::Value(value.clone()));
                }
                None => {}
            }
        }
    }

    /// Handles a change that a resync found and that was never reported to this process: all other secrets
    /// are read soon, to find further swallowed changes.
    fn alert(&mut self, round: &Round) {
        for entry in self.entries.values_mut().filter(|e| e.gone.is_none()) {
            let was_read = entry.explained.read;
            entry.resync.alert(round.now, round.random, was_read);
        }
    }

    fn unread(&mut self, round: &mut Round, read: &PendingRead, error: &Error) {
        let Some(entry) = self.entries.get_mut(&read.id) else {
            return;
        };
        // The service may have responded, and then assumes that this machine knows the value.
        entry.pending = true;
        entry.explained.read = true;
        let parties: Vec<_> = entry.interests.iter().map(|to| to.party).collect();
        for party in parties {
            self.trouble(round, party, error);
            if !self.is_watch(party) {
                round.notify(party, &read.id, UpdateKind::Failed(error.clone()));
            }
        }
    }

    /// Handles a secret that is gone: its watches are notified and end; followers are notified each time, and
    /// stay.
    fn lost(&mut self, round: &mut Round, id: &str, denied: bool, now: Time, by_read: bool) {
        let Some((id, entry)) = self.entries.get_key_value(id) else {
            return;
        };
        let id = id.clone();
        let parties: Vec<_> = entry.interests.iter().map(|to| to.party).collect();
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        (entry.pending, entry.reported) = (false, false);
        entry.explained.read |= by_read;
        let before = entry.gone;
        let gap = match before {
            Some(gone) if by_read => (gone.gap * 2).min(LONGEST_GAP),
            Some(gone) => gone.gap,
            // A secret that never existed is not expected soon.
            None if entry.last.is_none() => FIRST_GAP,
            None => round.interval.min(LONGEST_GAP),
        };
        let since = before.map_or(now, |gone| gone.since);
        let revoked = since + REVOKED_AFTER;
        let next = match now < revoked {
            true => (now + gap).min(revoked.max(now + round.interval)),
            false => now + gap,
        };
        entry.gone = Some(Gone { since, gap, next });
        for party in parties {
            if self.is_watch(party) {
                let notice = if denied {
                    Notice::Denied
                } else {
                    Notice::Deleted
                };
                round.notices.push((party, id.clone(), notice));
                self.remove(party, now, round.random);
            } else {
                let kind = if denied {
                    UpdateKind::Denied
                } else {
                    UpdateKind::Deleted
                };
                round.notify(party, &id, kind);
            }
        }
    }

    /// Notifies a watch of an error, once for each outage.
    fn trouble(&mut self, round: &mut Round, party_id: PartyId, error: &Error) {
        if let Some(party) = self.parties.get_mut(&party_id)
            && let Role::Watch { troubled, .. } = &mut party.role
            && !std::mem::replace(troubled, true)
            && let Some(id) = party.ids.first()
        {
            let notice = Notice::Error(error.clone());
            round.notices.push((party_id, id.clone(), notice));
        }
    }
}
