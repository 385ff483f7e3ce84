use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;

use super::SikkerKeyConfig;
use crate::config::check::CheckReport;
use crate::config::error::{ConfigError, Problem, short_name};
use crate::config::overrides::Overrides;
use crate::config::requirement::SecretRef;
use crate::config::schema::Schema;
use crate::config::snapshot::Snapshot;
use crate::config::visit;
use crate::error::Error;
use crate::read::options::LoadOptions;
use crate::read::reader::Fetch;
use crate::read::source::SnapshotSource;
use crate::span::span;

/// A builder that loads a config with settings of its own; from
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
    pub(super) source: SnapshotSource,
    pub(super) overrides: Snapshot,
    #[cfg(feature = "live")]
    pub(super) live: crate::live::LiveOptions<T>,
    config: PhantomData<fn() -> T>,
}

/// Makes a loader that carries settings to a live config of another source.
pub fn loader<T>(fetch: Fetch) -> Loader<T> {
    Loader::new(SnapshotSource::Vault(fetch))
}

impl<T> Loader<T> {
    pub(super) fn new(source: SnapshotSource) -> Self {
        Loader {
            source,
            overrides: Snapshot::default(),
            #[cfg(feature = "live")]
            live: Default::default(),
            config: PhantomData,
        }
    }

    /// Returns the problems of the settings for a config of this schema. If there are any, nothing is read.
    pub(super) fn refusals(&self, schema: &Schema, overrides: &Overrides) -> Vec<Problem> {
        let mut refusals = self.source.options().problems(schema);
        refusals.extend(overrides.problems(schema));
        refusals
    }

    pub(super) fn overrides_of(&self) -> Overrides {
        let aliases = self.source.options().alias_map().clone();
        Overrides::new(self.overrides.clone(), aliases)
    }
}

impl<T: SikkerKeyConfig> Loader<T> {
    /// Reads every secret that the config names, once, and builds the config.
    ///
    /// # Errors
    /// Every problem of every field, together.
    pub fn load(&self) -> Result<T, ConfigError> {
        let _span = span!(INFO, "load", config = short_name(type_name::<T>()));
        let snapshot = self.snapshot();
        let clock = self.source.clock();
        visit::build(&snapshot, clock.map(|clock| clock.unix_now()), None)
    }

    /// Does a [`load`](Self::load) as a future, on any async runtime: the secrets are read, and the config is
    /// built, on a thread of the client.
    ///
    /// A future that is dropped before its work begins reads nothing. If it is dropped later, the work runs
    /// to its end.
    ///
    /// # Errors
    /// As `load`.
    pub fn load_async(&self) -> impl Future<Output = Result<T, ConfigError>> + Send + use<T>
    where
        T: Send + 'static,
    {
        let loaded = self.clone().run(Self::load);
        async move {
            loaded
                .await
                .unwrap_or_else(|error| Err(failed::<T>(&error)))
        }
    }

    /// Reads every secret that the config names, once. Failed reads are outcomes of the snapshot. If an alias
    /// or an override is wrong, nothing is read, and [`refusals`](Snapshot::refusals) says why.
    ///
    /// ```
    /// # #[cfg(feature = "derive")] {
    /// # let vault = sikkerkey_emulator::Emulator::builder().secret("sk_workers", "4").start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// use sikkerkey::SikkerKeyConfig;
    ///
    /// #[derive(SikkerKeyConfig)]
    /// struct Config {
    ///     #[sikkerkey(secret = "sk_workers")]
    ///     workers: usize,
    /// }
    ///
    /// let snapshot = Config::loader(&sk).snapshot();
    /// assert_eq!(snapshot.ids().collect::<Vec<_>>(), ["sk_workers"]);
    /// assert_eq!(Config::from_snapshot(&snapshot)?.workers, 4);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn snapshot(&self) -> Snapshot {
        let (schema, overrides) = (T::schema(), self.overrides_of());
        let refusals = self.refusals(&schema, &overrides);
        if !refusals.is_empty() {
            return Snapshot::refused(refusals);
        }
        let rest = overrides.rest(&schema);
        let read = self.source.clone().for_part(&rest).snapshot(&rest);
        overrides.over(&schema, &read)
    }

    /// Makes a [`snapshot`](Self::snapshot) as a future, on any async runtime.
    pub fn snapshot_async(&self) -> impl Future<Output = Snapshot> + Send + use<T>
    where
        T: 'static,
    {
        let snapshot = self.clone().run(Self::snapshot);
        let unavailable = |error| Snapshot::unavailable(T::schema().secrets(), &error);
        async move { snapshot.await.unwrap_or_else(unavailable) }
    }

    /// Compares the config with what this machine sees, without reading a value; see
    /// [`SikkerKeyConfig::check`](crate::SikkerKeyConfig::check).
    ///
    /// ```
    /// # #[cfg(feature = "derive")] {
    /// # let vault = sikkerkey_emulator::Emulator::builder().secret("sk_workers", "4").start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// use sikkerkey::SikkerKeyConfig;
    ///
    /// #[derive(SikkerKeyConfig)]
    /// struct Config {
    ///     #[sikkerkey(secret = "sk_workers")]
    ///     workers: usize,
    /// }
    ///
    /// let report = Config::loader(&sk).least_privilege().check()?;
    /// print!("{report}"); // a table with a line for each value
    /// assert!(report.is_strictly_ok());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Any error of the list calls.
    pub fn check(&self) -> Result<CheckReport, Error> {
        let (schema, overrides) = (T::schema(), self.overrides_of());
        let has_resync = |secret: &SecretRef, id: &str| self.has_resync(secret, id);
        let report = self.source.check_with(&schema, has_resync)?;
        let report = report.overridden(&schema, |requirement| overrides.status(requirement));
        Ok(report.with_refusals(self.refusals(&schema, &overrides)))
    }

    #[cfg(feature = "live")]
    fn has_resync(&self, secret: &SecretRef, id: &str) -> bool {
        self.live.has_resync(secret.as_str(), id)
    }

    #[cfg(not(feature = "live"))]
    fn has_resync(&self, _: &SecretRef, _: &str) -> bool {
        false
    }

    /// Makes a [`check`](Self::check) as a future, on any async runtime.
    ///
    /// # Errors
    /// As `check`.
    pub fn check_async(&self) -> impl Future<Output = Result<CheckReport, Error>> + Send + use<T>
    where
        T: 'static,
    {
        let report = self.clone().run(Self::check);
        async move { report.await? }
    }
}

