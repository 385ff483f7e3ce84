//! Why an emulator does not start.

use std::io;
use std::path::PathBuf;

/// Why an emulator does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The port is taken, or there is no loopback interface.
    #[error("cannot listen on localhost, port {port}")]
    Listen {
        /// The port that was asked for; 0 for any.
        port: u16,
        /// What the operating system said.
        source: io::Error,
    },
    /// The identity cannot be written.
    #[error("cannot write {}", path.display())]
    Identity {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file that `SIKKERKEY_EMULATOR_CANARIES` names cannot be used: it holds keys, so it must be a file of this
    /// user's own that nobody else can read, and no link.
    #[error("cannot write secrets to {}, which SIKKERKEY_EMULATOR_CANARIES names", path.display())]
    Canaries {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The home has an identity of this vault already, and it cannot be used again.
    #[error("{} holds an identity that cannot be used again: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A vault's name that cannot be a folder's.
    #[error("{id:?} cannot be a vault's id: letters, digits, '-' and '_' only")]
    VaultId {
        /// What was asked for.
        id: String,
    },
    /// The thread that delivers webhooks cannot be started.
    #[error("cannot deliver webhooks")]
    Webhooks {
        /// What the operating system said.
        source: io::Error,
    },
    /// The certificates for TLS cannot be made.
    #[error("cannot set TLS up: {reason}")]
    Tls {
        /// What the library said.
        reason: String,
    },
}
