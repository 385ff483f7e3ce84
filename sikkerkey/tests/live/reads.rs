//! What a live config reads, and how often: each read is audited, and policies count it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sikkerkey::__private::Clock as _;
use sikkerkey::{Live, Resync, SikkerKey, SikkerKeyConfig};
use sikkerkey_emulator::{Emulator, Lease, Policy};

use crate::common::emulator;
use crate::common::stage::{INTERVAL, Stage};
use crate::{Config, WORKER, after_listeners, changed, client, cycles, db, receive, settle, stage};

const MINUTE: Duration = Duration::from_secs(60);
const POLLS_A_DAY: usize = 86_400 / 15;

/// Ten secrets of ten fields, two of them with a resync of their own.
#[derive(SikkerKeyConfig)]
#[allow(dead_code, reason = "what it reads is what matters")]
struct Ten {
    #[sikkerkey(secret = "sk_0")]
    a: String,
    #[sikkerkey(secret = "sk_1")]
    b: String,
    #[sikkerkey(secret = "sk_2")]
    c: String,
    #[sikkerkey(secret = "sk_3")]
    d: String,
    #[sikkerkey(secret = "sk_4")]
    e: String,
    #[sikkerkey(secret = "sk_5")]
    f: String,
    #[sikkerkey(secret = "sk_6")]
    g: String,
    #[sikkerkey(secret = "sk_7", resync = "12h")]
    h: String,
    #[sikkerkey(secret = "sk_8", resync = "never")]
    i: String,
    #[sikkerkey(secret = "sk_9")]
    j: String,
}

fn ten() -> Stage {
    let mut vault = emulator().record(false);
    for n in 0..10 {
        vault = vault.secret(format!("sk_{n}"), "1");
    }
    Stage::new(vault.start().unwrap())
}

#[test]
fn a_quiet_day_costs_thirty_reads_a_secret_at_most() {
    let stage = ten();
    let sk = client(&stage);
    let live = Ten::loader(&sk)
        .resync_secret("sk_9", Resync::Never)
        .live()
        .unwrap();
    settle(&stage);
    for _ in 0..POLLS_A_DAY {
        stage.poll();
    }
    let reads = stage.vault.read_counts();
    for n in 0..7 {
        assert_eq!(reads[&format!("sk_{n}")], 29, "sk_{n}");
    }
    let own = ["sk_7", "sk_8", "sk_9"].map(|id| reads[id]);
    assert_eq!(own, [3, 1, 1]);
    // The client counts as the service does.
    assert_eq!(*sk.stats().reads(), reads);
    let status = live.status();
    let shown: BTreeMap<_, _> = status
        .secrets()
        .map(|secret| (secret.id().to_owned(), secret.reads()))
        .collect();
    assert_eq!(shown, reads);
    assert!(!status.identity_shared());
    assert!(sk.stats().polls() >= POLLS_A_DAY as u64);
}

#[test]
fn without_resync_a_limit_of_reads_is_spent_by_changes_alone() {
    let policy = Policy::new().ttl_max_reads(3);
    let vault = emulator().secret("sk_name", "one").secret("sk_db", "{}");
    let stage = Stage::new(vault.policy("sk_name", policy).start().unwrap());
    stage.vault.put("sk_db", db("alpha", "1"));
    let sk = stage.builder().resync(Resync::Never).build().unwrap();
    let live = Config::live(&sk).unwrap();
    settle(&stage);
    cycles(&stage, 1000);
    stage.vault.put("sk_name", "two");
    cycles(&stage, 1);
    assert_eq!(live.load().name, "two");
    assert_eq!(stage.vault.reads("sk_name"), 2);
}

/// Two processes of one identity, on one clock.
struct Pair {
    stage: Stage,
    lives: [Live<Config>; 2],
    _clients: [SikkerKey; 2],
}

impl Pair {
    fn new() -> Self {
        let vault = emulator()
            .record(false)
            .secret("sk_name", "0")
            .structured("sk_db", [("host", "0"), ("port", "0")]);
        let stage = Stage::new(vault.start().unwrap());
        // Two processes hardly ever poll at the same moment. If they did, both could get one report.
        let clients = [client(&stage), client(&stage)];
        let first = Config::live(&clients[0]).unwrap();
        settle(&stage);
        stage.pass(INTERVAL / 3);
        let lives = [first, Config::live(&clients[1]).unwrap()];
        let pair = Pair {
            stage,
            lives,
            _clients: clients,
        };
        pair.rest();
        pair
    }

