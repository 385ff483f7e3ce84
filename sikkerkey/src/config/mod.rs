//! Configs: structs whose fields are filled from secrets. A schema says what a config reads, a snapshot holds
//! what was read, and a pure function builds the config from the snapshot, reporting all problems at once.
//!
//! The chapter for users is "Config" in the README.

pub(crate) mod check;
pub(crate) mod error;
pub(crate) mod from_secret;
mod lookup;
pub(crate) mod overrides;
pub(crate) mod own_text;
pub(crate) mod parser;
pub(crate) mod places;
mod report;
pub(crate) mod requirement;
mod resolved;
pub(crate) mod schema;
pub(crate) mod similar;
pub(crate) mod snapshot;
mod table;
pub(crate) mod traits;
pub(crate) mod visit;
