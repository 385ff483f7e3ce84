//! Parts of a config: which swaps count for them.

use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use sikkerkey::live::Select;
use sikkerkey::{Live, SikkerKeyConfig};

use crate::common::emulator;
use crate::common::stage::Stage;
use crate::{after_listeners, client, receive, settle};

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(nested)]
    db: Database,
    #[sikkerkey(nested, secret = "sk_replica")]
    replica: Option<Box<Database>>,
    #[sikkerkey(nested, secret = "sk_audit")]
    audit: Arc<Database>,
    #[sikkerkey(secret = "sk_flags", json)]
    flags: Flags,
    #[sikkerkey(secret = "sk_unit", from_str)]
    unit: Unit,
    #[sikkerkey(skip)]
    skipped: u64,
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db")]
struct Database {
    host: String,
    #[sikkerkey(default = 1)]
    port: u16,
    #[sikkerkey(nested)]
    login: Login,
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(inherit)]
struct Login {
    user: String,
}

#[derive(Deserialize)]
struct Flags {
    beta: bool,
    limits: Vec<u8>,
}

struct Unit;

impl FromStr for Unit {
    type Err = &'static str;

    fn from_str(_: &str) -> Result<Self, Self::Err> {
        Ok(Unit)
    }
}

fn start() -> (Stage, Live<Config>) {
    let vault = emulator()
        .secret("sk_db", database("alpha", "app-one"))
        .secret("sk_audit", database("alpha", "app-one"))
        .secret("sk_flags", flags(false))
        .secret("sk_unit", "unit-one")
        .start()
        .unwrap();
    let stage = Stage::new(vault);
    let live = Config::live(&client(&stage)).unwrap();
    settle(&stage);
    (stage, live)
}

