//! The fallback cache: when it is served, when it never is, and what it survives.

#![cfg(feature = "cache")]
mod common;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use std::{env, fs, process};

use common::{Fake as _, FakeClock, builder, client, emulator};
use sikkerkey::{CacheOptions, ErrorKind, ExposeSecret, Resync, SikkerKey, WatchKind};
use sikkerkey_emulator::{Emulator, Fault, Reply};

const LONG: Duration = Duration::from_secs(30);
const DAY: i64 = 24 * 60 * 60;

fn vault() -> Emulator {
    let vault = emulator().secret("sk_a", "1").secret("sk_b", "1");
    vault.start().unwrap()
}

/// Beside the identity, as long as no `SIKKERKEY_HOME` says otherwise; the test says it itself.
fn folder(vault: &Emulator) -> PathBuf {
    vault.identity_path().parent().unwrap().join("cache")
}

fn options(vault: &Emulator) -> CacheOptions {
    CacheOptions::new().folder(folder(vault))
}

fn cached(vault: &Emulator) -> SikkerKey {
    with_cache(vault, options(vault))
}

fn with_cache(vault: &Emulator, options: CacheOptions) -> SikkerKey {
    let builder = builder(vault).fake(&FakeClock::new());
    builder.cache(options).build().unwrap()
}

fn file(vault: &Emulator, id: &str) -> PathBuf {
    folder(vault).join(format!("{id}.skc"))
}

#[track_caller]
fn read(sk: &SikkerKey, id: &str) -> String {
    let value = sk.get_secret(id).unwrap().expose_secret().to_owned();
    written(sk);
    value
}

/// Waits until the files are what the client knows.
fn written(sk: &SikkerKey) {
    // To count them, the client waits for its writer.
    let _ = sk.cached_count();
}

#[test]
fn a_value_survives_an_outage_and_a_restart() {
    let vault = vault();
    assert_eq!(read(&cached(&vault), "sk_a"), "1");
    vault.outage(true);

    let told: Arc<Mutex<Vec<(String, SystemTime)>>> = Arc::default();
    let tell = told.clone();
    let options = options(&vault).on_fallback(move |id, at| {
        tell.lock().unwrap().push((id.to_owned(), at));
    });
    let sk = with_cache(&vault, options);
    assert_eq!(read(&sk, "sk_a"), "1");
    assert_eq!(
        sk.get_secret("sk_b").unwrap_err().kind(),
        ErrorKind::Network
    );
    {
        let told = told.lock().unwrap();
        let [(id, at)] = told.as_slice() else {
            panic!("told {} times", told.len())
        };
        assert_eq!(id, "sk_a");
        assert!(at.elapsed().unwrap_or_default() < LONG);
    }
    vault.outage(false);
    vault.put("sk_a", "2");
    assert_eq!(read(&sk, "sk_a"), "2");
    vault.outage(true);
    assert_eq!(read(&sk, "sk_a"), "2");
}

#[test]
fn only_where_nobody_answered() {
    let vault = vault();
    let clock = FakeClock::new();
    let builder = builder(&vault).fake(&clock).cache(options(&vault));
    let sk = builder.build().unwrap();
    read(&sk, "sk_a");
    for status in (400..=599).filter(|status| !matches!(status, 403 | 404)) {
        vault.fail_always(Fault::Status(status));
        let served = matches!(status, 502..=504 | 520..=527 | 530);
        assert_eq!(sk.get_secret("sk_a").is_ok(), served, "{status}");
        vault.clear_faults();
        // After a 401 nothing is sent for a while.
        clock.pass(Duration::from_secs(10));
    }
    for fault in [Fault::Close, Fault::Reset, Fault::Truncated] {
        vault.fail_always(fault);
        assert_eq!(read(&sk, "sk_a"), "1");
        vault.clear_faults();
    }
    for fault in [
        Fault::InvalidJson,
        Fault::EmptyObject,
        Fault::Redirect("/elsewhere".into()),
    ] {
        vault.fail_always(fault);
        sk.get_secret("sk_a").unwrap_err();
        vault.clear_faults();
    }
}

#[test]
fn only_after_every_repetition() {
    let vault = vault();
    let sk = cached(&vault);
    read(&sk, "sk_a");
    vault.clear_requests();
    vault.fail_always(Fault::Status(503));
    read(&sk, "sk_a");
    assert_eq!(vault.requests().len(), 4);
}

