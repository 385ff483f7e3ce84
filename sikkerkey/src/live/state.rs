//! State shared by all handles of a live config: the current value, its status record, the listeners. Only
//! the worker writes it; every handle reads it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use event_listener::Event;

use super::change::Change;
use super::events::AttemptEvents;
use super::fail_closed::FailClosed;
use super::fingerprint::Fingerprint;
use super::inbox::Inbox;
use super::resource::{ResourceRecord, ResourceStatus};
use super::resync_plan::unknown;
use super::status::{Freshness, LiveStatus, SecretState, SecretStatus};
use crate::client::stats::Counters;
use crate::clock::Clock;
use crate::config::error::{ConfigError, Failed, Problem, ProblemKind};
use crate::config::places::Places;
use crate::contain::contain_drop;
use crate::error::Error;
#[cfg(feature = "metrics")]
use crate::metrics::{self, LiveFigures};
use crate::sync::lock;
use crate::watch::REVOKED_AFTER;
use crate::watch::callbacks::{CallbackCall, Callbacks, Lane};

type ListenerFn<T> = Arc<dyn Fn(LiveEvent<T>) + Send + Sync>;

/// An event for a listener, which is called on the client's callback thread.
pub(super) enum LiveEvent<T> {
    /// A config was swapped in.
    Changed(Change<T>),
    /// A cycle ended, with or without a change, and this listener has something to try again.
    Retry,
}

pub(super) struct LiveState<T> {
    /// The running config. Readers use only this field: one atomic load, no lock.
    pub(super) current: ArcSwap<T>,
    /// Notified after each swap, refusal, and at the end.
    pub(super) happened: Event,
    /// Notified after each cycle too, for work that is retried with each cycle.
    pub(super) ticked: Event,
    clock: Arc<dyn Clock>,
    inbox: Arc<Inbox>,
    counters: Arc<Counters>,
    max_stale: Duration,
    grace: Duration,
    refresh_gap: Duration,
    fail_closed: FailClosed,
    /// See [`LiveOptions`](super::LiveOptions).
    overridden: BTreeMap<String, String>,
    /// The config's name in errors.
    name: &'static str,
    /// Finds the places of a config's keys; `None` if they are unknown.
    places: Option<fn(&T) -> Places>,
    /// The process whose worker keeps it up to date; `None` without a worker.
    process: Option<u32>,
    record: Mutex<Record<T>>,
    listeners: Mutex<Vec<RegisteredListener<T>>>,
    resources: Mutex<Vec<Weak<ResourceRecord>>>,
    callbacks: Arc<Callbacks>,
}

/// The record about the running config. Locked only briefly, and never while user code runs.
struct Record<T> {
    generation: u64,
    /// The number of attempts that have ended.
    attempts: u64,
    fingerprint: Arc<Fingerprint>,
    /// Replaced configs, newest first, and when each is dropped.
    previous: VecDeque<(Arc<T>, Duration)>,
    loaded_at: SystemTime,
    secrets: BTreeMap<String, SecretRecord>,
    /// The config's names of its secrets, and their ids.
    names: BTreeMap<String, String>,
    rotation_lag: Option<Duration>,
    /// When the change that waits for adoption was found.
    waiting_since: Option<Duration>,
    identity_shared: bool,
    /// Why the candidate was refused; cleared by the next adopted config.
    refused: Option<ConfigError>,
    /// Why the last cycle failed; cleared by the next cycle with a response.
    unanswered: Option<ConfigError>,
    refusals: u64,
    failures: u32,
    closed: bool,
    /// Why the worker has ended although handles exist.
    ended: Option<ConfigError>,
}

/// The most replaced configs that are kept within the grace.
const MOST_PREVIOUS: usize = 64;

/// The record of one secret.
#[derive(Clone, Debug)]
pub(super) struct SecretRecord {
    pub(super) state: SecretState,
    last_change: Option<SystemTime>,
    /// When the service first reported it as deleted or denied, and when it last did.
    gone: Option<(Duration, Duration)>,
    /// When the last refresh began that found another value, which was then adopted.
    refreshed: Option<Duration>,
}

