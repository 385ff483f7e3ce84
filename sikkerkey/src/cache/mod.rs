//! The fallback cache: the last value of each secret, encrypted on disk, for outages.
//!
//! Opt-in, and in the format of the official clients, who read its files and write what it
//! reads. A value comes from it only after every repetition has failed and only where nobody
//! who could know has answered; it is told and logged each time. What the service refuses to this
//! machine, or does not have any more, is gone from the cache at once.

mod folder;
mod format;
mod options;
mod policy;
mod switch;
mod writer;

pub use options::CacheOptions;
pub(crate) use policy::Cache;
pub(crate) use switch::CachedRead;

/// Whether these bytes are an entry, for a key that sealed nothing.
#[cfg(fuzzing)]
pub(crate) fn fuzz_open(bytes: &[u8]) -> bool {
    let binding = format::Binding {
        vault_id: "vault_a",
        machine_id: "m",
        secret_id: "sk_a",
    };
    let key = format::CacheKey::derive(&[7; 32], binding.vault_id);
    matches!(format::open(&key, binding, bytes), Ok(Some(_)))
}
