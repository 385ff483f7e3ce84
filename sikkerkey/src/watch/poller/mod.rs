//! The polling thread of a client, and the state that it shares with watches and followers.
//!
//! The thread starts with the first watch. It ends when nothing is watched any more, on `close`, or when the
//! last handle of the client is dropped: it holds the client only during a request. Each start is a new
//! generation. A thread of an older generation, which may still hang in a request, changes nothing any more
//! and ends with the request.

mod thread;

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::callbacks::{Callbacks, Registration};
use super::event::WatchEvent;
use super::follower::{Cycle, Follower};
use super::schedule::{PollOutcome, PollSchedule};
use super::seen::{Salt, SeenValues};
use super::state::{Followed, PartyId, SecretChange, WatchState};
use crate::clock::{Clock, Signal};
use crate::error::{Error, ErrorKind};
use crate::log::log;
use crate::random::Randomness;
use crate::resync::Resync;
use crate::sync::lock;

/// How long `close` waits for a request that hangs.
const CLOSE_LIMIT: Duration = Duration::from_millis(800);

/// The calls that the poller makes on the client. None of them retries.
pub(crate) trait Upstream: Send + Sync {
    fn poll(&self, ids: &[Arc<str>]) -> Result<PollAnswer, Error>;
    fn read(&self, id: &str) -> Result<SecretString, Error>;
    /// Reports that a poll found the secret deleted or denied.
    fn lost(&self, id: &str);
}

/// The response to one poll.
#[derive(Default)]
pub(crate) struct PollAnswer {
    pub(crate) changes: Vec<(String, SecretChange)>,
    /// Whether the request was sent twice, because the first connection had died.
    pub(crate) repeated: bool,
}

pub(crate) struct Poller {
    state: Mutex<PollerState>,
    /// Raised if there is work, or if the thread must end.
    wake: Signal,
    /// Raised when a thread has ended.
    ended: Signal,
    callbacks: Arc<Callbacks>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Randomness>,
    salt: Salt,
    /// The client's resync settings of single secrets.
    resync_secrets: BTreeMap<String, Resync>,
}

struct PollerState {
    watches: WatchState,
    seen: SeenValues,
    schedule: PollSchedule,
    registrations: HashMap<PartyId, Arc<Registration>>,
    followers: HashMap<PartyId, Arc<dyn Follower>>,
    generation: u64,
    /// Whether a thread of this generation runs.
    running: bool,
    /// The number of threads that have not ended, of all generations.
    threads: usize,
    /// Whether a poll was requested while another was under way.
    hurry: bool,
}

thread_local! {
    /// Whether this thread is a poller: a follower that closes a client must not wait for itself.
    static IS_POLLER: Cell<bool> = const { Cell::new(false) };
}

