//! Machines in memory.

mod common;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use common::{Fake as _, FakeClock, chain, emulator};
use sikkerkey::{Bootstrap, ErrorKind, ExposeSecret, SikkerKey};
use sikkerkey_emulator::{Emulator, Fault, Reply};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn vault() -> Emulator {
    emulator()
        .vault("vault_abc123")
        .secret("sk_key", "sk-live-1")
        .start()
        .unwrap()
}

fn bootstrap(vault: &Emulator, token: &str) -> (Bootstrap, Arc<FakeClock>) {
    let clock = FakeClock::new();
    let bootstrap = SikkerKey::bootstrap_in_memory("vault_abc123", token)
        .hostname("worker-1")
        .name("batch")
        .api_url(vault.url())
        .fake(&clock);
    (bootstrap, clock)
}

fn enrollments(vault: &Emulator) -> usize {
    vault
        .requests()
        .iter()
        .filter(|request| request.path.ends_with("/enroll/register"))
        .count()
}

#[test]
fn a_machine_is_enrolled_and_reads() {
    let vault = vault();
    let token = vault.enrollment_token(1, DAY);
    // Without its prefix, and with what a file or a shell leaves around a token.
    let sk = SikkerKey::bootstrap_in_memory("abc123", &format!(" {token}\n"))
        .hostname("worker-1")
        .name("batch")
        .api_url(vault.url())
        .enroll()
        .unwrap();
    assert_eq!(
        sk.get_secret("sk_key").unwrap().expose_secret(),
        "sk-live-1"
    );
    assert_eq!(sk.vault_id(), "vault_abc123");
    assert_eq!(sk.machine_name(), "batch");
    assert!(vault.machine_ids().contains(&sk.machine_id()));
    assert!(sk.expires_at().is_some());

    let request = &vault.requests()[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/v1/vault_abc123/enroll/register")
    );
    assert!(request.machine_id.is_none() && request.nonce().is_none());
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["hostname"], "worker-1");
    assert_eq!(body["name"], "batch");
    assert_eq!(body["publicKey"].as_str().unwrap().len(), 44);
    let keys: HashSet<_> = body
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        HashSet::from(["token", "publicKey", "hostname", "name"])
    );
}

#[test]
fn reads_go_where_the_service_says() {
    let (front, back) = (vault(), vault());
    let answer = |url: &str, expires: &str| {
        Reply::new(201).body(format!(
            r#"{{"machineId":"{}","machineName":"n","vaultId":"vault_abc123","apiUrl":{url},"expiresAt":{expires},"more":1}}"#,
            back.machine_id()
        ))
    };
    front.fail_next(answer(&format!("\"{}\"", back.url()), "1900000000123"));
    let sk = bootstrap(&front, "token").0.enroll().unwrap();
    assert_eq!(sk.api_url(), back.url());
    let expected = std::time::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
    assert_eq!(sk.expires_at(), Some(expected));
    // The key is not that machine's, so the other service refuses: but it was asked.
    assert_eq!(
        sk.get_secret("sk_key").unwrap_err().kind(),
        ErrorKind::Authentication
    );
    assert_eq!((front.request_count(), back.request_count()), (1, 1));

    front.fail_next(answer("null", "null"));
    let sk = bootstrap(&front, "token").0.enroll().unwrap();
    assert_eq!(
        (sk.api_url().as_str(), sk.expires_at()),
        (front.url(), None)
    );

    for hostile in [
        "http://evil.example",
        "http://localhost@evil.example",
        "ftp://localhost",
    ] {
        front.fail_next(answer(&format!("\"{hostile}\""), "null"));
        let error = bootstrap(&front, "token").0.enroll().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode, "{error}");
    }
}

#[test]
fn bad_settings_send_nothing() {
    let vault = vault();
    for (id, token, url) in [
        ("vault_abc123", "", vault.url()),
        ("vault_abc123", " \n", vault.url()),
        ("", "token", vault.url()),
        ("../x", "token", vault.url()),
        ("vault_abc123", "token", "http://evil.example"),
        ("vault_abc123", "token", "nonsense"),
    ] {
        let error = SikkerKey::bootstrap_in_memory(id, token)
            .api_url(url)
            .enroll()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    }
    assert_eq!(vault.request_count(), 0);
}

