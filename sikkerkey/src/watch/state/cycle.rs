//! The steps of one cycle.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::{Gone, Notice, PartyId, Role, SecretChange, Time, WatchState};
use crate::error::{Error, Verdict};
use crate::watch::follower::{Cycle, Update, UpdateKind};
use crate::watch::schedule::{DEFAULT_RESYNC, postponed_delay, resync_delay};
use crate::watch::seen::Digest;

/// One cycle under way.
#[derive(Debug, Default)]
pub(crate) struct Round {
    followers: BTreeMap<PartyId, Vec<Update>>,
    notices: Vec<(PartyId, Arc<str>, Notice)>,
    /// The poll interval, from which the gaps of missing secrets grow.
    interval: Duration,
    outcome: Option<Error>,
}

impl Round {
    /// Also for a follower that joined after the round began: it is told nothing twice, and what
    /// this round read is unchanged for the next.
    fn notify(&mut self, follower: PartyId, id: &Arc<str>, kind: UpdateKind) {
        let updates = self.followers.entry(follower).or_default();
        updates.push(Update {
            id: id.clone(),
            kind,
        });
    }
}

/// A value to be read; handed back to [`WatchState::read`] with the answer.
#[derive(Clone, Debug)]
pub(crate) struct PendingRead {
    pub id: Arc<str>,
    notes: u64,
}

/// What a cycle has to tell.
#[derive(Default)]
pub(crate) struct Told {
    pub notices: Vec<(PartyId, Arc<str>, Notice)>,
    pub cycles: Vec<(PartyId, Cycle)>,
}

/// Randomness in `0.0..1.0`.
pub(crate) type Random<'a> = &'a mut dyn FnMut() -> f64;

impl WatchState {
    /// The ids to poll for.
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
        match answer {
            Ok(changes) => {
                if mem::take(&mut self.failing) {
                    self.spread(now, random);
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
                let all: Vec<_> = self.parties.keys().copied().collect();
                for party in all {
                    self.trouble(round, party, error);
                }
            }
        }
    }

    /// Re-reads that fell into an outage are spread over the time after it. Once, at its end: drawn
    /// anew whenever they fall due in it, they would come twice as often as on a quiet day.
    fn spread(&mut self, now: Time, random: Random<'_>) {
        for party in self.parties.values_mut() {
            if let (Some(due), Some(resync)) = (&mut party.due, party.resync)
                && *due <= now
            {
                *due = now + postponed_delay(resync, random());
            }
        }
    }

    /// The values to read in this cycle; none after a poll that failed.
    pub(crate) fn reads(
        &mut self,
        round: &Round,
        now: Time,
        random: Random<'_>,
    ) -> Vec<PendingRead> {
        if round.outcome.is_some() {
            return Vec::new();
        }
        let mut wanted: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        for (id, entry) in &self.entries {
            if entry.pending || entry.gone.is_some_and(|gone| gone.next <= now) {
                wanted.insert(id.clone(), entry.notes);
            }
        }
        for party in self.parties.values_mut() {
            if let (Some(due), Some(resync)) = (&mut party.due, party.resync)
                && *due <= now
            {
                *due = now + resync_delay(resync, random());
                for id in &party.ids {
                    // What is gone has its own gaps.
                    if let Some(entry) = self.entries.get(id)
                        && entry.gone.is_none()
                    {
                        wanted.insert(id.clone(), entry.notes);
                    }
                }
            }
        }
        let wanted = wanted.into_iter();
        wanted
            .map(|(id, notes)| PendingRead { id, notes })
            .collect()
    }

    pub(crate) fn read(
        &mut self,
        round: &mut Round,
        read: &PendingRead,
        answer: Result<(&SecretString, Digest), &Error>,
        now: Time,
    ) {
        match answer {
            Ok((value, digest)) => self.found(round, read, value, digest),
            Err(error) => match error.verdict() {
                Some(Verdict::Missing) => self.lost(round, &read.id, false, now, true),
                Some(Verdict::Denied) => self.lost(round, &read.id, true, now, true),
                None => self.unread(round, read, error),
            },
        }
    }

