//! Reads the secrets of a schema: resolves names and aliases to ids, and reads the ids into a snapshot.

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