#[test]
fn what_is_denied_or_deleted_does_not_come_back() {
    type Loss = fn(&Emulator);
    let losses: [Loss; 2] = [|vault| vault.deny("sk_a"), |vault| vault.delete("sk_a")];
    for lose in losses {
        let vault = vault();
        let sk = cached(&vault);
        read(&sk, "sk_a");
        read(&sk, "sk_b");
        assert_eq!(sk.cached_count().unwrap(), 2);
        lose(&vault);
        sk.get_secret("sk_a").unwrap_err();
        written(&sk);
        assert!(!file(&vault, "sk_a").exists());
        assert_eq!(sk.cached_count().unwrap(), 1);
        vault.outage(true);
        assert_eq!(
            sk.get_secret("sk_a").unwrap_err().kind(),
            ErrorKind::Network
        );
        assert_eq!(
            cached(&vault).get_secret("sk_a").unwrap_err().kind(),
            ErrorKind::Network
        );
    }
}

#[test]
fn a_poll_that_says_denied_empties_the_cache_too() {
    let vault = vault();
    let sk = builder(&vault)
        .poll_interval(Duration::from_millis(5))
        .cache(options(&vault))
        .build()
        .unwrap();
    read(&sk, "sk_a");
    let (sender, events) = channel();
    sk.watch("sk_a", move |event| drop(sender.send(event.clone())))
        .unwrap();
    vault.deny("sk_a");
    let event = events.recv_timeout(LONG).unwrap();
    assert!(matches!(event.kind, WatchKind::AccessDenied));
    written(&sk);
    assert!(!file(&vault, "sk_a").exists());
}

/// A proxy's page knows nothing of secrets.
fn page(status: u16) -> Fault {
    Reply::new(status).body("<html>no such page</html>").into()
}

#[test]
fn a_page_of_a_proxy_deletes_nothing_and_is_never_served_over() {
    for status in [403, 404] {
        for fault in [page(status), Reply::new(status).into()] {
            let vault = vault();
            let sk = cached(&vault);
            read(&sk, "sk_a");
            vault.fail_always(fault);
            let error = sk.get_secret("sk_a").unwrap_err();
            assert_eq!(error.http_status(), Some(status), "not from the cache");
            assert!(error.to_string().contains("a proxy"), "{error}");
            assert!(file(&vault, "sk_a").exists(), "{status}");
            vault.clear_faults();
            vault.outage(true);
            assert_eq!(read(&sk, "sk_a"), "1");
        }
    }
}

#[test]
fn a_poll_deletes_nothing_that_was_not_asked_for() {
    let vault = vault();
    let sk = builder(&vault)
        .poll_interval(Duration::from_millis(5))
        .cache(options(&vault))
        .build()
        .unwrap();
    read(&sk, "sk_a");
    read(&sk, "sk_b");
    let other = folder(&vault).with_file_name("other");
    fs::create_dir(&other).unwrap();
    let victims = [other.join("victim.skc"), other.join("absolute.skc")];
    for victim in &victims {
        fs::write(victim, "theirs").unwrap();
    }
    let absolute = victims[1].with_extension("");
    let changes = serde_json::json!({"changes": {
        "../other/victim": {"status": "deleted"},
        (absolute.to_str().unwrap()): {"status": "access_denied"},
        "sk_b": {"status": "deleted"},
        "sk_a": {"status": "changed"},
    }});
    vault.put("sk_a", "2");
    vault.fail_next_matching("/poll", Reply::new(200).body(changes.to_string()));
    let events = watch(&sk, "sk_a");
    assert_eq!(events.recv_timeout(LONG).unwrap(), "2");
    assert!(victims.iter().all(|victim| victim.exists()));
    assert!(file(&vault, "sk_b").exists(), "it was not asked for");
}

#[test]
fn a_watch_never_takes_the_cache_for_news_and_feeds_it() {
    let vault = vault();
    let sk = builder(&vault)
        .poll_interval(Duration::from_millis(5))
        .cache(options(&vault))
        .build()
        .unwrap();
    read(&sk, "sk_a");
    let events = watch(&sk, "sk_a");
    vault.fail_matching("/v1/secret/", Fault::Status(502));
    vault.put("sk_a", "2");
    assert_eq!(events.recv_timeout(LONG).unwrap(), "error");
    vault.clear_faults();
    assert_eq!(events.recv_timeout(LONG).unwrap(), "other");
    assert_eq!(events.recv_timeout(LONG).unwrap(), "2");
    sk.close();
    vault.outage(true);
    assert_eq!(read(&cached(&vault), "sk_a"), "2");
}

