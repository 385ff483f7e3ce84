//! Threads on which blocking calls run for async callers.
//!
//! They belong to the client, not to the runtime: a call that hangs does not delay the runtime's shutdown,
//! and a runtime with one thread is not blocked. A call whose future is dropped before it starts is never
//! made.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use crate::clock::{Clock, Signal, SystemClock};
use crate::contain::{contain, contain_drop};
use crate::error::{Error, ErrorKind};
use crate::span::SpanContext;
use crate::sync::lock;

/// The most calls that run at once. Further calls wait for a thread.
const MOST: usize = 16;

/// How long a thread without work stays for the next call.
const IDLE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

/// The threads of one client. They start with the first call, and end when they are idle or the
/// last handle of the client is dropped.
pub(crate) struct CallThreads {
    state: Mutex<CallQueue>,
    changed: Signal,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct CallQueue {
    waiting: VecDeque<Weak<Mutex<Option<Job>>>>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl CallThreads {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(CallThreads {
            state: Mutex::default(),
            changed: Signal::default(),
            clock,
        })
    }

    /// Threads for one call without a client. The thread ends with that call.
    pub(crate) fn for_one_call() -> Arc<Self> {
        let threads = Self::new(Arc::new(SystemClock::new()));
        threads.close();
        threads
    }

    /// Runs `call` on one of the threads. Fails if it panics, or if the operating system cannot start a
    /// thread.
    pub(crate) fn run<T: Send + 'static>(
        self: &Arc<Self>,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> PendingCall<T> {
        let outcome: Arc<Mutex<Outcome<T>>> = Arc::default();
        let unfinished = outcome.clone();
        let context = SpanContext::current();
        let job: Job = Box::new(move || {
            // A panic's text may quote anything, so it stays with the panic hook.
            let result = contain(|| context.run(call)).map_err(|_| failed("the call panicked"));
            // Before the caller is woken, which may then close its span.
            drop(context);
            let waker = {
                let mut outcome = lock(&unfinished);
                outcome.result = Some(result);
                outcome.waker.take()
            };
            // If the future was dropped, the result is dropped here, and its `Drop` is user code.
            contain_drop(unfinished);
            if let Some(waker) = waker {
                // The waker is the runtime's code, so it may panic.
                let _ = contain(|| waker.wake());
            }
        });
        let job = Arc::new(Mutex::new(Some(job)));
        if let Err(error) = self.enqueue(&job) {
            lock(&outcome).result = Some(Err(error));
        }
        PendingCall { outcome, _job: job }
    }

    fn enqueue(self: &Arc<Self>, job: &Arc<Mutex<Option<Job>>>) -> Result<(), Error> {
        let wanted = {
            let mut state = lock(&self.state);
            state.waiting.push_back(Arc::downgrade(job));
            let wanted = state.idle < state.waiting.len() && state.threads < MOST;
            state.threads += usize::from(wanted);
            wanted
        };
        self.changed.raise();
        if !wanted {
            return Ok(());
        }
        let threads = self.clone();
        let thread = thread::Builder::new().name("sikkerkey-call".to_owned());
        match thread.spawn(move || threads.work()) {
            Ok(_) => Ok(()),
            Err(cause) => {
                let mut state = lock(&self.state);
                state.threads -= 1;
                match state.threads {
                    0 => Err(Error::configuration(
                        "the operating system gives no thread for an async call",
                    )
                    .with_source(cause)),
                    // Another thread will take the call.
                    _ => Ok(()),
                }
            }
        }
    }

    /// Ends idle threads at once, and busy ones after their call.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.raise();
    }

    fn work(self: Arc<Self>) {
        let mut idle_until = self.clock.monotonic() + IDLE;
        loop {
            let seen = self.changed.count();
            let job = {
                let mut state = lock(&self.state);
                let job = loop {
                    match state.waiting.pop_front().map(|job| job.upgrade()) {
                        // The future was dropped.
                        Some(None) => continue,
                        Some(Some(job)) => break Some(job),
                        None => break None,
                    }
                };
                if job.is_none() && (state.closed || idle_until <= self.clock.monotonic()) {
                    state.threads -= 1;
                    return;
                }
                state.idle += usize::from(job.is_none());
                job
            };
            match job.and_then(|job| lock(&job).take()) {
                Some(job) => {
                    job();
                    idle_until = self.clock.monotonic() + IDLE;
                }
                None => {
                    self.clock.wait(&self.changed, seen, idle_until);
                    lock(&self.state).idle -= 1;
                }
            }
        }
    }
}

