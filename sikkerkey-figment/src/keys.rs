//! Maps the flat names of an export to key paths, in steps as figment's `Env` has them.

use std::sync::Arc;

use uncased::{Uncased, UncasedStr};

type Step = Arc<dyn for<'a> Fn(&'a UncasedStr) -> Option<Uncased<'a>> + Send + Sync>;

/// A chain of steps. Each maps a name or leaves it out; the last result is the key.
#[derive(Clone)]
pub(crate) struct Keys {
    steps: Vec<Step>,
    lowercase: bool,
}

impl Keys {
    pub(crate) fn new() -> Self {
        Keys {
            steps: Vec::new(),
            lowercase: true,
        }
    }

    pub(crate) fn then<F>(mut self, step: F) -> Self
    where
        F: Fn(&UncasedStr) -> Option<Uncased<'_>> + Send + Sync + 'static,
    {
        self.steps.push(Arc::new(step));
        self
    }

    pub(crate) fn lowercase(mut self, lowercase: bool) -> Self {
        self.lowercase = lowercase;
        self
    }

    /// The key path of `name`; `None` if a step left it out or a part of it is empty.
    pub(crate) fn path(&self, name: &str) -> Option<Vec<String>> {
        let mut key = Uncased::from(name.to_owned());
        for step in &self.steps {
            key = step(&key)?.into_owned();
        }
        let path: Vec<String> = key
            .as_str()
            .trim()
            .split('.')
            .map(|part| match self.lowercase {
                true => part.to_ascii_lowercase(),
                false => part.to_owned(),
            })
            .collect();
        (!path.iter().any(String::is_empty)).then_some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn becomes(keys: &Keys, name: &str, expected: Option<&str>) {
        assert_eq!(
            keys.path(name).map(|path| path.join("/")).as_deref(),
            expected
        );
    }

    #[test]
    fn names_are_lower_case_keys_unless_asked_otherwise() {
        becomes(&Keys::new(), "API_KEY", Some("api_key"));
        becomes(&Keys::new().lowercase(false), "API_KEY", Some("API_KEY"));
    }

    #[test]
    fn steps_come_one_after_the_other_and_ignore_case() {
        let keys = Keys::new()
            .then(|key| key.starts_with("db_").then(|| key[3..].into()))
            .then(|key| Some(key.as_str().replace("__", ".").into()))
            .lowercase(false)
            .then(|key| (key != "pool.size").then(|| key.into()));
        becomes(&keys, "DB_CREDS__HOST", Some("CREDS/HOST"));
        becomes(&keys, "DB_POOL__SIZE", None);
        becomes(&keys, "API_KEY", None);
    }

    #[test]
    fn a_key_with_an_empty_part_is_left_out() {
        for name in ["", ".", "A.", ".A", "A..B"] {
            becomes(&Keys::new(), name, None);
        }
    }
}
