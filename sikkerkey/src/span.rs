//! Spans: the piece of work that an event belongs to. A subscriber is user code, as a logger is, and
//! the same rules hold for it: see [`log`](crate::log).
//!
//! Spans are for subscribers of `tracing` alone: loggers of the `log` crate would get a line for each.

use std::marker::PhantomData;

use tracing::dispatcher::{self, DefaultGuard, Dispatch};
use tracing::span::Span;

use crate::contain::contain_drop;
use crate::log::{in_logger, is_held};

/// Enters a span until the end of the scope: `let _span = span!(INFO, "load", config = name)`.
///
/// The fields are ids, names and paths of this crate's own, never a value, and nothing whose
/// `Display` is user code.
macro_rules! span {
    ($level:ident, $name:literal, $($fields:tt)+) => {
        $crate::span::EnteredSpan::new(|| {
            tracing::span!(target: "sikkerkey", tracing::Level::$level, $name, $($fields)+)
        })
    };
}
pub(crate) use span;

/// A span that this thread is in until this is dropped.
#[derive(Debug)]
#[must_use = "the span ends with it"]
pub(crate) struct EnteredSpan {
    span: Option<Span>,
    /// It counts for the thread that made it.
    _not_send: PhantomData<*const ()>,
}

impl EnteredSpan {
    /// No span where nothing could see it, where a logger's own work would be in it, and while others
    /// wait for this thread: the events of that time belong to the span around it.
    pub(crate) fn new(make: impl FnOnce() -> Span) -> Self {
        let span = match is_observed() && !is_held() {
            true => in_logger(make),
            false => None,
        };
        EnteredSpan::enter(span)
    }

    fn enter(span: Option<Span>) -> Self {
        if let Some(span) = &span {
            // Exited also where this panics: a part of the subscriber may have entered it.
            let _ = in_logger(|| span.with_subscriber(|(id, to)| to.enter(id)));
        }
        EnteredSpan {
            span,
            _not_send: PhantomData,
        }
    }
}

impl Drop for EnteredSpan {
    fn drop(&mut self) {
        if let Some(span) = self.span.take() {
            let _ = in_logger(|| span.with_subscriber(|(id, to)| to.exit(id)));
            let _ = in_logger(|| drop(span));
        }
    }
}

/// Where the events of this thread belong: for the threads that do parts of its work.
#[derive(Debug)]
pub(crate) struct SpanContext(Option<(Dispatch, Span)>);

impl SpanContext {
    pub(crate) fn current() -> Self {
        let current = || (dispatcher::get_default(Dispatch::clone), Span::current());
        match is_observed() && !is_held() {
            true => SpanContext(in_logger(current)),
            false => SpanContext(None),
        }
    }

    /// Does a part of the work on another thread.
    pub(crate) fn run<R>(&self, work: impl FnOnce() -> R) -> R {
        let Some((dispatch, span)) = &self.0 else {
            return work();
        };
        let _default = DefaultDispatch(Some(dispatcher::set_default(dispatch)));
        let _span = EnteredSpan::enter(in_logger(|| span.clone()));
        work()
    }
}

impl Drop for SpanContext {
    fn drop(&mut self) {
        let _ = in_logger(|| self.0.take());
    }
}

/// The subscriber of this thread until this is dropped, which may be what drops it.
struct DefaultDispatch(Option<DefaultGuard>);

impl Drop for DefaultDispatch {
    fn drop(&mut self) {
        contain_drop(self.0.take());
    }
}

/// Whether the program has a subscriber.
fn is_observed() -> bool {
    dispatcher::has_been_set()
}
