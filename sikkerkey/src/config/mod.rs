//! A struct, filled from secrets: the schema says what it reads, a snapshot is what was read, and
//! building one from the other is a pure function that reports every problem at once.
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
