//! The record of received deliveries, for as long as a repetition would be accepted.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// The most deliveries that are kept. Only signed ones are, so a stranger cannot fill the record. Beyond it
/// the oldest are dropped; a repetition of a dropped one counts as new.
const MOST: usize = 10_000;

#[derive(Default)]
pub(super) struct Seen {
    ids: HashSet<Arc<str>>,
    /// When each entry may be dropped, in milliseconds since 1970.
    ends: BTreeSet<(i64, Arc<str>)>,
}

impl Seen {
    /// Adds a delivery. Returns whether it is new. It is kept until `forget_at`, which is compared with the
    /// `now` of later deliveries.
    pub(super) fn insert(&mut self, id: &str, forget_at: i64, now: i64) -> bool {
        while let Some((end, oldest)) = self.ends.first()
            && (*end < now || self.ids.len() >= MOST)
        {
            self.ids.remove(oldest);
            self.ends.pop_first();
        }
        let id: Arc<str> = id.into();
        if !self.ids.insert(Arc::clone(&id)) {
            return false;
        }
        self.ends.insert((forget_at, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_kept_until_its_time() {
        let mut seen = Seen::default();
        assert!(seen.insert("a", 100, 0));
        assert!(seen.insert("b", 50, 0));
        assert!(!seen.insert("a", 100, 50));
        assert!(!seen.insert("b", 50, 50));
        assert!(seen.insert("b", 150, 51));
        assert!(!seen.insert("a", 100, 100));
        assert!(seen.insert("a", 200, 101));
        assert_eq!((seen.ids.len(), seen.ends.len()), (2, 2));
    }

    #[test]
    fn the_oldest_make_room() {
        let mut seen = Seen::default();
        for n in 0..2 * MOST {
            let end = i64::try_from(n).unwrap();
            assert!(seen.insert(&n.to_string(), 1_000_000 + end, 0));
        }
        assert_eq!((seen.ids.len(), seen.ends.len()), (MOST, MOST));
        assert!(!seen.insert(&(2 * MOST - 1).to_string(), 1_100_000, 0));
        assert!(seen.insert("0", 1_100_000, 0));
    }
}
