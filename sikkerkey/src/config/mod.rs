//! A struct, filled from secrets: the schema says what it reads, a snapshot is what was read, and
//! building one from the other is a pure function that reports every problem at once.
//!
//! The chapter for users is "Config" in the README.

mod bounds;
mod check;
mod error;
mod fetch;
mod find;
mod from_secret;
mod loader;
mod near;
mod parser;
pub(crate) mod private;
mod read;
mod report;
mod requirement;
mod resolve;
mod schema;
mod snapshot;
mod table;

pub use check::{Check, CheckReport, CheckStatus};
pub use error::{ConfigError, Problem, ProblemKind, config_error};
pub use fetch::Fetch;
pub use from_secret::{FromSecret, ValueError};
pub use loader::{Loader, loader};
pub use requirement::{Kind, Necessity, Requirement, SecretRef};
pub use schema::Schema;
pub use snapshot::{Outcome, Snapshot};

use crate::{Error, SikkerKey};

/// A config: a struct whose fields are filled from secrets.
///
/// The derive of the same name writes it; there is nothing to implement by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a config",
    label = "`SikkerKeyConfig` is not implemented for `{Self}`",
    note = "add `#[derive(SikkerKeyConfig)]` to `{Self}`"
)]
pub trait SikkerKeyConfig: Sized {
    /// Describes or builds the config; what the derive writes.
    #[doc(hidden)]
    fn __read(from: &mut private::Reader<'_>) -> Option<Self>;

    /// What the config reads, from the type alone.
    fn schema() -> Schema {
        read::schema::<Self>()
    }

    /// Builds the config from secrets that were read already; a pure function.
    ///
    /// # Errors
    /// Every problem of every field, together.
    fn from_snapshot(snapshot: &Snapshot) -> Result<Self, ConfigError> {
        read::build(snapshot)
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
    fn live(client: &SikkerKey) -> Result<crate::Live<Self>, ConfigError>
    where
        Self: Send + Sync + 'static,
    {
        Self::loader(client).live()
    }

    /// Compares the config with what this machine sees, by the list call alone: no value is read,
    /// no canary rings. Fit for a deploy pipeline.
    ///
    /// # Errors
    /// Any error of the list call.
    fn check(client: &SikkerKey) -> Result<CheckReport, Error> {
        Self::loader(client).check()
    }
}
