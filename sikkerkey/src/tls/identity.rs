use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{ConfigBuilder, ServerConfig, WantsVerifier};
use secrecy::ExposeSecret as _;

use super::resolve::Resolver;
use crate::config::from_secret::{FromSecret, ValueError};
use crate::config::parser::value;
use crate::config::places::Places;
use crate::config::requirement::ValueKind;
use crate::config::visit::{
    Field, FieldSource, Reader, VisitNested, enter, field, inherit, required, validated,
};
use crate::protocol::fields::Fields;
use crate::validity::{self, Validity};
use crate::x509::certificates::Certificates;
use crate::x509::key;
use crate::x509::pair::pair;
use crate::x509::provider;

/// A certificate chain and the private key of its first certificate.
///
/// # From one secret
///
/// A structured secret with the fields `chain` (certificates in PEM, the leaf first) and `key` (one private
/// key in PEM, not encrypted) can be a field, or a nested config, whose problems name the field `chain` or
/// `key`:
///
/// ```
/// use sikkerkey::SikkerKeyConfig;
/// use sikkerkey::tls::TlsIdentity;
///
/// #[derive(SikkerKeyConfig)]
/// struct AppConfig {
///     #[sikkerkey(nested, secret = "sk_tls_site")]
///     tls: TlsIdentity,
///     #[sikkerkey(secret = "sk_tls_admin")]
///     admin: TlsIdentity,
/// }
/// assert_eq!(AppConfig::schema().len(), 3); // sk_tls_site/chain, sk_tls_site/key, sk_tls_admin
/// ```
///
/// For chain and key in two secrets, see [`TwoSecrets`](super::TwoSecrets).
///
/// # What is refused
///
/// A chain without a certificate, or with a private key in it; an encrypted key; a key of another
/// certificate. In `load`, and in a [`Live`](crate::Live) from a vault, also a leaf that has expired or is
/// not yet valid. A `Live` keeps the last good one, and says in `status().last_error()` what is wrong and
/// since when. Text around the PEM is ignored.
///
/// Two identities are equal if their certificates are.
#[derive(Clone)]
pub struct TlsIdentity {
    pair: Arc<CertifiedKey>,
    validity: Validity,
    server: Arc<OnceLock<Arc<ServerConfig>>>,
}

impl TlsIdentity {
    /// Parses a chain and its key, each in PEM. It does not check whether the leaf has expired.
    ///
    /// ```
    /// # use pem_rfc7468::{LineEnding, encode_string};
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    /// # let chain = encode_string("CERTIFICATE", LineEnding::LF, made.cert.der()).unwrap();
    /// # let key = encode_string("PRIVATE KEY", LineEnding::LF, &made.signing_key.serialize_der()).unwrap();
    /// use sikkerkey::tls::TlsIdentity;
    ///
    /// let identity = TlsIdentity::from_pem(&chain, &key)?;
    /// assert_eq!(identity.certified_key().cert.len(), 1);
    /// assert!(TlsIdentity::from_pem(&key, &chain).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Why the chain or the key cannot be used, without quoting either.
    pub fn from_pem(chain: &str, key: &str) -> Result<Self, ValueError> {
        Ok(Self::new(&Certificates::read(chain)?, key::read(key)?)?)
    }

    pub(super) fn new(
        chain: &Certificates,
        key: Arc<dyn SigningKey>,
    ) -> Result<Self, &'static str> {
        Ok(TlsIdentity {
            pair: pair(chain, key)?,
            validity: chain.validity,
            server: Arc::default(),
        })
    }

    /// Returns chain and key as a type of rustls.
    pub fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.pair)
    }

    /// The first moment at which the leaf is valid.
    pub fn valid_from(&self) -> SystemTime {
        validity::system_time(self.validity.from)
    }

    /// The last moment at which the leaf is valid.
    pub fn valid_until(&self) -> SystemTime {
        validity::system_time(self.validity.until)
    }

    #[cfg(feature = "live")]
    pub(super) fn validity(&self) -> Validity {
        self.validity
    }

    /// Returns a server configuration with this identity: TLS 1.2 and 1.3, no client certificates, no ALPN.
    /// The configuration is made once, and shared.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        let made = self.server.get_or_init(|| {
            let resolver = Resolver::new({
                let pair = self.certified_key();
                move || Arc::clone(&pair)
            });
            let config = server_builder()
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(resolver));
            Arc::new(config)
        });
        Arc::clone(made)
    }
}

