//! Secrets that issue certificates to the key of their reader.

mod support;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PublicKeyData as _};
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{RootCertStore, client::WebPkiServerVerifier};
use serde_json::Value;
use sikkerkey_emulator::{CertificateProfile, Emulator, EmulatorBuilder, Policy};
use support::{Client, Response};

fn profile() -> CertificateProfile {
    CertificateProfile::new("api").names(["localhost", "127.0.0.1"])
}

fn start(setting: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder) -> (Emulator, Client) {
    let vault = setting(Emulator::builder()).start().unwrap();
    let client = Client::of(&vault);
    (vault, client)
}

/// A read with these headers.
fn read(client: &Client, headers: &[(&str, &str)]) -> Response {
    let headers = headers
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
    let headers = headers.collect();
    client
        .request("GET", "/v1/secret/sk_cert", "")
        .with(|r| r.more = headers)
        .send()
}

/// What a client sends that asks for either kind of certificate.
fn ask(client: &Client, key: &KeyPair) -> Response {
    let spki = STANDARD.encode(key.subject_public_key_info());
    read(
        client,
        &[
            ("X-SikkerKey-Subject-Key", "ssh-ed25519 AAAA"),
            ("X-SikkerKey-Subject-Key-X509", &spki),
        ],
    )
}

fn leaf(answer: &Value) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(answer["certificate"].as_str().unwrap().as_bytes()).unwrap()
}

/// Whether a client that trusts the authority accepts this leaf for a host, so many seconds from now.
fn accepted(authority: &str, leaf: &CertificateDer<'_>, host: &str, ahead: u64) -> bool {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .unwrap();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(support::now() as u64 + ahead));
    let host = ServerName::try_from(host).unwrap();
    verifier
        .verify_server_cert(leaf, &[], &host, &[], at)
        .is_ok()
}

#[test]
fn a_certificate_is_for_the_key_that_was_sent() {
    let (vault, client) = start(|b| b.certificate("sk_cert", profile()));
    let key = KeyPair::generate().unwrap();
    let answer = ask(&client, &key).expect(200);
    assert_eq!(answer["certificateType"], "x509");
    assert_eq!(answer["fields"]["commonName"], "api");
    assert!(answer.get("value").is_none());
    let authority = vault.authority_pem("sk_cert").unwrap();
    assert_eq!(answer["fields"]["chain"], authority);
    let valid = ["validAfter", "validBefore"].map(|name| answer[name].as_i64().unwrap());
    assert!((0..=60).contains(&(support::now() - valid[0])));
    assert_eq!(valid[1] - valid[0], 24 * 60 * 60);

    let leaf = leaf(&answer);
    let spki = key.subject_public_key_info();
    assert!(leaf.windows(spki.len()).any(|part| part == spki));
    for (host, ahead, expected) in [
        ("localhost", 1, true),
        ("127.0.0.1", 1, true),
        ("other.example", 1, false),
        ("localhost", 25 * 60 * 60, false),
    ] {
        assert_eq!(accepted(&authority, &leaf, host, ahead), expected, "{host}");
    }
    let (other, _) = start(|b| b.certificate("sk_cert", profile()));
    let other = other.authority_pem("sk_cert").unwrap();
    assert!(!accepted(&other, &leaf, "localhost", 1));
    assert_eq!(vault.reads("sk_cert"), 1);
    assert!(vault.authority_pem("sk_none").is_none());
}

#[test]
fn a_shorter_life_can_be_asked_for() {
    let hour = Duration::from_secs(3600);
    let (vault, client) = start(|b| b.certificate("sk_cert", profile().max_validity(hour)));
    let spki = STANDARD.encode(KeyPair::generate().unwrap().subject_public_key_info());
    let life = |asked: &str| {
        let headers = [
            ("X-SikkerKey-Subject-Key-X509", spki.as_str()),
            ("X-SikkerKey-Validity", asked),
        ];
        let answer = read(&client, &headers).expect(200);
        answer["validBefore"].as_i64().unwrap() - answer["validAfter"].as_i64().unwrap()
    };
    assert_eq!(
        ["600", "3600", "86400", "0"].map(life),
        [600, 3600, 3600, 1]
    );
    let headers = [
        ("X-SikkerKey-Subject-Key-X509", spki.as_str()),
        ("X-SikkerKey-Validity", "1h"),
    ];
    assert_eq!(read(&client, &headers).status, 400);
    assert_eq!(vault.reads("sk_cert"), 4);
}

#[test]
fn a_certificate_begins_by_the_clock_of_the_service() {
    let (vault, client) = start(|b| b.certificate("sk_cert", profile()));
    vault.advance(Duration::from_secs(100_000));
    let client = client.ahead(100_000);
    let answer = ask(&client, &KeyPair::generate().unwrap()).expect(200);
    let authority = vault.authority_pem("sk_cert").unwrap();
    let leaf = leaf(&answer);
    assert!(!accepted(&authority, &leaf, "localhost", 0));
    assert!(accepted(&authority, &leaf, "localhost", 100_060));
}

#[test]
fn an_unusable_key_is_refused_and_not_counted() {
    let (vault, client) = start(|b| b.certificate("sk_cert", profile()));
    let spki = |key: &KeyPair| STANDARD.encode(key.subject_public_key_info());
    let p384 = spki(&KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap());
    let cut = &spki(&KeyPair::generate().unwrap())[..80];
    for key in ["", "AAAA", "not base64", &p384, cut] {
        let refused = read(&client, &[("X-SikkerKey-Subject-Key-X509", key)]);
        assert_eq!(refused.status, 400, "{key}");
    }
    assert_eq!(read(&client, &[]).status, 400);
    assert_eq!(vault.reads("sk_cert"), 0);
    vault.deny("sk_cert");
    assert_eq!(read(&client, &[]).status, 403);
}

#[test]
fn certificates_can_be_wrong_or_of_another_kind() {
    let key = KeyPair::generate().unwrap();
    let (_vault, client) = start(|b| b.certificate("sk_cert", profile().for_other_key(true)));
    let leaf = leaf(&ask(&client, &key).expect(200));
    let spki = key.subject_public_key_info();
    assert!(!leaf.windows(spki.len()).any(|part| part == spki));

    let (_vault, client) = start(|b| b.certificate("sk_cert", profile().chain(false)));
    assert_eq!(ask(&client, &key).expect(200)["fields"]["chain"], "");

    let (_vault, client) = start(|b| b.certificate("sk_cert", profile().ssh(true)));
    let answer = ask(&client, &key).expect(200);
    assert_eq!(answer["certificateType"], "ssh");
    assert_eq!(answer["fields"]["username"], "api");
    assert!(
        answer["certificate"]
            .as_str()
            .unwrap()
            .starts_with("ssh-ed25519-cert-v01@")
    );

    let (_vault, client) = start(|b| b.certificates(false).certificate("sk_cert", profile()));
    assert_eq!(ask(&client, &key).body, br#"{"value":"{}"}"#);
}

#[test]
fn certificates_are_listed_and_have_policies() {
    let policy = Policy::new().ttl_max_reads(1);
    let (_vault, client) = start(|b| {
        b.certificate("sk_cert", profile())
            .policy("sk_cert", policy)
    });
    let list = client.get("/v1/cli/secrets").expect(200);
    assert_eq!(list["secrets"][0]["type"], "certificate");
    let key = KeyPair::generate().unwrap();
    assert_eq!([(); 2].map(|()| ask(&client, &key).status), [200, 403]);
}
