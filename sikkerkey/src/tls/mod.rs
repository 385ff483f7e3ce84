//! TLS material from secrets, without files (feature `rustls`): identities and roots that rotate, and certificates that
//! the service issues.
//!
//! | material | source | changes |
//! | --- | --- | --- |
//! | [`TlsIdentity`]: chain and key | a structured secret, or [two](TwoSecrets) | with the secret |
//! | [`TrustRoots`]: the authorities that vouch for the other side | a secret | with the secret |
//! | [`LiveCertificate`] (feature `live`) | [`SikkerKey::certificate`](crate::SikkerKey::certificate): issued to a key that is made in this process | at two thirds of its life |
//!
//! The first two are fields of a config. In a [`Live`](crate::Live), [select](crate::live::Select) such a
//! field, and call `server_cert_resolver`, `client_cert_resolver` or `client_cert_verifier` on it. Pass the
//! result to a rustls configuration once: each handshake uses the current material, and open connections stay
//! as they are.
//!
//! ```no_run
//! use std::sync::Arc;
//! use sikkerkey::rustls::ServerConfig;
//! use sikkerkey::tls::TlsIdentity;
//! use sikkerkey::{SikkerKey, SikkerKeyConfig};
//!
//! #[derive(SikkerKeyConfig)]
//! struct AppConfig {
//!     #[sikkerkey(nested, secret = "sk_tls")] // its fields: chain, key
//!     tls: TlsIdentity,
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let live = AppConfig::live(&SikkerKey::auto()?)?;
//! let config = ServerConfig::builder()
//!     .with_no_client_auth()
//!     .with_cert_resolver(live.select(|config| &config.tls).server_cert_resolver());
//! # let _ = Arc::new(config);
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - A key that does not belong to its chain, a leaf that has expired or is not yet valid, and a text that is
//!   not PEM never replace a good identity. The last good one stays, `status()` says why, and
//!   [`TlsIdentity::valid_until`] returns until when it is valid.
//! - Nothing is written to a disk. The text of a key and the parsed key are wiped after use; rustls keeps its
//!   own copy as long as the identity is used.
//! - No key is in `Debug`, an error or an event.
//!
//! Revocation lists, OCSP and SSH certificates are not supported. An SSH certificate is an error that says
//! so.

mod identity;
#[cfg(feature = "live")]
mod issued;
mod resolve;
mod roots;
#[cfg(feature = "live")]
mod select;
mod two_secrets;
#[cfg(feature = "live")]
mod verify;

pub use identity::TlsIdentity;
#[cfg(feature = "live")]
pub use issued::{CertificateRequest, CertificateStatus, LiveCertificate};
pub use roots::TrustRoots;
pub use two_secrets::{TlsSecrets, TwoSecrets};