impl<T: 'static> Loader<T> {
    /// Runs a blocking call of this loader on a thread of its client, starting when the future is first
    /// polled.
    fn run<R: Send + 'static>(
        self,
        call: impl FnOnce(&Self) -> R + Send + 'static,
    ) -> impl Future<Output = Result<R, Error>> + Send + 'static {
        let source = self.source.clone();
        async move { source.run(move || call(&self)).await }
    }
}

/// The error of a config whose work could not run on a thread of the client.
fn failed<T>(error: &Error) -> ConfigError {
    ConfigError::of::<T>(vec![Problem::unavailable(error)])
}

/// # Finding and reading the secrets
///
/// Each of these methods sets one of the [`LoadOptions`].
impl<T> Loader<T> {
    /// Replaces all options of finding and reading secrets. Defaults to [`LoadOptions::new`].
    pub fn options(self, options: LoadOptions) -> Self {
        self.change(|_| options)
    }

    /// Looks display names up in one project; see [`LoadOptions::project`]. Defaults to all projects.
    pub fn project(self, project: impl Into<String>) -> Self {
        self.change(|options| options.project(project))
    }

    /// Looks display names up in one application; see [`LoadOptions::application`]. Defaults to all.
    pub fn application(self, application: impl Into<String>) -> Self {
        self.change(|options| options.application(application))
    }

    /// Reads another secret in place of `from`; see [`LoadOptions::alias`]. Defaults to no alias.
    pub fn alias(self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.change(|options| options.alias(from, to))
    }

    /// Adds several aliases; see [`LoadOptions::aliases`]. Defaults to no alias.
    pub fn aliases<F: Into<String>, A: Into<String>>(
        self,
        aliases: impl IntoIterator<Item = (F, A)>,
    ) -> Self {
        self.change(|options| options.aliases(aliases))
    }

    /// Adds the aliases of an environment variable; see [`LoadOptions::aliases_from_env`]. Defaults to none.
    pub fn aliases_from_env(self, variable: &str) -> Self {
        self.change(|options| options.aliases_from_env(variable))
    }

    /// Refuses secrets without an alias; see [`LoadOptions::strict_aliases`]. Defaults to off.
    pub fn strict_aliases(self) -> Self {
        self.change(LoadOptions::strict_aliases)
    }

    /// Refuses to read canaries; see [`LoadOptions::refuse_canaries`]. Defaults to off.
    pub fn refuse_canaries(self) -> Self {
        self.change(LoadOptions::refuse_canaries)
    }

    /// Has `check` name unneeded grants; see [`LoadOptions::least_privilege`]. Defaults to off.
    pub fn least_privilege(self) -> Self {
        self.change(LoadOptions::least_privilege)
    }

    /// Limits how many reads are under way; see [`LoadOptions::concurrency`]. Defaults to 8.
    pub fn concurrency(self, reads: usize) -> Self {
        self.change(|options| options.concurrency(reads))
    }

    /// Overrides secrets of the vault, for development: for instance your own database together with the
    /// vault's mail key. Defaults to none.
    ///
    /// Name them as the config does, by id or display name, or by the id that an alias leads to. An
    /// overridden secret is not read from the service. A JSON object replaces only the fields that it names;
    /// any other value, and a denied or missing secret, replaces the whole secret. [`check`](Self::check) and
    /// the status of a live config show what is overridden.
    ///
    /// A secret or field that the config does not read is a problem of the load. A second call replaces the
    /// overrides of the first.
    ///
    /// ```
    /// # #[cfg(feature = "derive")] {
    /// # let vault = sikkerkey_emulator::Emulator::builder()
    /// #     .structured("sk_db", [("host", "db.example"), ("user", "app")])
    /// #     .start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// use sikkerkey::{SikkerKeyConfig, Snapshot};
    ///
    /// #[derive(SikkerKeyConfig)]
    /// #[sikkerkey(secret = "sk_db")]
    /// struct Database {
    ///     host: String,
    ///     user: String,
    /// }
    ///
    /// let mine = Snapshot::from_iter([("sk_db", r#"{"host": "localhost"}"#)]);
    /// let db = Database::loader(&sk).overrides(mine).load()?;
    /// assert_eq!((db.host.as_str(), db.user.as_str()), ("localhost", "app"));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn overrides(mut self, secrets: Snapshot) -> Self {
        self.overrides = secrets;
        self
    }

    fn change(mut self, change: impl FnOnce(LoadOptions) -> LoadOptions) -> Self {
        self.source = self.source.change(change);
        self
    }
}

impl<T> Clone for Loader<T> {
    fn clone(&self) -> Self {
        Loader {
            source: self.source.clone(),
            overrides: self.overrides.clone(),
            #[cfg(feature = "live")]
            live: self.live.clone(),
            config: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Loader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loader")
            .field("source", &self.source)
            .field("overrides", &self.overrides)
            .finish_non_exhaustive()
    }
}
