//! The open connections, their limits, and which one is closed when a limit is exceeded.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;

use super::wire::Line;

/// The limits for connections at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) open: usize,
    pub(crate) idle: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // Each takes a thread and a file descriptor, and a process often has at most 1,024 of those.
        Self {
            open: 1_000,
            idle: 250,
        }
    }
}

/// The connections whose threads may still run.
pub(super) struct Connections {
    limits: Limits,
    open: Mutex<Vec<Open>>,
    /// Counts connections and requests, in the order in which they arrive.
    turn: AtomicU64,
}

/// One connection. Its thread owns the line, so that the socket closes when the thread ends.
struct Open {
    line: Weak<Line>,
    thread: JoinHandle<()>,
    idle: Arc<Idle>,
    cut: bool,
}

/// Whether a connection is idle, and when its newest request arrived.
///
/// The arrival decides the order: a client that has its response cannot know how soon its connection counts as idle.
pub(super) struct Idle {
    is: AtomicBool,
    arrived: AtomicU64,
}

impl Connections {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            open: Mutex::default(),
            turn: AtomicU64::new(0),
        }
    }

    /// The mark of a new connection, which is idle until its first request has arrived.
    pub(super) fn idle(&self) -> Arc<Idle> {
        Arc::new(Idle {
            is: AtomicBool::new(true),
            arrived: AtomicU64::new(self.next_turn()),
        })
    }

    /// Adds a connection whose thread has started.
    pub(super) fn enter(&self, line: Weak<Line>, thread: JoinHandle<()>, idle: Arc<Idle>) {
        let mut open = self.lock();
        open.retain(|open| !open.thread.is_finished());
        open.push(Open {
            line,
            thread,
            idle,
            cut: false,
        });
        self.trim(&mut open);
    }

    /// Marks the connection as idle: it waits for a request.
    pub(super) fn rest(&self, idle: &Idle) {
        idle.is.store(true, Ordering::Release);
        let mut open = self.lock();
        if open.len() > self.limits.idle {
            self.trim(&mut open);
        }
    }

    /// Marks the connection as busy: it has a request to serve.
    pub(super) fn work(&self, idle: &Idle) {
        idle.arrived.store(self.next_turn(), Ordering::Release);
        idle.is.store(false, Ordering::Release);
    }

    /// The number of open connections, idle ones included.
    pub(super) fn count(&self) -> usize {
        self.lock()
            .iter()
            .filter(|open| !open.thread.is_finished())
            .count()
    }

    /// Cuts every connection.
    pub(super) fn cut(&self) {
        self.lock().iter_mut().for_each(Open::cut);
    }

    /// Cuts every connection and joins its thread. No connection may be added afterwards.
    pub(super) fn end(&self) {
        self.cut();
        let open = std::mem::take(&mut *self.lock());
        for connection in open {
            let _ = connection.thread.join();
        }
    }

    /// Cuts connections until no limit is exceeded, beginning with the one that has been idle longest.
    fn trim(&self, open: &mut [Open]) {
        let mut alive: Vec<_> = open
            .iter_mut()
            .filter(|open| !open.cut && !open.thread.is_finished())
            .collect();
        let count = alive.len();
        alive.retain(|open| open.idle.is.load(Ordering::Acquire));
        let surplus = (count.saturating_sub(self.limits.open))
            .max(alive.len().saturating_sub(self.limits.idle));
        alive.sort_by_key(|open| open.idle.arrived.load(Ordering::Acquire));
        alive.into_iter().take(surplus).for_each(Open::cut);
    }

    fn next_turn(&self) -> u64 {
        self.turn.fetch_add(1, Ordering::AcqRel) + 1
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn cut(&mut self) {
        self.cut = true;
        if let Some(line) = self.line.upgrade() {
            line.cut();
        }
    }
}
