//! What waits for the worker of a live config. The poller puts cycles in and never waits; cycles
//! that the worker has not taken yet fold into one, so that the latest values win.

use std::collections::BTreeMap;
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
    /// Whether no worker takes the news: a refresh has then ended as soon as it is asked for.
    unattended: bool,
    closed: bool,
}

impl Inbox {
    /// One of a config that no worker keeps up to date: its refreshes change nothing.
    pub(super) fn unattended() -> Self {
        let inbox = Inbox::default();
        inbox.state().unattended = true;
        inbox
    }

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
                let held = state.news.refresh.is_some() && now < refresh_from;
                let refresh = state.news.refresh.take_if(|_| !held);
                if state.news.polled.is_some() || refresh.is_some() {
                    let waiting = state.news.refresh.take();
                    let news = std::mem::take(&mut state.news);
                    state.news.refresh = waiting;
                    return Some(News { refresh, ..news });
                }
                if until <= now {
                    return Some(News::default());
                }
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
        let mut state = self.state();
        if state.unattended {
            state.result = Some(Ok(()));
            return state.done;
        }
        let ticket = match state.news.refresh.take() {
            Some(waiting) => {
                let ticket = waiting.ticket;
                state.news.refresh = Some(Refresh {
                    scope: waiting.scope.and(scope),
                    ticket,
                });
                ticket
            }
            None => {
                state.ticket += 1;
                let ticket = state.ticket;
                state.news.refresh = Some(Refresh { scope, ticket });
                ticket
            }
        };
        drop(state);
        self.arrived.raise();
        ticket
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