fn database(host: &str, user: &str) -> String {
    format!(r#"{{"host":"{host}","user":"{user}"}}"#)
}

fn flags(beta: bool) -> String {
    format!(r#"{{"beta":{beta},"limits":[1]}}"#)
}

/// Makes a change of one secret and returns which of the parts it counted for.
struct Parts {
    stage: Stage,
    live: Live<Config>,
    counted: Arc<Mutex<Vec<&'static str>>>,
    told: Receiver<()>,
}

impl Parts {
    fn of(watch: impl FnOnce(&Live<Config>, &Watching)) -> Parts {
        let (stage, live) = start();
        let watching = Watching(Arc::default());
        watch(&live, &watching);
        let told = after_listeners(&live);
        Parts {
            stage,
            live,
            counted: watching.0,
            told,
        }
    }

    #[track_caller]
    fn after(&self, id: &str, value: &str) -> Vec<&'static str> {
        self.stage.vault.put(id, value);
        self.stage.poll();
        receive(&self.told);
        std::mem::take(&mut self.counted.lock().unwrap())
    }
}

struct Watching(Arc<Mutex<Vec<&'static str>>>);

impl Watching {
    fn part<U: ?Sized + 'static>(&self, name: &'static str, part: Select<Config, U>) {
        let counted = Arc::clone(&self.0);
        part.on_change(move |_| counted.lock().unwrap().push(name));
    }
}

#[test]
fn a_part_counts_for_the_keys_that_it_spans() {
    let parts = Parts::of(|live, watching| {
        watching.part("db", live.select(|c| &c.db));
        watching.part("db.host", live.select(|c| &c.db.host));
        watching.part("db.port", live.select(|c| &c.db.port));
        watching.part("db.login", live.select(|c| &c.db.login));
        watching.part("flags", live.select(|c| &c.flags));
        watching.part("beta", live.select(|c| &c.flags.beta));
        watching.part("all", live.select(|c| c));
    });
    let host = parts.after("sk_db", &database("beta", "app-one"));
    assert_eq!(host, ["db", "db.host", "all"]);
    let user = parts.after("sk_db", &database("beta", "app-two"));
    assert_eq!(user, ["db", "db.login", "all"]);
    let both = parts.after("sk_db", &database("gamma", "app-three"));
    assert_eq!(both, ["db", "db.host", "db.login", "all"]);
    let flag = parts.after("sk_flags", &flags(true));
    assert_eq!(flag, ["flags", "beta", "all"]);
    assert_eq!(parts.after("sk_unit", "unit-two"), ["all"]);
    let audit = parts.after("sk_audit", &database("beta", "app-one"));
    assert_eq!(audit, ["all"]);
}

#[test]
fn a_nested_config_is_found_behind_a_pointer_and_where_it_comes_and_goes() {
    let parts = Parts::of(|live, watching| {
        watching.part("pointer", live.select(|c| &c.audit));
        watching.part("content", live.select(|c| &*c.audit));
        watching.part("user", live.select(|c| &c.audit.login.user));
        watching.part("replica", live.select(|c| &c.replica));
        watching.part(
            "either",
            live.select(|c| match &c.replica {
                Some(replica) => &**replica,
                None => &c.db,
            }),
        );
    });
    let host = parts.after("sk_audit", &database("beta", "app-one"));
    assert_eq!(host, ["pointer", "content"]);
    let user = parts.after("sk_audit", &database("beta", "app-two"));
    assert_eq!(user, ["pointer", "content", "user"]);
    assert_eq!(
        parts.after("sk_db", &database("beta", "app-one")),
        ["either"]
    );

    assert!(parts.live.load().replica.is_none());
    parts
        .stage
        .vault
        .put("sk_replica", database("alpha", "app-one"));
    // An optional secret that did not exist is found by a full refresh.
    parts.live.refresh().unwrap();
    receive(&parts.told);
    let came = std::mem::take(&mut *parts.counted.lock().unwrap());
    assert_eq!(came, ["replica", "either"]);
    let changed = parts.after("sk_replica", &database("beta", "app-one"));
    assert_eq!(changed, ["replica", "either"]);
    let other = parts.after("sk_db", &database("gamma", "app-one"));
    assert!(other.is_empty(), "{other:?}");
}

#[test]
fn where_the_place_cannot_be_told_every_swap_counts() {
    let parts = Parts::of(|live, watching| {
        watching.part("text", live.select(|c| c.db.host.as_str()));
        watching.part("item", live.select(|c| &c.flags.limits[..]));
        watching.part("skipped", live.select(|c| &c.skipped));
        watching.part("unit", live.select(|c| &c.unit));
        watching.part("static", live.select(|_| "a text of the program"));
    });
    let all = ["text", "item", "skipped", "unit", "static"];
    assert_eq!(parts.after("sk_unit", "unit-two"), all);
    assert_eq!(parts.after("sk_flags", &flags(true)), all);

    let (live, control) = Live::manual((1, 2));
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    live.select(|c| &c.0).on_change(move |change| {
        counted.fetch_add(1, Ordering::SeqCst);
        assert!(change.touches("second"));
    });
    control.swap_paths((1, 3), &["second"]);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn a_listener_of_a_part_gets_both_sides_and_the_paths() {
    let (stage, live) = start();
    let part = live.select(|c| &c.db.host);
    assert_eq!(&*part.load(), "alpha");
    let (tell, told) = channel();
    part.on_change(move |change| {
        let sides = (change.before().clone(), change.after().clone());
        tell.send((sides, change.paths().to_vec())).unwrap();
    });
    stage.vault.put("sk_db", database("beta", "app-two"));
    stage.poll();
    let (sides, paths) = receive(&told);
    assert_eq!(sides, ("alpha".to_owned(), "beta".to_owned()));
    assert_eq!(paths, ["db.host", "db.login.user"]);
}

#[test]
fn a_flag_does_not_rebuild_the_pool() {
    let (stage, live) = start();
    let builds = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&builds);
    let pool = live
        .select(|c| &c.db)
        .resource(move |db| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok::<_, ()>(db.host.clone())
        })
        .unwrap();
    let told = after_listeners(&live);
    for beta in [true, false, true] {
        stage.vault.put("sk_flags", flags(beta));
        stage.poll();
        receive(&told);
    }
    assert_eq!(builds.load(Ordering::SeqCst), 1);
    stage.vault.put("sk_db", database("beta", "app-one"));
    stage.poll();
    receive(&told);
    assert_eq!(builds.load(Ordering::SeqCst), 2);
    assert_eq!(*pool.load(), "beta");
}

#[test]
fn a_part_that_panics_keeps_the_old_resource() {
    let (stage, live) = start();
    let pool = live
        .select(|c| {
            assert!(c.db.host != "bad", "a part that panics");
            &c.db
        })
        .resource(|db| Ok::<_, ()>(db.host.clone()))
        .unwrap();
    let told = after_listeners(&live);
    for (host, expected) in [("bad", "alpha"), ("beta", "beta")] {
        stage.vault.put("sk_db", database(host, "app-one"));
        stage.poll();
        receive(&told);
        assert_eq!(*pool.load(), expected);
    }
    assert_eq!(pool.consecutive_failures(), 0);
}
