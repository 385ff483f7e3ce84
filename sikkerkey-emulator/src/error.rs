//! Errors of starting an emulator.

use std::io;
use std::path::PathBuf;

/// An error that keeps an emulator from starting.
///
/// ```
/// use sikkerkey_emulator::{Emulator, Error};
///
/// let error = Emulator::builder().vault("my vault").start().unwrap_err();
/// assert!(matches!(error, Error::VaultId { .. }));
/// ```
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
    /// The file that `SIKKERKEY_EMULATOR_CANARIES` names cannot be used. It holds keys, so it must be a regular file of
    /// this user, not a link, and readable by no one else.
    #[error("cannot write secrets to {}, which SIKKERKEY_EMULATOR_CANARIES names", path.display())]
    Canaries {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The home already has an identity of this vault, which cannot be used again.
    #[error("{} holds an identity that cannot be used again: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: &'static str,
    },
    /// The vault's id is malformed: it must be usable as the name of a folder.
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
