//! The loop of the polling thread.

use std::collections::HashSet;
use std::sync::{Arc, MutexGuard, Weak};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::{IS_POLLER, Poller, PollerState, Upstream, outcome};
use crate::contain::contain;
use crate::error::Error;
use crate::log::log;
use crate::parallel::{given_up, read_all};
use crate::sync::lock;
use crate::text;
use crate::watch::event::WatchEvent;
use crate::watch::follower::Cycle;
use crate::watch::resync::Sighting;
use crate::watch::schedule::PollOutcome;
use crate::watch::seen::Digest;
use crate::watch::state::{Notice, PartyId, PendingRead, Round, SecretChange, Told};

/// How many values are read in parallel.
const PARALLEL: usize = 8;

impl Poller {
    pub(super) fn run(self: Arc<Self>, source: &Weak<dyn Upstream>, generation: u64) {
        IS_POLLER.set(true);
        while self.wait(generation) {
            let Some(source) = source.upgrade() else {
                break;
            };
            // A panic here must not silently end every watch.
            if contain(|| self.cycle(&*source, generation)).is_err() {
                log!(
                    error,
                    "a poll cycle panicked; the next one is made as usual"
                );
                let now = self.clock.monotonic();
                let random = self.random.fraction();
                let mut state = lock(&self.state);
                state.schedule.polled(now, PollOutcome::Failed, random);
            }
        }
        let mut state = lock(&self.state);
        if state.generation == generation {
            state.running = false;
        }
        state.threads -= 1;
        self.ended.raise();
    }

    /// Waits for the next cycle. Returns `false` if this thread must end. A thread decides and announces its
    /// end under one lock, so a new watch is either seen by it or starts another thread.
    fn wait(&self, generation: u64) -> bool {
        loop {
            let seen = self.wake.count();
            let due = {
                let mut state = lock(&self.state);
                if state.generation != generation {
                    return false;
                }
                if state.watches.is_empty() {
                    state.running = false;
                    state.generation += 1;
                    return false;
                }
                let due = state.schedule.due();
                if due <= self.clock.monotonic() {
                    state.hurry = false;
                    return true;
                }
                due
            };
            self.clock.wait(&self.wake, seen, due);
        }
    }

    fn cycle(&self, source: &dyn Upstream, generation: u64) {
        let (mut round, ids) = {
            let state = lock(&self.state);
            state.watches.begin(state.schedule.interval())
        };
        let answer = source.poll(&ids);
        let repeated = answer.as_ref().is_ok_and(|answer| answer.repeated);
        let answer = answer.map(|answer| asked_for(answer.changes, &ids));
        let polled = self.clock.monotonic();
        for (id, _) in answer
            .iter()
            .flatten()
            .filter(|(_, status)| *status != SecretChange::Changed)
        {
            source.lost(id);
        }
        log_poll(ids.len(), &answer);

        let mut random = || self.random.fraction();
        let reads = {
            let Some(mut state) = self.current(generation) else {
                return;
            };
            let answer = answer.as_deref();
            if repeated {
                state.watches.repeated();
            }
            state
                .watches
                .polled(&mut round, answer, polled, &mut random);
            state.watches.reads(&round, polled)
        };
        let values = self.read(source, &reads, generation);
        let digests: Vec<Option<Digest>> = values.iter().map(|value| self.digest(value)).collect();

        let told = {
            let Some(mut state) = self.current(generation) else {
                return;
            };
            let now = self.clock.monotonic();
            let mut refused = answer.as_ref().err();
            for ((read, value), digest) in reads.iter().zip(&values).zip(digests) {
                let value = value.as_ref();
                // A 401 or a `Retry-After` of a read counts for the next poll as if the poll had got it.
                let telling = |error: &&Error| outcome(Some(error)) != PollOutcome::Failed;
                refused = refused.or(value.err().filter(telling));
                state.apply(&mut round, read, value, digest, now);
            }
            let told = state.watches.finish(round);
            state.schedule.polled(polled, outcome(refused), random());
            if std::mem::take(&mut state.hurry) {
                state.schedule.hurry(now);
            }
            told
        };
        self.notify(told);
    }

