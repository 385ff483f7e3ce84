//! The one thread of a client that polls, and what it shares with those who watch.
//!
//! The thread starts with the first watch and ends when nothing is watched any more, on `close`,
//! or when the last handle of the client is dropped: it holds the client only while it asks it
//! something. Each start is a new generation; a thread of an older one, which may still hang in a
//! request, changes nothing any more and ends when the request does.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret as _, SecretString};

use super::dispatch::{Call, Dispatch, Registration, relock};
use super::event::WatchEvent;
use super::follower::{Cycle, Follower};
use super::ledger::{Digest, Ledger, Salt};
use super::reads::read_all;
use super::schedule::{PollOutcome, PollSchedule};
use super::table::{Notice, PartyId, Read, Status, Table, Told};
use crate::clock::Clock;
use crate::{Error, ErrorKind};

/// How long `close` waits for a request that hangs.
const CLOSE_LIMIT: Duration = Duration::from_millis(800);

/// What the poller asks of the client. None of it is repeated within one call.
pub(crate) trait Source: Send + Sync {
    fn poll(&self, ids: &[Arc<str>]) -> Result<Vec<(String, Status)>, Error>;
    fn read(&self, id: &str) -> Result<SecretString, Error>;
    /// A poll said that the secret is deleted or denied.
    fn lost(&self, id: &str);
}

pub(crate) struct Poller {
    state: Mutex<State>,
    /// Something to do, or to stop for.
    wake: Condvar,
    /// A thread has ended.
    ended: Condvar,
    dispatch: Arc<Dispatch>,
    clock: Arc<dyn Clock>,
    salt: Salt,
    resync: Option<Duration>,
}

struct State {
    table: Table,
    ledger: Ledger,
    schedule: PollSchedule,
    registrations: HashMap<PartyId, Arc<Registration>>,
    followers: HashMap<PartyId, Arc<dyn Follower>>,
    generation: u64,
    /// Whether a thread of this generation runs.
    running: bool,
    /// Threads of any generation that have not ended.
    threads: usize,
    /// A poll was asked for while another was under way.
    hurry: bool,
}

