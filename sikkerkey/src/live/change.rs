use std::fmt;
use std::sync::Arc;

/// One swap of a live config: what was, what is, and which keys differ.
pub struct Change<T> {
    pub(super) old: Arc<T>,
    pub(super) new: Arc<T>,
    pub(super) paths: Arc<[String]>,
}

impl<T> Change<T> {
    /// The config before the swap.
    pub fn old(&self) -> &T {
        &self.old
    }

    /// The config that runs now.
    #[allow(clippy::new_ret_no_self, reason = "the new one, beside the old one")]
    pub fn new(&self) -> &T {
        &self.new
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
            old: Arc::clone(&self.old),
            new: Arc::clone(&self.new),
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
pub struct PartChange<'a, U: ?Sized> {
    pub(super) old: &'a U,
    pub(super) new: &'a U,
    pub(super) paths: &'a [String],
}

impl<'a, U: ?Sized> PartChange<'a, U> {
    /// The part before the swap.
    pub fn old(&self) -> &'a U {
        self.old
    }

    /// The part that runs now.
    #[allow(clippy::new_ret_no_self, reason = "the new one, beside the old one")]
    pub fn new(&self) -> &'a U {
        self.new
    }

    /// The key paths of the whole config that changed in the same swap.
    pub fn paths(&self) -> &'a [String] {
        self.paths
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

fn touches(paths: &[String], wanted: &str) -> bool {
    paths.iter().any(|path| {
        path.strip_prefix(wanted)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::touches;

    #[test]
    fn a_path_touches_itself_and_what_holds_it() {
        let paths = ["db.password".to_owned()];
        assert!(touches(&paths, "db"));
        assert!(touches(&paths, "db.password"));
        assert!(!touches(&paths, "d"));
        assert!(!touches(&paths, "db.pass"));
        assert!(!touches(&paths, "db.password.x"));
    }
}
