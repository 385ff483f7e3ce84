//! The certificate authorities that are trusted to vouch for the service.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::error::Error;

/// The user's settings of trusted authorities.
#[derive(Clone, Default)]
pub(crate) struct TrustSettings {
    /// Certificates in PEM that replace the bundled ones.
    pub(crate) own: Vec<Vec<u8>>,
    /// Certificates in PEM that are trusted in addition.
    pub(crate) added: Vec<Vec<u8>>,
    #[cfg(feature = "platform-roots")]
    pub(crate) platform: bool,
    #[cfg(feature = "rustls")]
    pub(crate) config: Option<Arc<ClientConfig>>,
}

/// The TLS configuration of connections to the service, made from checked settings.
#[derive(Clone)]
pub(crate) struct Roots(Arc<ClientConfig>);

impl TrustSettings {
    pub(crate) fn check(&self) -> Result<Roots, Error> {
        #[cfg(feature = "rustls")]
        if let Some(config) = &self.config {
            if self.names_roots() {
                return Err(Error::configuration(
                    "tls_config says itself which roots are trusted: leave out \
                     root_certificate_pem, add_root_certificate_pem and platform_roots",
                ));
            }
            return Ok(Roots::new(ClientConfig::clone(config)));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        #[cfg(feature = "platform-roots")]
        if self.platform {
            return self.platform_config(provider).map(Roots::new);
        }
        let mut store = RootCertStore::empty();
        if self.own.is_empty() {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        for pem in self.own.iter().chain(&self.added) {
            for certificate in certificates(pem)? {
                store
                    .add(certificate)
                    .map_err(|_| Error::configuration(DAMAGED))?;
            }
        }
        let config = start(provider)
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(Roots::new(config))
    }

    #[cfg(feature = "rustls")]
    fn names_roots(&self) -> bool {
        #[cfg(feature = "platform-roots")]
        if self.platform {
            return true;
        }
        !self.own.is_empty() || !self.added.is_empty()
    }

    #[cfg(feature = "platform-roots")]
    fn platform_config(&self, provider: Arc<CryptoProvider>) -> Result<ClientConfig, Error> {
        use rustls_platform_verifier::Verifier;

        if !self.own.is_empty() {
            return Err(Error::configuration(
                "root_certificate_pem trusts nothing else, and platform_roots trusts the operating \
                 system's roots: keep one of them, or use add_root_certificate_pem",
            ));
        }
        let mut added = Vec::new();
        for pem in &self.added {
            added.extend(certificates(pem)?);
        }
        let verifier = Verifier::new_with_extra_roots(added, provider.clone());
        let verifier = verifier.map_err(|cause| {
            Error::configuration("the operating system's trust store cannot be used")
                .with_source(cause)
        })?;
        Ok(start(provider)
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth())
    }
}

impl Roots {
    fn new(mut config: ClientConfig) -> Self {
        // The only protocol that this client speaks.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Roots(Arc::new(config))
    }

    pub(crate) fn client_config(&self) -> Arc<ClientConfig> {
        self.0.clone()
    }
}

fn start(
    provider: Arc<CryptoProvider>,
) -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    // Fails only for a provider without a cipher for these versions; ring has some.
    #[allow(clippy::expect_used, reason = "ring supports the default versions")]
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports TLS 1.2 and 1.3")
}

const DAMAGED: &str =
    "the root certificate is damaged: it is PEM with a part that is not a certificate";

/// Parses every certificate of a PEM text.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|_| Error::configuration(DAMAGED))?;
    if certificates.is_empty() {
        return Err(Error::configuration(
            "the root certificate is not PEM: it has no BEGIN CERTIFICATE line",
        ));
    }
    Ok(certificates)
}

impl fmt::Debug for TrustSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustSettings")
            .field("own", &self.own.len())
            .field("added", &self.added.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Roots")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_not_a_certificate_is_refused() {
        for pem in [
            "",
            "hunter2",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nAAAA\n",
        ] {
            let pem = pem.as_bytes().to_vec();
            let own = TrustSettings {
                own: vec![pem.clone()],
                ..TrustSettings::default()
            };
            let added = TrustSettings {
                added: vec![pem],
                ..TrustSettings::default()
            };
            for settings in [own, added] {
                let error = settings.check().unwrap_err();
                assert!(
                    error.to_string().starts_with("the root certificate is"),
                    "{error}"
                );
            }
        }
    }
}
