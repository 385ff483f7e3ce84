//! What several tests need: a clock of their own, and an emulator with a client on it.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of it"
)]

pub mod hostile;
#[cfg(target_os = "linux")]
pub mod process;
pub mod stage;
pub mod virtual_clock;

use std::env;
use std::ffi::OsStr;
use std::process::Command;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sikkerkey::__private::{Clock, Randomness, Signal, SystemClock, SystemRandomness};
use sikkerkey::{Error, SikkerKey, SikkerKeyBuilder};
use sikkerkey_emulator::Emulator;

/// A clock that sleeps at once and writes down how long, and that can be off.
#[derive(Debug)]
pub struct FakeClock {
    system: SystemClock,
    off: AtomicI64,
    passed: Mutex<Duration>,
    slept: Mutex<Vec<Duration>>,
    fraction: f64,
}

impl FakeClock {
    pub fn new() -> Arc<Self> {
        Self::with_fraction(0.5)
    }

    /// With this in place of every random number that spreads a delay.
    pub fn with_fraction(fraction: f64) -> Arc<Self> {
        Arc::new(FakeClock {
            system: SystemClock::new(),
            off: AtomicI64::new(0),
            passed: Mutex::default(),
            slept: Mutex::default(),
            fraction,
        })
    }

    /// Sets the clock ahead of the real time by these seconds.
    pub fn set_off(&self, seconds: i64) {
        self.off.store(seconds, Ordering::SeqCst);
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        *self.passed.lock().unwrap() += time;
    }

    /// The sleeps so far, in milliseconds.
    pub fn slept_ms(&self) -> Vec<u128> {
        self.slept
            .lock()
            .unwrap()
            .iter()
            .map(Duration::as_millis)
            .collect()
    }
}

impl Clock for FakeClock {
    fn unix_now(&self) -> i64 {
        self.system.unix_now() + self.off.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        *self.passed.lock().unwrap()
    }

    fn sleep(&self, time: Duration) {
        self.slept.lock().unwrap().push(time);
        self.pass(time);
    }
}

impl Randomness for FakeClock {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        SystemRandomness.fill(bytes)
    }

    fn fraction(&self) -> f64 {
        self.fraction
    }
}

/// An emulator to be set up; what the client logs meanwhile is as `RUST_LOG` says.
pub fn emulator() -> sikkerkey_emulator::EmulatorBuilder {
    let _ = env_logger::builder().is_test(true).try_init();
    Emulator::builder()
}

/// A part of a config whose drop panics.
#[derive(Default)]
pub struct Armed;

impl Drop for Armed {
    fn drop(&mut self) {
        panic!("a drop that panics");
    }
}

/// A builder for the emulator's machine.
pub fn builder(vault: &Emulator) -> SikkerKeyBuilder {
    SikkerKey::builder().identity_file(vault.identity_path())
}

/// Changes the address in the identity of the emulator's machine.
pub fn redirect(vault: &Emulator, url: &str) {
    let path = vault.identity_path();
    let identity = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, identity.replace(vault.url(), url)).unwrap();
}

/// Takes time and the spread of delays from a fake clock.
pub trait Fake {
    fn fake(self, clock: &Arc<FakeClock>) -> Self;
}

impl<I> Fake for SikkerKeyBuilder<I> {
    fn fake(self, clock: &Arc<FakeClock>) -> Self {
        self.clock(clock.clone()).randomness(clock.clone())
    }
}

/// A client of the emulator, with a clock that does not wait.
pub fn client(vault: &Emulator) -> SikkerKey {
    builder(vault).fake(&FakeClock::new()).build().unwrap()
}

/// An error and everything under it, as a program would print it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = format!("{error} | {error:?}");
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(" | {cause} | {cause:?}"));
        next = cause.source();
    }
    text
}

/// Set in the inner process of [`run_inside`], to what that test needs to know.
pub const INSIDE: &str = "SIKKERKEY_TEST_INSIDE";

/// Runs this test program again, with these variables and none of the others that count, and only this test.
#[track_caller]
pub fn run_inside(test: &str, inside: &str, variables: &[(&str, impl AsRef<OsStr>)]) {
    run_inside_with(test, inside, |command| {
        command.envs(variables.iter().map(|(name, value)| (name, value)));
    });
}

/// [`run_inside`], with whatever else the command needs.
#[track_caller]
pub fn run_inside_with(test: &str, inside: &str, set: impl FnOnce(&mut Command)) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]);
    for name in [
        "SIKKERKEY_HOME",
        "SIKKERKEY_IDENTITY",
        "SIKKERKEY_API_URL",
        "SIKKERKEY_VAULT_ID",
        "SIKKERKEY_MACHINE_ID",
        "SIKKERKEY_PRIVATE_KEY",
        "SIKKERKEY_ENROLLMENT_TOKEN",
        "CREDENTIALS_DIRECTORY",
        "HOSTNAME",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
        "NO_PROXY",
        "no_proxy",
    ] {
        command.env_remove(name);
    }
    set(&mut command);
    let output = command.env(INSIDE, inside).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{test}: {text}"
    );
}
