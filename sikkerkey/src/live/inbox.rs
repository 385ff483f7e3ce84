//! The inbox of a live config's worker: news and requests for it, and callers that wait for its answers.
//!
//! The poller adds cycles and never waits; cycles that the worker has not taken yet are merged into one, so
//! that the latest values win. Callers add requests, get a ticket, and wait for its answer until their
//! deadline.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use event_listener::Event;
use secrecy::SecretString;

use crate::clock::{Clock, FAR_FUTURE, Signal};
use crate::config::error::ConfigError;
use crate::error::Error;
use crate::sync::lock;
use crate::watch::{Cycle, Follower, UpdateKind};

/// The secrets that a refresh reads again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    All,
    /// These secrets, by id.
    Secrets(BTreeSet<String>),
}

impl Scope {
    fn and(self, other: Scope) -> Scope {
        match (self, other) {
            (Scope::Secrets(mut ids), Scope::Secrets(more)) => {
                ids.extend(more);
                Scope::Secrets(ids)
            }
            _ => Scope::All,
        }
    }
}

/// Everything that has arrived since the worker last looked.
#[derive(Default)]
pub(super) struct News {
    /// How the newest poll ended; `None` if there was none.
    pub(super) polled: Option<Result<(), Error>>,
    /// When the first of the merged polls ended.
    pub(super) since: Option<Duration>,
    /// Whether another process consumes reports of changes.
    pub(super) shared: bool,
    /// The newest update of each secret.
    pub(super) updates: BTreeMap<Arc<str>, UpdateKind>,
    pub(super) refresh: Option<Refresh>,
    pub(super) rehearsals: Vec<Rehearsal>,
}

impl News {
    pub(super) fn is_empty(&self) -> bool {
        self.polled.is_none() && self.refresh.is_none() && self.rehearsals.is_empty()
    }
}

/// A refresh that a caller asked for.
pub(super) struct Refresh {
    pub(super) scope: Scope,
    /// The secrets that a webhook named. If no new value is found for one, it is read once more.
    pub(super) told: BTreeSet<String>,
    /// Set if a config of a later generation than this makes it unnecessary.
    unless_after: Option<u64>,
    pub(super) ticket: u64,
}

/// A value to try without installing it.
pub(super) struct Rehearsal {
    pub(super) id: String,
    pub(super) value: SecretString,
    pub(super) ticket: u64,
}

/// Whether anything changed; false for a rehearsal.
pub(super) type Answer = Result<bool, ConfigError>;

pub(super) struct Inbox {
    state: Mutex<InboxState>,
    /// Wakes the worker.
    arrived: Signal,
    /// Wakes callers that wait for an answer, on a thread or in a future.
    answered: Signal,
    answered_async: Event,
    clock: Arc<dyn Clock>,
    /// When the service last confirmed all secrets: milliseconds of the clock's monotonic time, negative if
    /// that was before the clock began.
    confirmed: AtomicI64,
}

#[derive(Default)]
struct InboxState {
    news: News,
    /// The newest ticket given out.
    last: u64,
    tickets: BTreeMap<u64, Ticket>,
    /// The deadlines of the callers, each with a unique number.
    deadlines: BTreeSet<(Duration, u64)>,
    waiters: u64,
    /// Whether the waiting refresh starts at once, even soon after the last one.
    urgent: bool,
    /// Secrets to read once more, and when.
    second_look: Option<(Duration, BTreeSet<String>)>,
    /// Whether the config has no worker, so that a refresh is answered at once.
    unattended: bool,
    closed: bool,
}

#[derive(Default)]
struct Ticket {
    /// The number of callers that wait for the answer.
    waiters: usize,
    answer: Option<Answer>,
}

