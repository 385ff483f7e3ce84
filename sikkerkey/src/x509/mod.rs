//! Certificates and their keys, parsed from PEM. Pure, without a clock.
//!
//! Errors are fixed texts of this program, so they never quote the input.

pub(crate) mod certificates;
pub(crate) mod key;
pub(crate) mod pair;
#[cfg(feature = "live")]
pub(crate) mod subject;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// The provider of this client's own connections. It parses a key in place, so the only copy that this crate
/// makes of a key is wiped.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

#[cfg(test)]
#[path = "../../tests/common/authority.rs"]
pub(crate) mod samples;
