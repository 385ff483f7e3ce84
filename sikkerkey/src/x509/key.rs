use std::sync::Arc;

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use rustls::sign::SigningKey;

use super::certificates::is_ssh;
use crate::pem::{self, CutOff, Section};

/// Parses the one private key of a PEM text: PKCS#8, PKCS#1 or SEC1.
pub(crate) fn read(text: &str) -> Result<Arc<dyn SigningKey>, &'static str> {
    let mut key = None;
    for section in pem::sections(text) {
        let section = section.map_err(|CutOff| "a private key without an END line")?;
        match section.label {
            // openssl writes parameters in front of an EC key; they are not needed, because the key names its
            // curve.
            "EC PARAMETERS" => {}
            _ if is_encrypted(&section) => {
                return Err("the private key is encrypted with a passphrase");
            }
            "OPENSSH PRIVATE KEY" => return Err(SSH),
            label if !label.ends_with("PRIVATE KEY") => {
                return Err("a part that is not a private key");
            }
            _ if key.is_some() => return Err("more than one private key"),
            _ => key = Some(section),
        }
    }
    let Some(section) = key else {
        return Err(match text.trim() {
            "" => "there is no private key: the text is empty",
            text if is_ssh(text) => SSH,
            _ => "there is no private key: no BEGIN PRIVATE KEY line",
        });
    };
    let der = section.bytes().ok_or(DAMAGED)?;
    load(section.label, &der)
}

/// Parses a key in PKCS#8.
#[cfg(feature = "live")]
pub(crate) fn load_pkcs8(der: &[u8]) -> Result<Arc<dyn SigningKey>, &'static str> {
    load("PRIVATE KEY", der)
}

fn load(label: &str, der: &[u8]) -> Result<Arc<dyn SigningKey>, &'static str> {
    let der = match label {
        "PRIVATE KEY" => PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der)),
        "RSA PRIVATE KEY" => PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(der)),
        "EC PRIVATE KEY" => PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(der)),
        _ => return Err(DAMAGED),
    };
    any_supported_type(&der).map_err(|_| DAMAGED)
}

const DAMAGED: &str = "the private key is damaged, or its algorithm is not one that TLS uses";
const SSH: &str = "it is a key of SSH, not of TLS";

/// Whether a key is encrypted, also in the old form with a header line.
fn is_encrypted(section: &Section<'_>) -> bool {
    section.label == "ENCRYPTED PRIVATE KEY" || section.body.contains("ENCRYPTED")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::samples::{Authority, DAY, NOW};

    const EC_PARAMETERS: &str =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";

    #[test]
    fn a_key_is_read_in_each_of_its_forms() {
        let (_, key) = Authority::new().issue(NOW, NOW + DAY);
        for text in [
            key.to_owned(),
            format!("Bag Attributes\n    friendlyName: api\n{key}"),
            format!("{EC_PARAMETERS}{key}"),
            key.replace('\n', "\\n"),
        ] {
            assert!(read(&text).is_ok());
        }
    }

    #[test]
    fn the_error_says_what_is_there_in_place_of_a_key() {
        let (leaf, key) = Authority::new().issue(NOW, NOW + DAY);
        let labelled = |label| key.replace(" PRIVATE KEY", label);
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n\
                   -----END RSA PRIVATE KEY-----\n";
        for (text, says) in [
            (String::new(), "there is no private key: the text is empty"),
            (
                "hunter2".to_owned(),
                "there is no private key: no BEGIN PRIVATE KEY line",
            ),
            ("ssh-ed25519 AAAA".to_owned(), SSH),
            (labelled(" OPENSSH PRIVATE KEY"), SSH),
            (
                labelled(" ENCRYPTED PRIVATE KEY"),
                "the private key is encrypted with a passphrase",
            ),
            (
                old.to_owned(),
                "the private key is encrypted with a passphrase",
            ),
            (format!("{key}{key}"), "more than one private key"),
            (format!("{key}{leaf}"), "a part that is not a private key"),
            (labelled(" RSA PRIVATE KEY"), DAMAGED),
            (labelled(" DSA PRIVATE KEY"), DAMAGED),
            (key.replace('M', "?"), DAMAGED),
            (
                key.replace("-----END", ""),
                "a private key without an END line",
            ),
        ] {
            assert_eq!(read(&text).err(), Some(says), "{says}");
        }
    }
}
