//! A resolver that rustls calls at each handshake.

use std::fmt;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Presents the pair that a function returns at each handshake.
pub(super) struct Resolver<F>(F);

impl<F: Fn() -> Arc<CertifiedKey> + Send + Sync> Resolver<F> {
    pub(super) fn new(current: F) -> Self {
        Resolver(current)
    }
}

impl<F: Fn() -> Arc<CertifiedKey> + Send + Sync> ResolvesServerCert for Resolver<F> {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some((self.0)())
    }
}

/// Ignores the server's hints: a server that does not accept the certificate says so in the handshake.
impl<F: Fn() -> Arc<CertifiedKey> + Send + Sync> ResolvesClientCert for Resolver<F> {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some((self.0)())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl<F> fmt::Debug for Resolver<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}
