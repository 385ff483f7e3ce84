//! Counts of what a client has sent.

#[cfg(feature = "metrics")]
use std::borrow::Cow;
use std::collections::BTreeMap;
#[cfg(feature = "metrics")]
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(feature = "metrics")]
use std::time::Duration;

use super::error_text::Purpose;
#[cfg(feature = "metrics")]
use crate::metrics;
use crate::sync::lock;

/// How many ids have a count of their own (about 1 MiB). Reads of further ids count only in
/// [`Stats::requests`].
const IDS: usize = 10_000;

/// The most secrets that metrics name: each is a time series.
#[cfg(feature = "metrics")]
const NAMED: usize = 1_000;

/// Counts of what a client has sent since it was built; from [`SikkerKey::stats`](crate::SikkerKey::stats).
///
/// All clones of a client count together, and a forked process counts from zero. Each attempt is counted,
/// including one whose connection failed.
///
/// ```
/// # let vault = sikkerkey_emulator::Emulator::builder().secret("sk_stripe_key", "sk-live-1").start()?;
/// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
/// sk.get_secret("sk_stripe_key")?;
/// let stats = sk.stats();
/// assert_eq!((stats.requests(), stats.retries()), (1, 0));
/// assert_eq!(stats.reads()["sk_stripe_key"], 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    requests: u64,
    polls: u64,
    retries: u64,
    fallbacks: u64,
    reads: BTreeMap<String, u64>,
}

impl Stats {
    /// The number of requests, retries included.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// The number of polls: requests that ask whether watched secrets changed.
    pub fn polls(&self) -> u64 {
        self.polls
    }

    /// The number of retries: after no response, 429, 503, a clock correction, or a dead connection.
    pub fn retries(&self) -> u64 {
        self.retries
    }

    /// The number of reads that the fallback cache served.
    pub fn fallbacks(&self) -> u64 {
        self.fallbacks
    }

    /// The number of reads of each secret, by its id. The service audits each, and policies count it.
    ///
    /// The first 10,000 ids are listed. Exports are not counted here: they read what the service
    /// chooses.
    pub fn reads(&self) -> &BTreeMap<String, u64> {
        &self.reads
    }
}

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    requests: AtomicU64,
    polls: AtomicU64,
    retries: AtomicU64,
    fallbacks: AtomicU64,
    reads: Mutex<BTreeMap<String, u64>>,
    /// The secrets that loaded configs read. Only these are named in metrics.
    #[cfg(feature = "metrics")]
    named: Mutex<BTreeSet<String>>,
}

impl Counters {
    /// Counts an attempt of a call. `repeated` says whether it is a retry.
    pub(super) fn attempt(&self, purpose: Purpose<'_>, repeated: bool) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.retries.fetch_add(repeated.into(), Ordering::Relaxed);
        match purpose {
            Purpose::Poll => {
                self.polls.fetch_add(1, Ordering::Relaxed);
            }
            _ => {
                if let Some(id) = purpose.secret() {
                    self.read(id);
                }
            }
        }
    }

    fn read(&self, id: &str) {
        let mut reads = lock(&self.reads);
        if let Some(count) = reads.get_mut(id) {
            *count += 1;
        } else if reads.len() < IDS {
            reads.insert(id.to_owned(), 1);
        }
    }

    /// Records the end of an attempt: its status, or no response.
    #[cfg(feature = "metrics")]
    pub(super) fn sent(
        &self,
        purpose: Purpose<'_>,
        status: Option<u16>,
        repeated: bool,
        took: Duration,
    ) {
        metrics::request(purpose.label(), status, repeated, took);
        if let Some(id) = purpose.secret() {
            metrics::read(self.label(id));
        }
    }

    #[cfg(feature = "cache")]
    pub(super) fn fallback(&self, id: &str) {
        self.fallbacks.fetch_add(1, Ordering::Relaxed);
        #[cfg(feature = "metrics")]
        metrics::fallback(self.label(id));
        #[cfg(not(feature = "metrics"))]
        let _ = id;
    }

    /// Adds the secrets that a loaded config reads.
    #[cfg(feature = "metrics")]
    pub(crate) fn name(&self, ids: &BTreeSet<String>) {
        let mut named = lock(&self.named);
        for id in ids {
            if named.len() < NAMED {
                named.insert(id.clone());
            }
        }
    }

    #[cfg(feature = "metrics")]
    fn label(&self, id: &str) -> Cow<'static, str> {
        let is_named = lock(&self.named).contains(id);
        match is_named {
            true => Cow::Owned(id.to_owned()),
            false => Cow::Borrowed(metrics::OTHER),
        }
    }

    /// Returns how often a secret was read.
    #[cfg(feature = "live")]
    pub(crate) fn reads_of(&self, id: &str) -> u64 {
        lock(&self.reads).get(id).copied().unwrap_or(0)
    }

    pub(super) fn stats(&self) -> Stats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            requests: load(&self.requests),
            polls: load(&self.polls),
            retries: load(&self.retries),
            fallbacks: load(&self.fallbacks),
            reads: lock(&self.reads).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::SecretId;

    #[test]
    fn ids_are_counted_up_to_a_limit() {
        let counters = Counters::default();
        for n in 0..IDS + 10 {
            let id = format!("sk_{n}");
            counters.attempt(Purpose::Read(&SecretId::new(&id).unwrap()), false);
        }
        counters.attempt(Purpose::Read(&SecretId::new("sk_0").unwrap()), true);
        let stats = counters.stats();
        assert_eq!(stats.requests(), IDS as u64 + 11);
        assert_eq!((stats.reads().len(), stats.reads()["sk_0"]), (IDS, 2));
        assert_eq!(stats.retries(), 1);
    }
}
