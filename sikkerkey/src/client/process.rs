//! The part of a client that each process has for itself: its connections and threads.
//!
//! A child of `fork` has a copy of the parent's memory and none of its threads, and shares its sockets. So
//! the child makes connections, a poller and threads of its own, and does not touch the copies: two processes
//! on one connection would receive each other's responses. The process id tells them apart, before any lock
//! is taken, because a lock may have been held by a thread that the child does not have.
//!
//! This is promised only for a fork while no other thread uses the client. Otherwise it is best effort: state
//! that another thread was changing is copied half-changed.

use std::process;
use std::sync::{Arc, OnceLock};
#[cfg(feature = "cache")]
use std::time::Duration;

use super::call_threads::CallThreads;
use super::session::{CurrentSession, Session};
use super::settings::Settings;
use super::stats::Counters;
#[cfg(feature = "cache")]
use crate::cache::Cache;
use crate::watch::Poller;

/// One process's part of a client.
pub(crate) struct Process {
    pub(crate) session: CurrentSession,
    pub(crate) poller: Arc<Poller>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) call_threads: Arc<CallThreads>,
    #[cfg(feature = "cache")]
    pub(crate) cache: Option<Cache>,
}

/// How long dropping the last handle waits for cache entries to be written.
#[cfg(feature = "cache")]
const CACHE_LIMIT: Duration = Duration::from_secs(1);

impl Process {
    pub(crate) fn new(
        session: Session,
        settings: &Settings,
        #[cfg(feature = "cache")] cache: Option<Cache>,
    ) -> Self {
        Process {
            #[cfg(feature = "cache")]
            cache,
            poller: Poller::new(
                settings.clock.clone(),
                settings.random.clone(),
                settings.poll_interval,
                session.transport.url().is_loopback(),
                settings.resync,
                settings.resync_secrets.clone(),
            ),
            call_threads: CallThreads::new(settings.clock.clone()),
            session: CurrentSession::new(session),
            counters: Arc::default(),
        }
    }

    fn end(&self) {
        self.poller.end();
        self.call_threads.close();
        #[cfg(feature = "cache")]
        if let Some(cache) = &self.cache {
            cache.flush(CACHE_LIMIT);
        }
    }

    /// Makes the part of a child of this process.
    fn forked(&self, settings: &Settings) -> Self {
        Process::new(
            self.session.unlocked().forked(),
            settings,
            #[cfg(feature = "cache")]
            self.cache.as_ref().map(Cache::forked),
        )
    }
}

/// The parts of a client in this process and in those that it was forked from.
pub(crate) struct Processes(Slot);

struct Slot {
    number: u32,
    /// Always `Some` until the slot is dropped.
    process: Option<Process>,
    /// The part of a child process.
    next: OnceLock<Box<Slot>>,
}

impl Processes {
    pub(crate) fn new(process: Process) -> Self {
        Processes(Slot::new(process))
    }

    /// Returns the part of the calling process. A child makes its own on first use, from the session that was
    /// in use at the fork.
    pub(crate) fn current(&self, settings: &Settings) -> &Process {
        let number = process::id();
        let mut slot = &self.0;
        while slot.number != number {
            let forked = || slot.process().forked(settings);
            let child = slot.next.get_or_init(|| Box::new(Slot::new(forked())));
            slot = child;
        }
        slot.process()
    }

    /// Ends the poller and the threads of this process.
    pub(crate) fn end(&self) {
        let number = process::id();
        let mut slot = Some(&self.0);
        while let Some(this) = slot {
            if this.number == number {
                this.process().end();
            }
            slot = this.next.get().map(|next| &**next);
        }
    }
}

impl Slot {
    fn new(process: Process) -> Self {
        Slot {
            number: process::id(),
            process: Some(process),
            next: OnceLock::new(),
        }
    }

    #[allow(clippy::expect_used, reason = "only drop takes it")]
    fn process(&self) -> &Process {
        self.process.as_ref().expect("the slot is not dropped yet")
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.number != process::id() {
            // The parent's part: this process must not close its connections.
            std::mem::forget(self.process.take());
        }
    }
}
