//! A certificate authority of a test's own. Unit tests include this file too.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pem_rfc7468::LineEnding;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm,
    date_time_ymd,
};

/// The start of the tests' clock, in seconds since 1970.
pub(crate) const NOW: i64 = 1_790_000_000;

/// A day, in seconds.
pub(crate) const DAY: i64 = 86_400;

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "an authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> String {
        pem("CERTIFICATE", self.0.der())
    }

    /// A certificate for localhost that is valid between these times, and its key.
    pub(crate) fn issue(&self, from: i64, until: i64) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = self.certify(&key, from, until);
        (certificate, pem("PRIVATE KEY", key.serialized_der()))
    }

    /// The same for a P-256 key that somebody else has: its SubjectPublicKeyInfo, DER in base64.
    #[allow(dead_code, reason = "not every test has such a key")]
    pub(crate) fn sign(&self, key: &str, from: i64, until: i64) -> String {
        self.certify(&Point(STANDARD.decode(key).unwrap()), from, until)
    }

    fn certify(&self, key: &impl PublicKeyData, from: i64, until: i64) -> String {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let at =
            |seconds: i64| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds.unsigned_abs());
        (params.not_before, params.not_after) = (at(from), at(until));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let certificate = params.signed_by(key, &self.0).unwrap();
        pem("CERTIFICATE", certificate.der())
    }
}

/// A P-256 key: the SubjectPublicKeyInfo, whose first 26 bytes are the same for all of them.
struct Point(Vec<u8>);

impl PublicKeyData for Point {
    fn der_bytes(&self) -> &[u8] {
        &self.0[26..]
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    pem_rfc7468::encode_string(label, LineEnding::LF, der).unwrap()
}
