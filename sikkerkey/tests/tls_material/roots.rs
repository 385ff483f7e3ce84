//! Roots that rotate in a live config.

use serde_json::json;
use sikkerkey::rustls::ClientConfig;
use sikkerkey::rustls::client::Resumption;
use sikkerkey::rustls::crypto::ring::default_provider;
use sikkerkey::rustls::sign::{CertifiedKey, SingleCertAndKey};
use sikkerkey::tls::{TlsIdentity, TrustRoots};
use sikkerkey::{Live, SikkerKeyConfig};
use std::sync::Arc;

use crate::authority::{Authority, DAY, NOW};
use crate::common::emulator;
use crate::common::stage::{PATIENCE, Stage};
use crate::handshake::{TestTime, client_with, handshake, server, server_for};

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(nested, secret = "sk_tls")]
    tls: TlsIdentity,
    #[sikkerkey(secret = "sk_roots")]
    roots: TrustRoots,
}

fn start(authority: &Authority) -> (Stage, Live<Config>) {
    let (chain, key) = authority.issue(NOW, NOW + DAY);
    let vault = emulator()
        .json("sk_tls", json!({"chain": chain, "key": key}).to_string())
        .secret("sk_roots", authority.pem());
    let stage = Stage::new(vault.start().unwrap());
    let sk = stage.builder().build().unwrap();
    let live = Config::live(&sk).unwrap();
    stage.rest();
    (stage, live)
}

#[track_caller]
fn rotate(stage: &Stage, live: &Live<Config>, roots: String) {
    let mut changes = live.subscribe();
    stage.vault.put("sk_roots", roots);
    stage.poll();
    assert_eq!(changes.recv_timeout(PATIENCE).unwrap().paths(), ["roots"]);
}

#[test]
fn clients_are_verified_by_the_roots_of_the_moment() {
    let (old, new) = (Authority::new(), Authority::new());
    let (stage, live) = start(&old);
    let time = TestTime::new();
    let server = server_for(
        &time,
        live.select(|config| &config.tls).server_cert_resolver(),
        live.select(|config| &config.roots).client_cert_verifier(),
    );
    let client_of = |authority: &Authority| {
        let (chain, key) = authority.issue(NOW, NOW + DAY);
        let identity = TlsIdentity::from_pem(&chain, &key).unwrap();
        let pair = CertifiedKey::clone(&identity.certified_key());
        client_with(&time, &old.pem(), Arc::new(SingleCertAndKey::from(pair)))
    };
    let (of_old, of_new) = (client_of(&old), client_of(&new));
    let accepted = || [&of_old, &of_new].map(|client| handshake(&server, client).is_ok());
    assert_eq!(accepted(), [true, false]);
    // Both, while clients move.
    rotate(&stage, &live, format!("{}{}", old.pem(), new.pem()));
    assert_eq!(accepted(), [true, true]);
    rotate(&stage, &live, new.pem());
    assert_eq!(accepted(), [false, true]);
}

#[test]
fn servers_are_verified_by_the_roots_of_the_moment() {
    let (old, new) = (Authority::new(), Authority::new());
    let (stage, live) = start(&old);
    let time = TestTime::new();
    let server = server(
        &time,
        live.select(|config| &config.tls).server_cert_resolver(),
    );
    let verifier = live.select(|config| &config.roots).server_cert_verifier();
    let mut client = ClientConfig::builder_with_details(Arc::new(default_provider()), time.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    client.resumption = Resumption::disabled();
    let client = Arc::new(client);
    assert!(handshake(&server, &client).is_ok());
    rotate(&stage, &live, new.pem());
    assert!(handshake(&server, &client).is_err());
}
