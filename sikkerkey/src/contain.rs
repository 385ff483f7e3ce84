//! Runs user code so that its panic does not end a thread.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// User code panicked. The panic's text may quote a value, so only the program's panic hook gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Panicked;

/// Runs user code and contains its panic, even if the panic's payload panics when it is dropped.
///
/// # Errors
/// If the code panicked.
pub fn contain<R>(code: impl FnOnce() -> R) -> Result<R, Panicked> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|payload| {
        discard(payload);
        Panicked
    })
}

/// Drops a value of the user and contains a panic of its `Drop`, which the panic hook reports.
pub(crate) fn contain_drop<T>(value: T) {
    let _ = contain(|| drop(value));
}

fn discard(payload: Box<dyn Any + Send>) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // Dropping it could panic again, without end.
        std::mem::forget(payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a drop that panics");
        }
    }

    #[test]
    fn panics_and_payloads_that_panic_are_contained() {
        assert_eq!(contain(|| 1), Ok(1));
        assert_eq!(contain(|| panic!("on purpose")), Err::<(), _>(Panicked));
        let bomb = || std::panic::panic_any(Bomb);
        assert_eq!(contain(bomb), Err::<(), _>(Panicked));
        contain_drop(Bomb);
    }
}
