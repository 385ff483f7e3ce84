//! No reader ever sees half of a rotation, and nothing is left behind.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sikkerkey::{Resync, SikkerKey, SikkerKeyConfig};
use sikkerkey_emulator::{Fault, Hold};

use crate::common::emulator;
use crate::common::stage::{INTERVAL, PATIENCE, Stage};
use crate::{Config, client, cycles, db, settle, stage, start, vault};

/// One number in every field: two that differ were never one config.
#[derive(SikkerKeyConfig)]
struct Stamped {
    #[sikkerkey(secret = "sk_a")]
    a: u64,
    #[sikkerkey(secret = "sk_b", field = "x")]
    x: u64,
    #[sikkerkey(secret = "sk_b", field = "y")]
    y: u64,
    #[sikkerkey(secret = "sk_c")]
    c: String,
}

impl Stamped {
    fn is_whole(&self) -> bool {
        let c = self.c.parse();
        [Ok(self.x), Ok(self.y), c] == [Ok(self.a), Ok(self.a), Ok(self.a)]
    }
}

/// `SIKKERKEY_SWAPS=10000` and `SIKKERKEY_LOADS=10000000` are the long form.
#[test]
fn no_reader_sees_half_of_a_rotation() {
    const READERS: u64 = 8;
    let number =
        |name: &str, short: u64| std::env::var(name).map_or(short, |text| text.parse().unwrap());
    let (swaps, loads) = (
        number("SIKKERKEY_SWAPS", 50),
        number("SIKKERKEY_LOADS", 200_000),
    );
    let stamp = |n: u64| {
        [
            ("sk_a", n.to_string()),
            ("sk_b", format!(r#"{{"x":{n},"y":"{n}"}}"#)),
            ("sk_c", n.to_string()),
        ]
    };
    let stage = Stage::new(emulator().record_limit(100).start().unwrap());
    stage.vault.put_all(stamp(1));
    let sk = stage.builder().poll_interval(Duration::from_millis(1));
    let sk = sk.build().unwrap();
    let live = Stamped::live(&sk).unwrap();
    let (mixed, done, loaded) = (AtomicU64::new(0), AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| {
                let mut own = 0;
                let mut last = 0;
                while own < loads / READERS || !done.load(Ordering::Relaxed) {
                    let config = live.load();
                    if !config.is_whole() || config.a < last {
                        mixed.fetch_add(1, Ordering::Relaxed);
                    }
                    last = config.a;
                    own += 1;
                    if own % 100 == 0 {
                        // The rotations need a core too.
                        std::thread::yield_now();
                    }
                }
                loaded.fetch_add(own, Ordering::Relaxed);
            });
        }
        // Also when this fails, which would wait for the readers otherwise.
        let _done = SetOnDrop(&done);
        let mut changes = live.subscribe();
        stage.polling_all_the_time(|| {
            for n in 2..=swaps + 1 {
                stage.vault.put_all(stamp(n));
                while changes.recv_timeout(PATIENCE).unwrap().after().a != n {}
            }
        });
    });
    println!(
        "{} loads, {swaps} rotations, {} swaps: {} mixed",
        loaded.load(Ordering::Relaxed),
        live.status().generation() - 1,
        mixed.load(Ordering::Relaxed)
    );
    assert_eq!(mixed.load(Ordering::Relaxed), 0);
    assert!(live.status().generation() > 1);
}

/// `SIKKERKEY_DELAYS=100 cargo test -p sikkerkey --test live delays -- --nocapture` prints the
/// figure over a hundred rotations. It is a figure, not a test: machines are noisy.
#[test]
fn delays_of_a_swap_in_poll_intervals() {
    const INTERVAL: Duration = Duration::from_millis(50);
    let rotations = std::env::var("SIKKERKEY_DELAYS").map_or(3, |text| text.parse().unwrap());
    let vault = vault();
    let sk = SikkerKey::builder()
        .identity_file(vault.identity_path())
        .poll_interval(INTERVAL)
        .build()
        .unwrap();
    let live = Config::live(&sk).unwrap();
    let mut changes = live.subscribe();
    let mut longest = Duration::ZERO;
    for n in 0..rotations {
        let rotated = std::time::Instant::now();
        vault.put("sk_name", format!("n{n}"));
        changes.recv_timeout(PATIENCE).unwrap();
        longest = longest.max(rotated.elapsed());
    }
    let intervals = longest.as_secs_f64() / INTERVAL.as_secs_f64();
    println!(
        "{rotations} rotations: the longest way to the swap was {intervals:.2} poll intervals"
    );
    assert_eq!(live.status().generation(), rotations + 1);
}

