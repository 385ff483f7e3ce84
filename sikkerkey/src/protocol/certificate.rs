//! The service's response to a request for a certificate.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::messages::{Malformed, decode};

/// The content of the response: a certificate, or what came instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CertificateAnswer {
    X509 {
        /// The leaf certificate in PEM.
        leaf: String,
        /// The issuing authority in PEM; may be empty.
        chain: String,
    },
    Ssh,
    /// A type that this version does not know.
    Unknown,
    /// The placeholder value of a certificate secret, which a service that is older than certificates
    /// returns.
    Placeholder,
    /// A value: the secret is of another kind. The value is dropped.
    Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCertificate<'a> {
    #[serde(default)]
    certificate: String,
    #[serde(default)]
    certificate_type: String,
    #[serde(default)]
    fields: CertificateFields,
    #[serde(default, borrow)]
    value: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct CertificateFields {
    #[serde(default)]
    chain: Option<String>,
}

/// Parses the response.
pub(crate) fn answer(body: &[u8]) -> Result<CertificateAnswer, Malformed> {
    let answer: RawCertificate<'_> = decode(body)?;
    if !answer.certificate.is_empty() {
        return Ok(match &*answer.certificate_type {
            "x509" => CertificateAnswer::X509 {
                leaf: answer.certificate,
                chain: answer.fields.chain.unwrap_or_default(),
            },
            "ssh" => CertificateAnswer::Ssh,
            _ => CertificateAnswer::Unknown,
        });
    }
    match answer.value.map(RawValue::get) {
        None => Err(Malformed::Shape),
        Some(r#""{}""#) => Ok(CertificateAnswer::Placeholder),
        Some(_) => Ok(CertificateAnswer::Value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_is_distinguished_from_the_others() {
        let x509 = |leaf: &str, chain: &str| CertificateAnswer::X509 {
            leaf: leaf.to_owned(),
            chain: chain.to_owned(),
        };
        for (body, expected) in [
            (
                r#"{"certificate":"L","certificateType":"x509","fields":{"commonName":"api","chain":"C"},"validAfter":1,"validBefore":2}"#,
                x509("L", "C"),
            ),
            (
                r#"{"certificate":"L","certificateType":"x509","fields":{}}"#,
                x509("L", ""),
            ),
            (
                r#"{"certificate":"L","certificateType":"x509","fields":{"chain":null}}"#,
                x509("L", ""),
            ),
            (
                r#"{"certificate":"L","certificateType":"x509"}"#,
                x509("L", ""),
            ),
            (
                r#"{"certificate":"ssh-ed25519-cert-v01@openssh.com A","certificateType":"ssh","fields":{"username":"api"}}"#,
                CertificateAnswer::Ssh,
            ),
            (
                r#"{"certificate":"L","certificateType":"jwt"}"#,
                CertificateAnswer::Unknown,
            ),
            (r#"{"certificate":"L"}"#, CertificateAnswer::Unknown),
            (r#"{"value":"{}"}"#, CertificateAnswer::Placeholder),
            (r#"{"value":"hunter2"}"#, CertificateAnswer::Value),
        ] {
            assert_eq!(answer(body.as_bytes()).unwrap(), expected, "{body}");
        }
        for body in [
            "",
            "{",
            "[]",
            "{}",
            r#"{"certificate":1}"#,
            r#"{"certificate":"L","fields":1}"#,
        ] {
            assert!(answer(body.as_bytes()).is_err(), "{body}");
        }
    }
}
