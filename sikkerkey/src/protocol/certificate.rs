//! What the service answers to a read that brings a key to be signed.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::messages::{Malformed, decode};

/// What came in place of, or as, a certificate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CertificateAnswer {
    X509 {
        /// In PEM.
        leaf: String,
        /// The issuing authority in PEM; may be empty.
        chain: String,
    },
    Ssh,
    /// A type that a later version of the service may have.
    Unknown,
    /// The value that a secret for certificates has, and that a service older than certificates hands out.
    Placeholder,
    /// A value: the secret is of another kind. It is not kept.
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

/// The answer to such a read.
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
    fn each_answer_is_told_from_the_others() {
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
