//! The thread of one live config: takes what the poller found, makes one new config of it,
//! has it validated and probed, and swaps it in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;

use super::builder::LiveOptions;
use super::inbox::{Inbox, News, Scope};
use super::source::ConfigSource;
use super::state::{Adoption, Attempt, LiveState};
use super::status::SecretState;
use crate::clock::{Clock, FAR_FUTURE};
use crate::config::error::{ConfigError, Problem};
use crate::config::schema::Schema;
use crate::config::snapshot::{ReadOutcome, Snapshot};
use crate::contain::contain;
use crate::read::reader::Fetch;
use crate::sync::lock;
use crate::watch::callbacks::mark_callback_thread;
use crate::watch::{Follow, UpdateKind};

/// How often secrets that may be of different moments are read again until two readings agree.
const READINGS: usize = 3;

/// How long after a webhook a read that found nothing new is repeated: whether the new value can be read at the moment of
/// delivery is not published.
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// The poller's registration; empty once the live config was dropped.
pub(super) type Following = Arc<Mutex<Option<Follow>>>;

pub(super) struct Worker<T> {
    pub(super) core: Arc<LiveState<T>>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) following: Following,
    pub(super) source: Box<dyn ConfigSource<T>>,
    pub(super) fetch: Fetch,
    pub(super) options: LiveOptions<T>,
    /// What the running config was built from.
    pub(super) running: Snapshot,
    /// Newer values that were refused so far; tried again with each cycle.
    pub(super) candidate: Option<Snapshot>,
    pub(super) refreshed: Option<Duration>,
    /// Since when newer values have waited for one that could not be read.
    pub(super) held_since: Option<Duration>,
    /// Whether the next cycle may have read before the last refresh did.
    pub(super) overlapping: bool,
}

