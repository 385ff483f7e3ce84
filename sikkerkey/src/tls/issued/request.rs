use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::LiveCertificate;
use super::renewer::{Renewer, issue};
use super::state::IssuedState;
use crate::client::SikkerKey;
use crate::client::asynchronous::AsyncSikkerKey;
use crate::error::Error;
use crate::id::SecretId;

/// A builder of a [`LiveCertificate`]; from [`SikkerKey::certificate`].
///
/// ```
/// # let vault = sikkerkey_emulator::Emulator::builder()
/// #     .certificate("sk_api_cert", sikkerkey_emulator::CertificateProfile::new("api").names(["localhost"]))
/// #     .start()?;
/// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
/// use std::time::{Duration, SystemTime};
///
/// let request = sk.certificate("sk_api_cert").validity(Duration::from_secs(3600));
/// let certificate = request.live()?; // the first one is here, and a thread renews it
/// let ends = certificate.get().valid_until();
/// assert!(ends <= SystemTime::now() + Duration::from_secs(3600));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is asked for until `live` is called"]
pub struct CertificateRequest {
    client: SikkerKey,
    id: String,
    validity: Option<Duration>,
}

impl SikkerKey {
    /// Starts a request for an X.509 certificate from a secret of the kind certificate, for a key that is
    /// made in this process (feature `rustls`).
    ///
    /// ```
    /// # let vault = sikkerkey_emulator::Emulator::builder()
    /// #     .certificate("sk_api_cert", sikkerkey_emulator::CertificateProfile::new("api").names(["localhost"]))
    /// #     .start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// let certificate = sk.certificate("sk_api_cert").live()?;
    /// let config = certificate.server_config(); // for one handshake, or for one accepted connection
    /// # let _ = config;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn certificate(&self, id: impl Into<String>) -> CertificateRequest {
        CertificateRequest {
            client: self.clone(),
            id: id.into(),
            validity: None,
        }
    }
}

impl AsyncSikkerKey {
    /// Requests a certificate; see [`SikkerKey::certificate`]. Finish it with
    /// [`live_async`](CertificateRequest::live_async).
    pub fn certificate(&self, id: impl Into<String>) -> CertificateRequest {
        self.blocking().certificate(id)
    }
}

impl CertificateRequest {
    /// Sets the validity to ask for, in whole seconds. The service shortens it to what the secret allows, and
    /// to 24 h at most. Defaults to the service's choice.
    pub fn validity(mut self, validity: Duration) -> Self {
        self.validity = Some(validity);
        self
    }

    /// Requests the first certificate, checks it, and starts the renewals. Blocks as any call does, with its
    /// retries and deadline.
    ///
    /// # Errors
    ///
    /// [`SecretStructure`](crate::ErrorKind::SecretStructure) if the secret issues no X.509 certificates: an
    /// SSH authority, a value, a service older than certificates. [`Decode`](crate::ErrorKind::Decode) if the
    /// certificate is for another key, not valid now, or not issued by the authority that came with it. Any
    /// other error of a read.
    pub fn live(self) -> Result<LiveCertificate, Error> {
        let CertificateRequest {
            client,
            id,
            validity,
        } = self;
        let id = SecretId::new(&id)?;
        let policy = client.inner().settings().retry.clone();
        let (first, left) = issue(&client, &id, validity, &policy)?;
        let clock = Arc::clone(&client.inner().settings().clock);
        let state = Arc::new(IssuedState::new(id, first, clock));
        let certificate = LiveCertificate::new(Arc::clone(&state));
        let renewer = Renewer {
            client,
            validity,
            state,
        };
        thread::Builder::new()
            .name("sikkerkey-cert".to_owned())
            .spawn(move || renewer.run(left))
            .map_err(|cause| {
                let text = "the operating system gives no thread for the renewal of a certificate";
                Error::configuration(text).with_source(cause)
            })?;
        Ok(certificate)
    }

    /// Requests the first certificate as [`live`](Self::live) does, as a future, on any async runtime.
    ///
    /// # Errors
    ///
    /// As [`live`](Self::live).
    pub async fn live_async(self) -> Result<LiveCertificate, Error> {
        let client = self.client.clone();
        client.run(move || self.live()).await?
    }
}
