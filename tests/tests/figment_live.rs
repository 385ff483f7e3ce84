//! Files, environment and secrets, followed together.
// A test fails by panicking; the error is figment's own.
#![allow(clippy::result_large_err)]

#[path = "../../sikkerkey/tests/common/stage.rs"]
#[allow(dead_code, unreachable_pub, reason = "other tests use the rest")]
mod stage;
#[path = "../../sikkerkey/tests/common/virtual_clock.rs"]
#[allow(dead_code, unreachable_pub, reason = "other tests use the rest")]
mod virtual_clock;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sikkerkey::__private::{Clock, Signal};
use sikkerkey::live::{Change, RecvError, Subscription};
use sikkerkey::{
    ConfigError, ExposeSecret, Freshness, Live, RetryPolicy, SecretString, SikkerKey,
    SikkerKeyConfig,
};
use sikkerkey_emulator::Fault;
use sikkerkey_figment::{Exported, LiveFigment, Secrets};
use sikkerkey_tests::emulator;
use stage::PATIENCE;

#[derive(Debug, Deserialize)]
struct Config {
    workers: u32,
    port: u16,
    password: SecretString,
    token: SecretString,
}

#[derive(SikkerKeyConfig)]
#[allow(dead_code)]
struct Token {
    #[sikkerkey(secret = "sk_token")]
    token: SecretString,
}

/// How far apart refreshes begin.
const GAP: Duration = Duration::from_secs(1);

const FILE: &str = r#"
    workers = 4
    port = "sikkerkey://sk_db/port?as=number"
    password = "sikkerkey://sk_db/password"
    token = "sikkerkey://sk_not_asked_for"
"#;

/// A service, a client of it, and a file that names its secrets.
struct Stage {
    time: stage::Stage,
    sk: SikkerKey,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let vault = emulator()
            .structured("sk_db", [("port", "5432"), ("password", "hunter2")])
            .secret("sk_token", "t1")
            .start()
            .unwrap();
        let time = stage::Stage::new(vault);
        let sk = time.builder().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("App.toml");
        std::fs::write(&file, FILE).unwrap();
        Stage {
            time,
            sk,
            file,
            _folder: folder,
        }
    }

    fn put(&self, id: &str, value: &str) {
        self.time.vault.put(id, value);
    }

    /// A live config that has seen its first poll.
    #[track_caller]
    fn live<T>(&self, layers: impl Fn() -> Figment + Send + 'static) -> Live<T>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let live = LiveFigment::new(&self.sk, layers).live().unwrap();
        self.time.rest();
        live
    }

    /// Has the next poll come, and returns the change that it brings.
    #[track_caller]
    fn change<T>(&self, changes: &mut Subscription<T>) -> Change<T> {
        self.time.poll();
        changes.recv_timeout(PATIENCE).expect("no change came")
    }

    /// Has the next poll come, and returns why what it brings is refused.
    #[track_caller]
    fn refusal<T>(&self, changes: &mut Subscription<T>) -> ConfigError {
        self.time.poll();
        match changes.recv_timeout(PATIENCE) {
            Err(RecvError::Refused(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    fn layers(&self) -> impl Fn() -> Figment + Send + 'static {
        layers(&self.file, &self.sk)
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.file, text).unwrap();
    }

    fn put_db(&self, port: &str, password: &str) {
        let fields = [("port", port), ("password", password)];
        self.time.vault.put_structured("sk_db", fields);
    }

    fn reads(&self) -> Vec<String> {
        let requests = self.time.vault.requests();
        let read = |path: &str| path.strip_prefix("/v1/secret/").map(str::to_owned);
        let mut reads: Vec<_> = requests.iter().filter_map(|r| read(&r.path)).collect();
        reads.sort();
        reads
    }
}

fn layers(file: &Path, sk: &SikkerKey) -> impl Fn() -> Figment + Send + 'static {
    let (file, sk) = (file.to_owned(), sk.clone());
    move || Figment::from(Toml::file(&file)).merge(Secrets::of::<Token>(&sk))
}

