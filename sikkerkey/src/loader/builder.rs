use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;

use super::SikkerKeyConfig;
use crate::client::SikkerKey;
use crate::config::check::CheckReport;
use crate::config::error::{ConfigError, short_name};
use crate::config::requirement::SecretRef;
use crate::config::snapshot::Snapshot;
use crate::error::Error;
use crate::read::options::LoadOptions;
use crate::read::reader::Fetch;
use crate::span::span;

/// Loads a config with settings of its own; from
/// [`SikkerKeyConfig::loader`](crate::SikkerKeyConfig::loader).
///
/// ```
/// # #[cfg(feature = "derive")] {
/// # let vault = sikkerkey_emulator::Emulator::builder()
/// #     .secret("sk_a1", "db.staging").name("sk_a1", "DB_HOST").project("sk_a1", "proj_staging")
/// #     .secret("sk_b2", "4")
/// #     .start()?;
/// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
/// use sikkerkey::SikkerKeyConfig;
///
/// #[derive(SikkerKeyConfig)]
/// struct Config {
///     #[sikkerkey(name = "DB_HOST")]
///     host: String,
///     #[sikkerkey(secret = "sk_workers")]
///     workers: usize,
/// }
///
/// let config = Config::loader(&sk)
///     .project("proj_staging")         // where DB_HOST is looked up
///     .alias("sk_workers", "sk_b2")    // what staging has instead
///     .load()?;
/// assert_eq!((config.host.as_str(), config.workers), ("db.staging", 4));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a loader does nothing until it loads"]
pub struct Loader<T> {
    pub(crate) fetch: Fetch,
    #[cfg(feature = "live")]
    pub(crate) live: crate::live::LiveOptions<T>,
    config: PhantomData<fn() -> T>,
}

/// A loader for what is no derived struct: it carries settings to a live config of another source.
pub fn loader<T>(fetch: Fetch) -> Loader<T> {
    Loader {
        fetch,
        #[cfg(feature = "live")]
        live: Default::default(),
        config: PhantomData,
    }
}

impl<T: SikkerKeyConfig> Loader<T> {
    pub(crate) fn new(client: &SikkerKey) -> Self {
        Loader {
            fetch: Fetch::new(client),
            #[cfg(feature = "live")]
            live: Default::default(),
            config: PhantomData,
        }
    }

    /// Reads every secret that the config names, once, and builds the config.
    ///
    /// # Errors
    /// Every problem of every field, together.
    pub fn load(&self) -> Result<T, ConfigError> {
        let _span = span!(INFO, "load", config = short_name(type_name::<T>()));
        T::from_snapshot(&self.snapshot())
    }

    /// Reads every secret that the config names, once. What could not be read is in the snapshot
    /// as such; where an alias is wrong, nothing is read, and
    /// [`refusals`](Snapshot::refusals) says why.
    pub fn snapshot(&self) -> Snapshot {
        self.fetch.snapshot(&T::schema())
    }

    /// Compares the config with what this machine sees, without reading a value; see
    /// [`SikkerKeyConfig::check`](crate::SikkerKeyConfig::check).
    ///
    /// # Errors
    /// Any error of the list calls.
    pub fn check(&self) -> Result<CheckReport, Error> {
        self.fetch
            .check_with(&T::schema(), |secret, id| self.has_resync(secret, id))
    }

    #[cfg(feature = "live")]
    fn has_resync(&self, secret: &SecretRef, id: &str) -> bool {
        self.live.has_resync(secret.as_str(), id)
    }

    #[cfg(not(feature = "live"))]
    fn has_resync(&self, _: &SecretRef, _: &str) -> bool {
        false
    }
}

/// # Finding and reading the secrets
///
/// These are [`LoadOptions`], set one by one.
impl<T> Loader<T> {
    /// Finds and reads the secrets as these options say, in place of those that were set.
    pub fn options(mut self, options: LoadOptions) -> Self {
        self.fetch = self.fetch.options(options);
        self
    }

    /// See [`LoadOptions::project`].
    pub fn project(self, project: impl Into<String>) -> Self {
        self.change(|options| options.project(project))
    }

    /// See [`LoadOptions::application`].
    pub fn application(self, application: impl Into<String>) -> Self {
        self.change(|options| options.application(application))
    }

    /// See [`LoadOptions::alias`].
    pub fn alias(self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.change(|options| options.alias(from, to))
    }

    /// See [`LoadOptions::aliases`].
    pub fn aliases<F: Into<String>, A: Into<String>>(
        self,
        aliases: impl IntoIterator<Item = (F, A)>,
    ) -> Self {
        self.change(|options| options.aliases(aliases))
    }

    /// See [`LoadOptions::aliases_from_env`].
    pub fn aliases_from_env(self, variable: &str) -> Self {
        self.change(|options| options.aliases_from_env(variable))
    }

    /// See [`LoadOptions::strict_aliases`].
    pub fn strict_aliases(self) -> Self {
        self.change(LoadOptions::strict_aliases)
    }

    /// See [`LoadOptions::refuse_canaries`].
    pub fn refuse_canaries(self) -> Self {
        self.change(LoadOptions::refuse_canaries)
    }

    /// See [`LoadOptions::least_privilege`].
    pub fn least_privilege(self) -> Self {
        self.change(LoadOptions::least_privilege)
    }

    /// See [`LoadOptions::concurrency`].
    pub fn concurrency(self, reads: usize) -> Self {
        self.change(|options| options.concurrency(reads))
    }

    fn change(mut self, change: impl FnOnce(LoadOptions) -> LoadOptions) -> Self {
        self.fetch = self.fetch.change(change);
        self
    }
}

impl<T> Clone for Loader<T> {
    fn clone(&self) -> Self {
        Loader {
            fetch: self.fetch.clone(),
            #[cfg(feature = "live")]
            live: self.live.clone(),
            config: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Loader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loader")
            .field("fetch", &self.fetch)
            .finish_non_exhaustive()
    }
}
