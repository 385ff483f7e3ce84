use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use rustls::sign::SigningKey;

use super::key;
use crate::error::{Error, ErrorKind};
use crate::protocol::signing::Signer;
use crate::random::Randomness;

/// A new key, whose public half an authority will certify.
pub(crate) struct Subject {
    key: Arc<dyn SigningKey>,
    x509: String,
    ssh: String,
}

impl Subject {
    /// Makes a P-256 key, with the operating system's randomness, because ring accepts no other.
    pub(crate) fn new(random: &dyn Randomness) -> Result<Self, Error> {
        let failed = || {
            let text = "the operating system gives no random bytes, without which no key is made";
            Error::new(ErrorKind::Configuration, text)
        };
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
        let pkcs8 = pkcs8.map_err(|_| failed())?;
        let key = key::load_pkcs8(pkcs8.as_ref()).map_err(|_| failed())?;
        let public = key.public_key().ok_or_else(failed)?;
        Ok(Subject {
            x509: STANDARD.encode(&public),
            ssh: unused_ssh_key(random)?,
            key,
        })
    }

    pub(crate) fn key(&self) -> &Arc<dyn SigningKey> {
        &self.key
    }

    /// Returns the key's SubjectPublicKeyInfo: DER in base64.
    pub(crate) fn x509(&self) -> &str {
        &self.x509
    }

    /// Returns an SSH key, which an SSH authority would certify. Its private half was dropped, because such a
    /// certificate cannot be revoked and is not used here.
    pub(crate) fn ssh(&self) -> &str {
        &self.ssh
    }
}

/// Makes an Ed25519 public key in the form of `authorized_keys` (RFC 4253, RFC 8709).
fn unused_ssh_key(random: &dyn Randomness) -> Result<String, Error> {
    const KIND: &str = "ssh-ed25519";
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    random.fill(&mut *seed)?;
    let mut blob = Vec::new();
    for part in [KIND.as_bytes(), &Signer::from_seed(&seed).public_key()] {
        blob.extend_from_slice(&(part.len() as u32).to_be_bytes());
        blob.extend_from_slice(part);
    }
    Ok(format!("{KIND} {}", STANDARD.encode(blob)))
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandomness;

    #[test]
    fn both_public_keys_are_of_their_form() {
        let [one, other] = [(); 2].map(|()| Subject::new(&SystemRandomness).unwrap());
        assert_ne!(one.x509(), other.x509());
        // The identifiers of the algorithm and the curve, and a point without compression (RFC 5480).
        let der = STANDARD.decode(one.x509()).unwrap();
        assert_eq!(der.len(), 91);
        assert_eq!(
            &STANDARD.encode(&der[..27]),
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"
        );
        // The start of every Ed25519 key of ssh-keygen.
        assert!(
            one.ssh()
                .starts_with("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI")
        );
        assert_eq!(one.ssh().len(), "ssh-ed25519 ".len() + 68);
    }
}