#[test]
fn a_refused_token_is_one_request_and_is_not_repeated_in_the_error() {
    let vault = vault();
    let error = bootstrap(&vault, "canary-token").0.enroll().unwrap_err();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::Authentication | ErrorKind::AccessDenied
        ),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("enrolling a machine in vault_abc123"),
        "{error}"
    );
    assert_eq!(vault.request_count(), 1);

    let spent = vault.enrollment_token(1, DAY);
    bootstrap(&vault, &spent).0.enroll().unwrap();
    let error = bootstrap(&vault, &spent).0.enroll().unwrap_err();
    assert!(
        error.http_status().is_some_and(|status| status < 500),
        "{error}"
    );

    for echo in [
        "token canary-token is unknown",
        "\\\"canary-token\\\"",
        "canary-token",
    ] {
        let body = format!("{{\"error\":\"{echo}\"}}");
        vault.fail_next(Reply::new(403).body(body));
        let error = bootstrap(&vault, "canary-token").0.enroll().unwrap_err();
        let text = chain(&error);
        assert!(
            text.contains("[token]") && !text.contains("canary-token"),
            "{text}"
        );
    }
}

#[test]
fn only_what_reached_nobody_is_tried_again() {
    for (fault, requests, well) in [
        (Fault::Status(429), 2, true),
        (Fault::Status(503), 1, false),
        (Fault::Status(500), 1, false),
        (Fault::Close, 1, false),
        (Fault::Truncated, 1, false),
        (Fault::Garbage, 1, false),
        (Fault::after(Fault::Close), 1, false),
        (Fault::InvalidJson, 1, false),
        (Fault::EmptyObject, 1, false),
    ] {
        let vault = vault();
        let token = vault.enrollment_token(9, DAY);
        vault.fail_next(fault.clone());
        let enrolled = bootstrap(&vault, &token).0.enroll();
        assert_eq!(
            (vault.request_count(), enrolled.is_ok()),
            (requests, well),
            "{fault:?}"
        );
        if let Err(error) = enrolled {
            assert!(!chain(&error).contains(&token));
        }
    }
    // Nobody is there: that is certain, so it is tried again.
    let vault = vault();
    let (bootstrap, clock) = bootstrap(&vault, "token");
    drop(vault);
    assert_eq!(bootstrap.enroll().unwrap_err().kind(), ErrorKind::Network);
    assert_eq!(clock.slept_ms(), [1000, 2000, 4000]);
}

#[test]
fn without_being_asked_nobody_enrolls_again() {
    let vault = vault();
    let token = vault.enrollment_token(9, DAY);
    let sk = bootstrap(&vault, &token).0.enroll().unwrap();
    sk.get_secret("sk_key").unwrap();
    vault.expire_machines();
    assert_eq!(
        sk.get_secret("sk_key").unwrap_err().kind(),
        ErrorKind::Authentication
    );
    assert_eq!(enrollments(&vault), 1);
}

#[test]
fn an_expired_machine_is_replaced_and_the_call_made_once_more() {
    let vault = vault();
    let token = vault.enrollment_token(9, DAY);
    let sk = bootstrap(&vault, &token)
        .0
        .reenroll_when_expired(true)
        .enroll()
        .unwrap();
    let first = sk.machine_id();
    sk.get_secret("sk_key").unwrap();
    vault.expire_machines();
    assert_eq!(
        sk.get_secret("sk_key").unwrap().expose_secret(),
        "sk-live-1"
    );
    assert_ne!(sk.machine_id(), first);
    assert_eq!(enrollments(&vault), 2);
    assert_eq!(vault.request_count(), 5);
}

#[test]
fn reads_that_fail_together_enroll_once() {
    let vault = vault();
    let token = vault.enrollment_token(2, DAY);
    let (bootstrap, clock) = bootstrap(&vault, &token);
    let sk = bootstrap.reenroll_when_expired(true).enroll().unwrap();
    sk.get_secret("sk_key").unwrap();
    // An hour is the machine's life, and the service's clock is a little ahead.
    clock.pass(Duration::from_secs(3600 - 20));
    vault.expire_machines();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| sk.get_secret("sk_key").unwrap());
        }
    });
    assert_eq!(enrollments(&vault), 2);
}

#[test]
fn a_machine_whose_time_is_known_to_be_over_is_replaced_without_a_failed_read() {
    let vault = vault();
    let token = vault.enrollment_token(9, DAY);
    let (bootstrap, clock) = bootstrap(&vault, &token);
    // A date that is off has no say in it.
    clock.set_off(-100 * 24 * 3600);
    let sk = bootstrap.reenroll_when_expired(true).enroll().unwrap();
    sk.get_secret("sk_key").unwrap();
    clock.pass(400 * DAY);
    vault.clear_requests();
    sk.get_secret("sk_key").unwrap();
    assert_eq!(enrollments(&vault), 1);
    assert!(vault.requests().iter().all(|request| request.status < 400));
}

