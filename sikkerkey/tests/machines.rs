//! Machines without files, signers of the user's own, and identities that change on disk.

mod common;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Fake as _, FakeClock, builder, chain, emulator};
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use ed25519_dalek::{Signer as _, SigningKey};
use sikkerkey::{ErrorKind, ExposeSecret, Machine, RequestSigner, SignError, SikkerKey};
use sikkerkey_emulator::{Emulator, Fault, Reply};

fn vault() -> Emulator {
    emulator()
        .vault("vault_abc123")
        .secret("sk_key", "sk-live-1")
        .start()
        .unwrap()
}

fn pem(vault: &Emulator) -> String {
    fs::read_to_string(vault.identity_path().with_file_name("private.pem")).unwrap()
}

fn machine(vault: &Emulator) -> Machine {
    Machine::new(vault.machine_id(), "abc123").api_url(vault.url())
}

#[track_caller]
fn reads(sk: &SikkerKey) {
    let value = sk.get_secret("sk_key").unwrap();
    assert_eq!(value.expose_secret(), "sk-live-1");
}

struct Module {
    key: SigningKey,
    signed: Arc<AtomicU32>,
}

impl RequestSigner for Module {
    fn public_key(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        match self.signed.fetch_add(1, Ordering::SeqCst) {
            0 => Ok(self.key.sign(message).to_bytes()),
            1 => Err(SignError("the module is locked")),
            2 => panic!("the module's driver crashed"),
            _ => Ok([7; 64]),
        }
    }
}

#[test]
fn a_machine_by_its_values() {
    let vault = vault();
    for pem in [pem(&vault), pem(&vault).replace('\n', "\\n")] {
        let machine = machine(&vault).name("web\u{1b}[2J");
        let builder = SikkerKey::builder().machine(machine).private_key_pem(pem);
        assert!(!format!("{builder:?}").contains("PRIVATE"), "{builder:?}");
        let sk = builder.build().unwrap();
        reads(&sk);
        assert_eq!(sk.vault_id(), "vault_abc123");
        assert_eq!(sk.machine_name(), r"web\u{1b}[2J");
        assert_eq!(sk.expires_at(), None);
    }
}

#[test]
fn a_key_in_place_of_the_file_that_the_identity_names() {
    let vault = vault();
    let pem = pem(&vault);
    fs::remove_file(vault.identity_path().with_file_name("private.pem")).unwrap();
    let sk = builder(&vault).private_key_pem(pem).build().unwrap();
    reads(&sk);
}

#[test]
fn a_signer_that_fails_sends_nothing() {
    let vault = vault();
    let signed = Arc::new(AtomicU32::new(0));
    let module = Module {
        key: SigningKey::from_pkcs8_pem(&pem(&vault)).unwrap(),
        signed: signed.clone(),
    };
    let builder = SikkerKey::builder().machine(machine(&vault)).signer(module);
    let sk = builder.build().unwrap();
    reads(&sk);
    assert_eq!(vault.request_count(), 1);
    for says in ["the module is locked", "panicked", "does not fit"] {
        let error = sk.get_secret("sk_key").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains(says), "{error}");
        assert!(!chain(&error).contains("driver"), "{}", chain(&error));
    }
    assert_eq!(signed.load(Ordering::SeqCst), 4, "none was tried again");
    assert_eq!(vault.request_count(), 1);
}

#[test]
fn settings_that_contradict_each_other_are_errors() {
    let vault = vault();
    let module = || Module {
        key: SigningKey::from_bytes(&[7; 32]),
        signed: Arc::default(),
    };
    let start = SikkerKey::builder;
    let machine = || start().machine(machine(&vault));
    for (builder, says) in [
        (machine(), "needs a key"),
        (
            machine().private_key_pem(pem(&vault)).signer(module()),
            "private_key_pem and signer",
        ),
        (
            machine().private_key_pem(pem(&vault)).vault("vault_abc123"),
            "both name an identity",
        ),
        (
            machine().signer(module()).identity_file("/x/identity.json"),
            "both name an identity",
        ),
        (machine().private_key_pem("hunter2"), "is not PEM"),
        (
            start()
                .machine(Machine::new("m\r\nX: 1", "vault_a"))
                .signer(module()),
            "characters that no id has",
        ),
        (
            start().machine(Machine::new("m", "../a")).signer(module()),
            "is neither a vault id",
        ),
        (
            start()
                .machine(Machine::new("m", "a").api_url("http://10.0.0.1"))
                .signer(module()),
            "plain http",
        ),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        let text = chain(&error);
        assert!(text.contains(says) && !text.contains("hunter2"), "{text}");
    }
}