thread_local! {
    /// Whether this thread is a poller: a follower that closes a client must not wait for itself.
    static IS_POLLER: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

impl Poller {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        interval: Duration,
        loopback: bool,
        resync: Option<Duration>,
    ) -> Arc<Self> {
        let mut salt = [0; 32];
        // Without random bytes no request can be signed either, so that there is nothing to salt.
        let _ = clock.random(&mut salt);
        Arc::new(Poller {
            state: Mutex::new(State {
                table: Table::default(),
                ledger: Ledger::default(),
                schedule: PollSchedule::new(interval, loopback),
                registrations: HashMap::new(),
                followers: HashMap::new(),
                generation: 0,
                running: false,
                threads: 0,
                hurry: false,
            }),
            wake: Condvar::new(),
            ended: Condvar::new(),
            dispatch: Arc::default(),
            clock,
            salt: Salt::new(salt),
            resync,
        })
    }

    /// Adds a user's watch; the first poll for it is made at once.
    pub(crate) fn watch(
        self: &Arc<Self>,
        source: Weak<dyn Source>,
        id: &str,
        callback: Box<dyn FnMut(&WatchEvent) + Send>,
    ) -> Result<(PartyId, Arc<Registration>), Error> {
        let registration = Registration::new(id.into(), callback);
        let mut state = relock(&self.state);
        let seen = state.ledger.get(id);
        let now = self.clock.monotonic();
        let random = self.clock.fraction();
        let party = state.table.watch(id, seen, self.resync, now, random);
        state.registrations.insert(party, registration.clone());
        let started = self.start(&mut state, source);
        if started.is_err() {
            state.table.remove(party);
            state.registrations.remove(&party);
        }
        drop(state);
        started.map(|()| (party, registration))
    }

    /// Adds a follower; the first poll for it is made at once. `resync` of `None` is the client's own.
    pub(crate) fn follow(
        self: &Arc<Self>,
        source: Weak<dyn Source>,
        ids: &[String],
        follower: Arc<dyn Follower>,
        resync: Option<Option<Duration>>,
    ) -> PartyId {
        let mut state = relock(&self.state);
        let now = self.clock.monotonic();
        let random = self.clock.fraction();
        let State { table, ledger, .. } = &mut *state;
        let resync = resync.unwrap_or(self.resync);
        let party = table.follow(ids, |id| ledger.get(id), resync, now, random);
        state.followers.insert(party, follower.clone());
        let started = self.start(&mut state, source);
        drop(state);
        if let Err(error) = started {
            // The next watch, follower or wish tries again.
            follower.cycle(Cycle {
                outcome: Err(error),
                updates: Vec::new(),
            });
        }
        party
    }

    /// No call of this watch begins after this.
    pub(crate) fn stop(&self, party: PartyId, registration: &Registration) {
        self.dispatch.stop(registration);
        self.leave(party);
    }

    /// The follower's `cycle` is not entered after this.
    pub(crate) fn leave(&self, party: PartyId) {
        let mut state = relock(&self.state);
        state.table.remove(party);
        let registration = state.registrations.remove(&party);
        let follower = state.followers.remove(&party);
        if state.table.is_empty() {
            self.wake.notify_all();
        }
        drop(state);
        // What they hold may do anything when it is dropped: outside the lock.
        drop((registration, follower));
    }

    /// No call of any watch on this secret begins after this.
    pub(crate) fn unwatch(&self, id: &str) {
        let mut state = relock(&self.state);
        let mut registrations = Vec::new();
        for party in state.table.watches(id) {
            state.table.remove(party);
            registrations.extend(state.registrations.remove(&party));
        }
        self.wake.notify_all();
        drop(state);
        for registration in &registrations {
            self.dispatch.stop(registration);
        }
        // Also those that had ended by themselves and whose last event still waits.
        self.dispatch.clear(Some(id));
    }

    pub(crate) fn set_interval(&self, interval: Duration) -> Duration {
        let mut state = relock(&self.state);
        state
            .schedule
            .set_interval(interval, self.clock.monotonic());
        self.wake.notify_all();
        state.schedule.interval()
    }

    /// Polls as soon as the service allows it.
    pub(crate) fn wake(self: &Arc<Self>, source: Weak<dyn Source>) {
        let mut state = relock(&self.state);
        if !state.table.is_empty()
            && let Err(error) = self.start(&mut state, source)
        {
            log::error!(target: "sikkerkey", "{error}");
        }
    }

    fn hurry(&self, state: &mut State) {
        state.hurry = true;
        state.schedule.hurry(self.clock.monotonic());
        self.wake.notify_all();
    }

    /// A poll outside the rhythm, unless one was made less than the service's 10 s ago.
    pub(crate) fn confirm(
        &self,
        source: &dyn Source,
        ids: &[Arc<str>],
    ) -> Result<Vec<(String, Status)>, Error> {
        let allowed = relock(&self.state).schedule.allows(self.clock.monotonic());
        if !allowed {
            return Err(Error::new(
                ErrorKind::RateLimited,
                "the last poll is too recent for another one",
            ));
        }
        let answer = source.poll(ids);
        let outcome = outcome(answer.as_ref().err());
        let now = self.clock.monotonic();
        relock(&self.state).schedule.polled_aside(now, outcome);
        answer
    }

    /// The user has read this value.
    pub(crate) fn note(&self, id: &str, value: &SecretString) {
        let digest = self.salt.digest(value.expose_secret());
        let mut state = relock(&self.state);
        state.ledger.set(id, digest);
        state.table.note(id, digest);
    }

    /// The user got this value from the fallback cache: a watch that begins now has to tell what
    /// is newer. The service may have sent a newer one all the same, that did not arrive.
    #[cfg(feature = "cache")]
    pub(crate) fn note_cached(&self, id: &str, value: &SecretString) {
        let digest = self.salt.digest(value.expose_secret());
        let mut state = relock(&self.state);
        state.ledger.set(id, digest);
        state.table.suspect(id);
    }

    /// A read of the user's failed. Where the service may have sent a value all the same, it may
    /// have been a new one.
    pub(crate) fn note_failure(&self, id: &str, error: &Error) {
        match error.kind() {
            ErrorKind::Network | ErrorKind::Decode => relock(&self.state).table.suspect(id),
            ErrorKind::NotFound | ErrorKind::AccessDenied => relock(&self.state).ledger.forget(id),
            _ => {}
        }
    }

    /// The client has become another machine, for which the service counts changes anew.
    pub(crate) fn suspect_all(&self) {
        relock(&self.state).table.suspect_all();
    }

    /// Ends every watch and follower and the thread, and waits for it, but not for long.
    pub(crate) fn close(&self) {
        self.end();
        if IS_POLLER.get() {
            return;
        }
        let started = Instant::now();
        let mut state = relock(&self.state);
        let generation = state.generation;
        while state.threads > 0 && state.generation == generation && !state.running {
            let Some(left) = CLOSE_LIMIT.checked_sub(started.elapsed()) else {
                log::debug!(target: "sikkerkey", "a poll still waits for its answer; it ends by itself");
                return;
            };
            let waited = self.ended.wait_timeout(state, left);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    /// The same without the wait.
    pub(crate) fn end(&self) {
        let mut state = relock(&self.state);
        state.generation += 1;
        state.running = false;
        state.table = Table::default();
        let registrations = std::mem::take(&mut state.registrations);
        let followers = std::mem::take(&mut state.followers);
        self.wake.notify_all();
        drop(state);
        for registration in registrations.values() {
            self.dispatch.stop(registration);
        }
        self.dispatch.clear(None);
        drop((registrations, followers));
    }

    fn start(self: &Arc<Self>, state: &mut State, source: Weak<dyn Source>) -> Result<(), Error> {
        self.hurry(state);
        if state.running {
            return Ok(());
        }
        let generation = state.generation + 1;
        let poller = self.clone();
        thread::Builder::new()
            .name("sikkerkey-poll".into())
            .spawn(move || poller.run(&source, generation))
            .map_err(|cause| {
                Error::configuration("the operating system gives no thread for the poller")
                    .with_source(cause)
            })?;
        state.generation = generation;
        state.running = true;
        state.threads += 1;
        Ok(())
    }

    fn run(self: Arc<Self>, source: &Weak<dyn Source>, generation: u64) {
        IS_POLLER.set(true);
        while self.wait(generation) {
            let Some(source) = source.upgrade() else {
                break;
            };
            // A defect here must not end every watch in silence.
            if catch_unwind(AssertUnwindSafe(|| self.cycle(&source, generation))).is_err() {
                log::error!(target: "sikkerkey", "a poll cycle panicked; the next one is made as usual");
                let now = self.clock.monotonic();
                let random = self.clock.fraction();
                let mut state = relock(&self.state);
                state.schedule.polled(now, PollOutcome::Failed, random);
            }
        }
        let mut state = relock(&self.state);
        if state.generation == generation {
            state.running = false;
        }
        state.threads -= 1;
        self.ended.notify_all();
    }

    /// Waits for the next cycle; false when this thread is to end. A thread that ends has said so
    /// under the same lock under which it saw that there is nothing to do, so that a new watch
    /// either is seen or starts another thread.
    fn wait(&self, generation: u64) -> bool {
        let mut state = relock(&self.state);
        loop {
            if state.generation != generation {
                return false;
            }
            if state.table.is_empty() {
                state.running = false;
                state.generation += 1;
                return false;
            }
            let now = self.clock.monotonic();
            let Some(left) = state
                .schedule
                .due()
                .checked_sub(now)
                .filter(|left| !left.is_zero())
            else {
                state.hurry = false;
                return true;
            };
            let waited = self.wake.wait_timeout(state, left);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    fn cycle(&self, source: &Arc<dyn Source>, generation: u64) {
        self.dispatch.cycle_began();
        let (mut round, ids) = {
            let state = relock(&self.state);
            state.table.begin(state.schedule.interval())
        };
        let answer = source.poll(&ids);
        let polled = self.clock.monotonic();
        for (id, _) in answer
            .iter()
            .flatten()
            .filter(|(_, status)| *status != Status::Changed)
        {
            source.lost(id);
        }
        log_poll(ids.len(), &answer);

        let mut random = || self.clock.fraction();
        let reads = {
            let Some(mut state) = self.current(source, generation) else {
                return;
            };
            let answer = answer.as_deref();
            state.table.polled(&mut round, answer, polled, &mut random);
            state.table.reads(&round, polled, &mut random)
        };
        let goes_on = || self.current(source, generation).is_some();
        let values = read_all(&**source, &reads, &goes_on);
        let digests: Vec<Option<Digest>> = values.iter().map(|value| self.digest(value)).collect();

        let told = {
            let Some(mut state) = self.current(source, generation) else {
                return;
            };
            let now = self.clock.monotonic();
            let mut refused = answer.as_ref().err();
            for ((read, value), digest) in reads.iter().zip(&values).zip(digests) {
                let value = value.as_ref();
                // A 401 or a time to wait counts for the next poll as if the poll had brought it.
                let telling = |error: &&Error| outcome(Some(error)) != PollOutcome::Failed;
                refused = refused.or(value.err().filter(telling));
                state.apply(&mut round, read, value, digest, now);
            }
            let told = state.table.finish(round);
            state.schedule.polled(polled, outcome(refused), random());
            if std::mem::take(&mut state.hurry) {
                state.schedule.hurry(now);
            }
            told
        };
        self.tell(told);
    }

    fn digest(&self, value: &Result<SecretString, Error>) -> Option<Digest> {
        let value = value.as_ref().ok()?;
        Some(self.salt.digest(value.expose_secret()))
    }

    /// The state, unless it is no longer this thread's to change, or nobody is left to tell.
    fn current(
        &self,
        source: &Arc<dyn Source>,
        generation: u64,
    ) -> Option<std::sync::MutexGuard<'_, State>> {
        let state = relock(&self.state);
        (state.generation == generation && Arc::strong_count(source) > 1).then_some(state)
    }

    fn tell(&self, told: Told) {
        let mut calls = Vec::with_capacity(told.notices.len());
        let mut ended = Vec::new();
        let mut state = relock(&self.state);
        for (party, id, notice) in told.notices {
            if matches!(notice, Notice::Deleted | Notice::Denied) {
                state.ledger.forget(&id);
                ended.push(party);
            }
            if let Some(to) = state.registrations.get(&party).cloned() {
                let event = WatchEvent::new(&id, notice);
                calls.push(Call { to, event });
            }
        }
        for party in ended {
            // Its last event holds it; so this never is the last reference.
            state.registrations.remove(&party);
        }
        drop(state);
        self.dispatch.enqueue(calls);
        for (party, cycle) in told.cycles {
            self.tell_follower(party, cycle);
        }
    }

    fn tell_follower(&self, party: PartyId, cycle: Cycle) {
        let follower = relock(&self.state).followers.get(&party).cloned();
        let Some(follower) = follower else { return };
        let told = catch_unwind(AssertUnwindSafe(|| {
            follower.cycle(cycle);
            drop(follower);
        }));
        if told.is_err() {
            log::error!(target: "sikkerkey", "a follower panicked; it is told of the next cycle as usual");
        }
    }
}

impl State {
    fn apply(
        &mut self,
        round: &mut super::table::Round,
        read: &Read,
        value: Result<&SecretString, &Error>,
        digest: Option<Digest>,
        now: Duration,
    ) {
        if let Some(digest) = digest
            && self.table.is_watched(&read.id)
        {
            self.ledger.set(&read.id, digest);
        }
        let answer = match (value, digest) {
            (Ok(value), Some(digest)) => Ok((value, digest)),
            (Err(error), _) => Err(error),
            (Ok(_), None) => return,
        };
        self.table.read(round, read, answer, now);
    }
}

/// What the end of a request says about when to come back.
fn outcome(error: Option<&Error>) -> PollOutcome {
    match error {
        None => PollOutcome::Answered,
        Some(error) if error.kind() == ErrorKind::Authentication => PollOutcome::Unauthorized,
        Some(error) => error
            .retry_after()
            .map_or(PollOutcome::Failed, PollOutcome::RetryAfter),
    }
}

fn log_poll(ids: usize, answer: &Result<Vec<(String, Status)>, Error>) {
    match answer {
        Ok(changes) => {
            log::debug!(target: "sikkerkey", "polled for {ids} secrets: {} changes", changes.len())
        }
        Err(error) => log::warn!(target: "sikkerkey", "polling for {ids} secrets failed: {error}"),
    }
}

#[cfg(test)]
#[path = "poller_tests.rs"]
mod tests;
