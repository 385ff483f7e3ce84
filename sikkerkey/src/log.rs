//! Logging of events. A logger is user code: it can panic, and it can call the client that logs.
//!
//! The subscriber of a [span](crate::span) and the recorder of a metric are user code, too, with the same
//! rules.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::thread::LocalKey;

use crate::contain::contain;

thread_local! {
    static HOLDS: Cell<usize> = const { Cell::new(0) };
    static HELD: RefCell<Vec<Box<dyn FnOnce()>>> = const { RefCell::new(Vec::new()) };
    static IN_LOGGER: Cell<bool> = const { Cell::new(false) };
}

/// Logs an event. The first argument is the name of a macro of `tracing`: `log!(warn, "text {id}")`.
macro_rules! log {
    ($level:ident, $($text:tt)+) => {
        if $crate::log::is_held() {
            let text = format!($($text)+);
            $crate::log::defer(Box::new(move || {
                $crate::log::emit(&mut || tracing::$level!(target: "sikkerkey", "{text}"));
            }));
        } else {
            $crate::log::emit(&mut || tracing::$level!(target: "sikkerkey", $($text)+));
        }
    };
}
pub(crate) use log;

/// While it exists, events of its thread are kept back. It is held while other calls wait for this thread, so
/// that a logger that makes such a call does not wait for itself.
#[derive(Debug)]
pub(crate) struct HeldEvents {
    /// It belongs to the thread that made it.
    _not_send: PhantomData<*const ()>,
}

impl HeldEvents {
    /// Starts to hold events. Create it before the lock is taken, so that it is dropped after the lock.
    pub(crate) fn new() -> Self {
        HOLDS.set(HOLDS.get() + 1);
        HeldEvents {
            _not_send: PhantomData,
        }
    }
}

impl Drop for HeldEvents {
    fn drop(&mut self) {
        HOLDS.set(HOLDS.get() - 1);
        if !is_held() {
            let held = HELD.try_with(RefCell::take).unwrap_or_default();
            held.into_iter().for_each(|event| event());
        }
    }
}

pub(crate) fn is_held() -> bool {
    HOLDS.get() > 0
}

/// Keeps an event until the hold ends. An event of a thread that is ending is lost.
pub(crate) fn defer(event: Box<dyn FnOnce()>) {
    let _ = HELD.try_with(|held| held.borrow_mut().push(event));
}

/// Logs an event, unless the logger itself caused it, which could recurse without end.
// Not generic: each of a hundred events would get its own copy, and the crate would take longer to compile.
pub(crate) fn emit(event: &mut dyn FnMut()) {
    // A panic of the logger cannot be logged.
    let _ = in_logger(event);
}

/// Runs code of a logger or a subscriber. Returns `None` if it panicked, or if it caused this call itself.
pub(crate) fn in_logger<R>(code: impl FnOnce() -> R) -> Option<R> {
    outermost(&IN_LOGGER, code)
}

/// Runs user code, with a flag of the thread set. Returns `None` if it panicked, or if the flag was already
/// set.
pub(crate) fn outermost<R>(
    flag: &'static LocalKey<Cell<bool>>,
    code: impl FnOnce() -> R,
) -> Option<R> {
    if flag.replace(true) {
        return None;
    }
    let result = contain(code).ok();
    flag.set(false);
    result
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn held_events_are_logged_in_order_once_the_last_hold_ends() {
        let logged = Rc::new(RefCell::new(Vec::new()));
        let log = |number: u32| {
            let logged = Rc::clone(&logged);
            defer(Box::new(move || logged.borrow_mut().push(number)));
        };
        let outer = HeldEvents::new();
        let inner = HeldEvents::new();
        log(1);
        drop(inner);
        log(2);
        assert!(is_held());
        assert!(logged.borrow().is_empty());
        drop(outer);
        assert!(!is_held());
        assert_eq!(*logged.borrow(), [1, 2]);
    }

    #[test]
    fn events_that_a_logger_causes_are_not_logged_and_its_panic_is_contained() {
        let count = Cell::new(0);
        emit(&mut || {
            count.set(count.get() + 1);
            emit(&mut || count.set(count.get() + 100));
            panic!("a logger that panics");
        });
        emit(&mut || count.set(count.get() + 1));
        assert_eq!(count.get(), 2);
    }
}
