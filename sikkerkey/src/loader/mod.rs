//! Loading a config: [`SikkerKeyConfig`] for the usual case, [`Loader`] for settings.

pub(crate) mod builder;
#[cfg(feature = "live")]
pub(crate) mod live;
#[cfg(feature = "live")]
mod overridden;

pub use builder::Loader;

use crate::client::SikkerKey;
use crate::config::check::CheckReport;
use crate::config::error::ConfigError;
use crate::config::schema::Schema;
use crate::config::snapshot::Snapshot;
use crate::config::visit::{self, Visit};
use crate::error::Error;
use crate::read::offline::Offline;
use crate::read::reader::Fetch;
use crate::read::source::SnapshotSource;

/// A config: a struct whose fields are filled from secrets.
///
/// The derive of the same name implements it. It cannot be implemented by hand.
///
/// ```
/// # #[cfg(feature = "derive")] {
/// use sikkerkey::{SikkerKeyConfig, Snapshot};
///
/// #[derive(SikkerKeyConfig)]
/// struct Config {
///     #[sikkerkey(secret = "sk_workers")]
///     workers: usize,
/// }
///
/// /// Works for every config: each must build from an example that the repository holds.
/// fn builds<T: SikkerKeyConfig>(example: &Snapshot) -> bool {
///     T::from_snapshot(example).is_ok()
/// }
/// assert!(builds::<Config>(&Snapshot::from_iter([("sk_workers", "4")])));
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a config, or it cannot be used alone",
    label = "`SikkerKeyConfig` is not implemented for `{Self}`",
    note = "if it is a struct without the derive, add `#[derive(SikkerKeyConfig)]` to it",
    note = "if it has `#[sikkerkey(inherit)]`, its secret comes from the field that nests it: `#[sikkerkey(nested, secret = \"sk_…\")]`, or `nested` in a struct that names a secret",
    note = "if it is generic, each of its fields must be of a type that a secret can be read as"
)]
pub trait SikkerKeyConfig: Visit {
    /// Returns the schema: what the config reads. It depends on the type only, so nothing is read.
    ///
    /// ```
    /// # #[cfg(feature = "derive")] {
    /// use sikkerkey::SikkerKeyConfig;
    ///
    /// #[derive(SikkerKeyConfig)]
    /// struct Config {
    ///     #[sikkerkey(secret = "sk_workers")]
    ///     workers: usize,
    /// }
    /// assert_eq!(Config::schema().secrets()[0].as_str(), "sk_workers");
    /// # }
    /// ```
    fn schema() -> Schema {
        visit::schema::<Self>()
    }

    /// Builds the config from a snapshot: a pure function, so that a test needs no service. See
    /// [`Snapshot`] for an example.
    ///
    /// It does not know the time, so it accepts an expired certificate, which [`load`](Self::load) and `live` from a
    /// vault refuse.
    ///
    /// # Errors
    /// Every problem of every field, together.
    fn from_snapshot(snapshot: &Snapshot) -> Result<Self, ConfigError> {
        visit::build(snapshot, None, None)
    }

    /// Reads every secret that the config names, once and in parallel, and builds the config.
    ///
    /// The client is a [`SikkerKey`] or an [`AsyncSikkerKey`](crate::AsyncSikkerKey), here and below.
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
    /// let config = Config::load(&sk)?;
    /// assert_eq!(config.workers, 4);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Every problem of every field, together.
    fn load(client: impl AsRef<SikkerKey>) -> Result<Self, ConfigError> {
        Self::loader(client).load()
    }

    /// Does a [`load`](Self::load) as a future, on any async runtime: the secrets are read, and the config is
    /// built, on a thread of the client. The future holds a handle of the client and borrows nothing, so it
    /// may be spawned.
    ///
    /// ```
    /// # #[cfg(feature = "derive")] {
    /// # let vault = sikkerkey_emulator::Emulator::builder().secret("sk_workers", "4").start()?;
    /// # let path = vault.identity_path();
    /// use sikkerkey::{AsyncSikkerKey, SikkerKeyConfig};
    ///
    /// #[derive(SikkerKeyConfig)]
    /// struct Config {
    ///     #[sikkerkey(secret = "sk_workers")]
    ///     workers: usize,
    /// }
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let sk = AsyncSikkerKey::new(path)?;
    /// let config = Config::load_async(&sk).await?;
    /// assert_eq!(config.workers, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As `load`.
    fn load_async(
        client: impl AsRef<SikkerKey>,
    ) -> impl Future<Output = Result<Self, ConfigError>> + Send + 'static
    where
        Self: Send + 'static,
    {
        Self::loader(client).load_async()
    }