#[test]
fn a_spent_token_ends_in_one_error_for_every_later_call() {
    let vault = vault();
    let token = vault.enrollment_token(1, DAY);
    let sk = bootstrap(&vault, &token)
        .0
        .reenroll_when_expired(true)
        .enroll()
        .unwrap();
    sk.get_secret("sk_key").unwrap();
    vault.expire_machines();
    let first = sk.get_secret("sk_key").unwrap_err();
    let text = first.to_string();
    assert!(
        text.starts_with("the machine has expired and enrolling again failed: "),
        "{text}"
    );
    assert!(!chain(&first).contains(&token));
    assert_eq!(enrollments(&vault), 2);
    vault.unlock();
    let again = sk.get_secret("sk_key").unwrap_err();
    assert_eq!(again.to_string(), text);
    assert_eq!(enrollments(&vault), 2);
}

#[test]
fn an_enrollment_that_may_succeed_later_is_tried_later_and_not_at_each_call() {
    let vault = vault();
    let token = vault.enrollment_token(9, DAY);
    let (bootstrap, clock) = bootstrap(&vault, &token);
    let sk = bootstrap.reenroll_when_expired(true).enroll().unwrap();
    sk.get_secret("sk_key").unwrap();
    vault.expire_machines();
    vault.fail_next_matching("/v1/vault_abc123/enroll", Fault::Status(500));
    sk.get_secret("sk_key").unwrap_err();
    vault.unlock();
    sk.get_secret("sk_key").unwrap_err();
    assert_eq!(enrollments(&vault), 2);
    clock.pass(Duration::from_secs(31));
    vault.unlock();
    sk.get_secret("sk_key").unwrap();
    assert_eq!(enrollments(&vault), 3);
}

/// What a gateway answers in place of the service.
fn page(status: u16) -> Reply {
    Reply::new(status).body("<html>Please log in</html>")
}

#[test]
fn a_gateways_401_enrolls_nothing_and_is_over_with_the_gateway() {
    let vault = vault();
    let token = vault.enrollment_token(9, DAY);
    let (bootstrap, clock) = bootstrap(&vault, &token);
    let sk = bootstrap.reenroll_when_expired(true).enroll().unwrap();
    sk.get_secret("sk_key").unwrap();
    let machine = sk.machine_id();
    vault.fail_always(page(401));
    for _ in 0..3 {
        let error = sk.get_secret("sk_key").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    }
    vault.clear_faults();
    clock.pass(Duration::from_secs(10));
    sk.get_secret("sk_key").unwrap();
    assert_eq!((sk.machine_id(), enrollments(&vault)), (machine, 1));
    // The next calls are not limited either.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| sk.get_secret("sk_key").unwrap());
        }
    });
}

#[test]
fn an_enrollment_that_a_gateway_refused_is_tried_later() {
    for fault in [page(401), page(403), page(404), Reply::new(408)] {
        let vault = vault();
        let token = vault.enrollment_token(9, DAY);
        let (bootstrap, clock) = bootstrap(&vault, &token);
        let sk = bootstrap.reenroll_when_expired(true).enroll().unwrap();
        sk.get_secret("sk_key").unwrap();
        // An hour is the machine's life.
        clock.pass(Duration::from_secs(3601));
        vault.expire_machines();
        vault.fail_next_matching("/v1/vault_abc123/enroll", fault);
        let text = sk.get_secret("sk_key").unwrap_err().to_string();
        assert!(text.starts_with("the machine has expired"), "{text}");
        clock.pass(Duration::from_secs(31));
        sk.get_secret("sk_key").unwrap();
        assert_eq!(enrollments(&vault), 3);
    }
}

#[test]
fn a_machine_that_was_never_known_did_not_expire() {
    let vault = vault();
    let token = vault.enrollment_token(9, DAY);
    let sk = bootstrap(&vault, &token)
        .0
        .reenroll_when_expired(true)
        .enroll()
        .unwrap();
    vault.expire_machines();
    assert_eq!(
        sk.get_secret("sk_key").unwrap_err().kind(),
        ErrorKind::Authentication
    );
    assert_eq!(enrollments(&vault), 1);
}

#[test]
fn a_machine_whose_time_is_over_says_so() {
    let vault = vault();
    let token = vault.enrollment_token(1, DAY);
    let (bootstrap, clock) = bootstrap(&vault, &token);
    let sk = bootstrap.enroll().unwrap();
    sk.get_secret("sk_key").unwrap();
    clock.pass(400 * DAY);
    vault.expire_machines();
    let error = sk.get_secret("sk_key").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert!(
        error
            .to_string()
            .starts_with("the lifetime of this enrolled machine is over"),
        "{error}"
    );
}
