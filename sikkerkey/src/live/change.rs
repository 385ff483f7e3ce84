use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// One swap of a live config: the config before, the config after, and the keys that changed.
///
/// ```
/// use sikkerkey::Live;
///
/// let (live, control) = Live::manual(5432);
/// live.on_change(|change| {
///     if change.touches("db") {
///         println!("{} became {}: {}", change.before(), change.after(), change.paths().join(", "));
///     }
/// });
/// control.swap_paths(5433, &["db.port"]);
/// ```
pub struct Change<T> {
    pub(super) before: Arc<T>,
    pub(super) after: Arc<T>,
    pub(super) paths: Arc<[String]>,
}

impl<T> Change<T> {
    /// The config that ran before the swap.
    pub fn before(&self) -> &T {
        &self.before
    }

    /// The config that runs after the swap.
    pub fn after(&self) -> &T {
        &self.after
    }

    /// The key paths whose secret, or field of a secret, has another value: `db.password`.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// Whether the key at `path`, or a key below it, changed: `change.touches("db")`.
    pub fn touches(&self, path: &str) -> bool {
        touches(&self.paths, path)
    }
}

impl<T> Clone for Change<T> {
    fn clone(&self) -> Self {
        Change {
            before: Arc::clone(&self.before),
            after: Arc::clone(&self.after),
            paths: Arc::clone(&self.paths),
        }
    }
}

/// Names the changed keys; the configs themselves are left out.
impl<T> fmt::Debug for Change<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change")
            .field("paths", &self.paths)
            .finish_non_exhaustive()
    }
}

/// A change of one part of a config, from [`Select::on_change`](super::Select::on_change).
///
/// ```
/// use sikkerkey::Live;
///
/// let (live, control) = Live::manual(("db.internal", 5432));
/// live.select(|config| &config.1)
///     .on_change(|change| println!("the port {} became {}", change.before(), change.after()));
/// control.swap(("db.internal", 5433));
/// ```
pub struct PartChange<'a, U: ?Sized> {
    pub(super) before: &'a U,
    pub(super) after: &'a U,
    pub(super) paths: &'a [String],
}

impl<'a, U: ?Sized> PartChange<'a, U> {
    pub(super) fn of<T>(change: &'a Change<T>, part: fn(&T) -> &U) -> Self {
        PartChange {
            before: part(change.before()),
            after: part(change.after()),
            paths: change.paths(),
        }
    }

    /// The part of the config before the swap.
    pub fn before(&self) -> &'a U {
        self.before
    }

    /// The part of the config after the swap.
    pub fn after(&self) -> &'a U {
        self.after
    }

    /// The key paths of the whole config that changed in the same swap.
    pub fn paths(&self) -> &'a [String] {
        self.paths
    }

    /// Whether the key at `path`, or a key below it, changed: `change.touches("db.password")`.
    pub fn touches(&self, path: &str) -> bool {
        touches(self.paths, path)
    }
}

/// Names the changed keys; the parts themselves are left out.
impl<U: ?Sized> fmt::Debug for PartChange<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartChange")
            .field("paths", &self.paths)
            .finish_non_exhaustive()
    }
}

/// Whether a swap that changed these key paths counts for a part of the config. `before` and `after` are the
/// keys that the part spanned and spans; `None` if they are unknown.
pub(super) fn part_changed(
    before: Option<&BTreeSet<String>>,
    after: Option<&BTreeSet<String>>,
    paths: &[String],
) -> bool {
    match (before, after) {
        // A part that spans other keys than before has changed.
        (Some(before), Some(after)) => {
            before != after || after.iter().any(|key| touches(paths, key))
        }
        _ => true,
    }
}

fn touches(paths: &[String], wanted: &str) -> bool {
    paths.iter().any(|path| {
        path.strip_prefix(wanted)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_touches_itself_and_what_holds_it() {
        let paths = ["db.password".to_owned()];
        assert!(touches(&paths, "db"));
        assert!(touches(&paths, "db.password"));
        assert!(!touches(&paths, "d"));
        assert!(!touches(&paths, "db.pass"));
        assert!(!touches(&paths, "db.password.x"));
    }
    #[test]
    fn a_part_changes_with_its_keys_or_when_it_is_of_others() {
        let keys = |keys: &[&str]| -> BTreeSet<String> {
            keys.iter().map(|key| (*key).to_owned()).collect()
        };
        let paths = ["db.password".to_owned()];
        let changed = |before: &[&str], after: &[&str]| {
            part_changed(Some(&keys(before)), Some(&keys(after)), &paths)
        };
        assert!(changed(&["db.password"], &["db.password"]));
        assert!(changed(&["db"], &["db"]), "a struct whose keys all count");
        assert!(!changed(&["db.host", "name"], &["db.host", "name"]));
        assert!(changed(&["name"], &["host"]));
        assert!(part_changed(None, Some(&keys(&["name"])), &paths));
        assert!(part_changed(Some(&keys(&["name"])), None, &[]));
    }
}