impl Poller {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        random: Arc<dyn Randomness>,
        interval: Duration,
        loopback: bool,
        resync: Resync,
        resync_secrets: BTreeMap<String, Resync>,
    ) -> Arc<Self> {
        let schedule = PollSchedule::new(interval, loopback);
        warn_if_raised(interval, schedule.interval());
        let mut salt = [0; 32];
        // If random bytes fail, requests cannot be signed either, so no value arrives that needs the salt.
        let _ = random.fill(&mut salt);
        Arc::new(Poller {
            state: Mutex::new(PollerState {
                watches: WatchState::new(resync),
                seen: SeenValues::default(),
                schedule,
                registrations: HashMap::new(),
                followers: HashMap::new(),
                generation: 0,
                running: false,
                threads: 0,
                hurry: false,
            }),
            wake: Signal::default(),
            ended: Signal::default(),
            callbacks: Callbacks::new(clock.clone()),
            clock,
            random,
            salt: Salt::new(salt),
            resync_secrets,
        })
    }

    /// Returns the runner of this client's callbacks.
    #[cfg(feature = "live")]
    pub(crate) fn callbacks(&self) -> &Arc<Callbacks> {
        &self.callbacks
    }

    /// Adds a user's watch. Its first poll is made at once.
    pub(crate) fn watch(
        self: &Arc<Self>,
        source: Weak<dyn Upstream>,
        id: &str,
        callback: Box<dyn FnMut(&WatchEvent) + Send>,
    ) -> Result<(PartyId, Arc<Registration>), Error> {
        let registration = Registration::new(id.into(), callback);
        let mut state = lock(&self.state);
        let seen = state.seen.get(id);
        let now = self.clock.monotonic();
        let random = self.random.fraction();
        let resync = self.resync_secrets.get(id).copied();
        let party = state.watches.watch(id, seen, resync, now, random);
        state.registrations.insert(party, registration.clone());
        let started = self.start(&mut state, source);
        if started.is_err() {
            state.watches.remove(party, now, random);
            state.registrations.remove(&party);
        }
        drop(state);
        started.map(|()| (party, registration))
    }

    /// Adds a follower, with the values that it has. Its first poll is made at once.
    pub(crate) fn follow(
        self: &Arc<Self>,
        source: Weak<dyn Upstream>,
        secrets: &[Followed<SecretString>],
        follower: Arc<dyn Follower>,
    ) -> PartyId {
        let digest = |value: &SecretString| self.salt.digest(value.expose_secret());
        let of_client = |id: &str| self.resync_secrets.get(id).copied();
        let secrets = secrets.iter();
        let secrets: Vec<_> = secrets
            .map(|to| Followed {
                id: to.id.clone(),
                value: to.value.as_ref().map(digest),
                unconfirmed: to.unconfirmed,
                resync: to.resync.or_else(|| of_client(&to.id)),
            })
            .collect();
        let mut state = lock(&self.state);
        let now = self.clock.monotonic();
        let random = self.random.fraction();
        let PollerState { watches, seen, .. } = &mut *state;
        let party = watches.follow(&secrets, |id| seen.get(id), now, random);
        state.followers.insert(party, follower.clone());
        let started = self.start(&mut state, source);
        drop(state);
        if let Err(error) = started {
            // The next watch, follower or wake-up tries again to start a thread.
            follower.cycle(Cycle {
                outcome: Err(error),
                updates: Vec::new(),
                shared: false,
            });
        }
        party
    }

    /// Ends a watch: after this, no call of it begins.
    pub(crate) fn stop(&self, party: PartyId, registration: &Registration) {
        self.callbacks.stop(registration.stopped());
        self.leave(party);
    }

    /// Removes a follower: after this, its `cycle` is not called.
    pub(crate) fn leave(&self, party: PartyId) {
        let mut state = lock(&self.state);
        let (now, random) = (self.clock.monotonic(), self.random.fraction());
        state.watches.remove(party, now, random);
        let registration = state.registrations.remove(&party);
        let follower = state.followers.remove(&party);
        if state.watches.is_empty() {
            self.wake.raise();
        }
        drop(state);
        // Dropping them may run user code, so it is done outside the lock.
        drop((registration, follower));
    }

    /// Ends all watches on this secret: after this, no call of them begins.
    pub(crate) fn unwatch(&self, id: &str) {
        let mut state = lock(&self.state);
        let mut registrations = Vec::new();
        let (now, random) = (self.clock.monotonic(), self.random.fraction());
        for party in state.watches.watches(id) {
            state.watches.remove(party, now, random);
            registrations.extend(state.registrations.remove(&party));
        }
        self.wake.raise();
        drop(state);
        for registration in &registrations {
            self.callbacks.stop(registration.stopped());
        }
        // Also for watches that have ended and whose last event still waits.
        self.callbacks.clear_watches(Some(id));
    }

    pub(crate) fn set_interval(&self, interval: Duration) {
        let mut state = lock(&self.state);
        state
            .schedule
            .set_interval(interval, self.clock.monotonic());
        self.wake.raise();
        let raised = state.schedule.interval();
        drop(state);
        warn_if_raised(interval, raised);
    }

    /// Polls as soon as the service allows it.
    #[cfg(test)]
    pub(crate) fn wake(self: &Arc<Self>, source: Weak<dyn Upstream>) {
        let mut state = lock(&self.state);
        if !state.watches.is_empty() {
            self.start(&mut state, source).unwrap();
        }
    }

    fn hurry(&self, state: &mut PollerState) {
        state.hurry = true;
        state.schedule.hurry(self.clock.monotonic());
        self.wake.raise();
    }

    /// Records that a user's read begins. The guard is dropped when it ends.
    pub(crate) fn reading<'a>(&'a self, id: &'a str) -> ReadUnderWay<'a> {
        lock(&self.state).watches.reading(id);
        ReadUnderWay { poller: self, id }
    }

    /// Records that the user, or a party that follows the secret, has read this value.
    pub(crate) fn note(&self, id: &str, value: &SecretString, party: Option<PartyId>) {
        let digest = self.salt.digest(value.expose_secret());
        let mut state = lock(&self.state);
        state.seen.set(id, digest);
        let (now, random) = (self.clock.monotonic(), self.random.fraction());
        state.watches.note(id, digest, party, now, random);
    }

    /// Records that the user got this value from the fallback cache, so a watch that begins now must deliver
    /// a newer one. The service may also have sent a newer value that did not arrive.
    #[cfg(feature = "cache")]
    pub(crate) fn note_cached(&self, id: &str, value: &SecretString) {
        let digest = self.salt.digest(value.expose_secret());
        let mut state = lock(&self.state);
        state.seen.set(id, digest);
        state.watches.suspect(id);
    }

    /// Records that a user's read failed. If the service may have sent a value nevertheless, it may have been
    /// a new one.
    pub(crate) fn note_failure(&self, id: &str, error: &Error) {
        match error.kind() {
            ErrorKind::Network | ErrorKind::Decode => lock(&self.state).watches.suspect(id),
            _ if error.verdict().is_some() => lock(&self.state).seen.forget(id),
            _ => {}
        }
    }

    /// Has the secret read in the next cycle, because a read of it failed.
    #[cfg(feature = "live")]
    pub(crate) fn suspect(&self, id: &str) {
        lock(&self.state).watches.suspect(id);
    }

    /// Records that the client has become another machine, for which the service reports changes from the
    /// beginning.
    pub(crate) fn suspect_all(&self) {
        lock(&self.state).watches.suspect_all();
    }

    /// Ends every watch and follower and the thread, and waits briefly for the thread.
    pub(crate) fn close(&self) {
        self.end();
        if IS_POLLER.get() {
            return;
        }
        let until = self.clock.monotonic() + CLOSE_LIMIT;
        let generation = lock(&self.state).generation;
        loop {
            let seen = self.ended.count();
            {
                let state = lock(&self.state);
                // A new watch may have started another thread meanwhile.
                if state.threads == 0 || state.generation != generation || state.running {
                    return;
                }
            }
            if self.clock.monotonic() >= until {
                log!(
                    debug,
                    "a poll still waits for its response; it ends by itself"
                );
                return;
            }
            self.clock.wait(&self.ended, seen, until);
        }
    }

    /// Closes without waiting.
    pub(crate) fn end(&self) {
        let mut state = lock(&self.state);
        state.generation += 1;
        state.running = false;
        state.watches = state.watches.cleared();
        let registrations = std::mem::take(&mut state.registrations);
        let followers = std::mem::take(&mut state.followers);
        self.wake.raise();
        drop(state);
        for registration in registrations.values() {
            self.callbacks.stop(registration.stopped());
        }
        self.callbacks.clear_watches(None);
        drop((registrations, followers));
    }

    fn start(
        self: &Arc<Self>,
        state: &mut PollerState,
        source: Weak<dyn Upstream>,
    ) -> Result<(), Error> {
        self.hurry(state);
        if state.running {
            return Ok(());
        }
        let generation = state.generation + 1;
        let poller = self.clone();
        std::thread::Builder::new()
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
}

/// A user's read that is under way. It explains why a resync finds another value.
pub(crate) struct ReadUnderWay<'a> {
    poller: &'a Poller,
    id: &'a str,
}

impl Drop for ReadUnderWay<'_> {
    fn drop(&mut self) {
        lock(&self.poller.state).watches.ended(self.id);
    }
}

fn warn_if_raised(wanted: Duration, interval: Duration) {
    if interval > wanted {
        log!(
            warn,
            "a poll interval of {wanted:?} is less than the service allows: it is {interval:?}"
        );
    }
}

/// Returns what the end of a request means for the time of the next poll.
fn outcome(error: Option<&Error>) -> PollOutcome {
    match error {
        None => PollOutcome::Answered,
        Some(error) if error.kind() == ErrorKind::Authentication => PollOutcome::Unauthorized,
        Some(error) => error
            .retry_after()
            .map_or(PollOutcome::Failed, PollOutcome::RetryAfter),
    }
}

#[cfg(test)]
mod tests;
