//! The addresses of a config's fields, to find the keys that a selected part is made of. Addresses are
//! compared as numbers, and never dereferenced.

use std::collections::BTreeSet;
use std::ops::Range;

/// The places of a config's keys, valid while the config is not moved. Only a live config needs them.
#[derive(Debug)]
pub struct Places {
    /// The path of the struct that is visited, followed by a dot; empty for the outermost.
    prefix: String,
    places: Vec<Place>,
}

#[derive(Debug)]
#[cfg_attr(not(feature = "live"), allow(dead_code))]
struct Place {
    /// The path of a key, or of a struct if all of its keys count.
    path: String,
    at: Range<usize>,
}

/// Records the place of a field.
pub fn place<T>(to: &mut Places, name: &'static str, field: *const T) {
    let path = format!("{}{name}", to.prefix);
    to.push(path, field.addr(), size_of::<T>());
}

impl Places {
    /// Makes an empty set of places.
    pub(super) fn new() -> Places {
        Places {
            prefix: String::new(),
            places: Vec::new(),
        }
    }

    /// Visits the struct in the field of this name.
    pub(super) fn inside(&mut self, name: &str, visit: impl FnOnce(&mut Places)) {
        let outer = self.prefix.len();
        self.prefix.push_str(name);
        self.prefix.push('.');
        visit(self);
        self.prefix.truncate(outer);
    }

    /// Records that all keys of the visited struct count for this place: a pointer to it, or the field that
    /// could hold it.
    pub(crate) fn whole<T>(&mut self, at: &T) {
        let path = self.prefix.trim_end_matches('.').to_owned();
        self.push(path, std::ptr::from_ref(at).addr(), size_of::<T>());
    }

    fn push(&mut self, path: String, start: usize, size: usize) {
        let at = start..start.saturating_add(size);
        self.places.push(Place { path, at });
    }

    /// Returns the paths of the keys that this part of the config spans or lies within. `None` if they are
    /// unknown, because the part spans no field with a key and a size.
    #[cfg_attr(not(feature = "live"), allow(dead_code))]
    pub(crate) fn spanned_by<U: ?Sized>(&self, part: &U) -> Option<BTreeSet<String>> {
        let start = std::ptr::from_ref(part).addr();
        let end = start.saturating_add(size_of_val(part));
        let keys = |spans: &dyn Fn(&Range<usize>) -> bool| -> BTreeSet<String> {
            let spanned = self.places.iter().filter(|place| spans(&place.at));
            spanned.map(|place| place.path.clone()).collect()
        };
        let mut paths = keys(&|at| at.start.max(start) < at.end.min(end));
        if paths.is_empty() {
            return None;
        }
        // At an edge, a zero-sized field may belong to a neighbor. One key too many does no harm.
        paths.extend(keys(&|at| {
            at.is_empty() && start <= at.start && at.end <= end
        }));
        Some(paths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    struct Config {
        first: u32,
        empty: (),
        second: [u16; 2],
        unkeyed: u64,
    }

    fn spanned<U: ?Sized>(part: fn(&Config) -> &U) -> Option<Vec<String>> {
        let config = Config {
            first: 0,
            empty: (),
            second: [0; 2],
            unkeyed: 0,
        };
        let mut places = Places::new();
        place(&mut places, "first", &raw const config.first);
        places.inside("nested", |to| {
            place(to, "empty", &raw const config.empty);
            place(to, "second", &raw const config.second);
        });
        let keys = places.spanned_by(part(&config))?;
        Some(keys.into_iter().collect())
    }

    #[test]
    fn a_part_spans_the_keys_that_it_shares_bytes_with() {
        let some = |keys: &[&str]| Some(keys.iter().map(|key| (*key).to_owned()).collect());
        let (empty, second) = ("nested.empty", "nested.second");
        assert_eq!(spanned(|c| c), some(&["first", empty, second]));
        assert_eq!(spanned(|c| &c.first), some(&["first", empty]));
        assert_eq!(spanned(|c| &c.second), some(&[empty, second]));
        assert_eq!(spanned(|c| &c.second[1]), some(&[second]));
        assert_eq!(spanned(|c| &c.second[..]), some(&[empty, second]));
    }

    #[test]
    fn a_part_without_a_sized_field_has_unknown_keys() {
        assert_eq!(spanned(|c| &c.unkeyed), None);
        assert_eq!(spanned(|c| &c.empty), None);
        assert_eq!(spanned(|c| &c.second[..0]), None);
        assert_eq!(spanned(|_| "elsewhere"), None);
    }
}