#[cfg(feature = "cache")]
#[test]
fn a_cache_needs_an_identity_on_disk_and_its_key() {
    use sikkerkey::CacheOptions;
    let vault = vault();
    let module = Module {
        key: SigningKey::from_bytes(&[7; 32]),
        signed: Arc::default(),
    };
    for builder in [
        SikkerKey::builder()
            .machine(machine(&vault))
            .private_key_pem(pem(&vault)),
        builder(&vault).signer(module),
    ] {
        let error = builder.cache(CacheOptions::new()).build().unwrap_err();
        assert!(error.to_string().contains("do not go together"), "{error}");
    }
}

#[test]
fn an_address_that_was_not_expected_gets_nothing() {
    let vault = vault();
    let expect = |url: &str| builder(&vault).expect_api_url(url).build();
    reads(&expect(vault.url()).unwrap());
    reads(&expect(&format!("{}/", vault.url())).unwrap());
    vault.clear_requests();
    for url in [
        "https://api.sikkerkey.com",
        "http://127.0.0.1:1",
        "nonsense",
    ] {
        let error = expect(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("expect_api_url"), "{error}");
    }
    assert!(vault.requests().is_empty());
}

/// Replaces a file's content in one step.
fn replace(path: &Path, content: &str) {
    use std::io::Write as _;
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap()).unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file.persist(path).unwrap();
}

/// Replaces the identity on disk by another one: the machine, its key and the address.
fn replace_identity(old: &Emulator, new: &Emulator) {
    replace(
        &old.identity_path().with_file_name("private.pem"),
        &pem(new),
    );
    let identity = fs::read_to_string(new.identity_path()).unwrap();
    let json: serde_json::Value = serde_json::from_str(&identity).unwrap();
    let key = json["privateKeyPath"].as_str().unwrap();
    let beside = old.identity_path().with_file_name("private.pem");
    replace(
        old.identity_path(),
        &identity.replace(key, beside.to_str().unwrap()),
    );
}

/// An emulator that knows another machine, and a client that still has the old one.
fn rotated() -> (Emulator, Emulator, SikkerKey, Arc<FakeClock>) {
    let old = vault();
    let new = vault();
    let clock = FakeClock::new();
    let sk = builder(&old).fake(&clock).build().unwrap();
    reads(&sk);
    (old, new, sk, clock)
}

#[cfg(feature = "cache")]
#[test]
fn an_identity_that_replaces_another_opens_none_of_its_cached_values() {
    let [old, new] = [(); 2].map(|()| {
        let vault = emulator().secret("sk_key", "1");
        vault.secret("sk_other", "2").start().unwrap()
    });
    let folder = tempfile::tempdir().unwrap();
    let options = sikkerkey::CacheOptions::new().folder(folder.path());
    let client = builder(&old).fake(&FakeClock::new());
    let sk = client.cache(options).build().unwrap();
    for id in ["sk_key", "sk_other"] {
        sk.get_secret(id).unwrap();
    }
    // Counting waits until both are written.
    assert_eq!(sk.cached_count().unwrap(), 2);
    replace_identity(&old, &new);
    old.expire_machines();
    sk.get_secret("sk_key").unwrap();
    assert_eq!(sk.machine_id(), new.machine_id());
    assert_eq!(sk.cached_count().unwrap(), 2);
    new.outage(true);
    sk.get_secret("sk_key").unwrap();
    sk.get_secret("sk_other").unwrap_err();
}

#[test]
fn an_identity_that_changed_on_disk_is_read_again_after_a_401() {
    let (old, new, sk, clock) = rotated();
    old.expire_machines();
    let first = sk.get_secret("sk_key").unwrap_err();
    assert_eq!(first.kind(), ErrorKind::Authentication);
    let sent = old.request_count();
    sk.get_secret("sk_key").unwrap_err();
    assert_eq!(old.request_count(), sent, "it has not changed");

    replace_identity(&old, &new);
    reads(&sk);
    assert_eq!(sk.machine_id(), new.machine_id());
    assert_eq!(sk.api_url(), new.url());
    assert_eq!(old.request_count(), sent);
    assert!(clock.slept_ms().is_empty());
}

#[test]
fn many_refused_calls_read_the_identity_once_and_all_go_on() {
    let (old, new, sk, _clock) = rotated();
    let beside = old.identity_path().with_file_name("private.pem");
    replace(&beside, &pem(&new));
    let identity = fs::read_to_string(new.identity_path()).unwrap();
    replace(old.identity_path(), &identity);
    old.fail_always(Fault::Status(401));
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                if let Err(error) = sk.get_secret("sk_key") {
                    failures.lock().unwrap().push(error.to_string());
                }
            });
        }
    });
    assert!(failures.lock().unwrap().is_empty(), "{failures:?}");
    assert!(old.request_count() <= 9);
}

