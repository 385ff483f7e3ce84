use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::identity::absolute;

const DEFAULT_MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) type OnFallback = Arc<dyn Fn(&str, SystemTime) + Send + Sync>;

/// How the fallback cache behaves; given to [`SikkerKeyBuilder::cache`](crate::SikkerKeyBuilder::cache).
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
    /// Values of up to 24 hours are served.
    pub fn new() -> Self {
        CacheOptions {
            max_age: DEFAULT_MAX_AGE,
            on_fallback: None,
            folder: None,
        }
    }

    /// The oldest a value may be to be served, counted from when the service sent it. 24 hours by
    /// default: a secret that was revoked during an outage is then not used for much longer.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// Called with the secret's id and the time at which the service sent the value, each time a
    /// value is served from the cache: before the read returns, on the thread that reads. A panic
    /// in it is contained.
    pub fn on_fallback(mut self, tell: impl Fn(&str, SystemTime) + Send + Sync + 'static) -> Self {
        self.on_fallback = Some(Arc::new(tell));
        self
    }

    /// The folder of the files. Without it, `vaults/VAULT/cache` in the folder of identities, where
    /// the official clients look too: the one that `SIKKERKEY_HOME` names, else the one in which
    /// the identity lies, else `~/.sikkerkey`. A relative path counts from the folder in which the
    /// process is at this call.
    ///
    /// It is created with mode 0700. A folder that exists and that others can enter, such as `/tmp`,
    /// stays as it is: the files are then in `sikkerkey-cache` below it. One of another user is
    /// refused when the client is built.
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
