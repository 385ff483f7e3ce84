//! Reading what a schema names: names and aliases become ids, and ids become a snapshot.

mod aliases;
mod listing;
pub(crate) mod offline;
pub(crate) mod options;
pub(crate) mod reader;
mod resolve;
pub(crate) mod source;
#[cfg(feature = "toml")]
mod toml_file;

#[cfg(fuzzing)]
pub(crate) use aliases::fuzz_aliases;
