use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::pem::{self, CutOff};
use crate::validity::Validity;

/// The most certificates of one text. More are a mistake, because each would be sent in every handshake.
const MOST: usize = 256;

/// Certificates in the order of their text; at least one.
#[derive(Clone, Debug)]
pub(crate) struct Certificates {
    pub(crate) ders: Vec<CertificateDer<'static>>,
    /// The validity of the first certificate.
    pub(crate) validity: Validity,
}

impl Certificates {
    /// Parses certificates in PEM.
    pub(crate) fn read(text: &str) -> Result<Self, &'static str> {
        let mut ders = Vec::new();
        for section in pem::sections(text) {
            let section = section.map_err(|CutOff| "a certificate without an END line")?;
            match section.label {
                // `X509 CERTIFICATE` is an old label of the same.
                "CERTIFICATE" | "X509 CERTIFICATE" => {}
                label if label.ends_with("PRIVATE KEY") => {
                    return Err("a private key among the certificates");
                }
                _ => return Err("a part that is not a certificate"),
            }
            let der = section.bytes().ok_or(DAMAGED)?;
            parse(&der).ok_or(DAMAGED)?;
            if ders.len() == MOST {
                return Err("more than 256 certificates");
            }
            ders.push(CertificateDer::from(der.to_vec()));
        }
        let first = ders.first().ok_or_else(|| foreign(text))?;
        let first = parse(first).ok_or(DAMAGED)?;
        let validity = Validity {
            from: first.validity.not_before.timestamp(),
            until: first.validity.not_after.timestamp(),
        };
        Ok(Certificates { ders, validity })
    }
}

/// Whether the key of `issuer` signed `certificate`.
#[cfg(any(feature = "live", test))]
pub(crate) fn is_issued_by(certificate: &CertificateDer<'_>, issuer: &CertificateDer<'_>) -> bool {
    let (Some(certificate), Some(issuer)) = (parse(certificate), parse(issuer)) else {
        return false;
    };
    certificate.issuer().as_raw() == issuer.subject().as_raw()
        && certificate
            .verify_signature(Some(issuer.public_key()))
            .is_ok()
}

const DAMAGED: &str = "a damaged certificate";

fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    rest.is_empty().then_some(certificate)
}

/// Says what a text without a certificate is instead.
fn foreign(text: &str) -> &'static str {
    let text = text.trim();
    match text {
        "" => "there is no certificate: the text is empty",
        _ if is_ssh(text) => "it is of SSH, not an X.509 certificate",
        _ => "there is no certificate: no BEGIN CERTIFICATE line",
    }
}

/// Whether a text is an SSH public key as in `authorized_keys`, or an SSH certificate.
pub(crate) fn is_ssh(text: &str) -> bool {
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"]
        .iter()
        .any(|kind| text.starts_with(kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::samples::{Authority, DAY, NOW};

    fn refused(text: &str) -> &'static str {
        Certificates::read(text).unwrap_err()
    }

    #[test]
    fn a_chain_is_read_in_its_order() {
        let authority = Authority::new();
        let (leaf, _) = authority.issue(NOW, NOW + DAY);
        let chain = Certificates::read(&format!("{leaf}{}", authority.pem())).unwrap();
        assert_eq!(chain.ders.len(), 2);
        assert_eq!(
            (chain.validity.from, chain.validity.until),
            (NOW, NOW + DAY)
        );
        assert!(is_issued_by(&chain.ders[0], &chain.ders[1]));
        assert!(!is_issued_by(&chain.ders[1], &chain.ders[0]));
        let other = Certificates::read(&Authority::new().pem()).unwrap();
        assert!(!is_issued_by(&chain.ders[0], &other.ders[0]));
    }

    #[test]
    fn text_around_certificates_is_ignored() {
        let (leaf, _) = Authority::new().issue(NOW, NOW + DAY);
        for text in [
            format!("subject=CN = api\nissuer=CN = authority\n{leaf}"),
            format!("\u{feff}{leaf}\n\n# the end"),
            leaf.replace('\n', "\\n"),
            leaf.replace('\n', "\r\n"),
        ] {
            assert_eq!(Certificates::read(&text).unwrap().ders.len(), 1, "{text}");
        }
    }

    #[test]
    fn the_error_says_what_is_there_in_place_of_a_chain() {
        let (leaf, key) = Authority::new().issue(NOW, NOW + DAY);
        let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (text, says) in [
            (String::new(), "there is no certificate: the text is empty"),
            (
                " \n".to_owned(),
                "there is no certificate: the text is empty",
            ),
            (
                "hunter2".to_owned(),
                "there is no certificate: no BEGIN CERTIFICATE line",
            ),
            (
                "ssh-ed25519-cert-v01@openssh.com AAAA".to_owned(),
                "it is of SSH, not an X.509 certificate",
            ),
            (
                format!("{leaf}{key}"),
                "a private key among the certificates",
            ),
            (
                leaf.replace(" CERTIFICATE", " DH PARAMETERS"),
                "a part that is not a certificate",
            ),
            (damaged.to_owned(), DAMAGED),
            (format!("{leaf}{damaged}"), DAMAGED),
            (
                leaf.replace("-----END", "-----"),
                "a certificate without an END line",
            ),
            (leaf.repeat(257), "more than 256 certificates"),
        ] {
            assert_eq!(refused(&text), says);
        }
    }
}
