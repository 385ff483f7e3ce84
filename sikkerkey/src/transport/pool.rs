//! Connections that wait for the next request.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::connect::Stream;
use crate::sync::lock;

/// As many as a burst of parallel reads leaves behind; more would only be closed by the service.
const MOST: usize = 16;

/// Shorter than the minute after which common servers and gateways close a silent connection.
const OLDEST: Duration = Duration::from_secs(45);

#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<(Instant, Stream)>>);

impl Pool {
    /// The connection that was used last and is still open.
    pub(super) fn take(&self) -> Option<Stream> {
        loop {
            let (since, mut stream) = self.lock().pop()?;
            if since.elapsed() < OLDEST && stream.is_idle_and_open() {
                return Some(stream);
            }
        }
    }

    pub(super) fn put(&self, stream: Stream) {
        let mut idle = self.lock();
        idle.retain(|(since, _)| since.elapsed() < OLDEST);
        if idle.len() < MOST {
            idle.push((Instant::now(), stream));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Instant, Stream)>> {
        lock(&self.0)
    }
}
