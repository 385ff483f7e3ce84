//! TLS with certificates of the emulator's own, valid or wrong on purpose.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use pem_rfc7468::LineEnding;

use crate::error::Error;

/// The TLS certificate of an emulator; a client should accept only [`Certificate::Valid`].
///
/// ```
/// use sikkerkey_emulator::{Certificate, Emulator};
///
/// let vault = Emulator::builder().tls_with(Certificate::Expired).start()?;
/// let (url, authority) = (vault.url(), vault.ca_pem()); // the client trusts this authority …
/// assert!(url.starts_with("https://") && authority.is_some());
/// // … and must refuse the connection all the same.
/// # Ok::<(), sikkerkey_emulator::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Certificate {
    /// Issued for `localhost`, 127.0.0.1 and ::1 by the emulator's own authority.
    #[default]
    Valid,
    /// Issued as [`Certificate::Valid`] is, but it expired in 2020.
    Expired,
    /// Issued as [`Certificate::Valid`] is, but it is not valid before 2999.
    NotYetValid,
    /// Issued by the emulator's authority, for `other.example` only. Requests may name that host.
    OtherHost,
    /// Issued for this host by itself, instead of by the authority.
    SelfSigned,
}

impl Certificate {
    /// The only name that it is for, if that is not a name of this machine.
    pub(crate) fn other_host(self) -> Option<&'static str> {
        (self == Self::OtherHost).then_some("other.example")
    }
}

/// The server's side of TLS, and the authority for clients to trust.
pub(crate) struct Tls {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) ca_pem: String,
}

impl Tls {
    pub(crate) fn new(certificate: Certificate) -> Result<Self, Error> {
        let failed = |e: &dyn std::fmt::Display| Error::Tls {
            reason: e.to_string(),
        };

        let mut authority = CertificateParams::new([]).map_err(|e| failed(&e))?;
        authority
            .distinguished_name
            .push(DnType::CommonName, "SikkerKey emulator CA");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let authority_key = KeyPair::generate().map_err(|e| failed(&e))?;
        let authority =
            CertifiedIssuer::self_signed(authority, authority_key).map_err(|e| failed(&e))?;

        let names = match certificate.other_host() {
            Some(name) => vec![name.to_owned()],
            None => vec!["localhost".into(), "127.0.0.1".into(), "::1".into()],
        };
        let mut params = CertificateParams::new(names).map_err(|e| failed(&e))?;
        params
            .distinguished_name
            .push(DnType::CommonName, "SikkerKey emulator");
        match certificate {
            Certificate::Expired => {
                params.not_before = rcgen::date_time_ymd(2019, 1, 1);
                params.not_after = rcgen::date_time_ymd(2020, 1, 1);
            }
            Certificate::NotYetValid => params.not_before = rcgen::date_time_ymd(2999, 1, 1),
            _ => {}
        }
        let key = KeyPair::generate().map_err(|e| failed(&e))?;
        let leaf = match certificate {
            Certificate::SelfSigned => params.self_signed(&key),
            _ => params.signed_by(&key, &authority),
        };
        let leaf = leaf.map_err(|e| failed(&e))?;

        // Named, because the process may have another default provider or none.
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| failed(&e))?
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .map_err(|e| failed(&e))?;
        Ok(Self {
            config: Arc::new(config),
            ca_pem: certificate_pem(authority.der()),
        })
    }
}

/// A certificate in PEM. rcgen could write it as well, with one more crate.
pub(crate) fn certificate_pem(der: &CertificateDer<'_>) -> String {
    // Fails for a label or a length that no certificate has.
    pem_rfc7468::encode_string("CERTIFICATE", LineEnding::LF, der).expect("a certificate fits PEM")
}
