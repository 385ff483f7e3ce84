//! Slow work on a thread of its own: reads, and user code.
//!
//! The worker waits for a job, and continues without it when its time is up or the live config ends. A job
//! that hangs keeps its thread and the source of the config, so no second build or probe starts before it
//! returns.

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
    /// The config's name in errors.
    name: &'static str,
    /// Whether the config depends on more than its secrets.
    more: bool,
    clock: Arc<dyn Clock>,
    inbox: Arc<Inbox>,
    /// `None` while a job uses it.
    source: Arc<Mutex<Option<Box<dyn ConfigSource<T>>>>>,
    /// The job that hangs with the source, and since when.
    hanging: Option<(&'static str, Duration)>,
    /// The time limit of user code.
    limit: Duration,
}

/// How long the drop of a value of the user may take.
const DROP_LIMIT: Duration = Duration::from_secs(10);

/// The name of a job that asks the source for its schema.
const LAYERING: &str = "putting the layers together";

/// Why a job returned no result.
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

    /// Returns the source's current schema; `None` if it never changes.
    pub(super) fn schema(&mut self) -> Result<Option<Schema>, ConfigError> {
        match self.more {
            true => self
                .with_source(LAYERING, |source| source.schema())
                .map(Some),
            false => Ok(None),
        }
    }

    /// Whether the source now names secrets that it did not name before.
    pub(super) fn names_more(&mut self) -> Result<bool, ConfigError> {
        match self.more {
            true => self.with_source(LAYERING, |source| Ok(source.names_more())),
            false => Ok(false),
        }
    }

    /// Runs user code with the source. A panic or a timeout refuses the config.
    ///
    /// # Errors
    /// The error of `code`, a panic or a timeout. `what` is the job's name in the text.
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

    /// Drops a value of the user, whose `Drop` may panic or hang: it gets a thread of its own, and a limited time.
    pub(super) fn discard<V: Send + 'static>(&self, value: V) {
        let _ = self.run(Some(DROP_LIMIT), move || drop(value));
    }

    /// Runs reads, which have a deadline of their own. Returns `None` if no thread could be started, or if
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
            // Before the worker continues, which may then close its span.
            drop(context);
            *lock(&result) = Some(done);
            // After a timeout the result is dropped here, and its `Drop` is user code.
            contain_drop(result);
            inbox.wake();
        };
        // The time counts from the start of the thread, not from when this one goes on.
        let until = limit.map(|limit| self.clock.monotonic().saturating_add(limit));
        let thread = thread::Builder::new().name("sikkerkey-live-job".to_owned());
        // Without a thread, the job is dropped here, and with it what it holds of the user.
        if !matches!(contain(|| thread.spawn(job)), Ok(Ok(_))) {
            return Err(Unfinished::NoThread);
        }
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
