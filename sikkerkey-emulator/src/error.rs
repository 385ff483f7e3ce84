//! Errors of starting an emulator.

use std::io;
use std::path::PathBuf;

/// An error that keeps an emulator from starting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The port is taken, or there is no loopback interface.
    #[error("cannot listen on localhost, port {port}")]
    Listen {
        /// The port that was asked for; 0 for any.
        port: u16,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The identity cannot be written.
    #[error("cannot write {}", path.display())]
    Identity {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file that `SIKKERKEY_EMULATOR_CANARIES` names cannot be used: it holds keys, so it must be a file of this
    /// user's own that nobody else can read, and no link.
    #[error("cannot write secrets to {}, which SIKKERKEY_EMULATOR_CANARIES names", path.display())]
    Canaries {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The home has an identity of this vault already, and it cannot be used again.
    #[error("{} holds an identity that cannot be used again: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: &'static str,
    },
    /// A vault's name that cannot be a folder's.
    #[error("{id:?} cannot be a vault's id: letters, digits, '-' and '_' only")]
    VaultId {
        /// The given id.
        id: String,
    },
    /// The thread that delivers webhooks cannot be started.
    #[error("cannot deliver webhooks")]
    Webhooks {
        /// The error of the operating system.
        source: io::Error,
    },
    /// The certificates for TLS cannot be made.
    #[error("cannot set TLS up: {reason}")]
    Tls {
        /// The reason.
        reason: String,
    },
}
