//! The fallback cache: the last value of each secret, sealed on disk, for when nobody answers.
//!
//! Opt-in, and in the format of the official clients, who read its files and write what it
//! reads. A value comes from it only after every repetition has failed and only where nobody
//! who could know has answered; it is told and logged each time. What the service refuses to this
//! machine, or does not have any more, is gone from the cache at once.

mod folder;
mod options;
mod seal;
mod slot;
mod store;

pub use options::CacheOptions;
pub(crate) use slot::CacheSlot;