impl<T: Send + Sync + 'static> Worker<T> {
    pub(super) fn run(mut self) {
        // Builds and probes are user code too.
        mark_callback_thread();
        loop {
            let now = self.clock().monotonic();
            let left = self.core.expire_previous().unwrap_or(FAR_FUTURE);
            let refresh_from = self.refreshed.map_or(now, |at| {
                at.saturating_add(self.options.refresh_gap.min(FAR_FUTURE))
            });
            let until = now.saturating_add(left);
            let Some(news) = self.inbox.take(self.clock(), until, refresh_from) else {
                return;
            };
            if !news.is_empty() {
                self.work(news);
            }
        }
    }

    fn clock(&self) -> &dyn Clock {
        &*self.fetch.client.inner().settings().clock
    }

    fn work(&mut self, news: News) {
        let mut reading = Reading {
            snapshot: self.candidate.as_ref().unwrap_or(&self.running).clone(),
            states: BTreeMap::new(),
            unanswered: None,
        };
        if let Some(polled) = news.polled {
            if let Err(error) = polled {
                reading.unanswered = Some(unanswered(self.source.name(), &error));
            }
            let overlapping = std::mem::take(&mut self.overlapping);
            let values = reading.take_updates(self.source.name(), news.updates);
            if values.len() > 1 || (overlapping && !values.is_empty()) {
                self.settle(&mut reading, &values);
            }
        }
        let mut forced = false;
        let mut adoption = None;
        if let Some(refresh) = &news.refresh {
            self.refreshed = Some(self.clock().monotonic());
            self.overlapping = true;
            forced = refresh.scope == Scope::All && self.source.has_more_than_secrets();
            adoption = self.refresh(&refresh.scope, &mut reading).err();
        }
        if adoption.is_none() && !forced && reading.snapshot != self.running {
            let source = &mut *self.source;
            let more = contained(source.name(), "saying what it reads", || {
                Ok(source.names_more())
            });
            adoption = match more {
                Ok(false) => None,
                Ok(true) => self.refresh(&Scope::All, &mut reading).err(),
                Err(error) => Some(error),
            };
        }
        let adoption = match adoption {
            Some(error) => Adoption::Refused(error),
            None if news.refresh.is_none() && self.holds(&reading) => {
                self.candidate = Some(reading.snapshot);
                Adoption::Held
            }
            None => self.adopt(reading.snapshot, forced),
        };
        // Also what was refused is what a webhook told of.
        let found = matches!(adoption, Adoption::Swap { .. } | Adoption::Refused(_));
        let result = match (&adoption, &reading.unanswered) {
            (Adoption::Refused(error), _) | (_, Some(error)) => Err(error.clone()),
            _ => Ok(()),
        };
        self.core.end(Attempt {
            unanswered: reading.unanswered,
            secrets: reading.states,
            adoption,
        });
        if let Some(refresh) = &news.refresh {
            if !found {
                let due = self.clock().monotonic().saturating_add(SECOND_LOOK);
                self.inbox.look_again(due, refresh.told.clone());
            }
            self.inbox.finish(refresh, result);
        }
    }

    /// Whether what a poll brought waits for a value that could not be read: what changed together
    /// is swapped in together. It waits for `max_stale` at most, so that one secret that cannot be
    /// read does not hold back the others for good.
    fn holds(&mut self, reading: &Reading) -> bool {
        let is_pending = |state: &SecretState| *state == SecretState::Pending;
        if !reading.states.values().any(is_pending) {
            self.held_since = None;
            return false;
        }
        let now = self.clock().monotonic();
        let since = *self.held_since.get_or_insert(now);
        now.saturating_sub(since) < self.options.max_stale
    }

    /// Values that were read one after the other may be of different moments, and those that the
    /// poller read during a refresh may be older than the refresh. They are read again until two
    /// readings in a row agree: then all of them held at the moment between.
    fn settle(&self, reading: &mut Reading, ids: &BTreeSet<String>) {
        for _ in 0..READINGS {
            let before = reading.snapshot.clone();
            let again = self.fetch.outcomes(ids);
            reading.take_outcomes(self.source.name(), again);
            if reading.snapshot == before {
                return;
            }
        }
    }

    fn refresh(&mut self, scope: &Scope, reading: &mut Reading) -> Result<(), ConfigError> {
        let name = self.source.name();
        match scope {
            Scope::Secrets(ids) => {
                let ids = ids.iter().filter(|id| reading.snapshot.get(id).is_some());
                let outcomes = self.fetch.outcomes(&ids.cloned().collect());
                reading.take_outcomes(name, outcomes);
            }
            Scope::All => {
                let fetched = self.fetch.snapshot(&schema(&mut *self.source)?);
                // Names may lead elsewhere now, and other secrets may be named: the new snapshot
                // counts, with the old values of what could not be read.
                let old = std::mem::replace(&mut reading.snapshot, fetched.clone());
                let kept = fetched.iter().filter(|(_, new)| new.value().is_none());
                let kept: Vec<_> = kept
                    .filter_map(|(id, _)| Some((id.to_owned(), old.get(id)?.clone())))
                    .collect();
                reading.snapshot = reading.snapshot.with(kept);
                let outcomes = fetched.iter().map(|(id, new)| (id.to_owned(), new.clone()));
                reading.take_outcomes(name, outcomes.collect());
                self.follow(&fetched);
            }
        }
        Ok(())
    }

    /// Has the poller ask for these secrets from now on, where they are others than before.
    fn follow(&self, snapshot: &Snapshot) {
        let before = self.candidate.as_ref().unwrap_or(&self.running);
        if before.ids().eq(snapshot.ids()) {
            return;
        }
        let mut following = lock(&self.following);
        if following.is_some() {
            let inbox = Arc::clone(&self.inbox);
            *following = Some(self.fetch.client.follow(
                &known(snapshot),
                inbox,
                self.options.resync,
            ));
        }
    }

    /// Makes the config of `snapshot` the running one, if it is another and a good one.
    fn adopt(&mut self, snapshot: Snapshot, forced: bool) -> Adoption<T> {
        if snapshot == self.running && !forced {
            self.candidate = None;
            return Adoption::Same;
        }
        match checked(&mut *self.source, &self.options, &snapshot) {
            Ok(new) => {
                let changed = self.source.changed(&self.running, &snapshot);
                self.running = snapshot;
                self.candidate = None;
                match changed.is_empty() {
                    // Another text around the same fields: what the config reads is as it was.
                    true => Adoption::Same,
                    false => Adoption::Swap { new, changed },
                }
            }
            Err(error) => {
                self.candidate = Some(snapshot);
                Adoption::Refused(error)
            }
        }
    }
}

