//! Secrets of the kind `certificate`: an authority that signs the reader's key.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm,
    date_time_ymd,
};
use serde_json::{Map, Value, json};

use crate::clock::millis;
use crate::http::Response;
use crate::random;
use crate::tls::certificate_pem;

/// The longest validity that the service allows.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The content and validity of issued certificates;
/// [`EmulatorBuilder::certificate`](crate::EmulatorBuilder::certificate) makes a secret issue them.
///
/// A read sends the public half of a P-256 key and gets a certificate for it. Each such secret has an authority of its
/// own, [`Emulator::authority_pem`](crate::Emulator::authority_pem), which does not expire. The validity of the
/// certificates follows the service's clock.
///
/// ```
/// use sikkerkey_emulator::{CertificateProfile, Emulator};
///
/// let vault = Emulator::builder()
///     .certificate("sk_cert", CertificateProfile::new("api").names(["localhost", "127.0.0.1"]))
///     .start()?;
/// assert!(vault.authority_pem("sk_cert").is_some());
/// # Ok::<(), sikkerkey_emulator::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a profile holds once a secret has it"]
pub struct CertificateProfile {
    common_name: String,
    names: Vec<String>,
    longest: Duration,
    chain: bool,
    ssh: bool,
    for_other_key: bool,
}

impl CertificateProfile {
    /// Returns a profile of X.509 certificates with this common name, valid for a day.
    pub fn new(common_name: impl Into<String>) -> Self {
        Self {
            common_name: common_name.into(),
            names: Vec::new(),
            longest: LONGEST,
            chain: true,
            ssh: false,
            for_other_key: false,
        }
    }

    /// Sets the alternative names: hosts and addresses. Defaults to none.
    pub fn names<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.names = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the longest validity, which is also the validity if the request names none. Defaults to a day, the maximum.
    pub fn max_validity(mut self, longest: Duration) -> Self {
        self.longest = longest.clamp(Duration::from_secs(1), LONGEST);
        self
    }

    /// Sets whether `chain` in the response has the authority's certificate, or is empty. Defaults to `true`.
    pub fn chain(mut self, on: bool) -> Self {
        self.chain = on;
        self
    }

    /// Sets whether this is an SSH authority. Its certificates are placeholders that no SSH server accepts. Defaults to
    /// `false`.
    pub fn ssh(mut self, on: bool) -> Self {
        self.ssh = on;
        self
    }

    /// Sets whether certificates are for another key than the one that was sent. A client must refuse them. Defaults to
    /// `false`.
    pub fn for_other_key(mut self, on: bool) -> Self {
        self.for_other_key = on;
        self
    }
}

/// The headers of a read that carry the key to sign.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'r> {
    pub(crate) ssh: Option<&'r str>,
    pub(crate) x509: Option<&'r str>,
    pub(crate) validity: Option<&'r str>,
}

/// A profile and the authority that signs its certificates.
#[derive(Clone)]
pub(super) struct Issuing {
    profile: CertificateProfile,
    authority: std::sync::Arc<CertifiedIssuer<'static, KeyPair>>,
}

/// A validated request for a certificate.
pub(super) struct Order {
    key: Subjected,
    validity: Duration,
}

enum Subjected {
    X509(P256),
    Ssh,
}

impl Issuing {
    pub(super) fn new(profile: CertificateProfile) -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::new([])?;
        params
            .distinguished_name
            .push(DnType::CommonName, "SikkerKey emulator issuing CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self {
            profile,
            authority: authority.into(),
        })
    }

    pub(super) fn authority_pem(&self) -> String {
        certificate_pem(self.authority.der())
    }

    /// The order in a read's headers; the error is the refusal.
    pub(super) fn order(&self, subject: Subject<'_>) -> Result<Order, Response> {
        let wrong = |why| Err(Response::error(400, why));
        let validity = match subject.validity.map(str::parse) {
            None => self.profile.longest,
            Some(Ok(seconds)) => Duration::from_secs(seconds),
            Some(Err(_)) => return wrong("X-SikkerKey-Validity is not in seconds"),
        };
        let key = if self.profile.ssh {
            match subject.ssh {
                Some(line) if line.contains(' ') => Subjected::Ssh,
                _ => return wrong("X-SikkerKey-Subject-Key is not an SSH public key"),
            }
        } else {
            match subject.x509.and_then(P256::parse) {
                Some(key) => Subjected::X509(key),
                None => return wrong("X-SikkerKey-Subject-Key-X509 is not a P-256 key"),
            }
        };
        Ok(Order {
            key,
            validity: validity.clamp(Duration::from_secs(1), self.profile.longest),
        })
    }

    /// The response to an order: the signed certificate.
    pub(super) fn issue(&self, order: Order, now: i64) -> Response {
        let begins = now.max(0) / 1000;
        let ends = begins.saturating_add(millis(order.validity) / 1000);
        let mut fields = Map::new();
        let (kind, certificate) = match order.key {
            Subjected::Ssh => {
                fields.insert("username".into(), self.profile.common_name.as_str().into());
                let blob = STANDARD.encode(random::bytes::<96>());
                ("ssh", format!("ssh-ed25519-cert-v01@openssh.com {blob}"))
            }
            Subjected::X509(key) => {
                let Ok(pem) = self.sign(&key, begins, ends) else {
                    return Response::error(500, "The authority cannot sign this");
                };
                fields.insert(
                    "commonName".into(),
                    self.profile.common_name.as_str().into(),
                );
                let chain = if self.profile.chain {
                    self.authority_pem()
                } else {
                    String::new()
                };
                fields.insert("chain".into(), chain.into());
                ("x509", pem)
            }
        };
        Response::json(
            200,
            &json!({
                "certificate": certificate,
                "certificateType": kind,
                "fields": Value::Object(fields),
                "validAfter": begins,
                "validBefore": ends,
            }),
        )
    }

    fn sign(&self, key: &P256, begins: i64, ends: i64) -> Result<String, rcgen::Error> {
        let mut params = CertificateParams::new(self.profile.names.clone())?;
        params
            .distinguished_name
            .push(DnType::CommonName, self.profile.common_name.clone());
        // The last second of the year 9999: certificates have four digits for it.
        let at = |seconds: i64| {
            let seconds = seconds.clamp(0, 253_402_300_799);
            date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds.unsigned_abs())
        };
        (params.not_before, params.not_after) = (at(begins), at(ends));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        let certificate = if self.profile.for_other_key {
            params.signed_by(&KeyPair::generate()?, &self.authority)?
        } else {
            params.signed_by(key, &self.authority)?
        };
        Ok(certificate_pem(certificate.der()))
    }
}

/// A P-256 public key: an uncompressed point.
struct P256(Vec<u8>);

/// The bytes before the point in the SubjectPublicKeyInfo of such a key (RFC 5480): the two sequences, the identifiers
/// of the algorithm and the curve, and the head of the bit string.
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

impl P256 {
    /// Reads a SubjectPublicKeyInfo, DER in base64.
    fn parse(text: &str) -> Option<Self> {
        let der = STANDARD.decode(text).ok()?;
        let point = der.strip_prefix(&P256_PREFIX)?;
        // An uncompressed point is the byte 4 and two coordinates.
        (point.len() == 65 && point[0] == 4).then(|| P256(point.to_vec()))
    }
}

impl PublicKeyData for P256 {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}
