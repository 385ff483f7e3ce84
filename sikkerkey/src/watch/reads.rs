use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use secrecy::SecretString;

use super::poller::Source;
use super::table::Read;
use crate::{Error, ErrorKind};

/// How many values are read at the same time.
const PARALLEL: usize = 8;

/// Reads every value once, several at a time; the answers are in the order of `reads`.
///
/// After a 401 nothing more is sent: the service locks the address out after three. The same when
/// `goes_on` says no.
pub(super) fn read_all(
    source: &dyn Source,
    reads: &[Read],
    goes_on: &(dyn Fn() -> bool + Sync),
) -> Vec<Result<SecretString, Error>> {
    let next = AtomicUsize::new(0);
    let refused: OnceLock<Error> = OnceLock::new();
    let answers: Vec<OnceLock<Result<SecretString, Error>>> =
        reads.iter().map(|_| OnceLock::new()).collect();
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (Some(read), Some(slot)) = (reads.get(at), answers.get(at)) else {
                return;
            };
            let answer = match refused.get() {
                Some(error) => Err(error.clone()),
                None if goes_on() => source.read(&read.id),
                None => Err(not_read()),
            };
            if let Err(error) = &answer
                && error.kind() == ErrorKind::Authentication
            {
                // Only the first is kept, and any will do.
                let _ = refused.set(error.clone());
            }
            // Each slot is one thread's own.
            let _ = slot.set(answer);
        }
    };
    thread::scope(|scope| {
        for _ in 1..PARALLEL.min(reads.len()) {
            let thread = thread::Builder::new().name("sikkerkey-read".into());
            // Without another thread this one does it all.
            let _ = thread.spawn_scoped(scope, work);
        }
        work();
    });
    let answers = answers.into_iter();
    answers
        .map(|slot| slot.into_inner().unwrap_or_else(|| Err(not_read())))
        .collect()
}

/// Seen by nobody: the cycle that it belongs to is given up.
fn not_read() -> Error {
    Error::new(
        ErrorKind::Network,
        "the read was given up before it was sent",
    )
}
