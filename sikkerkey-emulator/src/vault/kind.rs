//! The kinds of secrets, as in the rich list.

use std::str::FromStr;

/// The `type` of a secret in `GET /v1/cli/secrets`.
///
/// A secret is [`Kind::Secret`], [`Kind::Structured`] or [`Kind::Leased`] by what it holds, unless a test or a file
/// says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// One value: `secret`.
    Secret,
    /// Fields: `structured`.
    Structured,
    /// Rotated by the service's own agent: `managed`.
    Managed,
    /// A login that is made for its reader and ends: `leased-secret`.
    Leased,
    /// Issued to a key that the reader sends: `certificate`.
    Certificate,
    /// A trap: `canary`. Each read of it is an alarm; see [`Emulator::alarms`](crate::Emulator::alarms).
    Canary,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Secret,
        Self::Structured,
        Self::Managed,
        Self::Leased,
        Self::Certificate,
        Self::Canary,
    ];

    /// Its name in the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Structured => "structured",
            Self::Managed => "managed",
            Self::Leased => "leased-secret",
            Self::Certificate => "certificate",
            Self::Canary => "canary",
        }
    }
}

/// An unknown name of a [`Kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a kind of secret: secret, structured, managed, leased-secret, certificate or canary")]
#[non_exhaustive]
pub struct UnknownKind;

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or(UnknownKind)
    }
}