impl SecretRecord {
    pub(super) fn new(state: SecretState) -> Self {
        SecretRecord {
            state,
            last_change: None,
            gone: None,
            refreshed: None,
        }
    }

    fn update(&mut self, state: SecretState, now: Duration) {
        // A cached value stays `Cached` until another one is read.
        if (self.state, state) != (SecretState::Cached, SecretState::Pending) {
            self.state = state;
        }
        self.gone = match state.degrades() {
            true => Some((self.gone.map_or(now, |(since, _)| since), now)),
            // It is unknown whether the secret is still gone.
            false if state == SecretState::Pending => self.gone,
            false => None,
        };
    }

    /// Whether the service has reported the secret as gone for long enough.
    fn is_revoked(&self) -> bool {
        self.gone
            .is_some_and(|(since, last)| last.saturating_sub(since) >= REVOKED_AFTER)
    }
}

/// The initial values of a live config's state.
pub(super) struct LiveBegin<T> {
    pub(super) name: &'static str,
    pub(super) first: Arc<T>,
    pub(super) fingerprint: Fingerprint,
    /// Finds the places of a config's keys; `None` if they are unknown.
    pub(super) places: Option<fn(&T) -> Places>,
    pub(super) secrets: BTreeMap<String, SecretRecord>,
    pub(super) names: BTreeMap<String, String>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) counters: Arc<Counters>,
    pub(super) callbacks: Arc<Callbacks>,
    pub(super) max_stale: Duration,
    pub(super) grace: Duration,
    pub(super) refresh_gap: Duration,
    pub(super) fail_closed: FailClosed,
    pub(super) overridden: BTreeMap<String, String>,
}

/// Returns a new listener's number. It is unique in the process, because all live configs of a client share
/// the lanes of callbacks.
pub(super) fn next_listener() -> u64 {
    static LISTENERS: AtomicU64 = AtomicU64::new(0);
    LISTENERS.fetch_add(1, Ordering::Relaxed)
}

struct RegisteredListener<T> {
    number: u64,
    stopped: Arc<AtomicBool>,
    /// Whether the listener has work to retry.
    retry: Arc<AtomicBool>,
    callback: ListenerFn<T>,
}

impl<T: Send + Sync + 'static> RegisteredListener<T> {
    fn call(&self, event: LiveEvent<T>) -> CallbackCall {
        let callback = Arc::clone(&self.callback);
        CallbackCall {
            lane: Lane::Listener(self.number),
            stopped: Arc::clone(&self.stopped),
            name: "a listener of a live config".into(),
            run: Box::new(move || callback(event)),
        }
    }
}

impl<T> Record<T> {
    fn adopt(&mut self, fingerprint: Fingerprint) {
        self.generation += 1;
        self.refused = None;
        self.fingerprint = Arc::new(fingerprint);
    }

    /// Whether the last attempt failed, or a secret is deleted or denied.
    fn ails(&self) -> bool {
        self.failures > 0 || self.secrets.values().any(|secret| secret.state.degrades())
    }

    /// Records a refusal. Returns whether it differs from the last one.
    fn refuse(&mut self, error: ConfigError) -> bool {
        let known = self.refused.as_ref().map(ConfigError::to_string);
        if known == Some(error.to_string()) {
            return false;
        }
        self.refused = Some(error);
        self.refusals += 1;
        true
    }
}

/// A subscriber's or a resource's last view of a live config.
pub(super) struct Place<T> {
    pub(super) config: Arc<T>,
    pub(super) generation: u64,
    /// The number of attempts that have ended, so that retries can tell them apart.
    #[cfg_attr(not(feature = "tokio"), allow(dead_code))]
    pub(super) attempts: u64,
    pub(super) fingerprint: Arc<Fingerprint>,
    pub(super) refusals: u64,
}

/// Values that an attempt replaced. Dropping a config is user code, so it is contained, and done outside
/// locks.
#[must_use]
pub(super) struct Gone<T> {
    swapped: Option<Change<T>>,
    configs: VecDeque<(Arc<T>, Duration)>,
}

impl<T> Gone<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.swapped.is_none() && self.configs.is_empty()
    }
}