#[test]
fn a_rotation_between_the_reads_of_one_snapshot_does_not_stay() {
    let (stage, live) = start();
    let held = Hold::new();
    // Both change; the read of one is held back until both have changed again.
    let fault = Fault::Hold(held.clone());
    stage.vault.fail_next_matching("/v1/secret/sk_db", fault);
    stage
        .vault
        .put_all([("sk_name", "two".to_owned()), ("sk_db", db("two", "2"))]);
    stage.wake();
    stage.wait_for("both reads, the other answered", |requests| {
        let read = |path: &str| requests.iter().filter(|r| r.path == path).count();
        read("/v1/secret/sk_db") == 2 && read("/v1/secret/sk_name") == 2
    });
    stage
        .vault
        .put_all([("sk_name", "three".to_owned()), ("sk_db", db("three", "3"))]);
    held.release();
    settle(&stage);
    let config = live.load();
    assert_eq!((&*config.name, &*config.db.host), ("three", "three"));
    assert_eq!(
        live.status().generation(),
        2,
        "there was no config of half of one and half of the other"
    );
}

#[test]
fn a_rotation_of_which_one_read_fails_does_not_show_in_part() {
    let (stage, live) = start();
    let fault = Fault::Status(500);
    stage.vault.fail_next_matching("/v1/secret/sk_name", fault);
    stage
        .vault
        .put_all([("sk_name", "two".to_owned()), ("sk_db", db("two", "2"))]);
    cycles(&stage, 1);
    let config = live.load();
    assert_eq!((&*config.name, &*config.db.host), ("one", "alpha"));
    cycles(&stage, 1);
    let config = live.load();
    assert_eq!((&*config.name, &*config.db.host), ("two", "two"));
}

#[test]
fn another_process_that_reads_first_costs_a_resync() {
    let stage = stage();
    let live = Config::loader(&client(&stage))
        .resync(Resync::Every(INTERVAL * 40))
        .live()
        .unwrap();
    settle(&stage);
    stage.vault.put("sk_name", "two");
    stage.vault.read_elsewhere("sk_name");
    cycles(&stage, 36);
    assert_eq!(live.load().name, "one");
    cycles(&stage, 1);
    assert_eq!(live.load().name, "two", "the resync finds it");
}

#[test]
fn closing_the_client_ends_the_following_and_keeps_the_config() {
    let stage = stage();
    let sk = client(&stage);
    let live = Config::live(&sk).unwrap();
    settle(&stage);
    sk.close();
    assert_eq!(live.load().name, "one");
    stage.vault.put("sk_name", "two");
    let polls = stage.poll_count();
    stage.pass(INTERVAL * 10);
    live.refresh().unwrap();
    assert_eq!(live.load().name, "two");
    assert_eq!(stage.poll_count(), polls);
}

