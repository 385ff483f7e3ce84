//! The values that the user has already read: a digest of each secret's last value, never the value.
//!
//! The service reports a change once, to the first reader. So a watch compares with the value that its client
//! read last, which is recorded here. Each client's digests have a random salt, so a memory dump does not
//! allow guessing a value from its digest.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

/// The most secrets that are recorded (about 2.5 MiB). Beyond it the oldest entry is dropped; a watch on that
/// secret then starts without a value to compare with.
const LIMIT: usize = 20_000;

/// The salted digest of one value: the first half of a SHA-256. That is enough to distinguish two values, and
/// saves memory, because each watch has several.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest([u8; 16]);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

/// The key of all digests of one client.
#[derive(Clone)]
pub(crate) struct Salt([u8; 32]);

impl Salt {
    pub(crate) fn new(random: [u8; 32]) -> Self {
        Salt(random)
    }

    pub(crate) fn digest(&self, value: &str) -> Digest {
        let whole: [u8; 32] = Sha256::new()
            .chain_update(self.0)
            .chain_update(value)
            .finalize()
            .into();
        let mut digest = [0; 16];
        digest.copy_from_slice(&whole[..16]);
        Digest(digest)
    }
}

/// A bounded map from a secret's id to the digest of the last value that was read.
#[derive(Default)]
pub(crate) struct SeenValues {
    digests: HashMap<Arc<str>, Digest>,
    order: VecDeque<Arc<str>>,
}

impl SeenValues {
    pub(crate) fn get(&self, id: &str) -> Option<Digest> {
        self.digests.get(id).copied()
    }

    pub(crate) fn set(&mut self, id: &str, digest: Digest) {
        if let Some(known) = self.digests.get_mut(id) {
            *known = digest;
            return;
        }
        if self.digests.len() >= LIMIT
            && let Some(oldest) = self.order.pop_front()
        {
            self.digests.remove(&oldest);
        }
        let id: Arc<str> = id.into();
        self.order.push_back(id.clone());
        self.digests.insert(id, digest);
    }

    /// Removes a secret that is gone: it has no last value.
    pub(crate) fn forget(&mut self, id: &str) {
        if self.digests.remove(id).is_some() {
            self.order.retain(|known| &**known != id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_tell_values_apart_and_differ_between_clients() {
        let (one, other) = (Salt::new([1; 32]), Salt::new([2; 32]));
        assert_eq!(one.digest("a"), one.digest("a"));
        assert_ne!(one.digest("a"), one.digest("b"));
        assert_ne!(one.digest("a"), other.digest("a"));
        assert_eq!(format!("{:?}", one.digest("a")), "Digest(..)");
    }

    #[test]
    fn the_ledger_keeps_the_last_value_and_a_bounded_number() {
        let salt = Salt::new([1; 32]);
        let mut seen = SeenValues::default();
        for n in 0..LIMIT + 10 {
            seen.set(&format!("sk_{n}"), salt.digest("x"));
        }
        assert_eq!((seen.digests.len(), seen.order.len()), (LIMIT, LIMIT));
        assert_eq!(seen.get("sk_9"), None);
        assert_eq!(seen.get("sk_10"), Some(salt.digest("x")));

        seen.set("sk_10", salt.digest("y"));
        assert_eq!(seen.get("sk_10"), Some(salt.digest("y")));
        seen.forget("sk_10");
        assert_eq!(seen.get("sk_10"), None);
        assert_eq!(seen.order.len(), seen.digests.len());
    }
}
