//! The source of a known machine's private key.

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use crate::error::Error;
use crate::protocol::signing::{RequestSigner, Signer};

/// A key that replaces the private key file: a PEM text or a signer.
#[derive(Clone, Default)]
pub(super) struct KeySource {
    pub(super) pem: Option<SecretString>,
    pub(super) signer: Option<Arc<dyn RequestSigner>>,
}

impl KeySource {
    pub(super) fn signer(&self) -> Result<Option<Signer>, Error> {
        if let Some(signer) = &self.signer {
            return Signer::foreign(signer.clone()).map(Some);
        }
        let Some(pem) = &self.pem else {
            return Ok(None);
        };
        Signer::from_pem(pem.expose_secret())
            .map(Some)
            .map_err(|problem| Error::configuration(format!("the given private key {problem}")))
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (&self.pem, &self.signer) {
            (None, None) => "KeySource(file)",
            (Some(_), _) => "KeySource([REDACTED])",
            (None, Some(_)) => "KeySource(signer)",
        })
    }
}