    /// Reads the values of this cycle, unless the cycle is given up meanwhile.
    pub(super) fn read(
        &self,
        source: &dyn Upstream,
        reads: &[PendingRead],
        generation: u64,
    ) -> Vec<Result<SecretString, Error>> {
        read_all(reads, PARALLEL, |read| {
            // The lock must not be held while the value is read.
            let goes_on = self.current(generation).is_some();
            match goes_on {
                true => source.read(&read.id),
                false => Err(given_up()),
            }
        })
    }

    fn digest(&self, value: &Result<SecretString, Error>) -> Option<Digest> {
        let value = value.as_ref().ok()?;
        Some(self.salt.digest(value.expose_secret()))
    }

    /// Returns the state, unless a newer thread has replaced this one.
    fn current(&self, generation: u64) -> Option<MutexGuard<'_, PollerState>> {
        let state = lock(&self.state);
        (state.generation == generation).then_some(state)
    }

    fn notify(&self, told: Told) {
        if let Some(sighting) = told.sighting {
            log_sighting(sighting);
        }
        let mut calls = Vec::with_capacity(told.notices.len());
        let mut ended = Vec::new();
        let mut state = lock(&self.state);
        for (party, id, notice) in told.notices {
            if matches!(notice, Notice::Deleted | Notice::Denied) {
                state.seen.forget(&id);
                ended.push(party);
            }
            if let Some(to) = state.registrations.get(&party).cloned() {
                calls.push(to.call(WatchEvent::new(&id, notice)));
            }
        }
        for party in ended {
            // The watch's last event also holds the registration, so this is never the last reference.
            state.registrations.remove(&party);
        }
        drop(state);
        self.callbacks.enqueue(calls);
        for (party, cycle) in told.cycles {
            self.notify_follower(party, cycle);
        }
    }

    fn notify_follower(&self, party: PartyId, cycle: Cycle) {
        let follower = lock(&self.state).followers.get(&party).cloned();
        let Some(follower) = follower else { return };
        let told = contain(|| {
            follower.cycle(cycle);
            drop(follower);
        });
        if told.is_err() {
            log!(
                error,
                "a follower panicked; it is told of the next cycle as usual"
            );
        }
    }
}

impl PollerState {
    fn apply(
        &mut self,
        round: &mut Round,
        read: &PendingRead,
        value: Result<&SecretString, &Error>,
        digest: Option<Digest>,
        now: Duration,
    ) {
        if let Some(digest) = digest
            && self.watches.is_watched(&read.id)
        {
            self.seen.set(&read.id, digest);
        }
        let answer = match (value, digest) {
            (Ok(value), Some(digest)) => Ok((value, digest)),
            (Err(error), _) => Err(error),
            (Ok(_), None) => return,
        };
        self.watches.read(round, read, answer, now);
    }
}

/// Keeps the changes of secrets that were asked for, and ignores others in the response.
fn asked_for(
    changes: Vec<(String, SecretChange)>,
    ids: &[Arc<str>],
) -> Vec<(String, SecretChange)> {
    let asked: HashSet<&str> = ids.iter().map(|id| &**id).collect();
    let (known, unasked): (Vec<_>, Vec<_>) = changes
        .into_iter()
        .partition(|(id, _)| asked.contains(id.as_str()));
    if !unasked.is_empty() {
        let ids = text::quoted_names(unasked.iter().map(|(id, _)| id));
        log!(
            warn,
            "a poll was answered about what it did not ask for: {ids}; it is ignored"
        );
    }
    known
}

/// Logs that a resync found a change that was never reported to this process.
fn log_sighting(sighting: Sighting) {
    match sighting {
        Sighting::First => log!(
            info,
            "a re-read found a change that no poll had reported; secrets are read again every 5 \
             minutes for a day"
        ),
        Sighting::Second => log!(
            warn,
            "a change was found again that no poll had reported: another process uses this machine's \
             identity, and the service reports a change to a machine once. Secrets are read again \
             every 5 minutes from now on; an identity for each process makes that unnecessary"
        ),
        Sighting::Known => log!(debug, "a re-read found a change that no poll had reported"),
    }
}

fn log_poll(ids: usize, answer: &Result<Vec<(String, SecretChange)>, Error>) {
    match answer {
        Ok(changes) => {
            log!(debug, "polled for {ids} secrets: {} changes", changes.len())
        }
        Err(error) => {
            log!(warn, "polling for {ids} secrets failed: {error}")
        }
    }
}
