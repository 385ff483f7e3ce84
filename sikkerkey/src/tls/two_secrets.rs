use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use super::identity::{TlsIdentity, parts, visit_parts};
use crate::config::places::Places;
use crate::config::visit::{FieldSource, Reader, Secret, Visit, VisitNested, enter};

/// Names the two secrets of a [`TwoSecrets`] by their ids.
///
/// ```
/// use sikkerkey::SikkerKeyConfig;
/// use sikkerkey::tls::{TlsSecrets, TwoSecrets};
///
/// struct Mail; // names the pair, and is never made
///
/// impl TlsSecrets for Mail {
///     const CHAIN: &'static str = "sk_mail_chain";
///     const KEY: &'static str = "sk_mail_key";
/// }
///
/// let schema = <TwoSecrets<Mail>>::schema();
/// assert_eq!(schema.secrets()[1].as_str(), "sk_mail_key");
/// ```
pub trait TlsSecrets: 'static {
    /// The id of the secret with the certificate chain.
    const CHAIN: &'static str;
    /// The id of the secret with the private key.
    const KEY: &'static str;
}

/// A [`TlsIdentity`] whose chain and key are two secrets, as a nested config. It dereferences to the identity.
///
/// Both are read before they are checked. If one poll reports the rotation of both, it is one swap. If two
/// polls do, the half-rotated pair is refused, and the old pair stays until the other half has arrived.
///
/// ```
/// use sikkerkey::SikkerKeyConfig;
/// use sikkerkey::tls::{TlsSecrets, TwoSecrets};
///
/// struct Site;
///
/// impl TlsSecrets for Site {
///     const CHAIN: &'static str = "sk_site_chain";
///     const KEY: &'static str = "sk_site_key";
/// }
///
/// #[derive(SikkerKeyConfig)]
/// struct AppConfig {
///     #[sikkerkey(nested)]
///     tls: TwoSecrets<Site>,
/// }
/// assert_eq!(AppConfig::schema().secrets().len(), 2);
/// ```
pub struct TwoSecrets<S> {
    identity: TlsIdentity,
    secrets: PhantomData<fn() -> S>,
}

impl<S: TlsSecrets> VisitNested for TwoSecrets<S> {
    fn visit(from: &mut Reader<'_>) -> Option<Self> {
        enter(from, "TwoSecrets", None);
        let parts = const {
            &parts(
                FieldSource::Whole(Secret::Id(S::CHAIN)),
                FieldSource::Whole(Secret::Id(S::KEY)),
            )
        };
        Some(TwoSecrets {
            identity: visit_parts(from, parts)?,
            secrets: PhantomData,
        })
    }

    fn places(&self, to: &mut Places) {
        to.whole(self);
    }
}

impl<S: TlsSecrets> Visit for TwoSecrets<S> {}

impl<S> Deref for TwoSecrets<S> {
    type Target = TlsIdentity;

    fn deref(&self) -> &TlsIdentity {
        &self.identity
    }
}

impl<S> AsRef<TlsIdentity> for TwoSecrets<S> {
    fn as_ref(&self) -> &TlsIdentity {
        self
    }
}

impl<S> Clone for TwoSecrets<S> {
    fn clone(&self) -> Self {
        TwoSecrets {
            identity: self.identity.clone(),
            secrets: PhantomData,
        }
    }
}

impl<S> PartialEq for TwoSecrets<S> {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

impl<S> Eq for TwoSecrets<S> {}

impl<S> fmt::Debug for TwoSecrets<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.identity.fmt(f)
    }
}
