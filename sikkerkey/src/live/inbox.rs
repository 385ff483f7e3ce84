//! What waits for the worker of a live config. The poller puts cycles in and never waits; cycles
//! that the worker has not taken yet fold into one, so that the latest values win.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use event_listener::{Event, Listener as _};

use crate::clock::{Clock, Signal};
use crate::config::error::ConfigError;
use crate::error::Error;
use crate::sync::lock;
use crate::watch::{Cycle, Follower, UpdateKind};

/// What a refresh is to read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    All,
    Secrets(Vec<String>),
}

impl Scope {
    fn and(self, other: Scope) -> Scope {
        match (self, other) {
            (Scope::Secrets(mut ids), Scope::Secrets(more)) => {
                ids.extend(more);
                ids.sort_unstable();
                ids.dedup();
                Scope::Secrets(ids)
            }
            _ => Scope::All,
        }
    }
}

/// The news that the worker takes at once.
#[derive(Default)]
pub(super) struct News {
    /// How the newest poll ended; `None` where there was none.
    pub(super) polled: Option<Result<(), Error>>,
    /// The newest of each secret.
    pub(super) updates: BTreeMap<Arc<str>, UpdateKind>,
    pub(super) refresh: Option<Refresh>,
}

impl News {
    pub(super) fn is_empty(&self) -> bool {
        self.polled.is_none() && self.refresh.is_none()
    }
}

/// A refresh that somebody waits for.
pub(super) struct Refresh {
    pub(super) scope: Scope,
    /// The secrets of which a webhook told, and which are read once more if nothing is found.
    pub(super) told: BTreeSet<String>,
    ticket: u64,
}

#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<InboxState>,
    /// For the worker.
    arrived: Signal,
    /// For those who wait for a refresh, on a thread or in a future.
    refreshed: Event,
}

#[derive(Default)]
struct InboxState {
    news: News,
    /// The newest ticket given out, and the newest whose refresh has ended, with its result.
    ticket: u64,
    done: u64,
    result: Option<Result<(), ConfigError>>,
    /// Whether the refresh that waits does so for no gap: a webhook asked for it.
    urgent: bool,
    /// Secrets that are read once more, and when.
    second_look: Option<(Duration, BTreeSet<String>)>,
    closed: bool,
}

impl Inbox {
    fn state(&self) -> MutexGuard<'_, InboxState> {
        lock(&self.state)
    }

    /// Waits for news: until `until` (empty news then), and with a refresh not before
    /// `refresh_from`; both by the clock's monotonic time. `None` once closed.
    pub(super) fn take(
        &self,
        clock: &dyn Clock,
        until: Duration,
        refresh_from: Duration,
    ) -> Option<News> {
        loop {
            let seen = self.arrived.count();
            let now = clock.monotonic();
            let wake = {
                let mut state = self.state();
                if state.closed {
                    return None;
                }
                if let Some((_, ids)) = state.second_look.take_if(|(due, _)| *due <= now) {
                    state.ask_now(Scope::Secrets(ids.into_iter().collect()), BTreeSet::new());
                }
                let held = state.news.refresh.is_some() && !state.urgent && now < refresh_from;
                let refresh = state.news.refresh.take_if(|_| !held);
                if state.news.polled.is_some() || refresh.is_some() {
                    state.urgent &= refresh.is_none();
                    let waiting = state.news.refresh.take();
                    let news = std::mem::take(&mut state.news);
                    state.news.refresh = waiting;
                    return Some(News { refresh, ..news });
                }
                if until <= now {
                    return Some(News::default());
                }
                let second = state.second_look.as_ref().map(|(due, _)| *due);
                let until = second.map_or(until, |due| until.min(due));
                match held {
                    true => until.min(refresh_from),
                    false => until,
                }
            };
            clock.wait(&self.arrived, seen, wake);
        }
    }

    pub(super) fn close(&self) {
        self.state().closed = true;
        self.arrived.raise();
        self.refreshed.notify(usize::MAX);
    }

    /// Asks for a refresh without waiting for it. All who ask before it starts share one.
    pub(super) fn ask(&self, scope: Scope) -> u64 {
        let ticket = self.state().ask(scope, BTreeSet::new());
        self.arrived.raise();
        ticket
    }

    /// The same for one secret of which a webhook told: at once, whenever the last refresh was.
    #[cfg(feature = "webhook")]
    pub(super) fn ask_told(&self, id: &str) -> u64 {
        let told = BTreeSet::from([id.to_owned()]);
        let ticket = self
            .state()
            .ask_now(Scope::Secrets(vec![id.to_owned()]), told);
        self.arrived.raise();
        ticket
    }

    /// Has these secrets read again at this time.
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

    /// Waits until the refresh of `ticket` has ended; `None` when the live config ended before.
    pub(super) fn wait_for(&self, ticket: u64) -> Option<Result<(), ConfigError>> {
        loop {
            let listener = self.refreshed.listen();
            if let Some(result) = self.result_of(ticket) {
                return result;
            }
            listener.wait();
        }
    }

    /// The same, as a future.
    pub(super) async fn result(&self, ticket: u64) -> Option<Result<(), ConfigError>> {
        loop {
            let listener = self.refreshed.listen();
            if let Some(result) = self.result_of(ticket) {
                return result;
            }
            listener.await;
        }
    }

    fn result_of(&self, ticket: u64) -> Option<Option<Result<(), ConfigError>>> {
        let state = self.state();
        if state.done >= ticket {
            return Some(state.result.clone());
        }
        state.closed.then_some(None)
    }

    pub(super) fn finish(&self, refresh: &Refresh, result: Result<(), ConfigError>) {
        let mut state = self.state();
        state.done = refresh.ticket;
        state.result = Some(result);
        drop(state);
        self.refreshed.notify(usize::MAX);
    }
}

impl InboxState {
    fn ask(&mut self, scope: Scope, told: BTreeSet<String>) -> u64 {
        let refresh = match self.news.refresh.take() {
            Some(mut waiting) => {
                waiting.told.extend(told);
                Refresh {
                    scope: waiting.scope.and(scope),
                    ..waiting
                }
            }
            None => {
                self.ticket += 1;
                Refresh {
                    scope,
                    told,
                    ticket: self.ticket,
                }
            }
        };
        let ticket = refresh.ticket;
        self.news.refresh = Some(refresh);
        ticket
    }

    fn ask_now(&mut self, scope: Scope, told: BTreeSet<String>) -> u64 {
        self.urgent = true;
        self.ask(scope, told)
    }
}

impl Follower for Inbox {
    fn cycle(&self, cycle: Cycle) {
        let mut state = self.state();
        state.news.polled = Some(cycle.outcome);
        for update in cycle.updates {
            state.news.updates.insert(update.id, update.kind);
        }
        drop(state);
        self.arrived.raise();
    }
}
