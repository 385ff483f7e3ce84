//! Certificates that the service issues to a key of this process, renewed before they expire.

mod renewer;
mod request;
mod schedule;
mod state;
mod status;

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::client::ResolvesClientCert;
use rustls::server::ResolvesServerCert;
use rustls::sign::CertifiedKey;

pub use request::CertificateRequest;
pub use status::CertificateStatus;

use self::state::IssuedState;
use super::identity::TlsIdentity;
use super::resolve::Resolver;

/// A certificate that the service issues, and that is renewed before it expires; from
/// [`SikkerKey::certificate`](crate::SikkerKey::certificate).
///
/// Each certificate is for a new P-256 key that is made in this process and never leaves it, neither to the
/// service nor to a disk. The next certificate is requested at two thirds of the current one's life (60 to 67
/// %, so that replicas do not ask at the same moment). After a failed attempt the certificate stays, and
/// [`status`](Self::status) says why. The attempt is repeated after an eighth of the time that is left, but
/// at least a second and at most ten minutes. Each request is a read in the service's audit log.
///
/// A clone is another handle on the same certificate. A thread renews it until the last handle and the last
/// resolver are dropped; [`SikkerKey::close`](crate::SikkerKey::close) does not end it. In a forked process
/// it is not renewed, and its status says so.
///
/// ```
/// # let vault = sikkerkey_emulator::Emulator::builder()
/// #     .certificate("sk_api_cert", sikkerkey_emulator::CertificateProfile::new("api").names(["localhost"]))
/// #     .start()?;
/// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
/// use std::sync::Arc;
/// use std::time::Duration;
/// use sikkerkey::rustls::ServerConfig;
/// use sikkerkey::rustls::crypto::ring::default_provider;
///
/// let certificate = sk.certificate("sk_api_cert").validity(Duration::from_secs(8 * 3600)).live()?;
/// let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
///     .with_safe_default_protocol_versions()?
///     .with_no_client_auth()
///     .with_cert_resolver(certificate.server_cert_resolver());
/// println!("{}", certificate.status()); // valid until Thu, 01 Jan 2026 08:00:00 GMT, 1 issued
/// # let _ = config;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct LiveCertificate {
    state: Arc<IssuedState>,
    _owner: Arc<RenewalOwner>,
}

/// Ends the renewals with the last handle.
struct RenewalOwner(Arc<IssuedState>);

impl Drop for RenewalOwner {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl LiveCertificate {
    fn new(state: Arc<IssuedState>) -> Self {
        LiveCertificate {
            _owner: Arc::new(RenewalOwner(Arc::clone(&state))),
            state,
        }
    }

    /// Returns the current certificate, with its key.
    pub fn get(&self) -> Arc<TlsIdentity> {
        self.state.current()
    }

    /// Returns a resolver for servers, which presents the current certificate at each handshake.
    pub fn server_cert_resolver(&self) -> Arc<dyn ResolvesServerCert> {
        let certificate = self.clone();
        Arc::new(Resolver::new(move || certificate.pair()))
    }

    /// Returns a resolver for clients, which presents the current certificate at each handshake.
    pub fn client_cert_resolver(&self) -> Arc<dyn ResolvesClientCert> {
        let certificate = self.clone();
        Arc::new(Resolver::new(move || certificate.pair()))
    }

    /// A method, so that a closure that calls it captures the whole handle, not only its state.
    fn pair(&self) -> Arc<CertifiedKey> {
        self.state.pair()
    }

    /// Returns a server's configuration with the current certificate only, so call this at each accept. See
    /// [`TlsIdentity::server_config`].
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.get().server_config()
    }

    /// Returns the status: until when the certificate is valid, and why a renewal failed.
    pub fn status(&self) -> CertificateStatus {
        self.state.status()
    }
}

/// Shows the status; the key is left out.
impl fmt::Debug for LiveCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LiveCertificate")
            .field(&format_args!("{}", self.status()))
            .finish()
    }
}
