//! # Config
//!
//! A config is a struct whose fields say where they come from:
//!
//! ```
//! # #[cfg(feature = "derive")] {
//! # let vault = sikkerkey_emulator::Emulator::builder()
//! #     .secret("sk_stripe_key", "sk-live-1")
//! #     .structured("sk_db_prod", [("host", "db.example"), ("password", "hunter2")])
//! #     .start()?;
//! # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
//! use sikkerkey::{SecretString, SikkerKeyConfig};
//!
//! #[derive(SikkerKeyConfig)]
//! struct AppConfig {
//!     /// Charges cards.
//!     #[sikkerkey(secret = "sk_stripe_key")]
//!     stripe: SecretString,
//!     #[sikkerkey(nested)]
//!     db: Database,
//! }
//!
//! #[derive(SikkerKeyConfig)]
//! #[sikkerkey(secret = "sk_db_prod")]
//! struct Database {
//!     host: String,
//!     #[sikkerkey(default = 5432)]
//!     port: u16,
//!     password: SecretString,
//! }
//!
//! let config = AppConfig::load(&sk)?;
//! assert_eq!((config.db.host.as_str(), config.db.port), ("db.example", 5432));
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `load` reads each secret once, however many fields it has, and up to eight at a time. It reads
//! none that the struct does not name, so it sets off no canary.
//!
//! **What can go wrong is told at once**, in the order of the fields, and never with a value:
//!
//! ```
//! # #[cfg(feature = "derive")] {
//! # use sikkerkey::{Outcome, SecretString, SikkerKeyConfig, Snapshot};
//! # #[derive(SikkerKeyConfig)]
//! # struct AppConfig {
//! #     #[sikkerkey(secret = "sk_stripe_key")]
//! #     stripe: SecretString,
//! #     #[sikkerkey(nested)]
//! #     db: Database,
//! #     #[sikkerkey(secret = "sk_workers")]
//! #     workers: u8,
//! # }
//! # #[derive(SikkerKeyConfig)]
//! # #[sikkerkey(secret = "sk_db_prod")]
//! # struct Database {
//! #     host: String,
//! #     port: u16,
//! # }
//! # let snapshot = Snapshot::from_iter([
//! #     ("sk_db_prod", r#"{"Host": "db", "port": "54321x"}"#),
//! #     ("sk_workers", "256"),
//! # ])
//! # .with([("sk_stripe_key", Outcome::Denied)]);
//! # let error = AppConfig::from_snapshot(&snapshot).map(drop).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     r#"cannot build AppConfig: 4 problems
//!   stripe   sk_stripe_key    denied: this machine is not approved, or has no grant for it
//!   db.host  sk_db_prod/host  no field "host" (did you mean "Host"?); the secret has "Host", "port"
//!   db.port  sk_db_prod/port  not a u16: it is not a number
//!   workers  sk_workers       not a u8: above 255"#
//! );
//! # }
//! ```
//!
//! **A pipeline can look before it deploys.** [`check`](SikkerKeyConfig::check) compares the struct with what the machine sees, by the
//! list of secrets alone: nothing is read, so nothing is audited as read. `cargo run --example
//! check` prints its table and exits with 1 where something is missing.
//!
//! **A unit test needs no server.** A [`Snapshot`] is made from pairs, and
//! [`from_snapshot`](SikkerKeyConfig::from_snapshot) is a pure function.
//!
//! **Another environment** has other secrets: a [`Loader`] looks display names up in one
//! [`project`](Loader::project), and reads an [`alias`](Loader::alias) in place of an id.
//!
//! **What the struct reads is data.** [`schema`](SikkerKeyConfig::schema) lists it from the type alone, as a table, as
//! an iterator and for serde.
//!
//! Every attribute is described at the derive,
//! [`SikkerKeyConfig`](derive@crate::SikkerKeyConfig); every type that a text becomes at
//! [`FromSecret`].

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
