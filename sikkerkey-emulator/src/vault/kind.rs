//! The kinds of secrets, as the detailed list names them.

use std::str::FromStr;

/// The kind of a secret: its `type` in the detailed list (`GET /v1/cli/secrets`).
///
/// By default the content decides between [`Kind::Secret`], [`Kind::Structured`], [`Kind::Leased`] and
/// [`Kind::Certificate`]. A test or a file can set another kind.
///
/// ```
/// use sikkerkey_emulator::Kind;
///
/// assert_eq!("canary".parse(), Ok(Kind::Canary));
/// assert_eq!(Kind::Leased.as_str(), "leased-secret");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A secret with one value: `secret`.
    Secret,
    /// A secret with fields: `structured`.
    Structured,
    /// A secret that the service's own agent rotates: `managed`.
    Managed,
    /// A login that is made for its reader and expires: `leased-secret`.
    Leased,
    /// A certificate, issued to a key that the reader sends: `certificate`.
    Certificate,
    /// A trap: `canary`. Each read of it raises an alarm; see [`Emulator::alarms`](crate::Emulator::alarms).
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

    /// Returns the kind's name in the protocol, such as `canary`.
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

/// An error: the text is not the name of a [`Kind`].
///
/// ```
/// use sikkerkey_emulator::Kind;
///
/// let error = "trap".parse::<Kind>().unwrap_err();
/// assert!(error.to_string().starts_with("not a kind of secret"));
/// ```
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
