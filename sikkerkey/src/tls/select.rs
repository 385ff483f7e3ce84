//! TLS resolvers and verifiers from parts of a live config, which rustls calls at each handshake.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::ServerCertVerifier;
use rustls::server::ResolvesServerCert;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;

use super::identity::TlsIdentity;
use super::resolve::Resolver;
use super::roots::TrustRoots;
use super::verify::{ServerVerifier, Verifier};
use crate::live::Select;

/// # A TLS identity (feature `rustls`)
///
/// For a part that is a [`TlsIdentity`], a [`TwoSecrets`](crate::tls::TwoSecrets), or a type of yours that is
/// `AsRef<TlsIdentity>`. A resolver keeps the live config running.
impl<T, U> Select<T, U>
where
    T: Send + Sync + 'static,
    U: AsRef<TlsIdentity> + 'static,
{
    /// Returns a resolver for servers, which presents the current identity at each handshake, by one atomic load. Open
    /// connections stay as they are.
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// # use sikkerkey::{SikkerKey, SikkerKeyConfig};
    /// use sikkerkey::rustls::ServerConfig;
    /// use sikkerkey::tls::{TlsIdentity, TrustRoots};
    ///
    /// #[derive(SikkerKeyConfig)]
    /// struct AppConfig {
    ///     #[sikkerkey(nested, secret = "sk_tls")]
    ///     tls: TlsIdentity,
    ///     #[sikkerkey(secret = "sk_client_authorities")]
    ///     clients: TrustRoots,
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let live = AppConfig::live(&SikkerKey::auto()?)?;
    /// // Made once, for as long as the program runs.
    /// let config = ServerConfig::builder()
    ///     .with_client_cert_verifier(live.select(|c| &c.clients).client_cert_verifier())
    ///     .with_cert_resolver(live.select(|c| &c.tls).server_cert_resolver());
    /// # let _ = Arc::new(config);
    /// # Ok(())
    /// # }
    /// ```
    pub fn server_cert_resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::new(Resolver::new(self.current_pair()))
    }

    /// Returns a resolver for clients, which presents the current identity at each handshake.
    pub fn client_cert_resolver(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::new(Resolver::new(self.current_pair()))
    }

    /// Returns a server configuration with the current identity only, so call this at each accept: TLS 1.2
    /// and 1.3, no client certificates, no ALPN. It is made once for each generation.
    ///
    /// For anything else, make a configuration of your own with [`server_cert_resolver`](Self::server_cert_resolver).
    pub fn server_config(&self) -> Arc<ServerConfig> {
        let part = self.load();
        (*part).as_ref().server_config()
    }

    fn current_pair(&self) -> impl Fn() -> Arc<CertifiedKey> + Send + Sync + use<T, U> {
        let part = self.clone();
        move || {
            let part = part.load();
            (*part).as_ref().certified_key()
        }
    }
}

/// # Trusted authorities (feature `rustls`)
///
/// For a part that is a [`TrustRoots`], or a type of yours that is `AsRef<TrustRoots>`. A verifier keeps the
/// live config running.
impl<T, U> Select<T, U>
where
    T: Send + Sync + 'static,
    U: AsRef<TrustRoots> + 'static,
{
    /// Returns a verifier of client certificates by the current roots at each handshake; clients must have
    /// one. It does not send clients the list of trusted authorities.
    pub fn client_cert_verifier(&self) -> Arc<dyn ClientCertVerifier> {
        let part = self.clone();
        Arc::new(Verifier::new(move || {
            let part = part.load();
            (*part).as_ref().client_cert_verifier()
        }))
    }

    /// Returns a verifier of server certificates by the current roots at each handshake; for
    /// `ClientConfig::builder().dangerous().with_custom_certificate_verifier(..)`.
    pub fn server_cert_verifier(&self) -> Arc<dyn ServerCertVerifier> {
        let part = self.clone();
        Arc::new(ServerVerifier::new(move || {
            let part = part.load();
            (*part).as_ref().server_cert_verifier()
        }))
    }
}