    fn rest(&self) -> Duration {
        let left = self.stage.clock.threads_at_rest("sikkerkey-poll", 2);
        self.stage.clock.threads_at_rest(WORKER, 2);
        left
    }

    /// How long it takes until both have the value.
    fn time_until(&self, has: impl Fn(&Config) -> bool) -> Duration {
        let start = self.stage.clock.monotonic();
        for _ in 0..600 {
            if self.lives.iter().all(|live| has(&live.load())) {
                return self.stage.clock.monotonic() - start;
            }
            let left = self.rest();
            self.stage.pass(left);
            self.rest();
        }
        panic!("a change was missed");
    }
}

#[test]
fn two_processes_of_one_identity_miss_no_rotation() {
    let pair = Pair::new();
    let shared = |live: &Live<Config>| live.status().identity_shared();
    let mut latest = Duration::ZERO;
    for n in 1..=100 {
        let certain = pair.lives.iter().all(shared);
        let waited = match n % 2 {
            0 => {
                pair.stage.vault.put("sk_name", n.to_string());
                pair.time_until(|config| config.name == n.to_string())
            }
            _ => {
                pair.stage.vault.put("sk_db", db("x", &n.to_string()));
                pair.time_until(|config| config.db.port == n)
            }
        };
        match certain {
            true => assert!(waited <= 5 * MINUTE, "{n}: {waited:?}"),
            false => assert!(waited <= 60 * MINUTE, "{n}: {waited:?}"),
        }
        latest = latest.max(waited);
    }
    assert!(pair.lives.iter().any(shared), "the status says so");
    assert!(latest > INTERVAL, "the reports did go to one of them alone");
    let line = pair.lives.iter().map(|live| live.status().to_string());
    assert!(line.clone().any(|line| line.ends_with(", identity shared")));
}

#[derive(Debug, SikkerKeyConfig)]
struct Leased {
    #[sikkerkey(secret = "sk_name")]
    name: String,
    #[sikkerkey(nested)]
    login: Login,
}

/// Two thirds of the lease.
#[derive(Clone, Debug, SikkerKeyConfig)]
#[sikkerkey(secret = "sk_pg", resync = "40m")]
struct Login {
    username: String,
    password: String,
}

fn leased(lease: Lease) -> Stage {
    let vault = emulator()
        .secret("sk_name", "one")
        .structured("sk_pg", [("host", "db")])
        .lease("sk_pg", lease);
    Stage::new(vault.start().unwrap())
}

fn is_accepted(vault: &Emulator, login: &Login) -> bool {
    vault.accepts_login("sk_pg", &login.username, &login.password)
}

#[test]
fn a_lease_is_kept_alive_and_replaced_at_its_hard_end() {
    let hours = |n| Duration::from_secs(3600) * n;
    let lease = Lease::new(hours(1)).renew_on_read(true).max_life(hours(12));
    let stage = leased(lease);
    let live = Leased::live(&client(&stage)).unwrap();
    settle(&stage);
    let builds = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&builds);
    let pool = live
        .resource(move |config| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok::<_, &str>(config.login.clone())
        })
        .unwrap();
    let built = after_listeners(&live);
    let mut refused = 0;
    for _ in 0..POLLS_A_DAY {
        stage.poll();
        settle(&stage);
        if live.status().generation() as usize > builds.load(Ordering::SeqCst) {
            receive(&built);
        }
        refused += usize::from(!is_accepted(&stage.vault, &pool.load()));
    }
    // One after each hard end, which no read moves: until the next re-read.
    assert!(refused <= 2 * 40 * 4, "{refused}");
    assert_eq!(stage.vault.minted("sk_pg"), 2);
    assert_eq!(builds.load(Ordering::SeqCst), 2);
    let reads = stage.vault.reads("sk_pg");
    assert!((36..=41).contains(&reads), "{reads}");
}