/// A call on another thread. Dropped before the call began, it takes the call back; dropped later,
/// it lets the call end by itself.
pub(crate) struct PendingCall<T> {
    outcome: Arc<Mutex<Outcome<T>>>,
    _job: Arc<Mutex<Option<Job>>>,
}

struct Outcome<T> {
    result: Option<Result<T, Error>>,
    waker: Option<Waker>,
}

impl<T> Default for Outcome<T> {
    fn default() -> Self {
        Outcome {
            result: None,
            waker: None,
        }
    }
}

impl<T> Future for PendingCall<T> {
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Cloning and dropping a waker is the runtime's code: outside the lock.
        let waker = context.waker().clone();
        let old = {
            let mut outcome = lock(&self.outcome);
            match outcome.result.take() {
                Some(result) => return Poll::Ready(result),
                None => outcome.waker.replace(waker),
            }
        };
        drop(old);
        Poll::Pending
    }
}

fn failed(what: &str) -> Error {
    Error::new(ErrorKind::Api, what)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::task::Wake;

    use super::*;
    use crate::clock::virtual_clock::VirtualClock;

    const LONG: Duration = Duration::from_secs(30);

    fn threads() -> (Arc<CallThreads>, Arc<VirtualClock>) {
        let clock = VirtualClock::new();
        (CallThreads::new(clock.clone()), clock)
    }

    struct Unpark(thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn block_on<T>(call: PendingCall<T>) -> Result<T, Error> {
        let mut call = Box::pin(call);
        let waker = Arc::new(Unpark(thread::current())).into();
        loop {
            match call.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(result) => return result,
                Poll::Pending => thread::park(),
            }
        }
    }

    #[track_caller]
    fn wait_for_threads(threads: &CallThreads, number: usize) {
        let started = std::time::Instant::now();
        while lock(&threads.state).threads != number {
            assert!(started.elapsed() < LONG);
            thread::park_timeout(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_call_runs_on_a_thread_of_the_client() {
        let (threads, _clock) = threads();
        let name = block_on(threads.run(|| thread::current().name().map(str::to_owned)));
        assert_eq!(name.unwrap().as_deref(), Some("sikkerkey-call"));
    }

    #[test]
    fn a_panic_is_an_error_that_does_not_quote_it() {
        let (threads, _clock) = threads();
        let error = block_on(threads.run::<()>(|| panic!("hunter2"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Api);
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        assert!(!error.is_retryable() && !error.is_unavailable());
    }

    #[test]
    fn sixteen_calls_run_at_once_and_one_dropped_before_it_began_never_runs() {
        let (threads, _clock) = threads();
        let (began, begun) = channel();
        let (release, gate) = channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let call = |number: usize| {
            let (began, gate) = (began.clone(), gate.clone());
            threads.run(move || {
                began.send(number).unwrap();
                let _ = lock(&gate).recv();
                number
            })
        };
        let mut calls: Vec<_> = (0..MOST + 2).map(call).collect();
        for _ in 0..MOST {
            assert!(begun.recv_timeout(LONG).unwrap() < MOST);
        }
        let last = calls.pop().unwrap();
        drop(calls.pop());
        for _ in 0..MOST + 1 {
            release.send(()).unwrap();
        }
        assert_eq!(block_on(last).unwrap(), MOST + 1);
        assert_eq!(begun.recv_timeout(LONG).unwrap(), MOST + 1);
        for (number, call) in calls.into_iter().enumerate() {
            assert_eq!(block_on(call).unwrap(), number);
        }
        assert!(begun.try_recv().is_err(), "the dropped one was not sent");
    }

    #[test]
    fn idle_threads_end_by_themselves_and_all_with_the_client() {
        let (threads, clock) = threads();
        block_on(threads.run(|| ())).unwrap();
        clock.at_rest(1);
        clock.advance(IDLE);
        wait_for_threads(&threads, 0);

        block_on(threads.run(|| ())).unwrap();
        threads.close();
        wait_for_threads(&threads, 0);
        block_on(threads.run(|| ())).unwrap();
        wait_for_threads(&threads, 0);
    }
}