#[test]
fn a_live_config_starts_with_what_changed_after_its_reads() {
    let stage = stage();
    let sk = client(&stage);
    for n in 0..20 {
        let live = Config::live(&sk).unwrap();
        stage.vault.put("sk_name", format!("n{n}"));
        cycles(&stage, 1);
        assert_eq!(live.load().name, format!("n{n}"));
    }
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_secret_that_cannot_be_read_holds_the_others_back_for_a_time_only() {
    let stage = stage();
    let live = Config::loader(&client(&stage))
        .max_stale(INTERVAL * 3)
        .live()
        .unwrap();
    settle(&stage);
    for _ in 0..20 {
        stage
            .vault
            .fail_next_matching("/v1/secret/sk_name", Fault::Status(500));
    }
    stage
        .vault
        .put_all([("sk_name", "two".to_owned()), ("sk_db", db("two", "2"))]);
    cycles(&stage, 3);
    assert_eq!(live.load().db.host, "alpha", "it waits for the name");
    cycles(&stage, 1);
    assert_eq!(live.load().db.host, "two");
    assert_eq!(live.load().name, "one");
}

/// A rotation of two secrets, of which the next read of one fails.
fn rotation() -> (Stage, sikkerkey::Live<Stamped>) {
    let vault = emulator().secret("sk_c", "1").secret("sk_a", "1");
    let vault = vault.structured("sk_b", [("x", "1"), ("y", "1")]);
    let stage = Stage::new(vault.start().unwrap());
    let loader = Stamped::loader(&client(&stage)).max_stale(INTERVAL * 10);
    let live = loader.refresh_gap(Duration::ZERO).live().unwrap();
    settle(&stage);
    let unread = Fault::Status(503);
    stage.vault.fail_next_matching("/v1/secret/sk_b", unread);
    let both = r#"{"x":2,"y":"2"}"#.to_owned();
    stage
        .vault
        .put_all([("sk_a", "2".to_owned()), ("sk_b", both)]);
    (stage, live)
}

/// A rotation after the poll that could read only one half of it.
fn half_a_rotation() -> (Stage, sikkerkey::Live<Stamped>) {
    let (stage, live) = rotation();
    cycles(&stage, 1);
    assert_eq!((live.load().a, live.load().x), (1, 1), "it waits for sk_b");
    (stage, live)
}

#[test]
fn a_poll_that_fails_does_not_end_the_wait_for_a_value() {
    let (stage, live) = half_a_rotation();
    for _ in 0..3 {
        let outage = Fault::Status(503);
        stage.vault.fail_next_matching("/v1/secrets/poll", outage);
        cycles(&stage, 1);
        let config = live.load();
        assert_eq!((config.a, config.x), (1, 1));
    }
    cycles(&stage, 1);
    let config = live.load();
    assert_eq!((config.a, config.x, config.y), (2, 2, 2));
}

#[test]
fn a_refresh_of_one_secret_takes_that_secret_and_leaves_the_others_waiting() {
    let (stage, live) = half_a_rotation();
    stage.vault.put("sk_c", "3");
    assert!(live.refresh_secret("sk_c").unwrap());
    let config = live.load();
    assert_eq!((config.a, config.x, config.c.as_str()), (1, 1, "3"));
    // The one that they wait for is read: nothing waits any longer.
    assert!(live.refresh_secret("sk_b").unwrap());
    let config = live.load();
    assert_eq!((config.a, config.x, config.c.as_str()), (2, 2, "3"));

    let (stage, live) = half_a_rotation();
    stage
        .vault
        .fail_next_matching("/v1/secret/sk_b", Fault::Status(503));
    live.refresh().unwrap_err();
    assert_eq!((live.load().a, live.load().x), (1, 1));
    assert!(live.refresh().unwrap());
    assert_eq!((live.load().a, live.load().x), (2, 2));
}

#[test]
fn the_wait_for_a_value_has_an_end_during_an_outage_too() {
    let (stage, live) = half_a_rotation();
    stage
        .vault
        .fail_matching("/v1/secrets/poll", Fault::Status(503));
    stage.pass(INTERVAL * 11);
    settle(&stage);
    cycles(&stage, 1);
    assert_eq!((live.load().a, live.load().x), (2, 1));
}

#[test]
fn a_refresh_that_cannot_read_all_swaps_no_half_in() {
    let (stage, live) = rotation();
    live.refresh().unwrap_err();
    assert_eq!((live.load().a, live.load().x), (1, 1));
    // The poller reads the rest, also while its polls report nothing.
    cycles(&stage, 1);
    assert_eq!((live.load().a, live.load().x), (2, 2));
}

#[test]
fn a_value_that_waited_does_not_undo_a_newer_one() {
    let vault = emulator()
        .secret("sk_region", "one")
        .name("sk_region", "REGION");
    let stage = Stage::new(vault.start().unwrap());
    #[derive(SikkerKeyConfig)]
    struct Named {
        #[sikkerkey(name = "REGION")]
        region: String,
    }
    let live = Named::loader(&client(&stage))
        .refresh_gap(Duration::ZERO)
        .live()
        .unwrap();
    settle(&stage);
    let lists = stage.requests_to("/v1/secrets");
    let held = Hold::new();
    let fault = Fault::Hold(held.clone());
    stage.vault.fail_next_matching("/v1/secrets", fault);
    std::thread::scope(|scope| {
        let refresh = scope.spawn(|| live.refresh());
        stage.wait_for("the list", |requests| {
            let list = requests.iter().filter(|r| r.path == "/v1/secrets");
            list.count() > lists
        });
        stage.vault.put("sk_region", "two");
        stage.poll();
        stage.vault.put("sk_region", "three");
        held.release();
        refresh.join().unwrap().unwrap();
    });
    assert_eq!(live.load().region, "three");
    settle(&stage);
    assert_eq!(live.load().region, "three");
    cycles(&stage, 1);
    assert_eq!(live.load().region, "three");
}

#[test]
fn a_handle_of_a_closed_client_ends_no_newer_live_config() {
    let stage = stage();
    let sk = client(&stage);
    let before = Config::live(&sk).unwrap();
    settle(&stage);
    sk.close();
    let live = Config::live(&sk).unwrap();
    stage.rest();
    drop(before);
    stage.vault.put("sk_name", "two");
    stage.poll();
    settle(&stage);
    assert_eq!(live.load().name, "two");
}

#[test]
fn what_the_service_refuses_to_a_refresh_is_not_asked_for_again() {
    for status in [409, 429] {
        let (stage, live) = start();
        let reads = stage.reads("sk_db");
        stage
            .vault
            .fail_next_matching("/v1/secret/sk_db", Fault::Status(status));
        live.refresh().unwrap_err();
        cycles(&stage, 4);
        assert_eq!(stage.reads("sk_db"), reads + 1, "{status}");
        assert_eq!(live.status().consecutive_failures(), 0, "{status}");
    }
}
