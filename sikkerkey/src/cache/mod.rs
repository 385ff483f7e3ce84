//! The fallback cache: the last value of each secret, encrypted on disk, for outages.
//!
//! The cache is opt-in. Its format is that of the official clients, so each reads the files of the others. A
//! value is served from it only after all retries of a read have failed and the service was unreachable; each
//! time, a warning is logged and the callback runs. A secret that the service denies to this machine, or that
//! was deleted, is removed from the cache at once.

mod folder;
mod format;
mod options;
mod policy;
mod switch;
mod writer;

pub use options::CacheOptions;
pub(crate) use policy::Cache;
pub(crate) use switch::CachedRead;

/// Opens these bytes with a key that sealed nothing; for fuzzing.
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
