//! The certificate authority of this example. Use your own in a real service.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pem_rfc7468::LineEnding;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

use crate::AnyError;

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// The fields of the structured secret.
pub(crate) type ChainAndKey = [(&'static str, String); 2];

impl Authority {
    pub(crate) fn new() -> Result<Self, AnyError> {
        let mut params = CertificateParams::new([])?;
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "the authority of an example");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Ok(Authority(CertifiedIssuer::self_signed(
            params,
            KeyPair::generate()?,
        )?))
    }

    pub(crate) fn pem(&self) -> Result<String, AnyError> {
        pem("CERTIFICATE", self.0.der())
    }

    /// Makes a certificate for localhost, valid for a day, with a new key.
    pub(crate) fn issue(&self) -> Result<ChainAndKey, AnyError> {
        let mut params = CertificateParams::new(["localhost".to_owned()])?;
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "localhost");
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let hour = Duration::from_secs(3600);
        params.not_before = date_time_ymd(1970, 1, 1) + (now - hour);
        params.not_after = date_time_ymd(1970, 1, 1) + (now + 24 * hour);
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &self.0)?;
        Ok([
            ("chain", pem("CERTIFICATE", leaf.der())?),
            ("key", pem("PRIVATE KEY", key.serialized_der())?),
        ])
    }
}

fn pem(label: &str, der: &[u8]) -> Result<String, AnyError> {
    pem_rfc7468::encode_string(label, LineEnding::LF, der).map_err(|error| error.to_string().into())
}