#[test]
fn a_rejected_login_mints_the_next_one_once() {
    let stage = leased(Lease::new(60 * MINUTE).mint_on_every_read(true));
    let live = Leased::live(&client(&stage)).unwrap();
    settle(&stage);
    let old = live.get();
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| assert!(live.refresh_secret("sk_pg").unwrap()));
        }
    });
    assert_eq!(stage.vault.minted("sk_pg"), 2);
    assert_ne!(live.load().login.username, old.login.username);
    assert!(is_accepted(&stage.vault, &live.load().login));
    // Nothing reads it again because of that, alone or beside a change.
    stage.vault.put("sk_name", "two");
    cycles(&stage, 3);
    assert_eq!(live.load().name, "two");
    assert_eq!(stage.vault.minted("sk_pg"), 2);
    stage.pass(MINUTE);
    settle(&stage);
    assert!(live.refresh_secret("sk_pg").unwrap());
    assert_eq!(stage.vault.minted("sk_pg"), 3, "a later refusal is another");
}

#[test]
fn what_changed_together_is_read_twice_more_at_most() {
    let stage = stage();
    let live = Config::live(&client(&stage)).unwrap();
    settle(&stage);
    let mut changes = live.subscribe();
    stage
        .vault
        .put_all([("sk_name", "two".to_owned()), ("sk_db", db("two", "2"))]);
    stage.poll();
    assert_eq!(changed(&mut changes).len(), 3);
    settle(&stage);
    for id in ["sk_name", "sk_db"] {
        assert_eq!(stage.vault.reads(id), 3, "the start, the change, the same");
    }
    // A re-read that finds nothing new is no reason for another.
    cycles(&stage, 20);
    for id in ["sk_name", "sk_db"] {
        assert_eq!(stage.vault.reads(id), 4);
    }
}

#[test]
fn secrets_with_a_resync_of_their_own_are_read_once_for_a_change() {
    let stage = ten();
    let live = Ten::live(&client(&stage)).unwrap();
    settle(&stage);
    let mut changes = live.subscribe();
    stage
        .vault
        .put_all([("sk_7", "2".to_owned()), ("sk_8", "2".to_owned())]);
    stage.poll();
    assert_eq!(changed(&mut changes).len(), 2);
    settle(&stage);
    for id in ["sk_7", "sk_8"] {
        assert_eq!(stage.vault.reads(id), 2, "the start, the change");
    }
}

#[test]
fn an_impossible_resync_is_a_problem_of_the_load() {
    let stage = stage();
    let sk = client(&stage);
    let year = Duration::from_secs(366 * 86_400);
    let error = Config::loader(&sk)
        .resync(Resync::Every(Duration::ZERO))
        .resync_secret("sk_db", Resync::Every(year))
        .resync_secret("sk_nmae", Resync::Never)
        .live()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot build Config: 3 problems\n  Config    \
         resync_secret \"sk_db\": resync 366d: the interval is longer than 365 days; to read the secret only after a change, use `Never`\n  Config    \
         resync_secret \"sk_nmae\": the config reads no such secret; did you mean \"sk_name\"?\n  Config    \
         resync 0s: the interval is 0; to read the secret only after a change, use `Never`"
    );
    for resync in [Resync::Every(Duration::ZERO), Resync::Every(year)] {
        let error = stage.builder().resync(resync).build().unwrap_err();
        assert!(error.to_string().contains("the interval is"), "{error}");
        let error = stage.builder().resync_secret("sk_a", resync).build();
        assert!(error.is_err());
    }
    let error = stage.builder().resync_secret("sk a", Resync::Never).build();
    assert!(error.is_err(), "no id");
}

/// Two names of one secret, which say two things.
#[derive(Debug, SikkerKeyConfig)]
#[allow(dead_code, reason = "it is never built")]
struct Torn {
    #[sikkerkey(secret = "sk_name", resync = "1h")]
    one: String,
    #[sikkerkey(secret = "sk_other", resync = "never")]
    two: String,
}

#[test]
fn two_resyncs_of_one_secret_behind_an_alias_are_a_problem_of_the_load() {
    let stage = stage();
    let sk = client(&stage);
    let loader = || Torn::loader(&sk).alias("sk_other", "sk_name");
    for error in [loader().load().unwrap_err(), loader().live().unwrap_err()] {
        let text = error.to_string();
        assert!(text.contains("never here and 1h at `one`"), "{text}");
        assert!(text.contains("sk_other -> sk_name"), "{text}");
        assert_eq!(error.problems().len(), 1, "{text}");
    }
}