/// How a cycle or a refresh ended.
pub(super) struct Attempt<T> {
    /// Why reads or the poll failed, in whole or in part.
    pub(super) unanswered: Option<ConfigError>,
    /// Whether every secret was read, so that the service has confirmed them.
    pub(super) confirmed: bool,
    /// When the new values were found.
    pub(super) since: Duration,
    /// When the refresh began, if this is one.
    pub(super) refreshed: Option<Duration>,
    /// The secrets whose values changed.
    pub(super) changed_secrets: Vec<String>,
    /// Those of them whose new values are not in the running config yet.
    pub(super) waiting: BTreeSet<String>,
    pub(super) shared: bool,
    /// The config's names of its secrets, if they changed.
    pub(super) names: Option<BTreeMap<String, String>>,
    /// The secrets whose states changed.
    pub(super) secrets: BTreeMap<String, SecretState>,
    pub(super) adoption: Adoption<T>,
}

/// The outcome for the newest values.
pub(super) enum Adoption<T> {
    /// They equal those of the running config.
    Same,
    /// They wait, because others could not be read yet.
    Held,
    Swap {
        new: Arc<T>,
        fingerprint: Fingerprint,
        /// The key paths that differ.
        changed: Vec<String>,
    },
    Refused(ConfigError),
}

impl<T> LiveState<T> {
    pub(super) fn new(begin: LiveBegin<T>) -> Self {
        let record = Record {
            generation: 1,
            attempts: 0,
            fingerprint: Arc::new(begin.fingerprint),
            previous: VecDeque::new(),
            loaded_at: system_time(&*begin.clock),
            secrets: begin.secrets,
            names: begin.names,
            rotation_lag: None,
            waiting_since: None,
            identity_shared: false,
            refused: None,
            unanswered: None,
            refusals: 0,
            failures: 0,
            closed: false,
            ended: None,
        };
        LiveState {
            current: ArcSwap::new(begin.first),
            happened: Event::new(),
            ticked: Event::new(),
            clock: begin.clock,
            inbox: begin.inbox,
            counters: begin.counters,
            max_stale: begin.max_stale,
            grace: begin.grace,
            refresh_gap: begin.refresh_gap,
            fail_closed: begin.fail_closed,
            overridden: begin.overridden,
            name: begin.name,
            places: begin.places,
            process: Some(std::process::id()),
            record: Mutex::new(record),
            listeners: Mutex::default(),
            resources: Mutex::default(),
            callbacks: begin.callbacks,
        }
    }

    /// Makes the state of a config without a worker.
    pub(super) fn unattended(mut self) -> Self {
        self.process = None;
        self
    }

    /// Whether no worker keeps it up to date.
    pub(super) fn is_unattended(&self) -> bool {
        self.process.is_none()
    }