    /// What this cycle has to tell, each party's own in order.
    pub(crate) fn finish(&mut self, mut round: Round) -> Told {
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
        let outcome = round.outcome;
        let cycles = round.followers.into_iter();
        let cycles = cycles.filter(|(party, _)| self.parties.contains_key(party));
        let cycles = cycles.map(|(party, mut updates)| {
            updates.sort_by(|a, b| a.id.cmp(&b.id));
            let outcome = outcome.clone().map_or(Ok(()), Err);
            (party, Cycle { outcome, updates })
        });
        Told {
            cycles: cycles.collect(),
            notices: round.notices,
        }
    }

    fn found(
        &mut self,
        round: &mut Round,
        read: &PendingRead,
        value: &SecretString,
        digest: Digest,
    ) {
        let Some((id, _)) = self.entries.get_key_value(&read.id) else {
            return;
        };
        let id = id.clone();
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let reported = std::mem::take(&mut entry.reported);
        entry.gone = None;
        entry.followed = Some(digest);
        // The user may have read a newer value while this read was under way.
        entry.pending = entry.notes != read.notes && entry.noted != Some(digest);
        for party_id in &entry.parties {
            match self.parties.get_mut(party_id).map(|party| &mut party.role) {
                Some(Role::Watch { seen, troubled }) => {
                    if std::mem::take(troubled) {
                        round
                            .notices
                            .push((*party_id, id.clone(), Notice::Recovered));
                    }
                    let news = seen.map_or(reported, |seen| seen != digest);
                    *seen = Some(digest);
                    if news {
                        let notice = Notice::Changed(value.clone());
                        round.notices.push((*party_id, id.clone(), notice));
                    }
                }
                Some(Role::Follower) => {
                    round.notify(*party_id, &id, UpdateKind::Value(value.clone()));
                }
                None => {}
            }
        }
    }

    fn unread(&mut self, round: &mut Round, read: &PendingRead, error: &Error) {
        let Some(entry) = self.entries.get_mut(&read.id) else {
            return;
        };
        // The service may have answered, and so hold that this machine knows the value.
        entry.pending = true;
        for party in entry.parties.clone() {
            self.trouble(round, party, error);
            if !self.is_watch(party) {
                round.notify(party, &read.id, UpdateKind::Failed(error.clone()));
            }
        }
    }

    /// Watches are told and end; followers are told once and stay.
    fn lost(&mut self, round: &mut Round, id: &str, denied: bool, now: Time, by_read: bool) {
        let Some((id, entry)) = self.entries.get_key_value(id) else {
            return;
        };
        let id = id.clone();
        let cap = entry
            .parties
            .iter()
            .filter_map(|party| self.parties.get(party)?.resync)
            .min();
        let cap = cap.unwrap_or(DEFAULT_RESYNC);
        let parties = entry.parties.clone();
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        (entry.pending, entry.reported) = (false, false);
        let before = entry.gone;
        let gap = match before {
            Some(gone) if by_read => (gone.gap * 2).min(cap),
            Some(gone) => gone.gap,
            None => round.interval.min(cap),
        };
        let next = now + gap;
        entry.gone = Some(Gone { denied, gap, next });
        for party in parties {
            if self.is_watch(party) {
                let notice = if denied {
                    Notice::Denied
                } else {
                    Notice::Deleted
                };
                round.notices.push((party, id.clone(), notice));
                self.remove(party);
            } else if before.is_none_or(|gone| gone.denied != denied) {
                let kind = if denied {
                    UpdateKind::Denied
                } else {
                    UpdateKind::Deleted
                };
                round.notify(party, &id, kind);
            }
        }
    }

    /// One error for each watch and outage.
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
