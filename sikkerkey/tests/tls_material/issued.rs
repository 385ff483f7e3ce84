//! Certificates that the service issues.

use std::time::Duration;

use sikkerkey::rustls::pki_types::CertificateDer;
use sikkerkey::tls::LiveCertificate;
use sikkerkey::{Error, ErrorKind, SikkerKey};
use sikkerkey_emulator::{CertificateProfile, Emulator, EmulatorBuilder, Fault};

use crate::common::emulator;
use crate::common::stage::Stage;
use crate::handshake::{TestTime, client, client_with, handshake, server, server_for};

const WORKER: &str = "sikkerkey-cert";
const HOUR: Duration = Duration::from_secs(3600);

fn profile() -> CertificateProfile {
    CertificateProfile::new("api").names(["localhost"])
}

fn stage(setting: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder) -> (Stage, SikkerKey) {
    let stage = Stage::new(setting(emulator()).start().unwrap());
    let sk = stage.builder().build().unwrap();
    (stage, sk)
}

fn leaf(certificate: &LiveCertificate) -> CertificateDer<'static> {
    certificate.get().certified_key().cert[0].clone()
}

fn authority(vault: &Emulator) -> String {
    vault.authority_pem("sk_cert").unwrap()
}

/// Lets the time pass at which the next certificate is asked for, and waits until it was; how long that was.
#[track_caller]
fn attempt(stage: &Stage) -> Duration {
    let left = stage.clock.threads_at_rest(WORKER, 1);
    stage.pass(left);
    stage.clock.threads_at_rest(WORKER, 1);
    left
}

#[test]
fn a_key_that_is_made_here_is_certified() {
    let (stage, sk) = stage(|vault| vault.certificate("sk_cert", profile()));
    let certificate = sk.certificate("sk_cert").validity(HOUR).live().unwrap();
    let status = certificate.status();
    assert_eq!(status.generation(), 1);
    assert!(status.last_error().is_none() && !status.has_expired());
    assert_eq!(
        status
            .valid_until()
            .duration_since(status.valid_from())
            .unwrap(),
        HOUR
    );
    assert_eq!(
        status.to_string(),
        "valid until Mon, 21 Sep 2026 15:13:20 GMT, 1 issued"
    );

    let requests = stage.vault.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].path, "/v1/secret/sk_cert");
    let header = |name| requests[0].header(name).unwrap().to_owned();
    assert_eq!(header("X-SikkerKey-Validity"), "3600");
    assert!(header("X-SikkerKey-Subject-Key").starts_with("ssh-ed25519 AAAA"));
    assert!(header("X-SikkerKey-Subject-Key-X509").starts_with("MFkwEwYHKoZIzj0CAQ"));

    // Both sides present it, and trust its authority.
    let time = TestTime::new();
    let authority = authority(&stage.vault);
    let roots = sikkerkey::tls::TrustRoots::from_pem(&authority).unwrap();
    let resolver = certificate.server_cert_resolver();
    let server = server_for(&time, resolver, roots.client_cert_verifier());
    let client = client_with(&time, &authority, certificate.client_cert_resolver());
    assert_eq!(handshake(&server, &client).unwrap(), leaf(&certificate));
    assert!(
        !format!("{certificate:?}").contains("key"),
        "{certificate:?}"
    );
}

#[test]
fn a_certificate_is_renewed_at_two_thirds_of_its_life() {
    let (stage, sk) = stage(|vault| vault.certificate("sk_cert", profile()));
    let certificate = sk.certificate("sk_cert").live().unwrap();
    let time = TestTime::new();
    let server = server(&time, certificate.server_cert_resolver());
    let client = client(&time, &authority(&stage.vault));
    let mut keys = Vec::new();
    for generation in 2..5 {
        let before = leaf(&certificate);
        let config = certificate.server_config();
        // Of 24 hours, the middle of 60 to 67 percent.
        let waited = attempt(&stage);
        assert_eq!(waited, (HOUR * 16).mul_f64(0.95));
        time.pass(waited);
        assert_eq!(certificate.status().generation(), generation);
        assert_ne!(leaf(&certificate), before);
        assert_eq!(handshake(&server, &client).unwrap(), leaf(&certificate));
        assert_eq!(handshake(&config, &client).unwrap(), before);
        let requests = stage.vault.requests();
        let key = requests
            .last()
            .unwrap()
            .header("X-SikkerKey-Subject-Key-X509");
        keys.push(key.unwrap().to_owned());
    }
    keys.dedup();
    assert_eq!(keys.len(), 3, "each certificate is for a new key");
}