#[cfg(unix)]
#[test]
fn a_secret_that_kubernetes_swaps_is_read_whole() {
    use std::os::unix::fs::symlink;
    let (old, new) = (vault(), vault());
    let mount = tempfile::tempdir().unwrap();
    let fill = |name: &str, from: &Emulator| {
        let folder = mount.path().join(name);
        fs::create_dir(&folder).unwrap();
        for file in ["identity.json", "private.pem"] {
            let path = from.identity_path().with_file_name(file);
            fs::copy(path, folder.join(file)).unwrap();
        }
        // The path of the enrolling machine, as in a container bundle.
        let identity = folder.join("identity.json");
        let text = fs::read_to_string(&identity).unwrap();
        let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
        json["privateKeyPath"] = mount.path().join("private.pem").to_str().into();
        fs::write(&identity, json.to_string()).unwrap();
    };
    fill("..2026_old", &old);
    fill("..2026_new", &new);
    let data = mount.path().join("..data");
    symlink("..2026_old", &data).unwrap();
    for file in ["identity.json", "private.pem"] {
        symlink(format!("..data/{file}"), mount.path().join(file)).unwrap();
    }
    let sk = SikkerKey::new(mount.path().join("identity.json")).unwrap();
    reads(&sk);
    let swap = mount.path().join("..data_tmp");
    symlink("..2026_new", &swap).unwrap();
    fs::rename(&swap, &data).unwrap();
    old.expire_machines();
    reads(&sk);
    assert_eq!(sk.machine_id(), new.machine_id());
}

#[test]
fn what_an_enrollment_answers_is_checked_as_a_file_is() {
    let vault = vault();
    let token = vault.enrollment_token(99, Duration::from_secs(600));
    let enroll = |answer: &serde_json::Value| {
        vault.fail_next(Reply::new(200).body(answer.to_string()));
        SikkerKey::bootstrap_in_memory("abc123", &token)
            .api_url(vault.url())
            .fake(&FakeClock::new())
            .enroll()
    };
    let good = serde_json::json!({
        "machineId": "m-1", "machineName": "web-1", "vaultId": "vault_abc123",
        "apiUrl": vault.url(), "expiresAt": 4_000_000_000_u32,
    });
    assert_eq!(enroll(&good).unwrap().machine_name(), "web-1");
    for (key, value) in [
        ("machineId", ""),
        ("machineId", "m\nX: 1"),
        ("vaultId", "../../x"),
        ("vaultId", "vault_other"),
        ("vaultId", ""),
        ("apiUrl", "http://10.0.0.1"),
        ("apiUrl", "nonsense"),
    ] {
        let mut bad = good.clone();
        bad[key] = value.into();
        let error = enroll(&bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode, "{key} {value:?}: {error}");
    }
    // What is only shown loses no token.
    for odd in [
        serde_json::json!({"expiresAt": "tomorrow", "machineName": ["x"]}),
        serde_json::json!({"expiresAt": -1, "machineName": null}),
        serde_json::json!({"expiresAt": {"at": 1}, "machineName": 7}),
    ] {
        let mut answer = good.clone();
        for (key, value) in odd.as_object().unwrap() {
            answer[key] = value.clone();
        }
        let sk = enroll(&answer).unwrap();
        assert_eq!((sk.machine_name(), sk.expires_at()), (String::new(), None));
    }
    let named = serde_json::json!({"machineName": "web\r\n\u{202e}1"});
    let mut answer = good.clone();
    answer["machineName"] = named["machineName"].clone();
    let name = enroll(&answer).unwrap().machine_name();
    assert_eq!(name, r"web\u{d}\u{a}\u{202e}1");
}

#[test]
fn https_is_never_followed_by_plain_http() {
    let vault = emulator().vault("vault_abc123").tls().start().unwrap();
    let token = vault.enrollment_token(9, Duration::from_secs(600));
    let answer = serde_json::json!({
        "machineId": "m-1", "vaultId": "vault_abc123", "apiUrl": "http://127.0.0.1:9",
    });
    vault.fail_next(Reply::new(200).body(answer.to_string()));
    let error = SikkerKey::bootstrap_in_memory("abc123", &token)
        .api_url(vault.url())
        .root_certificate_pem(vault.ca_pem().unwrap())
        .enroll()
        .unwrap_err();
    assert!(
        error.to_string().contains("although it came over https"),
        "{error}"
    );
}
