//! What a secret's text must be, without a vault.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use sikkerkey::tls::{TlsIdentity, TlsSecrets, TrustRoots, TwoSecrets};
use sikkerkey::{ConfigError, FromSecret as _, SikkerKeyConfig, Snapshot};

use crate::authority::{Authority, DAY, NOW};

pub(crate) struct Site;

impl TlsSecrets for Site {
    const CHAIN: &'static str = "sk_chain";
    const KEY: &'static str = "sk_key";
}

#[derive(Debug, SikkerKeyConfig)]
struct Config {
    #[sikkerkey(nested, secret = "sk_tls")]
    nested: TlsIdentity,
    #[sikkerkey(secret = "sk_tls")]
    whole: TlsIdentity,
    #[sikkerkey(nested)]
    apart: TwoSecrets<Site>,
    #[sikkerkey(secret = "sk_roots")]
    roots: TrustRoots,
    #[sikkerkey(nested, secret = "sk_upstream")]
    upstream: TrustRoots,
    #[sikkerkey(secret = "sk_none")]
    optional: Option<TlsIdentity>,
    #[sikkerkey(nested, secret = "sk_none")]
    optional_nested: Option<TlsIdentity>,
}

fn at(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
}

fn snapshot(chain: &str, key: &str, roots: &str) -> Snapshot {
    Snapshot::from_iter([
        ("sk_tls", json!({"chain": chain, "key": key}).to_string()),
        ("sk_chain", chain.to_owned()),
        ("sk_key", key.to_owned()),
        ("sk_roots", roots.to_owned()),
        ("sk_upstream", json!({"roots": roots}).to_string()),
    ])
}

#[test]
fn one_secret_or_two_make_an_identity() {
    let authority = Authority::new();
    let (leaf, key) = authority.issue(NOW, NOW + DAY);
    let chain = format!("{leaf}{}", authority.pem());
    let snapshot = snapshot(&chain, &key, &authority.pem());
    let config = Config::from_snapshot(&snapshot).unwrap();
    let direct = TlsIdentity::from_pem(&chain, &key).unwrap();
    assert_eq!(config.nested, direct);
    assert_eq!(config.whole, direct);
    assert_eq!(*config.apart, direct);
    assert!(config.optional.is_none() && config.optional_nested.is_none());
    assert_eq!(direct.certified_key().cert.len(), 2);
    assert_eq!(
        (direct.valid_from(), direct.valid_until()),
        (at(NOW), at(NOW + DAY))
    );
    assert_eq!(config.roots, config.upstream);
    assert_eq!(config.roots.store().len(), 1);
    // Only what is public is shown.
    let shown = format!("{config:?}");
    assert!(
        shown.contains("certificates: 2, valid_until: \"Tue, 22 Sep 2026 14:13:20 GMT\""),
        "{shown}"
    );
    assert!(!shown.contains("BEGIN"), "{shown}");
}

#[test]
fn the_schema_names_each_field() {
    let shown = Config::schema().to_string();
    let lines: Vec<Vec<&str>> = shown
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().take(4).collect())
        .collect();
    assert_eq!(
        lines,
        [
            ["nested.chain", "sk_tls", "chain", "required"],
            ["nested.key", "sk_tls", "key", "required"],
            ["whole", "sk_tls", "required", "a"],
            ["apart.chain", "sk_chain", "required", "a"],
            ["apart.key", "sk_key", "required", "a"],
            ["roots", "sk_roots", "required", "root"],
            ["upstream.roots", "sk_upstream", "roots", "required"],
            ["optional", "sk_none", "optional", "a"],
            ["optional_nested.chain", "sk_none", "chain", "optional"],
            ["optional_nested.key", "sk_none", "key", "optional"],
        ],
        "{shown}"
    );
}

/// Each problem as `path: message`.
fn problems(error: &ConfigError) -> Vec<String> {
    let problem =
        |problem: &sikkerkey::Problem| format!("{}: {}", problem.path(), problem.message());
    error.problems().iter().map(problem).collect()
}

#[test]
fn every_problem_names_its_place_and_quotes_nothing() {
    let authority = Authority::new();
    let (leaf, key) = authority.issue(NOW, NOW + DAY);
    let (_, other) = authority.issue(NOW, NOW + DAY);
    let encrypted = key.replace(" PRIVATE KEY", " ENCRYPTED PRIVATE KEY");
    for (chain, key, roots, expected) in [
        (
            leaf.clone(),
            other,
            authority.pem(),
            vec![
                "nested: the key does not belong to the first certificate of the chain",
                "whole: not a TLS identity: the key does not belong to the first certificate of the chain",
                "apart: the key does not belong to the first certificate of the chain",
            ],
        ),
        (
            format!("{leaf}{key}"),
            encrypted,
            format!("{}{key}", authority.pem()),
            vec![
                "nested.chain: not a certificate chain in PEM: a private key among the certificates",
                "nested.key: not a private key in PEM: the private key is encrypted with a passphrase",
                "whole: not a TLS identity: a private key among the certificates",
                "apart.chain: not a certificate chain in PEM: a private key among the certificates",
                "apart.key: not a private key in PEM: the private key is encrypted with a passphrase",
                "roots: not root certificates in PEM: a private key among the certificates",
                "upstream.roots: not root certificates in PEM: a private key among the certificates",
            ],
        ),
        (
            String::new(),
            "ssh-ed25519 AAAA".to_owned(),
            "ssh-ed25519-cert-v01@openssh.com AAAA".to_owned(),
            vec![
                "nested.chain: not a certificate chain in PEM: there is no certificate: the text is empty",
                "nested.key: not a private key in PEM: it is a key of SSH, not of TLS",
                "whole: not a TLS identity: there is no certificate: the text is empty",
                "apart.chain: not a certificate chain in PEM: there is no certificate: the text is empty",
                "apart.key: not a private key in PEM: it is a key of SSH, not of TLS",
                "roots: not root certificates in PEM: it is of SSH, not an X.509 certificate",
                "upstream.roots: not root certificates in PEM: it is of SSH, not an X.509 certificate",
            ],
        ),
    ] {
        let error = Config::from_snapshot(&snapshot(&chain, &key, &roots)).unwrap_err();
        assert_eq!(problems(&error), expected);
        let secret = key.lines().nth(1).unwrap_or("AAAA");
        assert!(!format!("{error:?} {error}").contains(secret));
    }
}

#[test]
fn the_value_of_a_service_that_is_older_than_certificates_is_no_identity() {
    for (text, says) in [
        ("{}", "it has no field `chain`"),
        (r#"{"chain": null, "key": "x"}"#, "it has no field `chain`"),
        (r#"{"chain": "x"}"#, "it has no field `key`"),
        (
            "-----BEGIN CERTIFICATE-----",
            "the value is not a JSON object",
        ),
    ] {
        assert_eq!(TlsIdentity::from_secret(text).unwrap_err().reason(), says);
    }
}

#[test]
fn text_around_pem_is_ignored() {
    let authority = Authority::new();
    let (leaf, key) = authority.issue(NOW, NOW + DAY);
    let described = |pem: &str| format!("Bag Attributes\n    friendlyName: site\n{pem}\n# end\n");
    let plain = TlsIdentity::from_pem(&leaf, &key).unwrap();
    assert_eq!(
        TlsIdentity::from_pem(&described(&leaf), &described(&key)),
        Ok(plain)
    );
}
