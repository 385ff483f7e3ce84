//! Work that takes time, on a thread of its own: reads, and the user's code.
//!
//! The worker waits for it, and goes on without it when its time is up or the live config ends. What
//! hangs keeps its thread and the source of the config, so that no second build or probe begins
//! before it returns.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::inbox::Inbox;
use super::source::ConfigSource;
use crate::clock::{Clock, FAR_FUTURE};
use crate::config::error::{ConfigError, Problem};
use crate::config::schema::Schema;
use crate::contain::{contain, contain_drop};
use crate::span::SpanContext;
use crate::sync::lock;
use crate::watch::callbacks::mark_callback_thread;

/// Runs the jobs of one live config, one after the other.
pub(super) struct Jobs<T> {
    /// What errors call the config.
    name: &'static str,
    /// Whether the config depends on more than its secrets.
    more: bool,
    clock: Arc<dyn Clock>,
    inbox: Arc<Inbox>,
    /// Empty while a job has it.
    source: Arc<Mutex<Option<Box<dyn ConfigSource<T>>>>>,
    /// What has the source although its time is up, and since when.
    hanging: Option<(&'static str, Duration)>,
    /// The longest time of the user's code.
    limit: Duration,
}

/// What a job does that asks the source what it reads.
const LAYERING: &str = "putting the layers together";

/// Why a job brought nothing.
enum Unfinished {
    OutOfTime,
    /// The live config has ended.
    Closed,
    NoThread,
    Panicked,
}

impl<T: 'static> Jobs<T> {
    pub(super) fn new(
        source: Box<dyn ConfigSource<T>>,
        clock: Arc<dyn Clock>,
        inbox: Arc<Inbox>,
        limit: Duration,
    ) -> Self {
        Jobs {
            name: source.name(),
            more: source.has_more_than_secrets(),
            clock,
            inbox,
            source: Arc::new(Mutex::new(Some(source))),
            hanging: None,
            limit: limit.min(FAR_FUTURE),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn has_more_than_secrets(&self) -> bool {
        self.more
    }

    /// What the source reads by now; `None` where that never changes.
    pub(super) fn schema(&mut self) -> Result<Option<Schema>, ConfigError> {
        match self.more {
            true => self
                .with_source(LAYERING, |source| source.schema())
                .map(Some),
            false => Ok(None),
        }
    }

    /// Whether the source names secrets by now that it did not name before.
    pub(super) fn names_more(&mut self) -> Result<bool, ConfigError> {
        match self.more {
            true => self.with_source(LAYERING, |source| Ok(source.names_more())),
            false => Ok(false),
        }
    }

    /// Runs code of the user's with the source. A panic, or a time that is up, is a refusal.
    ///
    /// # Errors
    /// What `code` returns, or why it did not; `what` says in words what it does.
    pub(super) fn with_source<R: Send + 'static>(
        &mut self,
        what: &'static str,
        code: impl FnOnce(&mut dyn ConfigSource<T>) -> Result<R, ConfigError> + Send + 'static,
    ) -> Result<R, ConfigError> {
        let now = self.clock.monotonic();
        if lock(&self.source).is_some() {
            self.hanging = None;
        }
        if let Some((hanging, since)) = self.hanging {
            let seconds = now.saturating_sub(since).as_secs();
            return Err(self.refused(format!(
                "{hanging} still runs, {seconds} s after its time was up: {what} waits for it"
            )));
        }
        let home = Arc::clone(&self.source);
        let job = move || {
            let taken = lock(&home).take();
            let mut source = taken?;
            let result = contain(|| code(&mut *source));
            *lock(&home) = Some(source);
            Some(result)
        };
        match self.run(Some(self.limit), job) {
            Ok(Some(Ok(result))) => result,
            Ok(Some(Err(_)) | None) | Err(Unfinished::Panicked) => {
                Err(self.refused(format!("{what} panicked")))
            }
            Err(Unfinished::OutOfTime) => {
                self.hanging = Some((what, self.clock.monotonic()));
                let seconds = self.limit.as_secs_f64();
                Err(self.refused(format!("{what} did not end within {seconds} s")))
            }
            Err(Unfinished::NoThread) => {
                Err(self.refused("the operating system gives no thread for it".to_owned()))
            }
            Err(Unfinished::Closed) => Err(self.refused("the live config has ended".to_owned())),
        }
    }

    /// Runs reads, which have a deadline of their own; `None` where there was no thread for them, or
    /// the live config has ended.
    pub(super) fn reads<R: Send + 'static>(
        &self,
        code: impl FnOnce() -> R + Send + 'static,
    ) -> Option<R> {
        self.run(None, code).ok()
    }

    fn run<R: Send + 'static>(
        &self,
        limit: Option<Duration>,
        code: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Unfinished> {
        let done: Arc<Mutex<Option<Option<R>>>> = Arc::default();
        let result = Arc::clone(&done);
        let inbox = Arc::clone(&self.inbox);
        let context = SpanContext::current();
        let job = move || {
            // Builds and probes are user code.
            mark_callback_thread();
            let done = contain(|| context.run(code)).ok();
            // The worker may end its span as soon as it goes on.
            drop(context);
            *lock(&result) = Some(done);
            // After a time that was up, what it holds is the user's to drop, here.
            contain_drop(result);
            inbox.wake();
        };
        let thread = thread::Builder::new().name("sikkerkey-live-job".to_owned());
        if thread.spawn(job).is_err() {
            return Err(Unfinished::NoThread);
        }
        let until = limit.map(|limit| self.clock.monotonic().saturating_add(limit));
        loop {
            let seen = self.inbox.wakes();
            let result = lock(&done).take();
            if let Some(result) = result {
                return result.ok_or(Unfinished::Panicked);
            }
            let now = self.clock.monotonic();
            if self.inbox.is_closed() {
                return Err(Unfinished::Closed);
            }
            if until.is_some_and(|until| until <= now) {
                return Err(Unfinished::OutOfTime);
            }
            self.inbox.wait_for_job(&*self.clock, seen, until);
        }
    }

    fn refused(&self, text: String) -> ConfigError {
        ConfigError::new(self.name, vec![Problem::probe(text)])
    }
}
