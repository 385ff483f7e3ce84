//! Which servers are believed.

mod common;

use common::{Fake as _, FakeClock, builder, emulator};
use sikkerkey::{Error, ErrorKind, ExposeSecret};
use sikkerkey_emulator::{Certificate, Emulator};

fn vault(certificate: Certificate) -> Emulator {
    emulator()
        .secret("sk_key", "sk-live-1")
        .tls_with(certificate)
        .start()
        .unwrap()
}

#[test]
fn a_service_with_ones_own_authority() {
    let vault = vault(Certificate::Valid);
    let sk = builder(&vault)
        .root_certificate_pem(vault.ca_pem().unwrap())
        .build()
        .unwrap();
    for _ in 0..3 {
        assert_eq!(
            sk.get_secret("sk_key").unwrap().expose_secret(),
            "sk-live-1"
        );
    }
    assert!(sk.api_url().starts_with("https://"));
    assert_eq!(vault.connections(), 1);
    sk.list_secrets().unwrap();
}

/// The error of a read, and that nothing was tried again and nobody may fall back because of it.
fn refused(certificate: Certificate, trusted: bool) -> Error {
    let vault = vault(certificate);
    let clock = FakeClock::new();
    let mut builder = builder(&vault).fake(&clock);
    if trusted {
        builder = builder.root_certificate_pem(vault.ca_pem().unwrap());
    }
    let error = builder.build().unwrap().get_secret("sk_key").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert_eq!(error.http_status(), None);
    assert!(!error.is_retryable() && !error.is_unavailable());
    assert!(clock.slept_ms().is_empty());
    assert_eq!(vault.request_count(), 0);
    error
}

#[test]
fn each_bad_certificate_is_told_apart() {
    for (certificate, trusted, says) in [
        (Certificate::Expired, true, "its certificate has expired"),
        (
            Certificate::NotYetValid,
            true,
            "its certificate is not valid yet",
        ),
        (
            Certificate::OtherHost,
            true,
            "its certificate is for another host",
        ),
        (
            Certificate::SelfSigned,
            true,
            "its certificate is self-signed or from an authority",
        ),
        (
            Certificate::SelfSigned,
            false,
            "its certificate is self-signed or from an authority",
        ),
        (
            Certificate::Valid,
            false,
            "its certificate is self-signed or from an authority",
        ),
    ] {
        let text = refused(certificate, trusted).to_string();
        assert!(text.contains(says), "{certificate:?}: {text}");
        assert!(text.contains("reading secret sk_key"), "{text}");
    }
}

#[test]
fn a_server_without_tls_is_no_service() {
    let plain = emulator().secret("sk_key", "x").start().unwrap();
    let tls = vault(Certificate::Valid);
    // The identity of one with the port of the other.
    let identity = std::fs::read_to_string(tls.identity_path()).unwrap();
    let identity = identity.replace(&tls.port().to_string(), &plain.port().to_string());
    std::fs::write(tls.identity_path(), identity).unwrap();
    let sk = builder(&tls)
        .fake(&FakeClock::new())
        .root_certificate_pem(tls.ca_pem().unwrap())
        .build()
        .unwrap();
    let error = sk.get_secret("sk_key").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.is_unavailable(), "{error}");
}

#[test]
fn a_root_that_is_none_is_refused_at_once() {
    let vault = vault(Certificate::Valid);
    for pem in [
        "",
        "hunter2",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let error = builder(&vault)
            .root_certificate_pem(pem)
            .build()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
    }
}