fn server_builder() -> ConfigBuilder<ServerConfig, WantsVerifier> {
    // Fails only for a provider without a cipher for these versions; ring has some.
    #[allow(clippy::expect_used, reason = "ring supports the default versions")]
    ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring supports TLS 1.2 and 1.3")
}

/// Reads a structured secret with the fields `chain` and `key`.
impl FromSecret for TlsIdentity {
    const KIND: ValueKind = ValueKind::Json;

    fn from_secret(text: &str) -> Result<Self, ValueError> {
        let fields = Fields::from_secret(text)?;
        let field = |name, missing| {
            let present = fields.get(name).filter(|_| !fields.is_null(name));
            present.ok_or(ValueError::new(missing))
        };
        let chain = field("chain", "it has no field `chain`")?;
        let key = field("key", "it has no field `key`")?;
        TlsIdentity::from_pem(chain.expose_secret(), key.expose_secret())
    }

    fn expected() -> Cow<'static, str> {
        Cow::Borrowed("a TLS identity")
    }

    fn validity(&self) -> Option<Validity> {
        Some(self.validity)
    }
}

/// Reads the fields `chain` and `key` of the secret that the outer struct names.
impl VisitNested for TlsIdentity {
    fn visit(from: &mut Reader<'_>) -> Option<Self> {
        enter(from, "TlsIdentity", None);
        inherit(from);
        const PARTS: &[Field; 2] = &parts(
            FieldSource::FieldOfStruct("chain"),
            FieldSource::FieldOfStruct("key"),
        );
        visit_parts(from, PARTS)
    }

    fn places(&self, to: &mut Places) {
        to.whole(self);
    }
}

/// Describes the sources of chain and key as fields.
pub(super) const fn parts(chain: FieldSource, key: FieldSource) -> [Field; 2] {
    [
        field("chain", "The certificates in PEM, the leaf first.", chain),
        field("key", "The private key in PEM.", key),
    ]
}

/// Reads chain and key.
pub(super) fn visit_parts(
    from: &mut Reader<'_>,
    [chain, key]: &'static [Field; 2],
) -> Option<TlsIdentity> {
    let chain = required(from, chain, value::<TlsChain>);
    let key = required(from, key, value::<TlsKey>);
    let identity = TlsIdentity::new(&chain?.0, key?.0);
    let reason = |identity: &Result<_, &'static str>| match identity {
        Ok(_) => Ok(()),
        Err(reason) => Err(*reason),
    };
    validated(from, identity, reason)?.ok()
}

struct TlsChain(Certificates);

impl FromSecret for TlsChain {
    fn from_secret(text: &str) -> Result<Self, ValueError> {
        Ok(TlsChain(Certificates::read(text)?))
    }

    fn expected() -> Cow<'static, str> {
        Cow::Borrowed("a certificate chain in PEM")
    }

    fn validity(&self) -> Option<Validity> {
        Some(self.0.validity)
    }
}

struct TlsKey(Arc<dyn SigningKey>);

impl FromSecret for TlsKey {
    fn from_secret(text: &str) -> Result<Self, ValueError> {
        Ok(TlsKey(key::read(text)?))
    }

    fn expected() -> Cow<'static, str> {
        Cow::Borrowed("a private key in PEM")
    }
}

impl AsRef<TlsIdentity> for TlsIdentity {
    fn as_ref(&self) -> &TlsIdentity {
        self
    }
}

impl PartialEq for TlsIdentity {
    fn eq(&self, other: &Self) -> bool {
        self.pair.cert == other.pair.cert
    }
}

impl Eq for TlsIdentity {}

/// Shows the number of certificates, and until when the leaf is valid.
impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity")
            .field("certificates", &self.pair.cert.len())
            .field("valid_until", &validity::date(self.validity.until))
            .finish_non_exhaustive()
    }
}