fn sorted(paths: &[String]) -> Vec<&str> {
    let mut paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    paths.sort_unstable();
    paths
}

#[test]
fn the_first_config_reads_each_secret_once_and_no_other() {
    let stage = Stage::new();
    let live = stage.live::<Config>(stage.layers());
    let config = live.load();
    assert_eq!((config.workers, config.port), (4, 5432));
    assert_eq!(config.password.expose_secret(), "hunter2");
    assert_eq!(config.token.expose_secret(), "t1");
    assert_eq!(stage.reads(), ["sk_db", "sk_token"]);
}

#[test]
fn what_changes_in_one_poll_is_one_swap_with_its_key_paths() {
    let stage = Stage::new();
    let live = stage.live::<Config>(stage.layers());
    let mut changes = live.subscribe();
    stage.time.vault.put_all([
        ("sk_db", r#"{"port": "5433", "password": "correct horse"}"#),
        ("sk_token", "t2"),
    ]);
    let change = stage.change(&mut changes);
    assert_eq!(sorted(change.paths()), ["password", "port", "token"]);
    assert_eq!((change.before().port, change.after().port), (5432, 5433));
    assert_eq!(live.status().generation(), 2);
    assert_eq!(live.load().token.expose_secret(), "t2");
}

#[test]
fn a_value_that_does_not_fit_keeps_the_last_good_config_and_says_where() {
    let stage = Stage::new();
    let live = stage.live::<Config>(stage.layers());
    let mut changes = live.subscribe();
    stage.put_db("54x3", "canary-in-password");
    stage.refusal(&mut changes);
    let status = live.status();
    let error = status.last_error().unwrap();
    let text = format!("{error} {error:?}");
    assert!(
        text.contains("sikkerkey://sk_db/port?as=number: the value is not a number"),
        "{text}"
    );
    assert!(text.contains("App.toml"), "{text}");
    assert!(!text.contains("54x3") && !text.contains("canary"), "{text}");
    assert_eq!(status.freshness(), Freshness::Degraded);
    assert_eq!(live.load().port, 5432);
    stage.put_db("70000", "canary-in-password");
    stage.refusal(&mut changes);
    assert_eq!(live.load().port, 5432);
    stage.put_db("5434", "p");
    assert_eq!(stage.change(&mut changes).after().port, 5434);
    assert_eq!(live.status().freshness(), Freshness::Fresh);
}

#[test]
fn refresh_takes_a_change_of_the_file_and_follows_what_it_names_now() {
    let stage = Stage::new();
    let live = stage.live::<Config>(stage.layers());
    let mut changes = live.subscribe();
    stage.put("sk_other", "from other");
    stage.write(
        &FILE
            .replace("workers = 4", "workers = 8")
            .replace("sk_db/password", "sk_other"),
    );
    live.refresh().unwrap();
    let change = changes.recv_timeout(PATIENCE).unwrap();
    assert_eq!(sorted(change.paths()), ["password", "workers"]);
    assert_eq!(live.load().password.expose_secret(), "from other");

    stage.put("sk_other", "rotated");
    let change = stage.change(&mut changes);
    assert_eq!(change.paths(), ["password"]);
    assert_eq!(live.load().workers, 8);
}

#[test]
fn a_secret_that_a_file_names_meanwhile_is_read_with_the_next_change() {
    let stage = Stage::new();
    let live = stage.live::<Config>(stage.layers());
    let mut changes = live.subscribe();
    stage.put("sk_other", "from other");
    stage.write(&FILE.replace("sk_db/password", "sk_other"));
    stage.put("sk_token", "t2");
    let change = stage.change(&mut changes);
    assert_eq!(sorted(change.paths()), ["password", "token"]);
    stage.put("sk_other", "rotated");
    assert_eq!(stage.change(&mut changes).paths(), ["password"]);
}

#[test]
fn only_a_change_or_a_full_refresh_reads_the_file_again() {
    let stage = Stage::new();
    let looks = Arc::new(AtomicUsize::new(0));
    let (layers, seen) = (stage.layers(), looks.clone());
    let live = stage.live::<Config>(move || {
        seen.fetch_add(1, Ordering::Relaxed);
        layers()
    });
    let took = || looks.swap(0, Ordering::Relaxed);
    assert!(took() > 0);
    stage.time.polls(3);
    assert!(!live.refresh_secret("sk_db").unwrap());
    assert_eq!(took(), 0, "nothing has changed");

    stage.time.pass(GAP);
    live.refresh().unwrap();
    assert!(took() > 0);

    let mut changes = live.subscribe();
    stage.put("sk_token", "t2");
    stage.change(&mut changes);
    assert!(took() > 0);
}

#[test]
fn a_broken_file_fails_the_refresh_and_changes_nothing() {
    let stage = Stage::new();
    let live = stage.live::<Config>(stage.layers());
    let reads = stage.reads().len();
    stage.write("workers = ");
    let error = live.refresh().unwrap_err().to_string();
    assert!(error.contains("App.toml"), "{error}");
    assert_eq!(stage.reads().len(), reads, "nothing is read for it");
    stage.write(&FILE.replace("workers = 4", "workers = 'many'"));
    stage.time.pass(GAP);
    let error = live.refresh().unwrap_err().to_string();
    assert!(
        error.contains("workers") && error.contains("\"many\""),
        "a file's own value is shown: {error}"
    );
    assert_eq!((live.load().workers, live.status().generation()), (4, 1));
    stage.write(FILE);
    stage.time.pass(GAP);
    live.refresh().unwrap();
    assert_eq!(live.status().generation(), 1, "equal values swap nothing");
    assert_eq!(live.status().freshness(), Freshness::Fresh);
}

#[test]
fn everything_wrong_at_the_start_is_told_at_once() {
    let stage = Stage::new();
    stage.time.vault.delete("sk_token");
    stage.time.vault.deny("sk_db");
    let error = LiveFigment::new(&stage.sk, stage.layers())
        .live::<Config>()
        .unwrap_err();
    let text = error.to_string();
    // The layer of secrets is broken, so nobody knows which references hold under it.
    assert!(
        text.contains("Config") && text.contains("sk_token: missing"),
        "{text}"
    );
    stage.put("sk_token", "t");
    let error = LiveFigment::new(&stage.sk, stage.layers())
        .live::<Config>()
        .unwrap_err();
    assert_eq!(error.problems().len(), 2, "{error}");
    assert_eq!(error.problems()[0].path(), "password");
}

#[test]
fn an_optional_secret_comes_and_goes_over_the_file() {
    #[derive(SikkerKeyConfig)]
    #[allow(dead_code)]
    struct Maybe {
        #[sikkerkey(secret = "sk_maybe")]
        level: Option<String>,
    }
    #[derive(Deserialize)]
    struct Level {
        level: String,
    }
    let stage = Stage::new();
    stage.write("level = 'file'");
    let (file, sk) = (stage.file.clone(), stage.sk.clone());
    let layers = move || Figment::from(Toml::file(&file)).merge(Secrets::of::<Maybe>(&sk));
    let live = stage.live::<Level>(layers);
    assert_eq!(live.load().level, "file");
    let mut changes = live.subscribe();
    stage.put("sk_maybe", "vault");
    // A poll tells of secrets that were read before; this one never was.
    live.refresh().unwrap();
    let change = changes.recv_timeout(PATIENCE).unwrap();
    assert_eq!(change.after().level, "vault");
}

#[test]
fn a_provider_made_outside_is_followed_like_one_made_inside() {
    let stage = Stage::new();
    let secrets = Secrets::of::<Token>(&stage.sk);
    assert_eq!(
        Figment::from(secrets.clone())
            .extract_inner::<String>("token")
            .unwrap(),
        "t1"
    );
    #[derive(Deserialize)]
    struct Only {
        token: SecretString,
        db_port: Option<String>,
    }
    stage.time.vault.rename("sk_db", "DB");
    let exported = Exported::all(&stage.sk).only(&["DB_PORT"]);
    let layers = move || Figment::from(secrets.clone()).merge(exported.clone());
    let live = stage.live::<Only>(layers);
    assert_eq!(live.load().db_port.as_deref(), Some("5432"));
    let mut changes = live.subscribe();
    stage.put_db("1", "p");
    stage.put("sk_token", "t2");
    let change = stage.change(&mut changes);
    assert_eq!(change.after().token.expose_secret(), "t2");
    assert_eq!(
        change.after().db_port.as_deref(),
        Some("1"),
        "exported again with the change"
    );
}

/// What a panic carries, and panics too when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the payload of the panic panics");
    }
}