impl Inbox {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let inbox = Inbox {
            state: Mutex::default(),
            arrived: Signal::default(),
            answered: Signal::default(),
            answered_async: Event::new(),
            confirmed: AtomicI64::new(0),
            clock,
        };
        inbox.confirm();
        inbox
    }

    /// Makes the inbox of a config without a worker. Its refreshes change nothing.
    pub(super) fn unattended(clock: Arc<dyn Clock>) -> Self {
        let inbox = Inbox::new(clock);
        inbox.state().unattended = true;
        inbox
    }

    fn state(&self) -> MutexGuard<'_, InboxState> {
        lock(&self.state)
    }

    /// Records that the service has just confirmed all secrets.
    pub(super) fn confirm(&self) {
        self.confirmed_before(Duration::ZERO);
    }

    /// Records that the service confirmed all secrets this long ago.
    pub(super) fn confirmed_before(&self, age: Duration) {
        let time = milliseconds(self.clock.monotonic()).saturating_sub(milliseconds(age));
        self.confirmed.store(time, Ordering::Relaxed);
    }

    /// Returns how long ago the service last confirmed all secrets.
    pub(super) fn age(&self) -> Duration {
        let confirmed = self.confirmed.load(Ordering::Relaxed);
        let age = milliseconds(self.clock.monotonic()).saturating_sub(confirmed);
        Duration::from_millis(u64::try_from(age).unwrap_or(0))
    }

    /// Waits for news until `until`, then returns empty news. A refresh is not returned before
    /// `refresh_from`. Both are monotonic times. Returns `None` once closed.
    pub(super) fn take(&self, until: Duration, refresh_from: Duration) -> Option<News> {
        loop {
            let seen = self.arrived.count();
            let now = self.clock.monotonic();
            self.release_overdue(now);
            let wake = {
                let mut state = self.state();
                if state.closed {
                    return None;
                }
                if let Some((_, ids)) = state.second_look.take_if(|(due, _)| *due <= now) {
                    state.ask_now(Scope::Secrets(ids), BTreeSet::new());
                }
                let held = state.news.refresh.is_some() && now < refresh_from && !state.urgent;
                let refresh = state.news.refresh.take_if(|_| !held);
                if refresh.is_some() || !state.is_quiet() {
                    state.urgent &= refresh.is_none();
                    let waiting = state.news.refresh.take();
                    let news = std::mem::take(&mut state.news);
                    state.news.refresh = waiting;
                    return Some(News { refresh, ..news });
                }
                if until <= now {
                    return Some(News::default());
                }
                let second_look = state.second_look.as_ref().map(|(due, _)| *due);
                let next = [state.next_deadline(), second_look];
                let wake = next.into_iter().flatten().fold(until, Duration::min);
                match held {
                    true => wake.min(refresh_from),
                    false => wake,
                }
            };
            self.clock.wait(&self.arrived, seen, wake);
        }
    }

    /// Returns how often something has arrived.
    pub(super) fn wakes(&self) -> u64 {
        self.arrived.count()
    }

    /// Wakes the worker.
    pub(super) fn wake(&self) {
        self.arrived.raise();
    }

    /// Waits, on the worker's thread, for a job to end, at most until `until`. Meanwhile, callers whose
    /// deadline passes are released.
    pub(super) fn wait_for_job(&self, clock: &dyn Clock, seen: u64, until: Option<Duration>) {
        let now = clock.monotonic();
        self.release_overdue(now);
        let until = until.unwrap_or_else(|| now.saturating_add(FAR_FUTURE));
        let next = self.state().next_deadline();
        let until = next.map_or(until, |next| until.min(next));
        clock.wait_for_work(&self.arrived, seen, until);
    }

    /// Wakes the callers whose deadline has passed.
    fn release_overdue(&self, now: Duration) {
        let mut state = self.state();
        let later = state.deadlines.split_off(&(now, u64::MAX));
        let overdue = std::mem::replace(&mut state.deadlines, later);
        drop(state);
        if !overdue.is_empty() {
            self.notify_waiters();
        }
    }

    fn notify_waiters(&self) {
        self.answered.raise();
        self.answered_async.notify(usize::MAX);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Returns whether this call closed it.
    pub(super) fn close(&self) -> bool {
        let was_closed = std::mem::replace(&mut self.state().closed, true);
        self.arrived.raise();
        self.notify_waiters();
        !was_closed
    }

    /// Asks for a refresh, which a config of a later generation than `unless_after` makes unnecessary. All callers
    /// that ask before it starts share it.
    pub(super) fn ask(&self, scope: Scope, unless_after: Option<u64>) -> u64 {
        self.asked(|state| state.ask(scope, BTreeSet::new(), unless_after))
    }

    /// Asks the worker. Without one, the answer is that nothing has changed.
    fn asked(&self, ask: impl FnOnce(&mut InboxState) -> u64) -> u64 {
        let mut state = self.state();
        if state.unattended {
            let ticket = state.new_ticket();
            drop(state);
            self.answer(ticket, Ok(false));
            return ticket;
        }
        let ticket = ask(&mut state);
        drop(state);
        self.arrived.raise();
        ticket
    }

    /// Asks for a refresh of a secret that a webhook named. It starts at once, even soon after the last
    /// refresh.
    #[cfg(feature = "webhook")]
    pub(super) fn ask_told(&self, id: &str) -> u64 {
        let told = BTreeSet::from([id.to_owned()]);
        self.asked(|state| state.ask_now(Scope::Secrets(told.clone()), told))
    }

    /// Takes the updates of these secrets that have arrived, without those of the others.
    pub(super) fn take_updates(&self, ids: &BTreeSet<String>) -> BTreeMap<String, UpdateKind> {
        let updates = &mut self.state().news.updates;
        let taken = ids
            .iter()
            .filter_map(|id| updates.remove_entry(id.as_str()));
        taken.map(|(id, kind)| (id.to_string(), kind)).collect()
    }

    /// Schedules another read of these secrets. Only the worker calls it, so it need not be woken.
    pub(super) fn look_again(&self, due: Duration, ids: BTreeSet<String>) {
        if ids.is_empty() {
            return;
        }
        let mut state = self.state();
        match &mut state.second_look {
            Some((_, waiting)) => waiting.extend(ids),
            none => *none = Some((due, ids)),
        }
    }

    /// Removes from the waiting refresh the secrets that were just read, and answers it if none is left. If all
    /// were read, the config of the generation `all_read` may make it unnecessary.
    pub(super) fn share(&self, all_read: Option<u64>, is_done: impl Fn(&str) -> bool) {
        let mut state = self.state();
        let Some(refresh) = &mut state.news.refresh else {
            return;
        };
        let ticket = refresh.ticket;
        let is_served = match &mut refresh.scope {
            Scope::All => {
                let newer = refresh.unless_after.zip(all_read);
                newer.is_some_and(|(after, generation)| generation > after)
            }
            // A secret that a webhook named is read again, even soon after the last read.
            Scope::Secrets(ids) => {
                ids.retain(|id| refresh.told.contains(id) || !is_done(id));
                ids.is_empty()
            }
        };
        if is_served {
            state.news.refresh = None;
            state.urgent = false;
            drop(state);
            self.answer(ticket, Ok(true));
        }
    }

    /// Asks for a rehearsal of a value.
    pub(super) fn rehearse(&self, id: String, value: SecretString) -> u64 {
        let mut state = self.state();
        let ticket = state.new_ticket();
        state.news.rehearsals.push(Rehearsal { id, value, ticket });
        drop(state);
        self.arrived.raise();
        ticket
    }

    /// Waits for the answer, for at most `time`.
    pub(super) fn wait(&self, ticket: u64, time: Duration) -> Waited {
        let waiting = self.waiting(ticket, time);
        loop {
            let seen = self.answered.count();
            if let Some(waited) = waiting.look() {
                return waited;
            }
            self.clock.wait(&self.answered, seen, waiting.until);
        }
    }

    /// Waits for the answer as a future, as [`wait`](Self::wait) does.
    pub(super) async fn wait_async(&self, ticket: u64, time: Duration) -> Waited {
        let waiting = self.waiting(ticket, time);
        loop {
            let listener = self.answered_async.listen();
            if let Some(waited) = waiting.look() {
                return waited;
            }
            listener.await;
        }
    }

    fn waiting(&self, ticket: u64, time: Duration) -> Waiting<'_> {
        let until = self.clock.monotonic().saturating_add(time.min(FAR_FUTURE));
        let mut state = self.state();
        state.waiters += 1;
        let number = state.waiters;
        state.deadlines.insert((until, number));
        state.tickets.entry(ticket).or_default().waiters += 1;
        drop(state);
        // The worker must know of the deadline.
        self.arrived.raise();
        Waiting {
            inbox: self,
            ticket,
            number,
            until,
        }
    }

    pub(super) fn answer(&self, ticket: u64, answer: Answer) {
        let mut state = self.state();
        // The answer may come before any caller waits for it.
        state.tickets.entry(ticket).or_default().answer = Some(answer);
        let abandoned = state.tickets.len().saturating_sub(MOST_ANSWERS);
        let old: Vec<u64> = state.unwanted().take(abandoned).collect();
        for ticket in old {
            state.tickets.remove(&ticket);
        }
        drop(state);
        self.notify_waiters();
    }
}

