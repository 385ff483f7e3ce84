//! What goes wrong between a client and the service, by chance, with a seed; and that nothing secret shows
//! meanwhile.
//!
//! `cargo test` runs the short form. `SIKKERKEY_LONG=1` runs the figures that the README promises,
//! `SIKKERKEY_LONG=10` ten times as many reads; `SIKKERKEY_SEED=N` repeats a run. See `tests/README.md`.
#![allow(
    clippy::print_stdout,
    reason = "a failed unwrap fails the test; the figures are what the long form is run for"
)]

mod bodies;
mod cache;
mod canary;
mod leaks;
mod leaks_figment;
mod nonces;
mod reads;
mod rotations;

use std::env;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sikkerkey::__private::{Clock, SystemClock};
use sikkerkey::{SikkerKey, SikkerKeyBuilder};
use sikkerkey_emulator::Emulator;

/// How many times of the long form; 0 is the short one.
pub(crate) fn long() -> usize {
    env::var("SIKKERKEY_LONG").map_or(0, |n| n.parse().unwrap_or(1))
}

/// A count for the short form, or one for the long form as often as was asked for.
pub(crate) fn count(short: usize, long_form: usize) -> usize {
    match long() {
        0 => short,
        n => long_form * n,
    }
}

/// Printed where a test fails, to be given again.
pub(crate) fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seed = env::var("SIKKERKEY_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| now.map_or(1, |now| now.as_nanos() as u64));
    println!("SIKKERKEY_SEED={seed}");
    seed
}

/// A client of this emulator that repeats a call at once, so that a test takes no longer than the faults do.
pub(crate) fn hasty(vault: &Emulator) -> SikkerKeyBuilder {
    SikkerKey::builder()
        .identity_file(vault.identity_path())
        .clock(Arc::new(Hasty(SystemClock::new())))
}

/// The system's clock and randomness, without sleep.
#[derive(Debug)]
struct Hasty(SystemClock);

impl Clock for Hasty {
    fn unix_now(&self) -> i64 {
        self.0.unix_now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, _time: Duration) {}
}
