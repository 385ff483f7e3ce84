//! Tests that fork. They are a package of their own, because `fork` takes unsafe code, which the
//! workspace forbids; and one test a file, because a child has only the thread that forked.
//!
//! Here is what they fork with: a child process that runs a closure, and says whether it succeeded.
#![cfg(unix)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// A child that ends with the outcome of its closure.
pub struct Child(libc::pid_t);

/// Forks: the child runs `work` and exits, the parent goes on.
pub fn fork(work: impl FnOnce()) -> Child {
    // SAFETY: the child runs one closure on its only thread and then leaves by `_exit`, so it
    // neither unwinds into the parent's frames nor runs the parent's exit handlers.
    match unsafe { libc::fork() } {
        0 => {
            let worked = catch_unwind(AssertUnwindSafe(work)).is_ok();
            // SAFETY: it ends the process at once.
            unsafe { libc::_exit(if worked { 0 } else { 1 }) }
        }
        -1 => panic!("fork failed"),
        child => Child(child),
    }
}

impl Child {
    /// Waits for the child and fails if it did.
    #[track_caller]
    pub fn join(self) {
        let started = Instant::now();
        let mut status = 0;
        loop {
            // SAFETY: `status` lives through the call.
            match unsafe { libc::waitpid(self.0, &mut status, libc::WNOHANG) } {
                0 if started.elapsed() < Duration::from_secs(60) => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                0 => {
                    // SAFETY: it is this process's own child.
                    unsafe { libc::kill(self.0, libc::SIGKILL) };
                    panic!("the child hangs");
                }
                _ => break,
            }
        }
        assert_eq!(status, 0, "the child failed");
    }
}