/// The most answers that are kept before a caller waits for them.
const MOST_ANSWERS: usize = 64;

impl InboxState {
    fn new_ticket(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn ask(&mut self, scope: Scope, mut told: BTreeSet<String>, unless_after: Option<u64>) -> u64 {
        let (scope, unless_after, ticket) = match self.news.refresh.take() {
            Some(waiting) => {
                told.extend(waiting.told);
                let both = waiting.unless_after.zip(unless_after);
                let latest = both.map(|(one, other)| one.max(other));
                (waiting.scope.and(scope), latest, waiting.ticket)
            }
            None => (scope, unless_after, self.new_ticket()),
        };
        self.news.refresh = Some(Refresh {
            scope,
            told,
            unless_after,
            ticket,
        });
        ticket
    }

    fn ask_now(&mut self, scope: Scope, told: BTreeSet<String>) -> u64 {
        self.urgent = true;
        self.ask(scope, told, None)
    }

    /// Whether nothing waits for the worker, except possibly a refresh.
    fn is_quiet(&self) -> bool {
        self.news.polled.is_none() && self.news.rehearsals.is_empty()
    }

    fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(until, _)| *until)
    }

    /// Iterates over answers without a waiting caller, oldest first.
    fn unwanted(&self) -> impl Iterator<Item = u64> {
        let tickets = self.tickets.iter();
        let unwanted = tickets.filter(|(_, ticket)| ticket.waiters == 0 && ticket.answer.is_some());
        unwanted.map(|(number, _)| *number)
    }
}