#[test]
fn what_was_read_from_the_cache_is_what_a_watch_compares_with() {
    let vault = vault();
    read(&cached(&vault), "sk_a");
    let sk = builder(&vault)
        .poll_interval(Duration::from_millis(5))
        .resync(Resync::Every(Duration::from_millis(20)))
        .retry(sikkerkey::RetryPolicy::none())
        .cache(options(&vault))
        .build()
        .unwrap();
    vault.put("sk_a", "2");
    // Another process takes the change, so that the service holds it to be known.
    read(&client(&vault), "sk_a");
    vault.fail_next(Fault::Status(502));
    assert_eq!(read(&sk, "sk_a"), "1");
    assert_eq!(watch(&sk, "sk_a").recv_timeout(LONG).unwrap(), "2");
}

fn watch(sk: &SikkerKey, id: &str) -> Receiver<String> {
    let (sender, events) = channel();
    let tell = move |event: &sikkerkey::WatchEvent| {
        let _ = sender.send(match &event.kind {
            WatchKind::Changed { value, .. } => value.expose_secret().to_owned(),
            WatchKind::Error(_) => "error".to_owned(),
            _ => "other".to_owned(),
        });
    };
    sk.watch(id, tell).unwrap();
    events
}

#[test]
fn values_grow_old_and_never_come_from_the_future() {
    let vault = vault();
    read(&cached(&vault), "sk_a");
    vault.outage(true);
    for (off, served) in [(DAY - 5, true), (DAY + 5, false), (-50, true), (-70, false)] {
        let clock = FakeClock::new();
        clock.set_off(off);
        let sk = builder(&vault).fake(&clock).cache(options(&vault));
        let sk = sk.build().unwrap();
        assert_eq!(sk.get_secret("sk_a").is_ok(), served, "{off}");
    }
    let clock = FakeClock::new();
    clock.set_off(65);
    let short = options(&vault).max_age(Duration::from_secs(60));
    let sk = builder(&vault).fake(&clock).cache(short).build().unwrap();
    let error = sk.get_secret("sk_a").unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Network,
        "the live error is what is told"
    );
}

#[test]
fn a_spoilt_entry_is_not_served_and_the_live_error_is_told() {
    let vault = vault();
    let sk = cached(&vault);
    read(&sk, "sk_a");
    read(&sk, "sk_b");
    vault.outage(true);
    // An entry of another secret in its place, a cut one, and a changed one.
    let good = fs::read(file(&vault, "sk_a")).unwrap();
    let mut changed = good.clone();
    changed[40] ^= 1;
    for bad in [
        fs::read(file(&vault, "sk_b")).unwrap(),
        good[..50].to_vec(),
        changed,
    ] {
        fs::write(file(&vault, "sk_a"), bad).unwrap();
        assert_eq!(
            sk.get_secret("sk_a").unwrap_err().kind(),
            ErrorKind::Network
        );
    }
    fs::write(file(&vault, "sk_a"), good).unwrap();
    assert_eq!(read(&sk, "sk_a"), "1");
}

#[test]
fn a_cache_that_cannot_be_written_fails_no_read() {
    let vault = vault();
    fs::write(folder(&vault), "a file is in the way").unwrap();
    let sk = cached(&vault);
    assert_eq!(read(&sk, "sk_a"), "1");
    vault.outage(true);
    assert_eq!(read(&sk, "sk_a"), "1", "from memory");
    assert_eq!(
        cached(&vault).get_secret("sk_a").unwrap_err().kind(),
        ErrorKind::Network
    );
    assert_eq!(
        sk.cached_count().unwrap_err().kind(),
        ErrorKind::Configuration
    );
    assert_eq!(
        sk.clear_cache().unwrap_err().kind(),
        ErrorKind::Configuration
    );
    assert_eq!(
        sk.get_secret("sk_a").unwrap_err().kind(),
        ErrorKind::Network,
        "the memory is cleared nevertheless"
    );
}

#[test]
fn it_is_cleared_and_counted() {
    let vault = vault();
    assert_eq!(client(&vault).cached_count().unwrap(), 0);
    client(&vault).clear_cache().unwrap();
    let sk = cached(&vault);
    read(&sk, "sk_a");
    assert_eq!(sk.cached_count().unwrap(), 1);
    sk.clear_cache().unwrap();
    assert_eq!(sk.cached_count().unwrap(), 0);
    vault.outage(true);
    sk.get_secret("sk_a").unwrap_err();
}

#[test]
fn without_it_nothing_is_written() {
    let vault = vault();
    read(&client(&vault), "sk_a");
    assert!(!folder(&vault).exists());
}

