//! The thread of one live config: takes the poller's changes, builds, validates and probes one new config,
//! and swaps it in.
//!
//! It blocks only on its inbox: reads and user code run as [jobs](super::job).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::builder::LiveOptions;
use super::fingerprint::Fingerprint;
use super::inbox::{Answer, Inbox, News, Rehearsal, Scope};
use super::job::Jobs;
use super::reading::{Reading, names, unanswered};
use super::resync_plan::ResyncPlan;
use super::source::ConfigSource;
use super::state::{Adoption, Attempt, LiveState};
use super::status::SecretState;
use crate::clock::{Clock, FAR_FUTURE};
use crate::config::error::{ConfigError, Failed, Problem};
use crate::config::schema::Schema;
use crate::config::snapshot::{ReadOutcome, Snapshot};
use crate::error::ErrorKind;
use crate::read::reader::Fetch;
use crate::span::span;
use crate::sync::lock;
use crate::watch::callbacks::mark_callback_thread;
use crate::watch::{Follow, Followed, PartyId, UpdateKind};

/// How often secrets are read again until two readings agree, so that all values are of one moment.
const READINGS: usize = 2;

/// How long after a webhook a read without a new value is repeated. The service does not document whether the
/// new value can be read at the moment of delivery.
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// The registration with the poller; `None` once the live config was dropped.
pub(super) type Following = Arc<Mutex<Option<Follow>>>;

pub(super) struct Worker<T> {
    pub(super) core: Arc<LiveState<T>>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) following: Following,
    pub(super) jobs: Jobs<T>,
    pub(super) fetch: Fetch,
    pub(super) options: LiveOptions<T>,
    pub(super) schema: Arc<Schema>,
    pub(super) plan: ResyncPlan,
    /// The snapshot that the running config was built from.
    pub(super) running: Snapshot,
    /// Newer values that were refused; retried with each cycle.
    pub(super) candidate: Option<Snapshot>,
    /// When the last refresh began.
    pub(super) refreshed: Option<Duration>,
    /// The secrets that could not be read, or not surely their newest value. The poller reads them in each cycle
    /// until it succeeds.
    pub(super) unread: BTreeSet<String>,
    /// Whether the last full refresh failed before it had read the secrets.
    pub(super) unfinished: bool,
    /// Whether a full refresh waits for a value, so that what is not a secret may have changed, too.
    pub(super) forced: bool,
    /// Since when newer values have waited for one that could not be read.
    pub(super) held_since: Option<Duration>,
    /// Whether the list of names failed, so that it is requested again.
    pub(super) unlisted: bool,
}

/// Closes the inbox when the worker ends, also after a panic.
pub(super) struct EndGuard<T>(Arc<LiveState<T>>, Arc<Inbox>);

impl<T> EndGuard<T> {
    pub(super) fn new(state: &Arc<LiveState<T>>, inbox: &Arc<Inbox>) -> Self {
        EndGuard(Arc::clone(state), Arc::clone(inbox))
    }
}

impl<T> Drop for EndGuard<T> {
    fn drop(&mut self) {
        // An inbox that is closed already was closed with the last handle, which asked for the end.
        if self.1.close() {
            self.0.worker_ended();
        }
    }
}

