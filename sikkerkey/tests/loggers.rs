//! Loggers that call back or panic. One test, for a process has one logger.
#![cfg(all(feature = "live", feature = "cache", unix))]

mod common;

use std::fs;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::hostile::{Choose, Hostile, Mode, ends, panics, reads};
use common::stage::{PATIENCE, Stage};
use common::{Fake as _, FakeClock, builder, client};
use log::{LevelFilter, Log, Metadata, Record};
use sikkerkey::live::RecvError;
use sikkerkey::{CacheOptions, ExposeSecret, RetryPolicy, SikkerKey, SikkerKeyConfig};
use sikkerkey_emulator::{Emulator, Fault, Reply};

struct Logger {
    hostile: Hostile,
    lines: Mutex<Vec<String>>,
}

impl Logger {
    fn set(&self, mode: Option<Mode>) {
        if mode.is_none() {
            self.hostile.only_on("");
        }
        self.hostile.set(mode);
    }

    /// Sets a mode for the lines that contain `on`.
    fn set_on(&self, mode: Mode, on: &'static str) {
        self.hostile.only_on(on);
        self.set(Some(mode));
    }

    /// Whether all of these were logged since the last call.
    #[track_caller]
    fn assert_logged(&self, parts: &[&str]) {
        let lines = std::mem::take(&mut *self.lines.lock().unwrap());
        for part in parts {
            assert!(
                lines.iter().any(|line| line.contains(part)),
                "{part}: {lines:#?}"
            );
        }
    }
}

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if record.target() != "sikkerkey" {
            return;
        }
        let lines = self.lines.lock();
        let mut lines = lines.unwrap_or_else(PoisonError::into_inner);
        lines.push(record.args().to_string());
        drop(lines);
        if let Some(act) = self.hostile.begin(&record.args().to_string()) {
            act.run();
        }
    }

    fn flush(&self) {}
}

static LOGGER: Logger = Logger {
    hostile: Hostile::new("a logger"),
    lines: Mutex::new(Vec::new()),
};

fn vault() -> Emulator {
    Emulator::builder()
        .secret("sk_key", "one")
        .secret("sk_logger", "udp:198.51.100.7:514")
        .start()
        .unwrap()
}

/// A key that the config refuses.
const REFUSED: &str = "key-that-is-refused";

#[derive(SikkerKeyConfig)]
#[sikkerkey(validate = Self::valid)]
struct Config {
    #[sikkerkey(secret = "sk_key")]
    key: String,
}

impl Config {
    fn valid(&self) -> Result<(), &'static str> {
        match self.key == REFUSED {
            true => Err("not this key,\nanother one"),
            false => Ok(()),
        }
    }

    fn is(&self, key: &str) -> bool {
        self.key == key
    }
}

#[test]
fn loggers_that_call_back_or_panic_stop_nothing() {
    log::set_logger(&LOGGER).unwrap();
    log::set_max_level(LevelFilter::Trace);
    for choose in [reads as Choose, panics] {
        for (name, scenario) in [
            ("reads", a_clock_that_is_off as fn(Choose)),
            ("cache", a_read_from_the_cache),
            ("export", an_export_with_a_collision),
            ("live", a_live_config_and_its_watch),
            ("reload", an_identity_that_changed),
            ("enrollment", an_expired_machine),
        ] {
            ends(name, move || {
                scenario(choose);
                LOGGER.set(None);
            });
        }
    }
}

#[track_caller]
fn assert_reads(sk: &SikkerKey, expected: &str) {
    let value = sk.get_secret("sk_key").unwrap();
    assert!(value.expose_secret() == expected);
}

fn a_clock_that_is_off(mode: Choose) {
    let vault = vault();
    let clock = FakeClock::new();
    clock.set_off(7200);
    let sk = builder(&vault).fake(&clock).build().unwrap();
    LOGGER.set(Some(mode(&sk)));
    assert_reads(&sk, "one");
    vault.fail_next(Fault::Status(503));
    assert_reads(&sk, "one");
    sk.set_poll_interval(Duration::ZERO);
    LOGGER.assert_logged(&["attempt 1: 401", "ahead of the service's", "poll interval"]);
}

