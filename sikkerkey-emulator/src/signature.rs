//! The signature of a request: pure, so that vectors test it without a socket.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// The text that a machine signs: `{METHOD}:{path}:{timestamp}:{nonce}:{sha256 hex of the body}`.
///
/// Each part is as it arrived, byte for byte: the path with its query, the timestamp as written.
pub(crate) fn signed_text(
    method: &str,
    path: &str,
    timestamp: &str,
    nonce: &str,
    body: &[u8],
) -> String {
    use std::fmt::Write as _;
    let mut text = format!("{method}:{path}:{timestamp}:{nonce}:");
    for byte in Sha256::digest(body) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Whether `signature` (64 bytes in standard base64) is this key's over `text`.
pub(crate) fn verifies(key: &VerifyingKey, text: &str, signature: &str) -> bool {
    let Ok(bytes) = STANDARD.decode(signature) else {
        return false;
    };
    let Ok(signature) = Signature::from_slice(&bytes) else {
        return false;
    };
    key.verify_strict(text.as_bytes(), &signature).is_ok()
}

/// The key in 32 bytes of standard base64; `None` if it is invalid or weak.
pub(crate) fn public_key(text: &str) -> Option<VerifyingKey> {
    let bytes: [u8; 32] = STANDARD.decode(text).ok()?.try_into().ok()?;
    let key = VerifyingKey::from_bytes(&bytes).ok()?;
    (!key.is_weak()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Vector {
        public_key_base64: String,
        method: String,
        path: String,
        timestamp: i64,
        nonce: String,
        body: String,
        signed_string: String,
        signature: String,
    }

    #[test]
    fn agrees_with_every_vector_of_the_official_client() {
        let vectors: Vec<Vector> =
            serde_json::from_str(include_str!("../tests/vectors/signing.json")).unwrap();
        assert!(!vectors.is_empty());
        for v in vectors {
            let key = public_key(&v.public_key_base64).unwrap();
            let text = signed_text(
                &v.method,
                &v.path,
                &v.timestamp.to_string(),
                &v.nonce,
                v.body.as_bytes(),
            );
            assert_eq!(text, v.signed_string);
            assert!(verifies(&key, &text, &v.signature));
            let other = signed_text(
                &v.method,
                &v.path,
                &v.timestamp.to_string(),
                &v.nonce,
                b"other",
            );
            assert!(!verifies(&key, &other, &v.signature));
        }
    }

    #[test]
    fn malformed_signatures_and_keys_are_refused() {
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key();
        for signature in [
            "",
            "AAAA",
            "not base64",
            &STANDARD.encode([0; 64]),
            &STANDARD.encode([0; 65]),
        ] {
            assert!(!verifies(&key, "text", signature));
        }
        for text in [
            "",
            "AAAA",
            "not base64",
            &STANDARD.encode([1; 31]),
            &STANDARD.encode([0; 32]),
        ] {
            assert!(public_key(text).is_none(), "{text}");
        }
    }
}
