use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use crate::config::from_secret::{FromSecret, ValueError};
use crate::config::parser::value;
use crate::config::places::Places;
use crate::config::visit::{
    Field, FieldSource, Reader, VisitNested, enter, field, inherit, required,
};
use crate::x509::certificates::Certificates;
use crate::x509::provider;

/// The certificates of the authorities that vouch for the other side of a connection.
///
/// A secret whose value is certificates in PEM can be a field; a structured secret with the field `roots` can
/// be a nested config.
///
/// ```
/// use sikkerkey::SikkerKeyConfig;
/// use sikkerkey::tls::TrustRoots;
///
/// #[derive(SikkerKeyConfig)]
/// struct AppConfig {
///     #[sikkerkey(secret = "sk_client_authorities")]
///     clients: TrustRoots,
///     #[sikkerkey(nested, secret = "sk_upstream")]
///     upstream: TrustRoots,
/// }
/// assert_eq!(AppConfig::schema().len(), 2); // sk_client_authorities, sk_upstream/roots
/// ```
///
/// A text without a certificate, or with a private key in it, is refused. The expiry of a root is not
/// checked, as in webpki.
///
/// Two values are equal if they trust the same authorities, in the same order.
#[derive(Clone)]
pub struct TrustRoots {
    store: Arc<RootCertStore>,
    of_clients: Arc<dyn ClientCertVerifier>,
    of_servers: Arc<dyn ServerCertVerifier>,
}

impl TrustRoots {
    /// Parses certificates in PEM, one or more.
    ///
    /// ```
    /// use sikkerkey::tls::TrustRoots;
    ///
    /// assert!(TrustRoots::from_pem("no PEM").is_err());
    /// ```
    ///
    /// # Errors
    /// Why the text cannot be used, without quoting it.
    pub fn from_pem(text: &str) -> Result<Self, ValueError> {
        const UNFIT: ValueError = ValueError::new("a certificate that cannot be a root");
        let mut store = RootCertStore::empty();
        for der in Certificates::read(text)?.ders {
            store.add(der).map_err(|_| UNFIT)?;
        }
        let store = Arc::new(store);
        let of_clients =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&store), provider());
        let of_servers =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&store), provider());
        Ok(TrustRoots {
            of_clients: of_clients.build().map_err(|_| UNFIT)?,
            of_servers: of_servers.build().map_err(|_| UNFIT)?,
            store,
        })
    }

    /// Returns the roots as a type of rustls.
    pub fn store(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.store)
    }

    /// Returns a verifier of client certificates by these roots; clients must have one.
    pub fn client_cert_verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.of_clients)
    }

    /// Returns a verifier of server certificates by these roots.
    pub fn server_cert_verifier(&self) -> Arc<dyn ServerCertVerifier> {
        Arc::clone(&self.of_servers)
    }
}

impl FromSecret for TrustRoots {
    fn from_secret(text: &str) -> Result<Self, ValueError> {
        TrustRoots::from_pem(text)
    }

    fn expected() -> Cow<'static, str> {
        Cow::Borrowed("root certificates in PEM")
    }
}

/// Reads the field `roots` of the secret that the outer struct names.
impl VisitNested for TrustRoots {
    fn visit(from: &mut Reader<'_>) -> Option<Self> {
        enter(from, "TrustRoots", None);
        inherit(from);
        const ROOTS: &Field = &field(
            "roots",
            "The authorities' certificates in PEM.",
            FieldSource::FieldOfStruct("roots"),
        );
        required(from, ROOTS, value::<TrustRoots>)
    }

    fn places(&self, to: &mut Places) {
        to.whole(self);
    }
}

impl AsRef<TrustRoots> for TrustRoots {
    fn as_ref(&self) -> &TrustRoots {
        self
    }
}

impl PartialEq for TrustRoots {
    fn eq(&self, other: &Self) -> bool {
        self.store.roots == other.store.roots
    }
}

impl Eq for TrustRoots {}

/// Shows the number of roots.
impl fmt::Debug for TrustRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustRoots")
            .field("roots", &self.store.roots.len())
            .finish_non_exhaustive()
    }
}