fn a_read_from_the_cache(mode: Choose) {
    let vault = vault();
    let folder = tempfile::tempdir().unwrap();
    let options = CacheOptions::new().folder(folder.path());
    let build = builder(&vault).retry(RetryPolicy::none());
    let sk = build.cache(options).build().unwrap();
    LOGGER.set(Some(mode(&sk)));
    assert_reads(&sk, "one");
    sk.cached_count().unwrap();
    vault.outage(true);
    assert_reads(&sk, "one");
    LOGGER.assert_logged(&["is served from the cache"]);
}

fn an_export_with_a_collision(mode: Choose) {
    let vault = vault();
    let sk = client(&vault);
    LOGGER.set(Some(mode(&sk)));
    // The logger may read before the export is sent, so every response is this one.
    vault.fail_always(Reply::new(200).body(
        r#"{"value":"1","secrets":[{"id":"sk_1","name":"a b","value":"1"},{"id":"sk_2","name":"a-b","value":"2"}]}"#,
    ));
    assert_eq!(sk.export().unwrap().collisions().len(), 1);
    LOGGER.assert_logged(&["A_B"]);
}

fn a_live_config_and_its_watch(mode: Choose) {
    let stage = Stage::new(vault());
    let retry = RetryPolicy::none();
    let sk = stage.builder().retry(retry).build().unwrap();
    let live = Config::live(&sk).unwrap();
    assert!(live.load().is("one"));
    let (tell, told) = channel();
    let _watch = sk
        .watch("sk_key", move |_| {
            // The test may have ended.
            let _ = tell.send(());
            panic!("a callback that panics")
        })
        .unwrap();
    let mut changes = live.subscribe();
    stage.poll();
    LOGGER.set(Some(mode(&sk)));

    stage.vault.put("sk_key", "two");
    stage.poll();
    told.recv_timeout(PATIENCE).unwrap();
    changes.recv().unwrap();
    assert!(live.load().is("two"));

    stage.vault.put("sk_key", REFUSED);
    stage.poll();
    told.recv_timeout(PATIENCE).unwrap();
    let refused = changes.recv_timeout(PATIENCE);
    assert!(matches!(refused, Err(RecvError::Refused(_))), "{refused:?}");

    // A poll that fails, and one that tells of another secret.
    stage.vault.outage(true);
    stage.poll();
    stage.vault.outage(false);
    stage.poll();
    stage.vault.deny("sk_key");
    stage.poll();
    told.recv_timeout(PATIENCE).unwrap();
    // What is refused is one line in the log, however long its report is.
    LOGGER.assert_logged(&[
        "the live config keeps its last good values: cannot build Config: 1 problem: not this key, \
         another one",
        "polling for 1 secrets failed",
        "the callback",
        "panicked",
    ]);
}

fn an_identity_that_changed(mode: Choose) {
    let (old, new) = (vault(), vault());
    let sk = builder(&old).fake(&FakeClock::new()).build().unwrap();
    assert_reads(&sk, "one");
    // On each line, it would be the logger's own read that reads the identity again.
    LOGGER.set_on(mode(&sk), "the identity on disk");
    old.expire_machines();
    let identity = fs::read(new.identity_path()).unwrap();
    fs::write(old.identity_path(), identity).unwrap();
    assert_reads(&sk, "one");
    assert_eq!(sk.machine_id(), new.machine_id());
    LOGGER.assert_logged(&["the identity on disk has changed"]);
}

fn an_expired_machine(mode: Choose) {
    let vault = vault();
    let token = vault.enrollment_token(9, Duration::from_secs(3600));
    let clock: Arc<FakeClock> = FakeClock::new();
    let sk = SikkerKey::bootstrap_in_memory(vault.vault_id(), &token)
        .api_url(vault.url())
        .fake(&clock)
        .reenroll_when_expired(true)
        .enroll()
        .unwrap();
    assert_reads(&sk, "one");
    let first = sk.machine_id();
    LOGGER.set_on(mode(&sk), "enroll");
    vault.expire_machines();
    assert_reads(&sk, "one");
    assert_ne!(sk.machine_id(), first);
    LOGGER.assert_logged(&["has expired; enrolled again as"]);
}
