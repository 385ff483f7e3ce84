//! A logger, subscriber or recorder of a test that panics or calls back.

use std::cell::Cell;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};

use sikkerkey::SikkerKey;

use super::stage::PATIENCE;

#[derive(Clone)]
pub enum Mode {
    /// Reads with the client that called it, here and on a thread that it waits for.
    Reads(SikkerKey),
    Panics,
}

/// Which mode each client's calls meet.
pub type Choose = fn(&SikkerKey) -> Mode;

pub fn reads(sk: &SikkerKey) -> Mode {
    Mode::Reads(sk.clone())
}

pub fn panics(_: &SikkerKey) -> Mode {
    Mode::Panics
}

thread_local! {
    static IS_ACTING: Cell<bool> = const { Cell::new(false) };
}

/// What decides whether the process's logger, subscriber or recorder acts.
pub struct Hostile {
    name: &'static str,
    mode: Mutex<Option<Mode>>,
    on: Mutex<&'static str>,
}

impl Hostile {
    /// Acts on nothing yet; panics call it by this name.
    pub const fn new(name: &'static str) -> Self {
        Hostile {
            name,
            mode: Mutex::new(None),
            on: Mutex::new(""),
        }
    }

    pub fn set(&self, mode: Option<Mode>) {
        let old = std::mem::replace(&mut *self.mode.lock().unwrap(), mode);
        // Here, not under the lock: it may call back.
        drop(old);
    }

    /// Limits it to what contains this.
    pub fn only_on(&self, part: &'static str) {
        *self.on.lock().unwrap() = part;
    }

    /// What it does about this, unless it is doing it already on this thread.
    pub fn begin(&self, about: &str) -> Option<Act> {
        if !about.contains(*self.on.lock().unwrap()) {
            return None;
        }
        let mode = self.mode.lock();
        let mode = mode.unwrap_or_else(PoisonError::into_inner).clone()?;
        let name = self.name;
        (!IS_ACTING.replace(true)).then(|| Act { name, mode })
    }
}

pub struct Act {
    name: &'static str,
    mode: Mode,
}

impl Act {
    pub fn run(self) {
        match &self.mode {
            Mode::Panics => panic!("{} that panics", self.name),
            Mode::Reads(sk) => {
                let _ = sk.get_secret("sk_logger");
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        IS_ACTING.set(true);
                        let _ = sk.get_secret("sk_logger");
                    });
                });
            }
        }
    }
}

/// Also after a panic.
impl Drop for Act {
    fn drop(&mut self) {
        IS_ACTING.set(false);
    }
}

/// Runs a scenario on a thread of its own, and fails if it does not end.
#[track_caller]
pub fn ends(name: &str, scenario: impl FnOnce() + Send + 'static) {
    let (done, ended) = channel();
    let thread = std::thread::spawn(move || {
        scenario();
        done.send(()).unwrap();
    });
    match ended.recv_timeout(PATIENCE * 2) {
        Ok(()) => {}
        Err(RecvTimeoutError::Timeout) => panic!("{name}: it was stopped"),
        Err(RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().unwrap_err())
        }
    }
}