impl<T: Send + Sync + 'static> Worker<T> {
    pub(super) fn run(mut self) {
        let _end = EndGuard::new(&self.core, &self.inbox);
        // Dropping a config is user code, too.
        mark_callback_thread();
        loop {
            let now = self.clock().monotonic();
            let (expired, left) = self.core.expire_previous();
            if !expired.is_empty() {
                self.jobs.discard(expired);
            }
            let left = left.unwrap_or(FAR_FUTURE);
            let refresh_from = self.refreshed.map_or(now, |at| {
                at.saturating_add(self.options.refresh_gap.min(FAR_FUTURE))
            });
            let until = now.saturating_add(left);
            let Some(news) = self.inbox.take(until, refresh_from) else {
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

    fn work(&mut self, mut news: News) {
        for rehearsal in std::mem::take(&mut news.rehearsals) {
            let ticket = rehearsal.ticket;
            let answer = self.rehearse(rehearsal);
            self.inbox.answer(ticket, answer);
        }
        if news.polled.is_some() || news.refresh.is_some() {
            // A poll without changes needs no attempt.
            let has_work = news.refresh.is_some()
                || !news.updates.is_empty()
                || self.candidate.is_some()
                || self.unlisted;
            let generation = self.core.generation() + 1;
            let _span =
                has_work.then(|| span!(INFO, "swap", config = self.jobs.name(), generation));
            self.attempt(news);
        }
    }

    /// One attempt to bring the config up to date.
    fn attempt(&mut self, news: News) {
        let name = self.jobs.name();
        let now = self.clock().monotonic();
        let known = self.candidate.as_ref().unwrap_or(&self.running);
        let mut reading = Reading::new(known.clone());
        let mut relinked = false;
        let answered = matches!(news.polled, Some(Ok(())));
        if let Some(Err(error)) = &news.polled {
            reading.unanswered = Some(unanswered(name, error));
        }
        let unread = news.updates.iter().filter(|(_, kind)| kind.is_unread());
        self.unread.extend(unread.map(|(id, _)| id.to_string()));
        reading.take_updates(name, news.updates);
        self.settle(&mut reading);
        let scope = news.refresh.as_ref().map(|refresh| &refresh.scope);
        if self.unlisted && answered && scope != Some(&Scope::All) {
            self.look_up(&mut reading);
            relinked = true;
        }
        let mut forced = false;
        let mut failure = None;
        if let Some(scope) = scope {
            self.refreshed = Some(now);
            forced = *scope == Scope::All && self.jobs.has_more_than_secrets();
            relinked |= *scope == Scope::All;
            failure = self.refresh(scope, &mut reading).err();
        }
        if failure.is_none() && !forced && reading.snapshot != self.running {
            let names_more = match self.unfinished {
                true => Ok(true),
                false => self.jobs.names_more(),
            };
            match names_more {
                Ok(false) => {}
                Ok(true) => {
                    relinked = true;
                    failure = self.refresh(&Scope::All, &mut reading).err();
                }
                Err(error) => failure = Some(error),
            }
        }
        self.drop_absent(&mut reading);
        let losses = match scope {
            Some(_) => reading.losses(&self.schema),
            None => Vec::new(),
        };
        let names = relinked.then(|| names(&self.schema, &reading.snapshot));
        let holds = self.holds(&reading);
        let adoption = match (failure, scope) {
            // What was read stays, for the next attempt.
            (Some(error), _) => {
                self.candidate = Some(reading.snapshot);
                Adoption::Refused(error)
            }
            (None, Some(Scope::Secrets(ids))) if holds => self.adopt_these(ids, reading.snapshot),
            (None, _) if holds => {
                self.candidate = Some(reading.snapshot);
                self.forced |= forced;
                Adoption::Held
            }
            (None, _) => {
                let forced = std::mem::take(&mut self.forced) || forced;
                self.adopt(reading.snapshot, forced)
            }
        };
        let newest = self.candidate.as_ref();
        let waits = |id: &&String| newest.is_some_and(|to| to.get(id) != self.running.get(id));
        let waiting = reading.changed.iter().filter(waits).cloned().collect();
        let answer = match (&adoption, &reading.unanswered) {
            (Adoption::Refused(error), _) | (_, Some(error)) => Err(error.clone()),
            _ if !losses.is_empty() => Err(ConfigError::to(Failed::Refresh, name, losses)),
            (adoption, None) => Ok(matches!(adoption, Adoption::Swap { .. })),
        };
        if let Some(refresh) = &news.refresh {
            // A refused value was found, too.
            let found = |id: &String| reading.changed.contains(id);
            let unfound = refresh.told.iter().filter(|id| !found(id));
            let due = self.clock().monotonic().saturating_add(SECOND_LOOK);
            self.inbox.look_again(due, unfound.cloned().collect());
        }
        if self.inbox.is_closed() {
            // No handle is left, and the reads failed only because they were given up.
            return;
        }
        let gone = self.core.end(Attempt {
            confirmed: reading.unanswered.is_none() && scope == Some(&Scope::All),
            unanswered: reading.unanswered,
            since: news.since.unwrap_or(now),
            refreshed: scope.map(|_| now),
            secrets: reading.states,
            changed_secrets: reading.changed.into_iter().collect(),
            waiting,
            shared: news.shared,
            names,
            adoption,
        });
        if !gone.is_empty() {
            self.jobs.discard(gone);
        }
        if let Some(refresh) = &news.refresh {
            self.inbox.answer(refresh.ticket, answer);
        }
        // Callers that asked meanwhile were refused with the same old value, so they share the result.
        let all_read = (scope == Some(&Scope::All)).then(|| self.core.generation());
        self.inbox
            .share(all_read, |id| self.core.was_just_refreshed(id));
    }

    /// Whether the changes must wait for a value that could not be read, so that values that changed together
    /// are swapped in together. A cycle that says nothing about that value, because its poll failed, changes
    /// nothing. They wait for at most `max_stale`, so that one unreadable secret does not block the others for
    /// good.
    fn holds(&mut self, reading: &Reading) -> bool {
        let is_pending = |state: &SecretState| *state == SecretState::Pending;
        let is_unread = |id: &String| {
            reading.states.get(id).is_none_or(is_pending) && reading.snapshot.get(id).is_some()
        };
        self.unread.retain(is_unread);
        if self.unread.is_empty() {
            self.held_since = None;
            return false;
        }
        let now = self.clock().monotonic();
        let since = *self.held_since.get_or_insert(now);
        now.saturating_sub(since) < self.options.max_stale
    }

    /// Values that were read one after the other may be of different moments. They are read again until two
    /// readings in a row agree: then all of them were valid at the moment between. Secrets with a resync of
    /// their own are not read again, because policies may count their reads.
    fn settle(&mut self, reading: &mut Reading) {
        let changed = reading.changed.iter().filter(|id| !self.plan.is_own(id));
        let ids: BTreeSet<String> = changed.cloned().collect();
        if ids.len() < 2 {
            return;
        }
        for _ in 0..READINGS {
            let before = reading.snapshot.clone();
            reading.take_outcomes(self.jobs.name(), self.read(ids.clone()));
            if reading.snapshot == before {
                return;
            }
        }
    }

    /// Reads an optional secret once more after it was reported as deleted: it is absent only if its own read
    /// says so.
    fn drop_absent(&mut self, reading: &mut Reading) {
        let ids = reading.lost_optional(&self.schema);
        if ids.is_empty() {
            return;
        }
        let outcomes = self.read(ids);
        let (absent, others): (Vec<_>, Vec<_>) = outcomes
            .into_iter()
            .partition(|(_, outcome)| *outcome == ReadOutcome::Missing);
        reading.take_outcomes(self.jobs.name(), others);
        reading.take_absent(absent.into_iter().map(|(id, _)| id));
    }

    /// Reads the secrets of `scope` again.
    fn refresh(&mut self, scope: &Scope, reading: &mut Reading) -> Result<(), ConfigError> {
        let ids = match scope {
            Scope::Secrets(ids) => {
                let known = |id: &&String| reading.snapshot.get(id).is_some();
                ids.iter().filter(known).cloned().collect()
            }
            Scope::All => {
                self.unfinished = true;
                if let Some(schema) = self.jobs.schema()? {
                    let refusals = self.fetch.refusals(&schema);
                    if !refusals.is_empty() {
                        return Err(ConfigError::new(self.jobs.name(), refusals));
                    }
                    self.schema = Arc::new(schema);
                }
                self.unfinished = false;
                // Names may now lead to other ids, and the schema may name other secrets.
                self.relink(reading)
            }
        };
        reading.take_outcomes(self.jobs.name(), self.read(ids));
        self.follow(&reading.snapshot);
        Ok(())
    }

    /// Requests the list of names again after a failure, and reads the secrets that the names lead to for the
    /// first time.
    fn look_up(&mut self, reading: &mut Reading) {
        let mut ids = self.relink(reading);
        ids.retain(|id| reading.snapshot.get(id).is_none());
        reading.take_outcomes(self.jobs.name(), self.read(ids));
        self.follow(&reading.snapshot);
    }

    /// Resolves the names of the config's secrets, and returns their ids. The reading then holds only these
    /// secrets. A name that no longer leads to an id keeps its last one.
    fn relink(&mut self, reading: &mut Reading) -> BTreeSet<String> {
        let (fetch, schema) = (self.fetch.clone(), Arc::clone(&self.schema));
        let Some(resolved) = self.jobs.reads(move || fetch.resolve(&schema)) else {
            return reading.snapshot.ids().map(str::to_owned).collect();
        };
        let resolved = resolved.keep(&reading.snapshot);
        self.unlisted = resolved.unlisted.is_some();
        if let Some(error) = &resolved.unlisted {
            reading.unanswered = Some(unanswered(self.jobs.name(), error));
        }
        let ids = resolved.ids.iter().chain(&resolved.unread);
        let known = ids.filter_map(|id| {
            let outcome = reading.snapshot.get(id)?;
            Some((id.clone(), outcome.clone()))
        });
        let known = Snapshot::default().with(known);
        reading.snapshot = known.with_links(resolved.links);
        self.plan = ResyncPlan::new(&self.schema, &reading.snapshot, &self.options).0;
        resolved.ids
    }

    /// Reads secrets by their ids. Returns nothing once the live config has ended.
    ///
    /// The poller may have delivered a value of one of them before this read or while it was under way. If the two
    /// differ, the secret is read once more, so that the older value never undoes the newer one.
    fn read(&mut self, mut ids: BTreeSet<String>) -> Vec<(String, ReadOutcome)> {
        let Some(party) = self.party() else {
            return Vec::new();
        };
        let mut newest = BTreeMap::new();
        for _ in 0..READINGS {
            let (fetch, asked) = (self.fetch.clone(), ids.clone());
            let outcomes = self.jobs.reads(move || fetch.outcomes(&asked, party));
            let Some(outcomes) = outcomes else { break };
            newest.extend(outcomes);
            let arrived = self.inbox.take_updates(&ids);
            let differs = |(id, kind): &(String, UpdateKind)| match (newest.get(id), kind) {
                (Some(ReadOutcome::Value(read)), UpdateKind::Value(polled)) => {
                    read.expose_secret() != polled.expose_secret()
                }
                _ => true,
            };
            ids = arrived
                .into_iter()
                .filter(differs)
                .map(|(id, _)| id)
                .collect();
            if ids.is_empty() {
                break;
            }
        }
        let open = newest.iter().filter(|(_, outcome)| is_open(outcome));
        ids.extend(open.map(|(id, _)| id.clone()));
        for id in ids {
            self.fetch.client.inner().poller().suspect(&id);
            self.unread.insert(id);
        }
        newest.into_iter().collect()
    }

    fn party(&self) -> Option<PartyId> {
        lock(&self.following).as_ref().map(Follow::party)
    }

    /// Tells the poller which secrets to follow, if they changed.
    fn follow(&self, snapshot: &Snapshot) {
        let before = self.candidate.as_ref().unwrap_or(&self.running);
        if before.ids().eq(snapshot.ids()) {
            return;
        }
        let mut following = lock(&self.following);
        if following.is_some() {
            let secrets = followed(snapshot, &self.plan, |id| self.unread.contains(id));
            let inbox = Arc::clone(&self.inbox);
            *following = Some(self.fetch.client.follow(&secrets, inbox));
        }
    }

    /// Adopts the secrets that a refresh named, while the other changes still wait.
    fn adopt_these(&mut self, ids: &BTreeSet<String>, newest: Snapshot) -> Adoption<T> {
        let read = ids.iter().filter(|id| !self.unread.contains(*id));
        let outcomes = read.filter_map(|id| Some((id.clone(), newest.get(id)?.clone())));
        let named = self.running.with(outcomes.collect::<Vec<_>>());
        let adoption = self.adopt(named, false);
        self.candidate = Some(newest);
        adoption
    }

    /// Builds the config of `snapshot`. If it differs and is accepted, it becomes the running one.
    fn adopt(&mut self, snapshot: Snapshot, forced: bool) -> Adoption<T> {
        if snapshot == self.running && !forced {
            self.candidate = None;
            return Adoption::Same;
        }
        let running = Some(&self.running);
        match build_and_probe(&mut self.jobs, &self.options, &snapshot, running) {
            Ok((new, fingerprint)) => {
                self.running = snapshot;
                self.candidate = None;
                match self.core.place().fingerprint.difference(&fingerprint) {
                    Some(changed) => Adoption::Swap {
                        new,
                        fingerprint,
                        changed,
                    },
                    // The secret's text differs, but the fields that the config reads do not.
                    None => {
                        self.jobs.discard(new);
                        Adoption::Same
                    }
                }
            }
            Err(error) => {
                self.candidate = Some(snapshot);
                Adoption::Refused(error)
            }
        }
    }

    /// Builds and probes a config with a value, without installing it.
    fn rehearse(&mut self, rehearsal: Rehearsal) -> Answer {
        let outcome = (rehearsal.id, ReadOutcome::Value(rehearsal.value));
        let snapshot = self.running.with([outcome]);
        let (options, running) = (self.options.clone(), self.running.clone());
        let tried = self.jobs.with_source(JUDGING, move |source| {
            // The config is dropped here, in the job, because its drop is user code.
            checked(source, &options, &snapshot, Some(&running)).map(|_| ())
        });
        tried.map(|()| false)
    }
}

/// Whether a read is made again until it succeeds: nothing of the service decided about it. An answer such as a
/// rate limit is decided, and each further read may count.
fn is_open(outcome: &ReadOutcome) -> bool {
    match outcome {
        ReadOutcome::Unavailable(error) => match error.kind() {
            ErrorKind::Network | ErrorKind::Decode | ErrorKind::Unavailable => true,
            ErrorKind::Api => error.http_status().is_some_and(|status| status >= 500),
            _ => false,
        },
        ReadOutcome::Value(_) | ReadOutcome::Missing | ReadOutcome::Denied => false,
    }
}

/// The name of a job that builds and probes a config.
const JUDGING: &str = "building or probing it";

/// Builds, validates and probes the config of a snapshot, within the time limit. Also returns its
/// fingerprint.
pub(super) fn build_and_probe<T: Send + Sync + 'static>(
    jobs: &mut Jobs<T>,
    options: &LiveOptions<T>,
    snapshot: &Snapshot,
    running: Option<&Snapshot>,
) -> Result<(Arc<T>, Fingerprint), ConfigError> {
    let (options, snapshot) = (options.clone(), snapshot.clone());
    let running = running.cloned();
    jobs.with_source(JUDGING, move |source| {
        let config = checked(source, &options, &snapshot, running.as_ref())?;
        Ok((config, source.fingerprint(&snapshot)))
    })
}

/// Builds, validates and probes a config.
fn checked<T: 'static>(
    source: &mut dyn ConfigSource<T>,
    options: &LiveOptions<T>,
    snapshot: &Snapshot,
    running: Option<&Snapshot>,
) -> Result<Arc<T>, ConfigError> {
    let config = Arc::new(source.build(snapshot, running)?);
    let _span = options
        .has_probe()
        .then(|| span!(INFO, "probe", config = source.name()));
    match options.probe(&config) {
        Ok(()) => Ok(config),
        Err(text) => Err(ConfigError::new(source.name(), vec![Problem::probe(text)])),
    }
}

/// Returns what a follower of this snapshot's secrets has read of each, and how often it wants resyncs.
pub(super) fn followed(
    snapshot: &Snapshot,
    plan: &ResyncPlan,
    is_unconfirmed: impl Fn(&str) -> bool,
) -> Vec<Followed<SecretString>> {
    let secrets = snapshot.iter().map(|(id, outcome)| Followed {
        id: id.to_owned(),
        value: outcome.value().cloned(),
        unconfirmed: is_unconfirmed(id),
        resync: plan.of(id),
    });
    secrets.collect()
}