    fn record(&self) -> MutexGuard<'_, Record<T>> {
        // Nothing panics while this lock is held. If it did, the record would still be consistent.
        lock(&self.record)
    }

    /// Returns an error if this process was forked from the one with the worker, so that this config does not
    /// follow its secrets.
    pub(super) fn forked(&self) -> Option<ConfigError> {
        let is_other = |process| process != std::process::id();
        self.process.is_some_and(is_other).then(|| {
            let error = Error::configuration(
                "this process was forked from the one that keeps the live config up to date: start \
                 one here",
            );
            ConfigError::to(
                Failed::Refresh,
                self.name,
                vec![Problem::unavailable(&error)],
            )
        })
    }

    pub(super) fn status(&self) -> LiveStatus {
        // Before any lock is taken: a thread of the parent process may have held it.
        if let Some(error) = self.forked() {
            return LiveStatus {
                generation: 0,
                loaded_at: system_time(&*self.clock),
                age: Duration::MAX,
                freshness: Freshness::Stale,
                last_error: Some(error),
                consecutive_failures: 0,
                secrets: Vec::new(),
                resources: Vec::new(),
                rotation_lag: None,
                identity_shared: false,
                offline: self.is_unattended(),
            };
        }
        let now = self.clock.monotonic();
        let age = self.inbox.age();
        let resources = self.resources();
        let record = self.record();
        let mut records = record.secrets.values();
        let degraded = record.refused.is_some() || records.any(|secret| secret.state.degrades());
        let freshness = if age > self.max_stale || record.ended.is_some() {
            Freshness::Stale
        } else if degraded {
            Freshness::Degraded
        } else {
            Freshness::Fresh
        };
        let waited = record.waiting_since.map(|since| now.saturating_sub(since));
        let errors = [&record.ended, &record.refused, &record.unanswered];
        LiveStatus {
            generation: record.generation,
            loaded_at: record.loaded_at,
            age,
            freshness,
            last_error: errors.into_iter().find_map(Clone::clone),
            consecutive_failures: record.failures,
            secrets: self.secrets(&record),
            resources,
            rotation_lag: waited.or(record.rotation_lag),
            identity_shared: record.identity_shared,
            offline: self.is_unattended(),
        }
    }

    /// Whether the config reads this secret, by its id.
    #[cfg(feature = "webhook")]
    pub(super) fn follows(&self, id: &str) -> bool {
        self.record().secrets.contains_key(id)
    }

    /// Adds this resource to the status for as long as it exists.
    pub(super) fn show_resource(&self, record: &Arc<ResourceRecord>) {
        let mut resources = lock(&self.resources);
        resources.retain(|other| other.strong_count() > 0);
        resources.push(Arc::downgrade(record));
    }

    fn resources(&self) -> Vec<ResourceStatus> {
        let resources = lock(&self.resources);
        let records: Vec<_> = resources.iter().filter_map(Weak::upgrade).collect();
        drop(resources);
        records.iter().map(|record| record.status()).collect()
    }

    fn secrets(&self, record: &Record<T>) -> Vec<SecretStatus> {
        let mut secrets = record.secrets.clone();
        for (said, own) in &self.overridden {
            let id = record.names.get(said).unwrap_or(own);
            let overridden = || SecretRecord::new(SecretState::Overridden);
            let secret = secrets.entry(id.clone()).or_insert_with(overridden);
            // A problem of the fields that are not overridden takes precedence.
            if !secret.state.degrades() && secret.state != SecretState::Pending {
                secret.state = SecretState::Overridden;
            }
        }
        secrets.iter().map(|of| self.secret(of)).collect()
    }

    fn secret(&self, (id, record): (&String, &SecretRecord)) -> SecretStatus {
        SecretStatus {
            id: id.clone(),
            state: record.state,
            reads: self.counters.reads_of(id),
            last_change: record.last_change,
        }
    }

    /// Returns an error if the rules of `fail_closed` refuse the running config.
    pub(super) fn permit(&self) -> Result<(), ConfigError> {
        let rules = &self.fail_closed;
        if *rules == FailClosed::new() {
            return Ok(());
        }
        if let Some(error) = self.forked() {
            return Err(error);
        }
        let mut problems = Vec::new();
        let age = self.inbox.age();
        if rules.older_than.is_some_and(|limit| age > limit) {
            let text = format!("nothing has confirmed the config for {} s", age.as_secs());
            problems.push(Problem::new(ProblemKind::Unavailable, text));
        }
        let record = self.record();
        let revoked = record.secrets.iter().filter(|(_, of)| of.is_revoked());
        for (id, secret) in revoked.filter(|_| rules.on_revoked) {
            let kind = match secret.state {
                SecretState::Deleted => ProblemKind::Missing,
                _ => ProblemKind::Denied,
            };
            let text = match kind {
                ProblemKind::Missing => "was deleted",
                _ => "is denied to this machine",
            };
            problems.push(Problem::new(kind, format!("secret {id} {text}")));
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(ConfigError::to(Failed::Use, self.name, problems)),
        }
    }

    /// Returns the id of a secret that is given by its id, or by an alias or display name of the config.
    pub(super) fn id_called(&self, said: &str) -> Result<String, ConfigError> {
        let record = self.record();
        // A config that was not built from secrets has no known ids. A refresh of it changes nothing.
        let knows_none = self.is_unattended() && record.secrets.is_empty();
        if knows_none || record.secrets.contains_key(said) {
            return Ok(said.to_owned());
        }
        if let Some(id) = record.names.get(said) {
            return Ok(id.clone());
        }
        let of = |(known, own): &(&String, &String)| *known == said || *own == said;
        if let Some((_, own)) = self.overridden.iter().find(of) {
            return Ok(own.clone());
        }
        let names = record.names.keys().chain(record.secrets.keys());
        let problem = unknown("refresh_secret", said, names.map(String::as_str));
        Err(ConfigError::to(Failed::Refresh, self.name, vec![problem]))
    }

    /// Whether a refresh that began less than the gap ago found another value of this secret.
    pub(super) fn was_just_refreshed(&self, id: &str) -> bool {
        let now = self.clock.monotonic();
        let record = self.record();
        let refreshed = record.secrets.get(id).and_then(|secret| secret.refreshed);
        refreshed.is_some_and(|at| now.saturating_sub(at) < self.refresh_gap)
    }

    /// Updates the metrics, if this process keeps the config up to date.
    pub(super) fn measure(&self) {
        #[cfg(feature = "metrics")]
        while self.process == Some(std::process::id()) {
            let status = self.status();
            let states = [Freshness::Fresh, Freshness::Stale, Freshness::Degraded];
            let closed = self.record().closed;
            let figures = LiveFigures {
                generation: status.generation,
                states: states.map(|state| (state.as_str(), !closed && state == status.freshness)),
                age: status.age,
                failures: status.consecutive_failures,
                rotation_lag: status.rotation_lag,
            };
            metrics::live(self.name, figures);
            // The worker may have said it after the thread that closed: the end has the last word.
            if closed || !self.record().closed {
                return;
            }
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.record().generation
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the replaced configs whose grace lasts, newest first.
    pub(super) fn previous(&self) -> Vec<Arc<T>> {
        if self.forked().is_some() {
            return Vec::new();
        }
        let now = self.clock.monotonic();
        let record = self.record();
        let kept = record.previous.iter().filter(|(_, until)| now < *until);
        kept.map(|(config, _)| Arc::clone(config)).collect()
    }

    /// Takes out the configs whose grace is over, which the caller must drop: that may be user code. Also returns
    /// how long the next one still has.
    pub(super) fn expire_previous(&self) -> (VecDeque<(Arc<T>, Duration)>, Option<Duration>) {
        let now = self.clock.monotonic();
        let mut record = self.record();
        let kept = record.previous.iter().take_while(|(_, until)| now < *until);
        let kept = kept.count();
        let gone = record.previous.split_off(kept);
        let next = record.previous.back().map(|(_, until)| *until - now);
        drop(record);
        (gone, next)
    }

    pub(super) fn callbacks(&self) -> &Arc<Callbacks> {
        &self.callbacks
    }

    /// Returns the key paths that a part of this config spans; `None` if they are unknown.
    pub(super) fn spanned_by<U: ?Sized>(&self, config: &T, part: &U) -> Option<BTreeSet<String>> {
        (self.places?)(config).spanned_by(part)
    }

    /// Returns the current view: the running config, its generation and its fingerprint.
    pub(super) fn place(&self) -> Place<T> {
        let record = self.record();
        Place {
            config: self.current.load_full(),
            generation: record.generation,
            attempts: record.attempts,
            fingerprint: Arc::clone(&record.fingerprint),
            refusals: record.refusals,
        }
    }

    /// Returns the change from the last view to the running config, and updates the view. Returns `None` if
    /// no key differs, for instance after a swap and a swap back.
    pub(super) fn change_since(&self, seen: &mut Place<T>) -> Option<Change<T>> {
        if self.forked().is_some() {
            return None;
        }
        let now = self.place();
        if now.generation == seen.generation {
            return None;
        }
        let paths = seen.fingerprint.difference(&now.fingerprint);
        let after = Arc::clone(&now.config);
        let before = std::mem::replace(&mut seen.config, now.config);
        seen.generation = now.generation;
        seen.fingerprint = now.fingerprint;
        Some(Change {
            before,
            after,
            paths: paths?.into(),
        })
    }

    pub(super) fn refusal_since(&self, seen: u64) -> Option<(ConfigError, u64)> {
        if self.forked().is_some() {
            return None;
        }
        let record = self.record();
        if record.refusals == seen {
            return None;
        }
        let error = record.refused.clone()?;
        Some((error, record.refusals))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.forked().is_some() || {
            let record = self.record();
            record.closed || record.ended.is_some()
        }
    }

    /// Records that the worker ended although handles exist.
    pub(super) fn worker_ended(&self) {
        let problem = Problem::probe("the thread that follows the secrets has ended");
        let error = ConfigError::to(Failed::Refresh, self.name, vec![problem]);
        self.record().ended = Some(error);
        self.measure();
        self.happened.notify(usize::MAX);
        self.ticked.notify(usize::MAX);
    }

    pub(super) fn close(&self) {
        self.record().closed = true;
        self.measure();
        self.happened.notify(usize::MAX);
        self.ticked.notify(usize::MAX);
        let listeners = std::mem::take(&mut *self.listeners());
        for listener in &listeners {
            self.callbacks.stop(&listener.stopped);
        }
        // The callbacks may own resources and handles, so they are dropped outside the lock.
        contain_drop(listeners);
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<RegisteredListener<T>>> {
        lock(&self.listeners)
    }

    /// Registers a listener. `retry` says whether it has work to retry.
    pub(super) fn listen(&self, callback: ListenerFn<T>, retry: Arc<AtomicBool>) -> u64 {
        let number = next_listener();
        self.listeners().push(RegisteredListener {
            number,
            stopped: Arc::default(),
            retry,
            callback,
        });
        number
    }

    pub(super) fn unlisten(&self, number: u64) {
        let gone = {
            let mut listeners = self.listeners();
            let place = listeners.iter().position(|to| to.number == number);
            place.map(|place| listeners.remove(place))
        };
        if let Some(gone) = gone {
            self.callbacks.stop(&gone.stopped);
            contain_drop(gone);
        }
    }
}

impl<T: Send + Sync + 'static> LiveState<T> {
    /// Ends an attempt (a cycle of the poller, or a refresh): updates the record in one step, then calls the
    /// listeners. Returns values that the caller must drop.
    pub(super) fn end(&self, attempt: Attempt<T>) -> Gone<T> {
        let mut gone = Gone {
            swapped: None,
            configs: VecDeque::new(),
        };
        let mut events = AttemptEvents::default();
        if attempt.confirmed {
            self.inbox.confirm();
        }
        let news = {
            let mut record = self.record();
            let now = self.clock.monotonic();
            record.attempts += 1;
            record.unanswered = attempt.unanswered;
            record.identity_shared |= attempt.shared;
            let ailed = record.ails().then_some(record.failures);
            for (id, state) in attempt.secrets {
                let secret = record.secrets.entry(id.clone());
                let secret = secret.or_insert_with(|| SecretRecord::new(state));
                let degraded = secret.state.degrades();
                secret.update(state, now);
                if !degraded && state.degrades() {
                    events.lost.push((id, state));
                }
            }
            if let Some(names) = attempt.names {
                record
                    .secrets
                    .retain(|id, _| names.values().any(|named| named == id));
                record.names = names;
            }
            let swaps = matches!(attempt.adoption, Adoption::Swap { .. });
            for id in attempt.changed_secrets {
                if let Some(secret) = record.secrets.get_mut(&id) {
                    secret.last_change = Some(system_time(&*self.clock));
                    let is_in = swaps && !attempt.waiting.contains(&id);
                    secret.refreshed = attempt.refreshed.filter(|_| is_in);
                }
            }
            let news = match attempt.adoption {
                Adoption::Same => {
                    record.refused = None;
                    record.waiting_since = None;
                    false
                }
                Adoption::Held => {
                    record.waiting_since.get_or_insert(attempt.since);
                    false
                }
                Adoption::Refused(error) => {
                    record.waiting_since.get_or_insert(attempt.since);
                    let line = format!("{error:#}");
                    let news = record.refuse(error);
                    events.refused = news.then_some(line);
                    news
                }
                Adoption::Swap {
                    new,
                    fingerprint,
                    changed,
                } => {
                    let old = self.current.swap(Arc::clone(&new));
                    record.adopt(fingerprint);
                    events.swapped = Some(record.generation);
                    record.loaded_at = system_time(&*self.clock);
                    let since = record.waiting_since.take().unwrap_or(attempt.since);
                    record.rotation_lag = Some(now.saturating_sub(since));
                    if !self.grace.is_zero() {
                        let until = now.saturating_add(self.grace);
                        record.previous.push_front((Arc::clone(&old), until));
                    }
                    let kept = record.previous.len().min(MOST_PREVIOUS);
                    gone.configs = record.previous.split_off(kept);
                    gone.swapped = Some(Change {
                        before: old,
                        after: new,
                        paths: changed.into(),
                    });
                    true
                }
            };
            let failed = record.unanswered.is_some() || record.refused.is_some();
            record.failures = match failed {
                true => record.failures.saturating_add(1),
                false => 0,
            };
            events.recovered = ailed.filter(|_| !record.ails());
            news
        };
        // A logger is user code: outside the lock.
        events.log(self.name, gone.swapped.as_ref().map(Change::paths));
        self.measure();
        if news {
            self.happened.notify(usize::MAX);
        }
        if let Some(change) = &gone.swapped {
            let event = || LiveEvent::Changed(change.clone());
            let calls: Vec<_> = self.listeners().iter().map(|to| to.call(event())).collect();
            self.callbacks.enqueue(calls);
        } else {
            self.retry();
        }
        self.ticked.notify(usize::MAX);
        gone
    }

    /// Calls one listener to retry, now.
    pub(super) fn call(&self, number: u64) {
        let listeners = self.listeners();
        let call = listeners.iter().find(|to| to.number == number);
        let call = call.map(|to| to.call(LiveEvent::Retry));
        drop(listeners);
        self.callbacks.enqueue(call);
    }

    /// Calls the listeners that have work to retry. A change is sent to all listeners, and they retry then,
    /// too.
    fn retry(&self) {
        let calls: Vec<_> = self
            .listeners()
            .iter()
            .filter(|to| to.retry.load(Ordering::Relaxed))
            .map(|to| to.call(LiveEvent::Retry))
            .collect();
        self.callbacks.enqueue(calls);
    }
}

fn system_time(clock: &dyn Clock) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(clock.unix_now().max(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::live::inbox::{Scope, Waited};

    fn state() -> (Arc<LiveState<i32>>, Arc<Inbox>) {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let inbox = Arc::new(Inbox::new(Arc::clone(&clock)));
        let state = Arc::new(LiveState::new(LiveBegin {
            name: "Config",
            first: Arc::new(1),
            fingerprint: Fingerprint::default(),
            places: None,
            secrets: BTreeMap::new(),
            names: BTreeMap::new(),
            inbox: Arc::clone(&inbox),
            counters: Arc::default(),
            callbacks: Callbacks::new(Arc::clone(&clock)),
            clock,
            max_stale: Duration::from_secs(300),
            grace: Duration::ZERO,
            refresh_gap: Duration::ZERO,
            fail_closed: FailClosed::new(),
            overridden: BTreeMap::new(),
        }));
        (state, inbox)
    }

    #[test]
    fn a_worker_that_has_ended_shows_and_lets_its_callers_go() {
        let (state, inbox) = state();
        assert_eq!(state.status().freshness(), Freshness::Fresh);
        let ticket = inbox.ask(Scope::All, None);
        let guard = crate::live::worker::EndGuard::new(&state, &inbox);
        let ended = std::thread::spawn(move || {
            let _guard = guard;
            panic!("a defect of the worker");
        });
        assert!(ended.join().is_err());
        let waited = inbox.wait(ticket, Duration::from_secs(30));
        assert!(matches!(waited, Waited::Closed));
        let status = state.status();
        assert_eq!(status.freshness(), Freshness::Stale);
        let error = status.last_error().unwrap().to_string();
        assert!(error.contains("has ended"), "{error}");
        assert!(state.is_closed(), "subscribers are let go too");
    }

    #[test]
    fn a_worker_that_ends_with_the_last_handle_is_not_a_failure() {
        let (state, inbox) = state();
        // As the last handle does, before it closes the state: the worker may be quicker.
        inbox.close();
        drop(crate::live::worker::EndGuard::new(&state, &inbox));
        assert_eq!(state.status().freshness(), Freshness::Fresh);
        assert!(state.status().last_error().is_none());
        state.close();
        assert!(state.is_closed());
    }
}
