//! The machine's key, and the text that it signs. Pure: no socket, no file, no clock.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::{ALGORITHM_OID, PrivateKeyInfoRef};
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::contain::{Panicked, contain};
use crate::error::Error;
use crate::pem::{self, CutOff, Section};
use crate::text;

/// The length of a nonce before it is written in base64.
pub(crate) const NONCE_BYTES: usize = 16;

/// Signs requests with a machine's Ed25519 key outside this process: in a hardware module, a key service or
/// an agent. Pass it to [`SikkerKeyBuilder::signer`](crate::SikkerKeyBuilder::signer).
///
/// A signer is called on the thread that makes the call, once for each attempt, by several threads at once.
/// The client's timeouts do not cover it: if a signer hangs, its call hangs, so give it a time limit of its
/// own. A signature that does not fit the public key is an error and is not sent, because the service locks
/// an address out after three. A panic is contained and becomes an error.
///
/// ```
/// use sikkerkey::{RequestSigner, SignError};
///
/// struct Module;
///
/// impl Module {
///     fn sign_ed25519(&self, _: &[u8]) -> Option<[u8; 64]> {
///         None // ask the module
///     }
/// }
///
/// impl RequestSigner for Module {
///     fn public_key(&self) -> [u8; 32] {
///         [0; 32] // of the key that was enrolled
///     }
///
///     fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
///         self.sign_ed25519(message)
///             .ok_or(SignError("the module is locked"))
///     }
/// }
/// # let _ = Module;
/// ```
pub trait RequestSigner: Send + Sync + 'static {
    /// Returns the public key with which the machine was enrolled. Called once, when the client is built.
    fn public_key(&self) -> [u8; 32];

    /// Returns the Ed25519 signature of a message, made with the private key that belongs to
    /// [`public_key`](Self::public_key).
    ///
    /// # Errors
    ///
    /// If no signature can be made. The call then fails with
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration), and nothing is sent.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError>;
}

/// The reason why a [`RequestSigner`] made no signature, in words that are safe to show and to log.
#[allow(
    clippy::exhaustive_structs,
    reason = "signers of other crates construct it"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SignError(pub &'static str);

/// The signer of a machine's requests: a key in this process, or a [`RequestSigner`].
pub(crate) struct Signer(Box<dyn Key>);

trait Key: Send + Sync {
    fn public_key(&self) -> [u8; 32];
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], Error>;
    fn seed(&self) -> Option<&[u8; 32]>;
}

/// The three headers that vary with each request.
pub(crate) struct Signed {
    pub(crate) timestamp: String,
    pub(crate) nonce: String,
    pub(crate) signature: String,
}

impl Signer {
    /// Makes a signer from a seed. The seed is copied once, into the box, and wiped when the box is dropped.
    pub(crate) fn from_seed(seed: &[u8; 32]) -> Self {
        Signer(Box::new(SigningKey::from_bytes(seed)))
    }

    /// Reads PKCS#8 PEM as `openssl genpkey -algorithm Ed25519` writes it, in every form that openssl
    /// accepts: lines of any length, blank lines, spaces around them. Also accepts the forms of environment
    /// variables: with a literal `\n` or a space in place of each line end. The error says what the text is
    /// instead, as the end of a sentence about the file.
    pub(crate) fn from_pem(text: &str) -> Result<Self, &'static str> {
        const DAMAGED: &str = "holds a private key that is damaged or is not an Ed25519 key";
        let is_key = |section: &Result<Section<'_>, CutOff>| match section {
            Ok(section) => section.label == "PRIVATE KEY",
            Err(CutOff) => text.contains("-----BEGIN PRIVATE KEY-----"),
        };
        let der = match pem::sections(text).find(is_key) {
            None => return Err(describe_foreign(text)),
            Some(Err(CutOff)) => return Err("is cut off: it has no END PRIVATE KEY line"),
            Some(Ok(section)) => section.bytes().ok_or(DAMAGED)?,
        };
        let seed = seed_of(&der).ok_or(DAMAGED)?;
        Ok(Self::from_seed(seed))
    }

    /// Wraps a signer of the user.
    pub(crate) fn foreign(signer: Arc<dyn RequestSigner>) -> Result<Self, Error> {
        let key = contained(|| Ok(signer.public_key()))?;
        let public = VerifyingKey::from_bytes(&key)
            .map_err(|_| Error::configuration("the signer's public key is not an Ed25519 key"))?;
        Ok(Signer(Box::new(Foreign { signer, public })))
    }

    pub(crate) fn public_key(&self) -> [u8; 32] {
        self.0.public_key()
    }

    pub(crate) fn public_key_base64(&self) -> String {
        STANDARD.encode(self.public_key())
    }

    /// Returns the 32 bytes of the key's seed, from which the cache derives its own key; `None` for a key
    /// that is not in this process.
    #[cfg_attr(
        not(feature = "cache"),
        allow(dead_code, reason = "only the cache needs it")
    )]
    pub(crate) fn seed(&self) -> Option<&[u8; 32]> {
        self.0.seed()
    }

    pub(crate) fn sign(
        &self,
        method: &str,
        path: &str,
        timestamp: i64,
        nonce: &[u8; NONCE_BYTES],
        body: &[u8],
    ) -> Result<Signed, Error> {
        let timestamp = timestamp.to_string();
        let nonce = STANDARD.encode(nonce);
        let text = signed_text(method, path, &timestamp, &nonce, body);
        let signature = STANDARD.encode(self.0.sign(text.as_bytes())?);
        Ok(Signed {
            timestamp,
            nonce,
            signature,
        })
    }
}