#[test]
fn a_renewal_that_fails_is_repeated_before_the_end_and_after_it() {
    let (stage, sk) = stage(|vault| vault.certificate("sk_cert", profile()));
    let certificate = sk.certificate("sk_cert").validity(HOUR).live().unwrap();
    let first = leaf(&certificate);
    stage.vault.fail_matching("/v1/secret", Fault::Status(503));
    let renewal = attempt(&stage);
    assert_eq!(renewal, (HOUR * 2 / 3).mul_f64(0.95));
    let status = certificate.status();
    assert_eq!(status.consecutive_failures(), 1);
    assert_eq!(status.last_error().unwrap().kind(), ErrorKind::Unavailable);
    assert!(!status.has_expired());
    assert_eq!(leaf(&certificate), first);

    let mut attempts = 1;
    let mut waited = renewal;
    while !certificate.status().has_expired() {
        waited += attempt(&stage);
        attempts += 1;
    }
    assert!(attempts > 20, "{attempts}");
    assert!(
        waited > HOUR && waited < HOUR + Duration::from_secs(61),
        "{waited:?}"
    );
    assert_eq!(attempt(&stage), Duration::from_secs(60).mul_f64(0.95));
    let shown = certificate.status().to_string();
    assert!(
        shown.starts_with("expired on Mon, 21 Sep 2026 15:13:20 GMT, 1 issued, "),
        "{shown}"
    );

    stage.vault.clear_faults();
    attempt(&stage);
    let status = certificate.status();
    assert_eq!((status.generation(), status.consecutive_failures()), (2, 0));
    assert!(status.last_error().is_none() && !status.has_expired());
    assert_ne!(leaf(&certificate), first);
}

#[test]
fn a_refused_renewal_keeps_the_certificate() {
    let (stage, sk) = stage(|vault| vault.certificate("sk_cert", profile()));
    let certificate = sk.certificate("sk_cert").live().unwrap();
    stage.vault.deny("sk_cert");
    attempt(&stage);
    let status = certificate.status();
    assert_eq!(status.last_error().unwrap().kind(), ErrorKind::AccessDenied);
    assert_eq!(status.generation(), 1);
    stage.vault.allow("sk_cert");
    attempt(&stage);
    assert_eq!(certificate.status().generation(), 2);
}

#[track_caller]
fn refused(setting: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder) -> Error {
    let (_stage, sk) = stage(setting);
    sk.certificate("sk_cert").live().unwrap_err()
}

#[test]
fn what_is_no_certificate_for_our_key_is_an_error_that_says_so() {
    let ssh = refused(|vault| vault.certificate("sk_cert", profile().ssh(true)));
    let older = refused(|vault| vault.certificates(false).certificate("sk_cert", profile()));
    let value = refused(|vault| vault.secret("sk_cert", "a value of another kind"));
    let other = refused(|vault| vault.certificate("sk_cert", profile().for_other_key(true)));
    let none = refused(|vault| vault);
    let denied = refused(|vault| vault.denied("sk_cert", "{}"));
    for (error, kind, says) in [
        (
            ssh,
            ErrorKind::SecretStructure,
            "it issues SSH certificates, which are not supported",
        ),
        (
            older,
            ErrorKind::SecretStructure,
            "the service is older than certificates",
        ),
        (
            value,
            ErrorKind::SecretStructure,
            "it holds a value; read it with get_secret",
        ),
        (
            other,
            ErrorKind::Decode,
            "it is for another key than the one that was sent",
        ),
        (
            none,
            ErrorKind::NotFound,
            "no such secret while asking for a certificate of sk_cert",
        ),
        (
            denied,
            ErrorKind::AccessDenied,
            "while asking for a certificate of sk_cert",
        ),
    ] {
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(!error.to_string().contains("another kind"), "{error}");
    }
    let (_stage, sk) = stage(|vault| vault);
    let error = sk.certificate("../x").live().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidId);
}

#[test]
fn an_authority_may_leave_out_its_own_certificate() {
    let (stage, sk) = stage(|vault| vault.certificate("sk_cert", profile().chain(false)));
    let certificate = sk.certificate("sk_cert").live().unwrap();
    assert_eq!(certificate.get().certified_key().cert.len(), 1);
    let time = TestTime::new();
    let server = server(&time, certificate.server_cert_resolver());
    let client = client(&time, &authority(&stage.vault));
    assert!(handshake(&server, &client).is_ok());
}

#[test]
fn nothing_of_it_is_in_the_cache() {
    #[cfg(feature = "cache")]
    {
        let stage = Stage::new(
            emulator()
                .certificate("sk_cert", profile())
                .start()
                .unwrap(),
        );
        let builder = stage.builder().cache(sikkerkey::CacheOptions::new());
        let sk = builder.build().unwrap();
        let _certificate = sk.certificate("sk_cert").live().unwrap();
        assert_eq!(sk.cached_count().unwrap(), 0);
    }
}

#[test]
fn a_certificate_can_be_awaited() {
    let (_stage, sk) = stage(|vault| vault.certificate("sk_cert", profile()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let certificate = runtime.block_on(sk.into_async().certificate("sk_cert").live_async());
    assert_eq!(certificate.unwrap().status().generation(), 1);
}