    /// Starts a [`Loader`], for a load with settings of its own.
    fn loader(client: impl AsRef<SikkerKey>) -> Loader<Self> {
        Loader::new(SnapshotSource::Vault(Fetch::new(client)))
    }

    /// Starts a [`Loader`] without a vault: it takes the config's secrets from a snapshot, and sends nothing.
    ///
    /// All methods of a loader work: [`load`](Loader::load), [`check`](Loader::check), and
    /// [`live`](Loader::live) of a config that never changes. What the snapshot lacks is missing, as it would
    /// be in a vault. For unit tests, and for development without the service, with
    /// [`Snapshot::from_toml_file`] (feature `toml`).
    ///
    /// ```
    /// # #[cfg(feature = "derive")] {
    /// use sikkerkey::{SikkerKeyConfig, Snapshot};
    ///
    /// #[derive(SikkerKeyConfig)]
    /// #[sikkerkey(secret = "sk_db")]
    /// struct Database {
    ///     host: String,
    ///     #[sikkerkey(default = 5432)]
    ///     port: u16,
    /// }
    ///
    /// let secrets = Snapshot::from_iter([("sk_db", r#"{"host": "localhost"}"#)]);
    /// let db = Database::offline(secrets).load()?;
    /// assert_eq!((db.host.as_str(), db.port), ("localhost", 5432));
    /// # }
    /// # Ok::<(), sikkerkey::ConfigError>(())
    /// ```
    fn offline(secrets: Snapshot) -> Loader<Self> {
        Loader::new(SnapshotSource::Offline(Offline::new(secrets)))
    }

    /// Loads the config and follows its secrets: a [`Live`](crate::Live), whose page has an example.
    ///
    /// # Errors
    /// Every problem of the first load. After later problems the last good config stays.
    #[cfg(feature = "live")]
    fn live(client: impl AsRef<SikkerKey>) -> Result<crate::live::Live<Self>, ConfigError>
    where
        Self: Send + Sync + 'static,
    {
        Self::loader(client).live()
    }

    /// Starts a [`live`](Self::live) config as a future, on any async runtime.
    ///
    /// # Errors
    /// As `live`.
    #[cfg(feature = "live")]
    fn live_async(
        client: impl AsRef<SikkerKey>,
    ) -> impl Future<Output = Result<crate::live::Live<Self>, ConfigError>> + Send + 'static
    where
        Self: Send + Sync + 'static,
    {
        Self::loader(client).live_async()
    }

    /// Compares the config with the list of secrets that this machine sees. Use it in a deploy pipeline: no
    /// value is read, so no canary (a secret that raises an alarm when it is read) is triggered.
    ///
    /// The report says for each value whether its secret and field exist, and whether the secret is a canary,
    /// a certificate, or leased without a resync of its own. It sends one request, or two or three if the
    /// service is too old to report kinds.
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
    /// let report = Config::check(&sk)?;
    /// assert!(report.is_strictly_ok(), "{report}");
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Any error of the list call.
    fn check(client: impl AsRef<SikkerKey>) -> Result<CheckReport, Error> {
        Self::loader(client).check()
    }

    /// Makes a [`check`](Self::check) as a future, on any async runtime.
    ///
    /// # Errors
    /// As `check`.
    fn check_async(
        client: impl AsRef<SikkerKey>,
    ) -> impl Future<Output = Result<CheckReport, Error>> + Send + 'static
    where
        Self: 'static,
    {
        Self::loader(client).check_async()
    }
}

#[diagnostic::do_not_recommend]
impl<T: Visit> SikkerKeyConfig for T {}
