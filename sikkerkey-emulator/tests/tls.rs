//! TLS with each certificate, seen by a client that trusts the emulator's authority alone.

mod support;

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sikkerkey_emulator::{Certificate, Emulator, Fault, Reply};
use support::{Client, connect};

/// The status and value of a read, or why ureq refused.
fn read(vault: &Emulator) -> Result<(u16, serde_json::Value), String> {
    let authority = ureq::tls::Certificate::from_pem(vault.ca_pem().unwrap().as_bytes()).unwrap();
    let tls = ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::new_with_certs(&[authority]))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let client = Client::of(vault);
    let request = client.request("GET", "/v1/secret/sk_a", "");
    let url = format!("https://localhost:{}/v1/secret/sk_a", vault.port());
    support::call(
        &support::agent(Some(tls)),
        &url,
        "GET",
        &request.headers(),
        "",
    )
    .map(|response| (response.status, response.json()["value"].clone()))
    .map_err(|e| e.to_string())
}

/// What comes for a read until the connection ends, right or wrong, without its head.
fn raw(vault: &Emulator) -> Result<String, String> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(vault.ca_pem().unwrap().as_bytes()).unwrap())
        .unwrap();
    let config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let session = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut wire = StreamOwned::new(session, connect(vault.port()));
    let request = Client::of(vault)
        .request("GET", "/v1/secret/sk_a", "")
        .bytes();
    let request =
        String::from_utf8(request)
            .unwrap()
            .replacen("\r\n", "\r\nConnection: close\r\n", 1);
    wire.write_all(request.as_bytes())
        .map_err(|e| e.to_string())?;
    let mut response = String::new();
    wire.read_to_string(&mut response)
        .map_err(|e| e.to_string())?;
    Ok(response.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[track_caller]
fn refused(certificate: Certificate, why: &str) {
    let vault = Emulator::builder()
        .secret("sk_a", "a")
        .tls_with(certificate)
        .start()
        .unwrap();
    let found = read(&vault).unwrap_err();
    assert!(found.contains(why), "{found}");
    assert_eq!(vault.request_count(), 0);
}

#[test]
fn a_client_that_trusts_the_authority_reads() {
    let vault = Emulator::builder()
        .secret("sk_a", "a")
        .tls()
        .start()
        .unwrap();
    assert_eq!(vault.url(), format!("https://localhost:{}", vault.port()));
    let identity = std::fs::read_to_string(vault.identity_path()).unwrap();
    assert!(identity.contains(vault.url()));
    assert_eq!(read(&vault).unwrap(), (200, "a".into()));
    assert!(Emulator::builder().start().unwrap().ca_pem().is_none());
}

#[test]
fn faults_happen_under_tls_too() {
    let vault = Emulator::builder()
        .secret("sk_a", "a")
        .tls()
        .start()
        .unwrap();
    vault.fail_next(Fault::Truncated);
    assert_eq!(raw(&vault).unwrap(), r#"{"value":"stand-in","se"#);
    vault.fail_next(Fault::Early(Reply::error(401, "early")));
    assert_eq!(raw(&vault).unwrap(), r#"{"error":"early"}"#);
    vault.fail_next(Fault::Close);
    assert!(raw(&vault).unwrap_err().contains("close_notify"));
    vault.fail_next(Fault::Reset);
    assert!(raw(&vault).is_err());
    assert_eq!(raw(&vault).unwrap(), r#"{"value":"a"}"#);
}

#[test]
fn plain_http_to_a_tls_port_gets_no_answer() {
    let vault = Emulator::builder().tls().start().unwrap();
    let (response, _) = support::exchange(vault.port(), b"GET /v1/secrets HTTP/1.1\r\n\r\n");
    assert!(!response.starts_with(b"HTTP"));
    assert_eq!(vault.request_count(), 0);
}

#[test]
fn a_wrong_certificate_is_refused_for_its_own_reason() {
    refused(Certificate::Expired, "expired");
    refused(Certificate::NotYetValid, "not valid yet");
    refused(Certificate::OtherHost, "not valid for name");
    refused(Certificate::SelfSigned, "UnknownIssuer");
}