#[test]
fn a_probe_and_a_panicking_closure_are_refusals() {
    let stage = Stage::new();
    let inner = stage.layers();
    let panics = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flag = std::sync::Arc::clone(&panics);
    let layers = move || {
        if flag.load(std::sync::atomic::Ordering::SeqCst) {
            std::panic::panic_any(Bomb);
        }
        inner()
    };
    let live = LiveFigment::new(&stage.sk, layers)
        .live_with::<Config>(|loader| {
            loader.probe(|config: &Config| match config.port {
                1 => Err("port 1 does not answer"),
                _ => Ok(()),
            })
        })
        .unwrap();
    stage.time.rest();
    let mut changes = live.subscribe();
    stage.put_db("1", "p");
    let refusal = stage.refusal(&mut changes).to_string();
    assert!(refusal.contains("port 1 does not answer"), "{refusal}");
    let shown = live.status().last_error().unwrap().to_string();
    assert_eq!(shown, refusal);
    panics.store(true, std::sync::atomic::Ordering::SeqCst);
    stage.put_db("2", "p");
    stage.refusal(&mut changes);
    panics.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(stage.change(&mut changes).after().port, 2);
}

#[test]
fn figment_gives_the_layers_resolved_once() {
    let stage = Stage::new();
    let figment = LiveFigment::new(&stage.sk, stage.layers())
        .figment()
        .unwrap();
    assert_eq!(figment.extract::<Config>().unwrap().port, 5432);
}

