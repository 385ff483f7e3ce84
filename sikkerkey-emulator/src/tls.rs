//! TLS with certificates of the emulator's own, right ones and wrong ones.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use pem_rfc7468::LineEnding;

use crate::error::Error;

/// The certificate of an emulator; a client should accept only [`Certificate::Valid`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Certificate {
    /// For `localhost`, 127.0.0.1 and ::1, by the emulator's own authority.
    #[default]
    Valid,
    /// Like [`Certificate::Valid`], but it ran out in 2020.
    Expired,
    /// Like [`Certificate::Valid`], but it begins in 2999.
    NotYetValid,
    /// By the emulator's authority, for `other.example` only. Requests may name that host.
    OtherHost,
    /// For this host, self-signed instead of issued by the authority.
    SelfSigned,
}

impl Certificate {
    /// The only name that it is for, where that is none of this machine's.
    pub(crate) fn other_host(self) -> Option<&'static str> {
        (self == Self::OtherHost).then_some("other.example")
    }
}

/// A server's side of TLS, and the authority that clients are to trust.
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

        // Named, so that it does not matter whether the process has a default one.
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

/// A certificate in PEM. rcgen could write it too, with one more crate.
pub(crate) fn certificate_pem(der: &CertificateDer<'_>) -> String {
    // Fails for a label or a length that no certificate has.
    pem_rfc7468::encode_string("CERTIFICATE", LineEnding::LF, der).expect("a certificate fits PEM")
}
