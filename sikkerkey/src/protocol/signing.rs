//! The machine's key and what it signs. Pure: no socket, no file, no clock.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// The length of a nonce before it is written in base64.
pub(crate) const NONCE_BYTES: usize = 16;

/// A machine's Ed25519 key pair. Its memory is wiped when it is dropped.
pub(crate) struct Signer {
    key: SigningKey,
}

/// The three headers that vary with each request.
pub(crate) struct Signed {
    pub(crate) timestamp: String,
    pub(crate) nonce: String,
    pub(crate) signature: String,
}

impl Signer {
    pub(crate) fn from_seed(seed: &[u8; 32]) -> Self {
        Signer {
            key: SigningKey::from_bytes(seed),
        }
    }

    /// Reads PKCS#8 PEM as `openssl genpkey -algorithm Ed25519` writes it. The error says what the
    /// text is instead, as the end of a sentence about the file.
    pub(crate) fn from_pem(text: &str) -> Result<Self, &'static str> {
        const KEY: (&str, &str) = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----");
        let Some(start) = text.find(KEY.0) else {
            return Err(describe_foreign(text));
        };
        let Some(end) = text[start..].find(KEY.1) else {
            return Err("is cut off: it has no END PRIVATE KEY line");
        };
        // Only the block itself, line by line: editors and secret stores add spaces around it.
        let mut pem = Zeroizing::new(String::with_capacity(text.len() + 1));
        for line in text[start..start + end + KEY.1.len()].lines() {
            pem.push_str(line.trim());
            pem.push('\n');
        }
        SigningKey::from_pkcs8_pem(&pem)
            .map(|key| Signer { key })
            .map_err(|_| "holds a private key that is damaged or is not an Ed25519 key")
    }

    pub(crate) fn public_key_base64(&self) -> String {
        STANDARD.encode(self.key.verifying_key().as_bytes())
    }

    /// The 32 bytes from which the key is made, and from which the cache derives its own.
    #[allow(dead_code, reason = "only the cache needs it")]
    pub(crate) fn seed(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    pub(crate) fn sign(
        &self,
        method: &str,
        path: &str,
        timestamp: i64,
        nonce: &[u8; NONCE_BYTES],
        body: &[u8],
    ) -> Signed {
        let timestamp = timestamp.to_string();
        let nonce = STANDARD.encode(nonce);
        let text = signed_text(method, path, &timestamp, &nonce, body);
        let signature = STANDARD.encode(self.key.sign(text.as_bytes()).to_bytes());
        Signed {
            timestamp,
            nonce,
            signature,
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
            let hex: String = signer.seed().iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(hex, v.seed_hex);
            assert_eq!(signer.public_key_base64(), v.public_key_base64);
            let timestamp = v.timestamp.to_string();
            assert_eq!(
                signed_text(&v.method, &v.path, &timestamp, &v.nonce, v.body.as_bytes()),
                v.signed_string
            );
            let nonce: [u8; NONCE_BYTES] = STANDARD.decode(&v.nonce).unwrap().try_into().unwrap();
            let signed = signer.sign(&v.method, &v.path, v.timestamp, &nonce, v.body.as_bytes());
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
        ] {
            let signer = Signer::from_pem(&variant).unwrap();
            assert_eq!(signer.public_key_base64(), expected, "{variant}");
        }
    }

    #[test]
    fn what_is_no_ed25519_key_says_what_it_is() {
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
            (&x25519, "damaged or is not an Ed25519 key"),
        ] {
            let error = Signer::from_pem(text).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn debug_hides_the_key() {
        let signer = Signer::from_seed(&[7; 32]);
        assert_eq!(format!("{signer:?}"), "Signer([REDACTED])");
    }
}