impl Key for SigningKey {
    fn public_key(&self) -> [u8; 32] {
        self.verifying_key().to_bytes()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], Error> {
        Ok(ed25519_dalek::Signer::sign(self, message).to_bytes())
    }

    fn seed(&self) -> Option<&[u8; 32]> {
        Some(self.as_bytes())
    }
}

struct Foreign {
    signer: Arc<dyn RequestSigner>,
    public: VerifyingKey,
}

impl Key for Foreign {
    fn public_key(&self) -> [u8; 32] {
        self.public.to_bytes()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], Error> {
        let signature = contained(|| self.signer.sign(message))?;
        self.public
            .verify_strict(message, &Signature::from_bytes(&signature))
            .map_err(|_| {
                Error::configuration(
                    "the signer's signature does not fit its public key, so nothing was sent",
                )
            })?;
        Ok(signature)
    }

    fn seed(&self) -> Option<&[u8; 32]> {
        None
    }
}

/// Calls the user's signer and contains its panic.
fn contained<T>(call: impl FnOnce() -> Result<T, SignError>) -> Result<T, Error> {
    match contain(call) {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(SignError(reason))) => Err(Error::configuration(format!(
            "the signer did not sign, so nothing was sent: {}",
            text::message(reason)
        ))),
        Err(Panicked) => Err(Error::configuration(
            "the signer panicked, so nothing was sent",
        )),
    }
}

