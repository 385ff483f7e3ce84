//! Runs one closure over many ids, several at a time.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::error::{Error, ErrorKind};
use crate::span::SpanContext;

/// Calls `read` once for each id, on up to `threads` threads, this one included. The results are in
/// the order of the ids.
///
/// After a read that fails with [`ErrorKind::Authentication`], no further read begins, and the rest get the
/// same error: the service locks a source address out after three such failures.
pub(crate) fn read_all<I: Sync, T: Send + Sync>(
    ids: &[I],
    threads: usize,
    read: impl Fn(&I) -> Result<T, Error> + Sync,
) -> Vec<Result<T, Error>> {
    let next = AtomicUsize::new(0);
    let refused: OnceLock<Error> = OnceLock::new();
    let results: Vec<OnceLock<Result<T, Error>>> = ids.iter().map(|_| OnceLock::new()).collect();
    let work = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let (Some(id), Some(slot)) = (ids.get(place), results.get(place)) else {
                return;
            };
            let result = match refused.get() {
                Some(error) => Err(error.clone()),
                None => read(id),
            };
            if let Err(error) = &result
                && error.kind() == ErrorKind::Authentication
            {
                // Only the first error is kept; any of them will do.
                let _ = refused.set(error.clone());
            }
            // Each slot belongs to one thread.
            let _ = slot.set(result);
        }
    };
    let context = SpanContext::current();
    thread::scope(|scope| {
        for _ in 1..threads.clamp(1, ids.len().max(1)) {
            let thread = thread::Builder::new().name("sikkerkey-read".to_owned());
            // If the system gives fewer threads, the existing ones do the work.
            if thread.spawn_scoped(scope, || context.run(work)).is_err() {
                break;
            }
        }
        work();
    });
    let results = results.into_iter().map(OnceLock::into_inner);
    results
        .map(|result| result.unwrap_or_else(|| Err(given_up())))
        .collect()
}

/// The error of a read that was skipped because its result would not be used.
pub(crate) fn given_up() -> Error {
    Error::new(
        ErrorKind::Network,
        "the read was given up before it was sent",
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn results_keep_the_order_of_the_ids() {
        let ids: Vec<u32> = (0..100).collect();
        for threads in [0, 1, 8, 1000] {
            let results = read_all(&ids, threads, |id| Ok(id * 2));
            let values: Vec<u32> = results.into_iter().map(Result::unwrap).collect();
            assert_eq!(values, ids.iter().map(|id| id * 2).collect::<Vec<_>>());
        }
        assert!(read_all(&Vec::<u32>::new(), 8, |id| Ok(*id)).is_empty());
    }

    #[test]
    fn threads_read_at_the_same_time() {
        let barrier = Barrier::new(4);
        let results = read_all(&[0; 4], 4, |_| {
            barrier.wait();
            Ok(())
        });
        assert!(results.iter().all(Result::is_ok));
    }

    #[test]
    fn nothing_is_read_after_a_401() {
        let read = AtomicUsize::new(0);
        let results = read_all(&[0; 50], 1, |_| {
            let number = read.fetch_add(1, Ordering::Relaxed);
            match number {
                0..3 => Ok(number),
                _ => Err(Error::new(ErrorKind::Authentication, "no")),
            }
        });
        assert_eq!(read.into_inner(), 4);
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 3);
        assert!(results[3..].iter().all(|result| {
            result
                .as_ref()
                .is_err_and(|error| error.kind() == ErrorKind::Authentication)
        }));
    }
}
