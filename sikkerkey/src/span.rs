//! Spans: the piece of work that an event belongs to. A subscriber is user code, with the rules of a logger:
//! see [`log`](crate::log).
//!
//! Only subscribers of `tracing` get spans: loggers of the `log` crate would get a line for each span.

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

/// A span that this thread is in until the value is dropped.
#[derive(Debug)]
#[must_use = "the span ends with it"]
pub(crate) struct EnteredSpan {
    span: Option<Span>,
    /// It belongs to the thread that made it.
    _not_send: PhantomData<*const ()>,
}

impl EnteredSpan {
    /// Makes and enters a span. Makes none without a subscriber, inside a logger's own work, or while other
    /// calls wait for this thread; events then belong to the outer span.
    pub(crate) fn new(make: impl FnOnce() -> Span) -> Self {
        let span = match is_observed() && !is_held() {
            true => in_logger(make),
            false => None,
        };
        EnteredSpan::enter(span)
    }

    fn enter(span: Option<Span>) -> Self {
        if let Some(span) = &span {
            // The span is exited even if this panics, because a part of the subscriber may have entered it.
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

/// The subscriber and span of this thread, for other threads that do parts of its work.
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

    /// Runs a part of the work on another thread.
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
        let _ = in_logger(|| drop(self.0.take()));
    }
}

/// Sets the subscriber of this thread until the value is dropped, which may also drop the subscriber.
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

#[cfg(test)]
mod tests {
    use tracing::Subscriber;
    use tracing::span::Id;
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::{Context, SubscriberExt as _};
    use tracing_subscriber::registry::Registry;
    use tracing_subscriber::util::SubscriberInitExt as _;

    use super::*;

    struct PanicsAtTheEnd;

    impl<S: Subscriber> Layer<S> for PanicsAtTheEnd {
        fn on_close(&self, _: Id, _: Context<'_, S>) {
            panic!("a layer that panics")
        }
    }

    #[test]
    fn a_layer_that_panics_when_a_span_ends_does_not_end_the_thread() {
        let _default = Registry::default().with(PanicsAtTheEnd).set_default();
        let context = {
            let _span = tracing::info_span!("of the caller").entered();
            SpanContext::current()
        };
        assert!(context.0.as_ref().is_some_and(|(_, span)| !span.is_none()));
        drop(context);
    }
}