#[test]
fn a_value_that_comes_while_a_probe_hangs_is_not_lost() {
    let stage = Stage::new();
    let (begin, begun) = channel();
    let (open, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let probe = move |config: &Config| {
        if config.port == 2 {
            begin.send(()).unwrap();
            let _ = gate.lock().unwrap().recv_timeout(PATIENCE);
        }
        Ok::<(), &str>(())
    };
    let live = LiveFigment::new(&stage.sk, stage.layers())
        .live_with(|loader| loader.probe(probe))
        .unwrap();
    let settle = || stage.time.clock.threads_at_rest("sikkerkey-live", 1);
    stage.time.rest();
    stage.put_db("2", "p");
    stage.time.poll();
    begun.recv_timeout(PATIENCE).unwrap();
    stage.time.pass(Duration::from_secs(30));
    stage.put("sk_token", "t2");
    stage.time.poll();
    settle();
    let error = live.status().last_error().unwrap().to_string();
    assert!(error.contains("still runs"), "{error}");
    drop(open);
    // The source of the config comes back at some moment.
    for _ in 0..100 {
        stage.time.poll();
        settle();
        if live.load().port == 2 {
            break;
        }
    }
    let config = live.load();
    assert_eq!((config.port, config.token.expose_secret()), (2, "t2"));
    assert_eq!(live.status().freshness(), Freshness::Fresh);
}

#[derive(SikkerKeyConfig)]
#[allow(dead_code)]
struct Counted {
    #[sikkerkey(secret = "sk_counted", resync = "never")]
    token: SecretString,
}

#[test]
fn an_alias_keeps_the_resync_of_what_it_stands_for() {
    let stage = Stage::new();
    stage.put("sk_counted_stg", "c1");
    let (file, sk) = (stage.file.clone(), stage.sk.clone());
    let live = stage.live::<Config>(move || {
        let secrets = Secrets::of::<Counted>(&sk).alias("sk_counted", "sk_counted_stg");
        Figment::from(Toml::file(&file)).merge(secrets)
    });
    assert_eq!(live.load().token.expose_secret(), "c1");
    // Others are read again after 5 minutes.
    stage.time.polls(25);
    let reads = |id: &str| stage.reads().iter().filter(|read| *read == id).count();
    assert_eq!(reads("sk_counted_stg"), 1);
    assert!(reads("sk_db") > 1);
}

#[test]
fn the_keys_inside_a_json_value_are_not_named() {
    #[derive(Deserialize)]
    struct Tenants {
        tenants: std::collections::BTreeMap<String, SecretString>,
        port: u16,
    }
    let stage = Stage::new();
    stage.put("sk_map", r#"{"sk-live-4242":"a"}"#);
    stage.write(
        "port = \"sikkerkey://sk_db/port?as=number\"\ntenants = \"sikkerkey://sk_map?as=json\"",
    );
    let live = stage.live::<Tenants>(stage.layers());
    let mut changes = live.subscribe();
    stage.put("sk_map", r#"{"sk-live-4242":"b","sk-live-4343\u001b":"a"}"#);
    let change = stage.change(&mut changes);
    assert_eq!(change.paths(), ["tenants"]);
    assert_eq!(change.after().tenants.len(), 2);
    stage.put_db("1", "p");
    assert_eq!(stage.change(&mut changes).paths(), ["port"]);
    assert_eq!(live.load().port, 1);
}

#[test]
fn a_hostile_key_of_a_layer_stays_on_its_line() {
    let stage = Stage::new();
    let key = "a\u{1b}[2J\nWARN forged\u{202e}";
    let layers = move || Figment::from(Serialized::default(key, "x"));
    let error = LiveFigment::new(&stage.sk, layers)
        .live::<std::collections::BTreeMap<String, u16>>()
        .unwrap_err();
    let short = format!("{error:#}");
    assert_eq!(short.lines().count(), 1, "{short:?}");
    for text in [short, format!("{error}"), format!("{error:?}")] {
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{202e}'),
            "{text:?}"
        );
        assert!(!text.contains("\nWARN"), "{text:?}");
    }
}

#[test]
fn a_change_of_the_file_waits_for_a_secret_that_cannot_be_read() {
    let stage = Stage::new();
    // Without retries, for which no time would pass.
    let builder = stage.time.builder().retry(RetryPolicy::none());
    let sk = builder.build().unwrap();
    let live = LiveFigment::new(&sk, layers(&stage.file, &sk)).live::<Config>();
    let live = live.unwrap();
    let settle = || stage.time.clock.threads_at_rest("sikkerkey-live", 1);
    stage.time.rest();
    stage.write(&FILE.replace("workers = 4", "workers = 8"));
    let unread = || Fault::Status(503);
    stage
        .time
        .vault
        .fail_next_matching("/v1/secret/sk_token", unread());
    live.refresh().unwrap_err();
    assert_eq!(live.load().workers, 4);
    stage.time.poll();
    settle();
    assert_eq!(live.load().workers, 8);

    // A secret that the file names now, and that cannot be read at first.
    stage.put("sk_other", "from other");
    let named = FILE.replace("sk_db/password", "sk_other");
    stage.write(&named.replace("workers = 4", "workers = 8"));
    stage
        .time
        .vault
        .fail_next_matching("/v1/secret/sk_other", unread());
    stage.time.pass(GAP);
    live.refresh().unwrap_err();
    stage.time.poll();
    settle();
    assert_eq!(live.load().password.expose_secret(), "from other");
}
