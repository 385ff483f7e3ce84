//! Runs async probes on the program's tokio runtime.

use std::sync::mpsc::channel;
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;
use tokio::task::coop::poll_proceed;

/// Runs a future on a runtime and waits for it; `None` if it panicked, or the runtime has ended.
pub(super) fn wait_for<R: Send + 'static>(
    runtime: &Handle,
    future: impl Future<Output = R> + Send + 'static,
) -> Option<R> {
    let (tell, told) = channel();
    runtime.spawn(async move {
        let _ = tell.send(future.await);
    });
    told.recv().ok()
}

/// Whether a tokio runtime polls a future on this thread. If so, blocking here could wait for a future that
/// needs this thread.
///
/// tokio has no function for this, and panics if a thread must not block. But tokio gives a budget to what it
/// polls, and to nothing else: not to `spawn_blocking`, to `block_in_place` or to a thread that has only
/// entered a runtime.
pub(super) fn is_polling() -> bool {
    let mut context = Context::from_waker(Waker::noop());
    let mut steps = Vec::new();
    // A budget is a `u8`.
    let has_budget = (0..=u8::MAX).any(|_| match poll_proceed(&mut context) {
        Poll::Ready(step) => {
            steps.push(step);
            false
        }
        Poll::Pending => true,
    });
    // Each step restores the budget that it took, the last one first.
    while steps.pop().is_some() {}
    has_budget
}

#[cfg(test)]
mod tests {
    use tokio::runtime::{Builder, Runtime};
    use tokio::task::{block_in_place, coop::has_budget_remaining, spawn_blocking};

    use super::*;

    fn runtimes() -> [Runtime; 2] {
        [
            Builder::new_current_thread().build().unwrap(),
            Builder::new_multi_thread()
                .worker_threads(1)
                .build()
                .unwrap(),
        ]
    }

    #[test]
    fn a_thread_that_polls_is_known() {
        assert!(!is_polling());
        for runtime in runtimes() {
            runtime.block_on(async {
                assert!(is_polling());
                assert!(is_polling() && has_budget_remaining());
                assert!(tokio::spawn(async { is_polling() }).await.unwrap());
                assert!(!spawn_blocking(is_polling).await.unwrap());
            });
            let _entered = runtime.enter();
            assert!(!is_polling());
        }
        let [_, many] = runtimes();
        many.block_on(async { assert!(!block_in_place(is_polling)) });
    }

    #[test]
    fn a_future_that_panics_or_loses_its_runtime_has_no_answer() {
        let [_, runtime] = runtimes();
        let handle = runtime.handle().clone();
        assert_eq!(wait_for(&handle, async { 1 }), Some(1));
        assert_eq!(
            wait_for::<()>(&handle, async { panic!("on purpose") }),
            None
        );
        drop(runtime);
        assert_eq!(wait_for(&handle, async { 1 }), None);
    }
}
