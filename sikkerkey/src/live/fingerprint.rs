use std::collections::BTreeMap;

use crate::text::one_line;

/// The comparable form of a config: each key path with a hash of its value, in the order of the config.
///
/// It tells which keys differ between two configs, without a second copy of the secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// The hash is `None` for a missing value.
    keys: Vec<(String, Option<u64>)>,
    /// The number of swaps that named no keys.
    unnamed: u64,
}

impl Fingerprint {
    /// Returns the key paths that differ in `newer`, in its order, and then those that are gone. `None` if
    /// nothing differs.
    pub(super) fn difference(&self, newer: &Fingerprint) -> Option<Vec<String>> {
        if self == newer {
            return None;
        }
        let by_path = |keys: &[(String, Option<u64>)]| -> BTreeMap<String, Option<u64>> {
            keys.iter().cloned().collect()
        };
        let (old, new) = (by_path(&self.keys), by_path(&newer.keys));
        let changed = newer
            .keys
            .iter()
            .filter(|(path, hash)| old.get(path) != Some(hash));
        let gone = self.keys.iter().filter(|(path, _)| !new.contains_key(path));
        let paths: Vec<String> = changed.chain(gone).map(|(path, _)| path.clone()).collect();
        (!paths.is_empty() || self.unnamed != newer.unnamed).then_some(paths)
    }

    /// Returns the fingerprint after a swap by a test that changed these keys. Without keys, anything may
    /// have changed.
    pub(super) fn swapped(&self, paths: &[&str]) -> Fingerprint {
        let mut next = self.clone();
        next.unnamed += u64::from(paths.is_empty());
        for path in paths {
            match next.keys.iter_mut().find(|(known, _)| known == path) {
                Some((_, hash)) => *hash = Some(hash.map_or(0, |count| count + 1)),
                None => next.keys.push(((*path).to_owned(), Some(0))),
            }
        }
        next
    }
}

impl FromIterator<(String, Option<u64>)> for Fingerprint {
    fn from_iter<I: IntoIterator<Item = (String, Option<u64>)>>(keys: I) -> Self {
        // The keys of a figment may hold anything, and programs print what changed.
        let keys = keys.into_iter().map(|(path, hash)| (one_line(&path), hash));
        Fingerprint {
            keys: keys.collect(),
            unnamed: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(keys: &[(&str, Option<u64>)]) -> Fingerprint {
        keys.iter()
            .map(|(path, hash)| ((*path).to_owned(), *hash))
            .collect()
    }

    #[test]
    fn what_changed_came_or_went_differs() {
        let old = fingerprint(&[("b", Some(1)), ("a", Some(2)), ("gone", None)]);
        let new = fingerprint(&[("b", Some(3)), ("a", Some(2)), ("new", Some(1))]);
        let expected = ["b", "new", "gone"].map(str::to_owned).to_vec();
        assert_eq!(old.difference(&new), Some(expected));
        assert_eq!(old.difference(&old.clone()), None);
        let absent = fingerprint(&[("b", None), ("a", Some(2)), ("gone", None)]);
        assert_eq!(old.difference(&absent), Some(vec!["b".to_owned()]));
    }

    #[test]
    fn the_order_alone_is_no_difference() {
        let old = fingerprint(&[("a", Some(1)), ("b", Some(2))]);
        let new = fingerprint(&[("b", Some(2)), ("a", Some(1))]);
        assert_eq!(old.difference(&new), None);
    }

    #[test]
    fn swaps_by_hand_add_up() {
        let first = Fingerprint::default();
        let second = first.swapped(&["db.password"]);
        let third = second.swapped(&["db.password", "name"]);
        let fourth = third.swapped(&[]);
        let paths = |paths: &[&str]| Some(paths.iter().map(|p| (*p).to_owned()).collect());
        assert_eq!(first.difference(&third), paths(&["db.password", "name"]));
        assert_eq!(second.difference(&third), paths(&["db.password", "name"]));
        assert_eq!(third.difference(&fourth), paths(&[]));
        assert_eq!(third.difference(&third), None);
    }
}