#[test]
fn a_refused_certificate_is_no_outage() {
    let vault = emulator().secret("sk_a", "1").tls().start().unwrap();
    let trusting = |pem: Option<&str>| {
        let builder = builder(&vault).fake(&FakeClock::new());
        let builder = match pem {
            Some(pem) => builder.root_certificate_pem(pem),
            None => builder,
        };
        builder.cache(options(&vault)).build().unwrap()
    };
    let sk = trusting(vault.ca_pem());
    assert_eq!(read(&sk, "sk_a"), "1");
    let error = trusting(None).get_secret("sk_a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    vault.fail_always(Reply::new(503));
    assert_eq!(read(&sk, "sk_a"), "1", "while this one is served");
}

#[test]
fn a_panicking_on_fallback_fails_no_read() {
    let vault = vault();
    let options = options(&vault).on_fallback(|_, _| panic!("on purpose"));
    let sk = with_cache(&vault, options);
    read(&sk, "sk_a");
    vault.outage(true);
    assert_eq!(read(&sk, "sk_a"), "1");
}

/// Writes its values for ever; started again as another process by the tests below.
#[test]
#[ignore = "the other process of the tests below"]
fn writer() {
    let Some(identity) = env::var_os("SIKKERKEY_TEST_WRITER") else {
        return;
    };
    let folder = Path::new(&identity).parent().unwrap().join("cache");
    let sk = SikkerKey::builder()
        .identity_file(&identity)
        .cache(CacheOptions::new().folder(folder))
        .build()
        .unwrap();
    loop {
        sk.get_secret("sk_a").unwrap();
        // Eight of these would leave no processor to the reader.
        std::thread::park_timeout(Duration::from_millis(4));
    }
}

fn start_writer(vault: &Emulator) -> process::Child {
    process::Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "writer"])
        .env("SIKKERKEY_TEST_WRITER", vault.identity_path())
        .stdout(process::Stdio::null())
        .stderr(process::Stdio::null())
        .spawn()
        .unwrap()
}

/// Eight writing processes, each killed again and again in the middle of it, while this one reads
/// from the files alone. The long form: SIKKERKEY_KILLS=1000.
#[test]
#[cfg_attr(windows, ignore = "wine replaces no file that is read without a pause")]
fn writers_that_are_killed_leave_no_torn_entry() {
    let kills: usize = env::var("SIKKERKEY_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(8);
    let vault = emulator().secret("sk_a", "v".repeat(5_000)).record(false);
    let vault = vault.start().unwrap();
    read(&cached(&vault), "sk_a");
    // A service that is not there, with the same identity.
    let gone = offline(&vault);
    let mut writers: Vec<_> = (0..8).map(|_| start_writer(&vault)).collect();
    for n in 0..kills {
        let slot = n % writers.len();
        let mut fresh = start_writer(&vault);
        for _ in 0..20 {
            assert_eq!(read(&gone, "sk_a").len(), 5_000);
        }
        std::mem::swap(&mut writers[slot], &mut fresh);
        fresh.kill().unwrap();
        fresh.wait().unwrap();
    }
    for mut writer in writers {
        writer.kill().unwrap();
        writer.wait().unwrap();
    }
    assert_eq!(read(&gone, "sk_a").len(), 5_000);
    let names = fs::read_dir(folder(&vault)).unwrap();
    let entries = names.filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .path()
            .extension()
            .is_some_and(|extension| extension == "skc")
    });
    assert_eq!(entries.count(), 1);
}

/// A client with the emulator's identity whose service is not reachable.
fn offline(vault: &Emulator) -> SikkerKey {
    let own = vault.identity_path().parent().unwrap();
    let other = own.parent().unwrap().join("vault_offline");
    fs::create_dir(&other).unwrap();
    let identity = fs::read_to_string(vault.identity_path()).unwrap();
    // Port 9 discards, where it listens at all.
    let identity = identity.replace(vault.url(), "http://localhost:9");
    fs::write(other.join("identity.json"), identity).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(
            other.join("identity.json"),
            fs::Permissions::from_mode(0o600),
        )
        .unwrap();
    }
    let sk = SikkerKey::builder().identity_file(other.join("identity.json"));
    let sk = sk.fake(&FakeClock::new()).cache(options(vault));
    sk.build().unwrap()
}

#[test]
fn a_value_that_could_not_be_written_is_served_from_memory() {
    let vault = vault();
    let sk = cached(&vault);
    assert_eq!(read(&sk, "sk_a"), "1");
    // A folder in the place of the entry: the rename fails, and so does the removal.
    fs::remove_file(file(&vault, "sk_b")).ok();
    fs::create_dir(file(&vault, "sk_b")).unwrap();
    vault.put("sk_b", "2");
    assert_eq!(read(&sk, "sk_b"), "2");
    vault.outage(true);
    assert_eq!(read(&sk, "sk_b"), "2", "from memory");
    assert_eq!(read(&sk, "sk_a"), "1", "from its file");
}