/// How a caller's waiting ended.
pub(super) enum Waited {
    Answered(Answer),
    OutOfTime,
    /// The live config has ended.
    Closed,
}

/// A caller that waits for an answer.
struct Waiting<'a> {
    inbox: &'a Inbox,
    ticket: u64,
    number: u64,
    until: Duration,
}

impl Waiting<'_> {
    fn look(&self) -> Option<Waited> {
        let state = self.inbox.state();
        let ticket = state.tickets.get(&self.ticket);
        if let Some(answer) = ticket.and_then(|ticket| ticket.answer.clone()) {
            return Some(Waited::Answered(answer));
        }
        if state.closed {
            return Some(Waited::Closed);
        }
        drop(state);
        (self.until <= self.inbox.clock.monotonic()).then_some(Waited::OutOfTime)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.inbox.state();
        state.deadlines.remove(&(self.until, self.number));
        if let Some(ticket) = state.tickets.get_mut(&self.ticket) {
            ticket.waiters -= 1;
        }
    }
}

impl Follower for Inbox {
    fn cycle(&self, cycle: Cycle) {
        let is_unread = cycle.updates.iter().any(|update| update.kind.is_unread());
        let confirmed = cycle.outcome.is_ok() && !is_unread;
        let now = self.clock.monotonic();
        let mut state = self.state();
        if state.closed {
            return;
        }
        // Recorded here by the poller, so a slow build or probe does not make the config stale.
        if confirmed {
            self.confirm();
        }
        state.news.polled = Some(cycle.outcome);
        state.news.since.get_or_insert(now);
        state.news.shared = cycle.shared;
        for update in cycle.updates {
            state.news.updates.insert(update.id, update.kind);
        }
        drop(state);
        self.arrived.raise();
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
