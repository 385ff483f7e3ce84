//! Reading what a schema names: names and aliases become ids, and ids become a snapshot.

mod aliases;
mod listing;
pub(crate) mod options;
pub(crate) mod reader;
mod resolve;

#[cfg(fuzzing)]
pub(crate) use aliases::fuzz_aliases;
