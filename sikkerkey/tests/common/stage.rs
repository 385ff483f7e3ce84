//! An emulator and a clock that agree on the time, which passes when a test says so. Tests of other
//! packages include this file too, so it names what it needs through its parent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sikkerkey::__private::{Randomness, SystemRandomness};
use sikkerkey::{Error, SikkerKey, SikkerKeyBuilder};
use sikkerkey_emulator::{Emulator, Recorded};

use super::virtual_clock::{START, VirtualClock};

/// How long a test waits for what must come, before it fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The time from one poll to the next.
pub const INTERVAL: Duration = Duration::from_secs(15);

const POLLER: &str = "sikkerkey-poll";

pub struct Stage {
    pub vault: Emulator,
    pub clock: Arc<VirtualClock>,
}

impl Stage {
    pub fn new(vault: Emulator) -> Self {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        vault.set_clock_offset(START - i64::try_from(real.as_secs()).unwrap());
        let clock = VirtualClock::new();
        Stage { vault, clock }
    }

    /// A builder for a client that polls every 15 s, exactly.
    pub fn builder(&self) -> SikkerKeyBuilder {
        SikkerKey::builder()
            .identity_file(self.vault.identity_path())
            .clock(self.clock.clone())
            .randomness(Arc::new(Even))
            .poll_interval(INTERVAL)
    }

    /// Lets time pass, for the client and for the service.
    pub fn pass(&self, time: Duration) {
        self.vault.advance(time);
        self.clock.advance(time);
    }

    /// Waits until the poller has nothing to do before its next poll; how long that is.
    #[track_caller]
    pub fn rest(&self) -> Duration {
        self.clock.threads_at_rest(POLLER, 1)
    }

    /// Lets the time until the next poll pass. Does not wait for the poll, which may be the last.
    #[track_caller]
    pub fn wake(&self) {
        let left = self.rest();
        self.pass(left);
    }

    /// Has the next poll come, and waits until the poller has done all that follows from it.
    #[track_caller]
    pub fn poll(&self) {
        self.wake();
        self.rest();
    }

    /// As many polls, one after the other.
    #[track_caller]
    pub fn polls(&self, count: usize) {
        for _ in 0..count {
            self.poll();
        }
    }

    /// Runs `test` while one poll follows the other without a pause, so that what it does falls into
    /// the middle of them. For a client with an interval of a millisecond: time that passes in
    /// larger steps makes the signatures of requests under way too old.
    pub fn polling_all_the_time<R>(&self, test: impl FnOnce() -> R) -> R {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    self.poll();
                }
            });
            // Also when the test fails, which would wait for the thread otherwise.
            let _done = SetOnDrop(&done);
            test()
        })
    }

    /// How many polls came.
    pub fn poll_count(&self) -> usize {
        self.vault.requests().iter().filter(|r| is_poll(r)).count()
    }

    /// How many reads of this secret came.
    pub fn reads(&self, id: &str) -> usize {
        self.requests_to(&format!("/v1/secret/{id}"))
    }

    /// How many requests to this path came.
    pub fn requests_to(&self, path: &str) -> usize {
        let requests = self.vault.requests();
        requests
            .iter()
            .filter(|request| request.path == path)
            .count()
    }

    /// Waits until requests came for which this holds.
    #[track_caller]
    pub fn wait_for(&self, what: &str, holds: impl FnMut(&[Recorded]) -> bool) {
        assert!(
            self.vault.wait_for(PATIENCE, holds),
            "this never came: {what}"
        );
    }
}

pub fn is_poll(request: &Recorded) -> bool {
    request.path == "/v1/secrets/poll"
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Spreads no delay: each is the middle of what it may be.
#[derive(Debug)]
struct Even;

impl Randomness for Even {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        SystemRandomness.fill(bytes)
    }

    fn fraction(&self) -> f64 {
        0.5
    }
}
