//! Certificates and their keys, out of PEM: pure, without a clock.
//!
//! A reason why a text is not one never quotes it: each is a text of this program.

pub(crate) mod certificates;
pub(crate) mod key;
pub(crate) mod pair;
#[cfg(feature = "live")]
pub(crate) mod subject;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// The provider of this client's own connections. It reads a key where it lies, so that the only copy that this crate makes of one
/// is wiped.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

#[cfg(test)]
#[path = "../../tests/common/authority.rs"]
pub(crate) mod samples;
