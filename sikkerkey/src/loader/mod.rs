//! The front door of a config: [`SikkerKeyConfig`] for the usual case, [`Loader`] for settings.

pub(crate) mod builder;
#[cfg(feature = "live")]
pub(crate) mod live;

pub use builder::Loader;

use crate::client::SikkerKey;
use crate::config::check::CheckReport;
use crate::config::error::ConfigError;
use crate::config::schema::Schema;
use crate::config::snapshot::Snapshot;
use crate::config::visit::{self, Visit};
use crate::error::Error;

/// A config: a struct whose fields are filled from secrets.
///
/// The derive of the same name writes it; there is nothing to implement by hand, and nothing else
/// can implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a config, or it cannot be used alone",
    label = "`SikkerKeyConfig` is not implemented for `{Self}`",
    note = "if it is a struct without the derive, add `#[derive(SikkerKeyConfig)]` to it",
    note = "if it has `#[sikkerkey(inherit)]`, its secret comes from the field that nests it: `#[sikkerkey(nested, secret = \"sk_…\")]`, or `nested` in a struct that names a secret",
    note = "if it is generic, each of its fields must be of a type that a secret can be read as"
)]
pub trait SikkerKeyConfig: Visit {
    /// What the config reads, from the type alone.
    fn schema() -> Schema {
        visit::schema::<Self>()
    }

    /// Builds the config from secrets that were read already; a pure function.
    ///
    /// # Errors
    /// Every problem of every field, together.
    fn from_snapshot(snapshot: &Snapshot) -> Result<Self, ConfigError> {
        visit::build(snapshot)
    }

    /// Reads every secret that the config names, once and in parallel, and builds the config.
    ///
    /// # Errors
    /// Every problem of every field, together.
    fn load(client: &SikkerKey) -> Result<Self, ConfigError> {
        Self::loader(client).load()
    }

    /// Loads the config with settings of its own.
    fn loader(client: &SikkerKey) -> Loader<Self> {
        Loader::new(client)
    }

    /// Loads the config and keeps it up to date: a [`Live`](crate::Live).
    ///
    /// # Errors
    /// Every problem of the first load. Later ones keep the last good config.
    #[cfg(feature = "live")]
    fn live(client: &SikkerKey) -> Result<crate::live::Live<Self>, ConfigError>
    where
        Self: Send + Sync + 'static,
    {
        Self::loader(client).live()
    }

    /// Compares the config with what this machine sees, by the list of secrets alone: no value is
    /// read, no canary rings. Fit for a deploy pipeline.
    ///
    /// The report says of each value whether its secret and field are there, and of a secret that
    /// it is a canary, a certificate, or leased without a resync of its own, as far as the service
    /// tells. It costs one request, and two or three where the service is too old to tell.
    ///
    /// # Errors
    /// Any error of the list call.
    fn check(client: &SikkerKey) -> Result<CheckReport, Error> {
        Self::loader(client).check()
    }
}

#[diagnostic::do_not_recommend]
impl<T: Visit> SikkerKeyConfig for T {}
