use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::identity::absolute;

const DEFAULT_MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) type OnFallback = Arc<dyn Fn(&str, SystemTime) + Send + Sync>;

/// Settings of the fallback cache, for [`SikkerKeyBuilder::cache`](crate::SikkerKeyBuilder::cache).
///
/// ```
/// use std::time::Duration;
/// use sikkerkey::CacheOptions;
///
/// let options = CacheOptions::new()
///     .max_age(Duration::from_secs(3600))
///     .on_fallback(|id, cached_at| eprintln!("{id} is served from the cache, as of {cached_at:?}"));
/// # let _ = options;
/// ```
#[derive(Clone)]
#[must_use = "options do nothing until a builder is given them"]
pub struct CacheOptions {
    pub(super) max_age: Duration,
    pub(super) on_fallback: Option<OnFallback>,
    pub(super) folder: Option<PathBuf>,
}

impl CacheOptions {
    /// The defaults: values of up to 24 hours, in the folder of the official clients.
    pub fn new() -> Self {
        CacheOptions {
            max_age: DEFAULT_MAX_AGE,
            on_fallback: None,
            folder: None,
        }
    }

    /// Limits the age of a value that is served, counted from when the service sent it. Defaults to 24
    /// hours, which bounds how long a secret that is revoked during an outage is still used.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// Calls `tell` each time a value is served from the cache, with the secret's id and the time at which
    /// the service sent the value. It runs on the thread that reads, before the read returns; a panic is
    /// contained. Defaults to nothing; a warning is logged in any case.
    pub fn on_fallback(mut self, tell: impl Fn(&str, SystemTime) + Send + Sync + 'static) -> Self {
        self.on_fallback = Some(Arc::new(tell));
        self
    }

    /// Sets the folder of the files. A relative path is resolved against the current folder at this call.
    /// Defaults to `vaults/VAULT/cache` in the folder of identities, as with the official clients:
    /// `SIKKERKEY_HOME` if it is set, else the folder that holds the identity, else `~/.sikkerkey`.
    ///
    /// The folder is created with mode 0700. If it exists and others can enter it, as with `/tmp`, it stays
    /// as it is, and the files go into `sikkerkey-cache` below it. A folder of another user is an error when
    /// the client is built.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(absolute(&folder.into()));
        self
    }
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CacheOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheOptions")
            .field("max_age", &self.max_age)
            .field("on_fallback", &self.on_fallback.is_some())
            .field("folder", &self.folder)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_say_what_they_are_and_by_default_values_live_for_a_day() {
        let options = CacheOptions::default();
        assert_eq!(options.max_age, Duration::from_secs(86_400));
        let shown = format!("{:?}", options.on_fallback(|_, _| ()));
        assert_eq!(
            shown,
            "CacheOptions { max_age: 86400s, on_fallback: true, folder: None }"
        );
    }
}
