//! What is written to the log, and what never is. One test, for a process has one logger.

mod common;

use std::sync::Mutex;
use std::time::Duration;

use common::{Fake as _, FakeClock, builder, redirect};
use log::{LevelFilter, Log, Metadata, Record};
use sikkerkey::SikkerKey;
use sikkerkey_emulator::{Emulator, Fault};

struct Lines(Mutex<Vec<String>>);

static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = format!("{} {} {}", record.level(), record.target(), record.args());
        self.0.lock().unwrap().push(line);
    }

    fn flush(&self) {}
}

#[test]
fn events_name_the_call_and_never_a_value() {
    log::set_logger(&LINES).unwrap();
    log::set_max_level(LevelFilter::Trace);

    const CANARY: &str = "canary-7f3a91";
    let vault = Emulator::builder()
        .vault("vault_abc123")
        .secret("sk_key", CANARY)
        .structured("sk_db", [("password", CANARY)])
        .name("sk_key", "a b")
        .tls()
        .start()
        .unwrap();
    let pem = vault.ca_pem().unwrap();
    let clock = FakeClock::new();
    clock.set_off(7200);
    let sk = builder(&vault)
        .fake(&clock)
        .root_certificate_pem(pem)
        .build()
        .unwrap();
    sk.get_secret("sk_key").unwrap();
    vault.fail_next(Fault::Status(503));
    vault.fail_next(Fault::Truncated);
    sk.get_fields("sk_db").unwrap();
    sk.get_json::<u8>("sk_key").unwrap_err();
    sk.export().unwrap();
    sk.list_secrets().unwrap();

    let token = vault.enrollment_token(1, Duration::from_secs(600));
    let enrolled = SikkerKey::bootstrap_in_memory("abc123", &token)
        .api_url(vault.url())
        .root_certificate_pem(pem)
        .enroll()
        .unwrap();
    enrolled.get_secret("sk_key").unwrap();

    // Outside of this machine, the service wants ten seconds between two polls.
    redirect(&vault, "https://api.example.com");
    builder(&vault)
        .poll_interval(Duration::from_secs(1))
        .build()
        .unwrap();

    #[cfg(all(unix, feature = "toml"))]
    read_shared_file(CANARY);

    let lines = LINES.0.lock().unwrap().clone();
    let has = |parts: &[&str]| {
        lines
            .iter()
            .any(|line| parts.iter().all(|part| line.contains(part)))
    };
    assert!(
        has(&[
            "DEBUG sikkerkey GET /v1/secret/sk_key: attempt 1: 401 in ",
            " ms"
        ]),
        "{lines:#?}"
    );
    assert!(
        has(&["DEBUG sikkerkey GET /v1/secret/sk_db: attempt 2: 200, cut off (the conn"]),
        "{lines:#?}"
    );
    assert!(
        has(&[
            "WARN sikkerkey this machine's clock is",
            "ahead of the service's"
        ]),
        "{lines:#?}"
    );
    assert!(
        has(&["POST /v1/vault_abc123/enroll/register: attempt 1: 20"]),
        "{lines:#?}"
    );
    #[cfg(all(unix, feature = "toml"))]
    assert!(
        has(&[
            "WARN sikkerkey the file of secrets ",
            "can be read by other users (mode 0644): chmod 600"
        ]),
        "{lines:#?}"
    );
    let raised = "WARN sikkerkey a poll interval of 1s is less than the service allows: it is 10s";
    assert!(has(&[raised]), "{lines:#?}");
    let raised = lines
        .iter()
        .filter(|line| line.contains("less than the service allows"));
    assert_eq!(raised.count(), 1, "{lines:#?}");
    // Plain, and as a hex dump would have it.
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    for line in &lines {
        for secret in [CANARY, &hex, &hex[..8], token.as_str()] {
            assert!(
                !line.replace(' ', "").contains(secret),
                "a secret is in: {line}"
            );
        }
    }
}

#[cfg(all(unix, feature = "toml"))]
fn read_shared_file(value: &str) {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.toml");
    std::fs::write(&path, format!("sk_key = '{value}'")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let _ = sikkerkey::Snapshot::from_toml_file(&path).unwrap();
}