/// Borrows the seed from a PKCS#8 document of an Ed25519 key (RFC 8410).
fn seed_of(der: &[u8]) -> Option<&[u8; 32]> {
    let info = PrivateKeyInfoRef::try_from(der).ok()?;
    if info.algorithm.oid != ALGORITHM_OID || info.algorithm.parameters.is_some() {
        return None;
    }
    // An octet string within an octet string.
    let seed: &[u8; 32] = match info.private_key.as_bytes() {
        [0x04, 0x20, seed @ ..] => seed.try_into().ok()?,
        _ => return None,
    };
    match info.public_key {
        None => Some(seed),
        Some(public) => {
            let derived = SigningKey::from_bytes(seed).verifying_key().to_bytes();
            (public.as_bytes() == Some(&derived)).then_some(seed)
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer([REDACTED])")
    }
}

fn signed_text(method: &str, path: &str, timestamp: &str, nonce: &str, body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    let mut hex = String::with_capacity(2 * digest.len());
    for byte in digest {
        for half in [byte >> 4, byte & 15] {
            hex.push(char::from(b"0123456789abcdef"[usize::from(half)]));
        }
    }
    format!("{method}:{path}:{timestamp}:{nonce}:{hex}")
}

fn describe_foreign(text: &str) -> &'static str {
    let has = |label: &str| text.contains(label);
    if has("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        "is encrypted with a passphrase; a machine's key is not"
    } else if has("-----BEGIN OPENSSH PRIVATE KEY-----") {
        "is an OpenSSH key, not PKCS#8 PEM"
    } else if has("-----BEGIN RSA PRIVATE KEY-----") || has("-----BEGIN EC PRIVATE KEY-----") {
        "holds a key of another algorithm, not an Ed25519 key"
    } else if has("-----BEGIN PUBLIC KEY-----") {
        "holds a public key, not the private one"
    } else {
        "is not PEM: it has no BEGIN PRIVATE KEY line"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Vector {
        seed_hex: String,
        public_key_base64: String,
        private_key_pem: String,
        method: String,
        path: String,
        timestamp: i64,
        nonce: String,
        body: String,
        signed_string: String,
        signature: String,
    }

    fn vectors() -> Vec<Vector> {
        serde_json::from_str(include_str!("../../tests/vectors/signing.json")).unwrap()
    }

    #[test]
    fn every_vector_is_signed_as_the_official_client_does() {
        let vectors = vectors();
        assert!(!vectors.is_empty());
        for v in vectors {
            let signer = Signer::from_pem(&v.private_key_pem).unwrap();
            let hex: String = signer
                .seed()
                .unwrap()
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect();
            assert_eq!(hex, v.seed_hex);
            assert_eq!(signer.public_key_base64(), v.public_key_base64);
            let timestamp = v.timestamp.to_string();
            assert_eq!(
                signed_text(&v.method, &v.path, &timestamp, &v.nonce, v.body.as_bytes()),
                v.signed_string
            );
            let nonce: [u8; NONCE_BYTES] = STANDARD.decode(&v.nonce).unwrap().try_into().unwrap();
            let signed = signer.sign(&v.method, &v.path, v.timestamp, &nonce, v.body.as_bytes());
            let signed = signed.unwrap();
            assert_eq!(signed.signature, v.signature);
            assert_eq!(signed.nonce, v.nonce);
            assert_eq!(signed.timestamp, timestamp);
        }
    }

    #[test]
    fn a_pem_survives_what_editors_and_secret_stores_do_to_it() {
        let pem = &vectors()[0].private_key_pem;
        let expected = Signer::from_pem(pem).unwrap().public_key_base64();
        for variant in [
            pem.trim_end().to_owned(),
            pem.replace('\n', "\r\n"),
            pem.lines().map(|line| format!("  {line} \n")).collect(),
            format!("# key of web-1\n{pem}\n\n"),
            format!("\u{feff}{pem}"),
            pem.replace('\n', "\n\n"),
            pem.replace('\n', "\\n"),
            pem.replace('\n', "\\r\\n"),
            pem.replace('\n', " "),
            format!("\"{}\"", pem.replace('\n', "\\n")),
            format!("{}\n{}", &pem[..68], &pem[68..]),
            format!("Bag Attributes\n    friendlyName: web-1\n{pem}"),
        ] {
            let signer = Signer::from_pem(&variant).unwrap();
            assert_eq!(signer.public_key_base64(), expected, "{variant}");
        }
    }

    #[test]
    fn the_error_says_what_is_there_in_place_of_an_ed25519_key() {
        let pem = &vectors()[0].private_key_pem;
        // The same document with X25519's algorithm, 1.3.101.110, in place of Ed25519's.
        let x25519 = pem.replace("MC4CAQAwBQYDK2Vw", "MC4CAQAwBQYDK2Vu");
        for (text, says) in [
            ("", "is not PEM"),
            ("hunter2", "is not PEM"),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "is encrypted"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\n", "is an OpenSSH key"),
            ("-----BEGIN RSA PRIVATE KEY-----\n", "another algorithm"),
            ("-----BEGIN PUBLIC KEY-----\n", "holds a public key"),
            ("-----BEGIN PRIVATE KEY-----\nMC4C", "is cut off"),
            (
                "-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----",
                "damaged or is not an Ed25519 key",
            ),
            (
                &pem.replace("MC4C", "MC4C MC4C"),
                "damaged or is not an Ed25519 key",
            ),
            (&x25519, "damaged or is not an Ed25519 key"),
        ] {
            let error = Signer::from_pem(text).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_public_key_beside_the_private_one_must_fit() {
        let own = Signer::from_seed(&[7; 32]).public_key();
        for (public, fits) in [(own, true), ([1; 32], false)] {
            // Version 2 of the document (RFC 5958), as some tools write it.
            let mut der = vec![0x30, 0x51, 0x02, 0x01, 0x01, 0x30, 0x05, 0x06];
            der.extend([0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20]);
            der.extend([7; 32]);
            der.extend([0x81, 0x21, 0x00]);
            der.extend(public);
            let text = STANDARD.encode(der);
            let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
            let signer = Signer::from_pem(&pem);
            assert_eq!(signer.is_ok_and(|signer| signer.public_key() == own), fits);
        }
    }

    fn signature(seed: u8, message: &[u8]) -> [u8; 64] {
        Key::sign(&SigningKey::from_bytes(&[seed; 32]), message).unwrap()
    }

    struct Fake(fn(&[u8]) -> Result<[u8; 64], SignError>);

    impl RequestSigner for Fake {
        fn public_key(&self) -> [u8; 32] {
            Signer::from_seed(&[7; 32]).public_key()
        }

        fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
            self.0(message)
        }
    }

    #[test]
    fn a_signer_of_the_users_signs_or_says_why_not() {
        let sign = |fake: fn(&[u8]) -> Result<[u8; 64], SignError>| {
            let signer = Signer::foreign(Arc::new(Fake(fake))).unwrap();
            assert!(signer.seed().is_none());
            assert_eq!(
                signer.public_key(),
                Signer::from_seed(&[7; 32]).public_key()
            );
            let signed = signer.sign("GET", "/v1/secrets", 1, &[0; NONCE_BYTES], b"");
            signed.map(|signed| signed.signature)
        };
        let own = Signer::from_seed(&[7; 32])
            .sign("GET", "/v1/secrets", 1, &[0; NONCE_BYTES], b"")
            .unwrap();
        let good = sign(|message| Ok(signature(7, message)));
        assert_eq!(good.unwrap(), own.signature);
        let other = sign(|message| Ok(signature(8, message)));
        assert!(other.unwrap_err().to_string().contains("does not fit"));
        let locked = sign(|_| Err(SignError("the module\nis locked")));
        let locked = locked.unwrap_err().to_string();
        assert!(locked.ends_with(": the module is locked"), "{locked}");
        let panicked = sign(|_| panic!("hunter2")).unwrap_err();
        assert!(panicked.to_string().contains("panicked"));
        assert!(!format!("{panicked:?}").contains("hunter2"));
    }

    #[test]
    fn debug_hides_the_key() {
        let signer = Signer::from_seed(&[7; 32]);
        assert_eq!(format!("{signer:?}"), "Signer([REDACTED])");
    }
}
