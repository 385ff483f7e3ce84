//! The identity of this machine: which one is used, its data, and whether its files can be trusted.

mod claims;
mod environment;
mod files;
mod locate;
mod trust;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use claims::Checked;
pub(crate) use claims::{Claims, Expected};
#[cfg(feature = "cache")]
pub(crate) use environment::absolute;
pub(crate) use environment::{Environment, variable};
pub(crate) use locate::{Choice, find, list_vaults};
pub(crate) use trust::TrustRules;
#[cfg(feature = "cache")]
pub(crate) use trust::is_ours;

use crate::protocol::api_url::ApiUrl;
use crate::protocol::signing::Signer;

/// A machine of one vault, with its key.
pub(crate) struct Identity {
    pub(crate) vault_id: String,
    pub(crate) machine_id: String,
    /// The machine's name, from the service or the file, escaped for a terminal; empty if it has none.
    pub(crate) machine_name: String,
    pub(crate) api_url: ApiUrl,
    pub(crate) signer: Signer,
    pub(crate) origin: Origin,
}

/// Where an identity is stored.
pub(crate) enum Origin {
    /// On disk, in this `identity.json`.
    Disk(#[allow(dead_code, reason = "only the cache asks where")] PathBuf),
    /// Only in the memory of this process.
    Memory {
        /// When the service will refuse it, in seconds since 1970.
        expires_at: Option<i64>,
        /// `expires_at` on the monotonic clock, which a wrong date does not affect.
        expires_monotonic: Option<Duration>,
    },
}

/// An `identity.json`, and the folder up to which its surroundings must be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdentityFile {
    pub(crate) path: PathBuf,
    /// The base folder, or the folder of the file.
    pub(crate) top: PathBuf,
    /// The vault that was asked for.
    pub(crate) vault: Option<String>,
}

impl Identity {
    pub(crate) fn new(checked: Checked, signer: Signer, origin: Origin) -> Self {
        Identity {
            vault_id: checked.vault_id,
            machine_id: checked.machine_id,
            machine_name: checked.machine_name,
            api_url: checked.api_url,
            signer,
            origin,
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("vault_id", &self.vault_id)
            .field("machine_id", &self.machine_id)
            .field("machine_name", &self.machine_name)
            .field("api_url", &self.api_url.as_str())
            .finish_non_exhaustive()
    }
}