/// What the source reads.
fn schema<T: 'static>(source: &mut dyn ConfigSource<T>) -> Result<Schema, ConfigError> {
    contained(source.name(), "saying what it reads", || source.schema())
}

/// A config that is built, valid and probed, or why not.
pub(super) fn checked<T: 'static>(
    source: &mut dyn ConfigSource<T>,
    options: &LiveOptions<T>,
    snapshot: &Snapshot,
) -> Result<Arc<T>, ConfigError> {
    let name = source.name();
    contained(name, "building or probing it", || {
        let config = Arc::new(source.build(snapshot)?);
        match options.probe(&config) {
            Ok(()) => Ok(config),
            Err(text) => Err(ConfigError::new(name, vec![Problem::probe(text)])),
        }
    })
}

/// Runs code of the user's: a panic in it is a refusal, whose text is not repeated.
fn contained<R>(
    config: &'static str,
    what: &str,
    code: impl FnOnce() -> Result<R, ConfigError>,
) -> Result<R, ConfigError> {
    contain(code).unwrap_or_else(|_| {
        let text = format!("{what} panicked");
        Err(ConfigError::new(config, vec![Problem::probe(text)]))
    })
}

/// What a follower of this snapshot's secrets knows of them.
pub(super) fn known(snapshot: &Snapshot) -> Vec<(String, Option<SecretString>)> {
    snapshot
        .iter()
        .map(|(id, outcome)| (id.to_owned(), outcome.value().cloned()))
        .collect()
}

/// What is known after a cycle or a refresh.
struct Reading {
    snapshot: Snapshot,
    states: BTreeMap<String, SecretState>,
    unanswered: Option<ConfigError>,
}

impl Reading {
    /// Takes what the poller found; the ids of which it brought a value.
    fn take_updates(
        &mut self,
        config: &'static str,
        updates: BTreeMap<Arc<str>, UpdateKind>,
    ) -> BTreeSet<String> {
        let mut values = BTreeSet::new();
        let mut outcomes = Vec::new();
        for (id, kind) in updates {
            let outcome = match kind {
                UpdateKind::Value(value) => {
                    values.insert(id.to_string());
                    ReadOutcome::Value(value)
                }
                UpdateKind::Deleted => ReadOutcome::Missing,
                UpdateKind::Denied => ReadOutcome::Denied,
                UpdateKind::Failed(error) => ReadOutcome::Unavailable(error),
            };
            outcomes.push((id.to_string(), outcome));
        }
        self.take_outcomes(config, outcomes);
        values
    }

    /// Values replace values; where there is none, the last good one stays and the state says why.
    fn take_outcomes(&mut self, config: &'static str, outcomes: Vec<(String, ReadOutcome)>) {
        let mut values = Vec::new();
        for (id, outcome) in outcomes {
            let had_value = self
                .snapshot
                .get(&id)
                .is_some_and(|old| old.value().is_some());
            let state = match &outcome {
                ReadOutcome::Value(_) => SecretState::Current,
                ReadOutcome::Missing if had_value => SecretState::Deleted,
                ReadOutcome::Missing => SecretState::Absent,
                ReadOutcome::Denied => SecretState::Denied,
                ReadOutcome::Unavailable(error) => {
                    self.unanswered = Some(unanswered(config, error));
                    SecretState::Pending
                }
            };
            self.states.insert(id.clone(), state);
            if outcome.value().is_some() {
                values.push((id, outcome));
            }
        }
        if !values.is_empty() {
            self.snapshot = self.snapshot.with(values);
        }
    }
}

fn unanswered(config: &'static str, error: &crate::error::Error) -> ConfigError {
    ConfigError::new(config, vec![Problem::unavailable(error)])
}
