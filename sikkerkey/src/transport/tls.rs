//! Which servers are believed.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::error::Error;

/// The authorities that may vouch for the service: Mozilla's, bundled, so that an empty container
/// works too; or, once one of the user's own is added, the user's alone.
#[derive(Clone)]
pub(crate) struct Roots {
    own: Option<RootCertStore>,
}

impl Roots {
    pub(crate) fn bundled() -> Self {
        Roots { own: None }
    }

    /// Adds every certificate of this PEM text, and leaves the bundled ones out.
    pub(crate) fn add_pem(&mut self, pem: &[u8]) -> Result<(), Error> {
        let store = self.own.get_or_insert_with(RootCertStore::empty);
        let mut found = false;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let usable = certificate.is_ok_and(|certificate| store.add(certificate).is_ok());
            if !usable {
                return Err(Error::configuration(
                    "the root certificate is damaged: it is PEM with a part that is no certificate",
                ));
            }
            found = true;
        }
        if found {
            return Ok(());
        }
        Err(Error::configuration(
            "the root certificate is not PEM: it has no BEGIN CERTIFICATE line",
        ))
    }

    pub(crate) fn client_config(&self) -> Arc<ClientConfig> {
        let roots = self.own.clone().unwrap_or_else(|| RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        });
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // Fails only for a provider without a cipher for these versions, which ring is not.
        #[allow(clippy::expect_used, reason = "ring supports the default versions")]
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring supports TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        // Says which protocol is spoken, to a server that speaks others too.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.own {
            Some(store) => write!(f, "Roots({} of the user's own)", store.len()),
            None => f.write_str("Roots(bundled)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_refused() {
        for pem in [
            "",
            "hunter2",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nAAAA\n",
        ] {
            let error = Roots::bundled().add_pem(pem.as_bytes()).unwrap_err();
            assert!(
                error.to_string().starts_with("the root certificate is"),
                "{error}"
            );
        }
    }
}
