//! Requests a certificate for a key that was made in this process.

use std::sync::Arc;
use std::time::Duration;

use super::attempts::{Call, READ_LIMIT};
use super::error_text::Purpose;
use super::inner::ClientInner;
use super::retry::RetryPolicy;
use crate::error::{Error, ErrorKind};
use crate::id::SecretId;
use crate::protocol::certificate::{self, CertificateAnswer};
use crate::validity::date;
use crate::x509::certificates::{Certificates, is_issued_by};
use crate::x509::pair::pair;
use crate::x509::subject::Subject;

/// How far this machine's clock may differ from the service's, as the service itself allows.
const CLOCK_TOLERANCE: i64 = 300;

impl ClientInner {
    /// Requests a certificate for this key, and checks it: it must be for this key, valid now, and issued by
    /// the authority that comes with it. The leaf is first.
    pub(crate) fn issue(
        &self,
        id: &SecretId,
        subject: &Subject,
        validity: Option<Duration>,
        policy: &RetryPolicy,
    ) -> Result<Certificates, Error> {
        let validity = validity.map(|validity| validity.as_secs().to_string());
        // The key is sent in both formats; the service uses the one that its authority needs.
        let mut headers = vec![
            ("X-SikkerKey-Subject-Key", subject.ssh()),
            ("X-SikkerKey-Subject-Key-X509", subject.x509()),
        ];
        headers.extend(
            validity
                .as_deref()
                .map(|seconds| ("X-SikkerKey-Validity", seconds)),
        );
        let call = Call {
            purpose: Purpose::Issue(id),
            method: "GET",
            path: format!("/v1/secret/{id}"),
            headers: &headers,
            body: None,
            limit: READ_LIMIT,
        };
        let _span = call.span();
        let response = self.call(&call, policy)?;
        let other = |what: &str| {
            let text = format!("secret {id} has no X.509 certificate to give: {what}");
            Error::new(ErrorKind::SecretStructure, text)
        };
        let (leaf, chain) = match response.decode(call.purpose, certificate::answer)? {
            CertificateAnswer::X509 { leaf, chain } => (leaf, chain),
            CertificateAnswer::Ssh => {
                return Err(other("it issues SSH certificates, which are not supported"));
            }
            CertificateAnswer::Unknown => {
                return Err(other(
                    "it issues certificates of a type that this version does not know",
                ));
            }
            CertificateAnswer::Placeholder => {
                return Err(other("the service is older than certificates"));
            }
            CertificateAnswer::Value => {
                return Err(other("it holds a value; read it with get_secret"));
            }
        };
        check(&leaf, &chain, subject, self.service_now()).map_err(|problem| {
            let text = format!("the certificate of {id} was refused: {problem}");
            Error::new(ErrorKind::Decode, text)
        })
    }
}

/// Returns the whole chain, or what is wrong with it.
fn check(leaf: &str, chain: &str, subject: &Subject, now: i64) -> Result<Certificates, String> {
    let mut whole = Certificates::read(leaf)?;
    if whole.ders.len() > 1 {
        return Err("more than one certificate came in place of one".to_owned());
    }
    if pair(&whole, Arc::clone(subject.key())).is_err() {
        return Err("it is for another key than the one that was sent".to_owned());
    }
    let validity = whole.validity;
    if validity.from.saturating_sub(CLOCK_TOLERANCE) > now || validity.until <= now {
        let (from, until) = (date(validity.from), date(validity.until));
        return Err(format!(
            "it is not valid now, but from {from} until {until}"
        ));
    }
    if !chain.trim().is_empty() {
        let chain = Certificates::read(chain)?;
        if !is_issued_by(&whole.ders[0], &chain.ders[0]) {
            return Err("the authority that came with it did not issue it".to_owned());
        }
        whole.ders.extend(chain.ders);
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandomness;
    use crate::x509::samples::{Authority, DAY, NOW};

    #[test]
    fn what_comes_is_checked() {
        let subject = Subject::new(&SystemRandomness).unwrap();
        let authority = Authority::new();
        let sign = |from, until| authority.sign(subject.x509(), from, until);
        let (leaf, chain) = (sign(NOW, NOW + DAY), authority.pem());
        let check = |leaf: &str, chain: &str, now| {
            check(leaf, chain, &subject, now).map(|whole| whole.ders.len())
        };
        assert_eq!(check(&leaf, &chain, NOW), Ok(2));
        assert_eq!(check(&leaf, " \n", NOW), Ok(1));
        // This machine's clock is behind by as much as the service accepts.
        assert_eq!(check(&leaf, "", NOW - 300), Ok(1));

        let (other, _) = authority.issue(NOW, NOW + DAY);
        for (leaf, chain, now, says) in [
            (
                &other,
                &chain,
                NOW,
                "it is for another key than the one that was sent",
            ),
            (
                &leaf,
                &Authority::new().pem(),
                NOW,
                "the authority that came with it did not issue it",
            ),
            (
                &leaf,
                &chain,
                NOW + DAY,
                "it is not valid now, but from Mon, 21 Sep 2026 14:13:20 GMT until Tue, 22 Sep 2026 14:13:20 GMT",
            ),
            (
                &leaf,
                &chain,
                NOW - 301,
                "it is not valid now, but from Mon, 21 Sep 2026 14:13:20 GMT until Tue, 22 Sep 2026 14:13:20 GMT",
            ),
            (
                &format!("{leaf}{chain}"),
                &chain,
                NOW,
                "more than one certificate came in place of one",
            ),
            (
                &leaf,
                &"hunter2".to_owned(),
                NOW,
                "there is no certificate: no BEGIN CERTIFICATE line",
            ),
            (
                &"hunter2".to_owned(),
                &chain,
                NOW,
                "there is no certificate: no BEGIN CERTIFICATE line",
            ),
        ] {
            assert_eq!(check(leaf, chain, now).unwrap_err(), says);
        }
    }
}
