//! What goes wrong keeps the last good config, shows, and heals.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sikkerkey::live::SecretState;
use sikkerkey::{Freshness, Resync, SikkerKeyConfig};
use sikkerkey_emulator::{Fault, Hold};

use crate::common::stage::INTERVAL;
use crate::{Config, WORKER, changed, client, cycles, db, refused, settle, stage, start};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_bad_value_keeps_the_last_good_config_until_it_is_repaired() {
    let (stage, live) = start();
    let mut changes = live.subscribe();
    stage.vault.put("sk_db", db("beta", "54x3"));
    stage.poll();
    let text = refused(&mut changes);
    assert!(text.contains("db.port"), "{text}");
    assert!(!text.contains("54x3") && !text.contains("beta"), "{text}");
    assert_eq!(live.load().db.host, "alpha");
    assert_eq!(live.status().freshness(), Freshness::Degraded);
    assert!(live.status().last_error().is_some());
    cycles(&stage, 1);
    assert_eq!(live.status().consecutive_failures(), 2);

    stage.vault.put("sk_db", db("beta", "2"));
    stage.poll();
    assert_eq!(changed(&mut changes), ["db.host", "db.port"]);
    assert_eq!(live.status().freshness(), Freshness::Fresh);
    assert!(live.status().last_error().is_none());
    assert_eq!(live.status().generation(), 2);
}

#[test]
fn the_old_good_value_again_clears_the_error_without_a_swap() {
    let (stage, live) = start();
    let mut changes = live.subscribe();
    stage.vault.put("sk_db", db("alpha", "x"));
    stage.poll();
    refused(&mut changes);
    stage.vault.put("sk_db", db("alpha", "1"));
    cycles(&stage, 1);
    assert_eq!(live.status().freshness(), Freshness::Fresh);
    assert!(live.status().last_error().is_none());
    assert_eq!(live.status().generation(), 1);
}

#[test]
fn one_bad_value_holds_back_what_changed_with_it() {
    let (stage, live) = start();
    let mut changes = live.subscribe();
    stage
        .vault
        .put_all([("sk_name", "two".to_owned()), ("sk_db", db("beta", "x"))]);
    stage.poll();
    refused(&mut changes);
    assert_eq!(live.load().name, "one");
    stage.vault.put("sk_db", db("beta", "2"));
    stage.poll();
    assert_eq!(changed(&mut changes), ["name", "db.host", "db.port"]);
}

#[test]
fn validation_refuses_with_its_own_words() {
    let (stage, live) = start();
    let mut changes = live.subscribe();
    stage.vault.put("sk_name", "invalid");
    stage.poll();
    assert!(refused(&mut changes).contains("the name is not one of ours"));
    assert_eq!(live.load().name, "one");
}

#[test]
fn a_panicking_validation_kills_nothing() {
    let (stage, live) = start();
    let mut changes = live.subscribe();
    stage.vault.put("sk_name", "panic");
    stage.poll();
    assert!(!refused(&mut changes).contains("a validation that panics"));
    stage.vault.put("sk_name", "two");
    stage.poll();
    assert_eq!(changed(&mut changes), ["name"]);
}

#[test]
fn a_probe_refuses_and_is_tried_again() {
    let stage = stage();
    let open = Arc::new(AtomicBool::new(true));
    let tries = Arc::new(AtomicUsize::new(0));
    let (gate, counted) = (Arc::clone(&open), Arc::clone(&tries));
    let live = Config::loader(&client(&stage))
        .probe(move |_: &Config| {
            counted.fetch_add(1, Ordering::SeqCst);
            match gate.load(Ordering::SeqCst) {
                true => Ok(()),
                false => Err("the database refuses the new password"),
            }
        })
        .live()
        .unwrap();
    assert_eq!(
        tries.load(Ordering::SeqCst),
        1,
        "the first config is probed too"
    );
    settle(&stage);
    open.store(false, Ordering::SeqCst);
    let mut changes = live.subscribe();
    stage.vault.put("sk_name", "two");
    stage.poll();
    assert!(refused(&mut changes).contains("the database refuses the new password"));
    cycles(&stage, 2);
    assert_eq!(tries.load(Ordering::SeqCst), 4, "one with each poll");
    assert_eq!(live.load().name, "one");
    open.store(true, Ordering::SeqCst);
    stage.poll();
    assert_eq!(changed(&mut changes), ["name"]);
}

#[test]
fn a_probe_that_refuses_the_first_config_is_an_error() {
    let stage = stage();
    let error = Config::loader(&client(&stage))
        .probe(|_: &Config| Err("not with these"))
        .live()
        .unwrap_err();
    assert!(error.to_string().contains("not with these"), "{error}");
}

#[test]
fn deleted_and_denied_degrade_and_recover() {
    let (stage, live) = start();
    let state = |id: &str| {
        let status = live.status();
        let mut secrets = status.secrets();
        secrets.find(|secret| secret.id() == id).unwrap().state()
    };
    stage.vault.delete("sk_name");
    cycles(&stage, 1);
    assert_eq!(state("sk_name"), SecretState::Deleted);
    assert_eq!(live.status().freshness(), Freshness::Degraded);
    assert_eq!(live.load().name, "one");
    stage.vault.put("sk_name", "two");
    cycles(&stage, 1);
    assert_eq!(live.load().name, "two");
    assert_eq!(live.status().freshness(), Freshness::Fresh);

    stage.vault.deny("sk_db");
    cycles(&stage, 1);
    assert_eq!(state("sk_db"), SecretState::Denied);
    assert_eq!(live.status().freshness(), Freshness::Degraded);
    assert_eq!(live.load().db.port, 1);
    stage.vault.allow("sk_db");
    cycles(&stage, 1);
    assert_eq!(live.status().freshness(), Freshness::Fresh);
    assert_eq!(state("sk_db"), SecretState::Current);
}

#[test]
fn an_outage_goes_stale_and_back() {
    let stage = stage();
    let live = Config::loader(&client(&stage))
        .max_stale(INTERVAL * 4)
        .live()
        .unwrap();
    settle(&stage);
    stage.vault.fail_always(Fault::Status(503));
    cycles(&stage, 4);
    let status = live.status();
    assert_eq!(status.freshness(), Freshness::Fresh);
    assert_eq!(status.age(), INTERVAL * 4);
    assert_eq!(status.consecutive_failures(), 4);
    let error = status.last_error().unwrap().to_string();
    assert!(
        error.starts_with("cannot refresh Config: 1 problem"),
        "{error}"
    );
    stage.pass(Duration::from_millis(1));
    assert_eq!(live.status().freshness(), Freshness::Stale);
    assert_eq!(live.load().name, "one");

    stage.vault.put("sk_name", "two");
    stage.vault.clear_faults();
    cycles(&stage, 1);
    assert_eq!(live.load().name, "two", "what changed meanwhile comes");
    assert_eq!(live.status().freshness(), Freshness::Fresh);
}

#[test]
fn a_refresh_of_all_secrets_confirms_the_config_and_one_of_a_single_secret_does_not() {
    let stage = stage();
    let live = Config::loader(&client(&stage))
        .refresh_gap(Duration::ZERO)
        .live()
        .unwrap();
    settle(&stage);
    let age = live.status().age();
    let later = Duration::from_secs(5);
    stage.pass(later);
    assert!(!live.refresh_secret("sk_name").unwrap());
    assert_eq!(live.status().age(), age + later);
    assert!(!live.refresh().unwrap());
    assert_eq!(live.status().age(), Duration::ZERO);
}

#[test]
fn a_read_that_fails_after_the_poll_is_tried_until_it_succeeds() {
    let (stage, live) = start();
    for _ in 0..3 {
        let fault = Fault::Status(500);
        stage.vault.fail_next_matching("/v1/secret/", fault);
    }
    stage.vault.put("sk_name", "two");
    cycles(&stage, 3);
    assert_eq!(live.status().consecutive_failures(), 3);
    assert_eq!(live.load().name, "one");
    cycles(&stage, 1);
    assert_eq!(live.status().consecutive_failures(), 0);
    assert_eq!(live.load().name, "two");
}

#[test]
fn a_change_that_a_second_process_swallowed_costs_at_most_a_resync() {
    let stage = stage();
    let resync = INTERVAL * 20;
    let live = Config::loader(&client(&stage))
        .resync(Resync::Every(resync))
        .live()
        .unwrap();
    settle(&stage);
    let other = client(&stage);
    // The other process polls and reads before this one can: the service then says "unchanged".
    stage.vault.put("sk_name", "two");
    let _ = other.get_secret("sk_name").unwrap();
    cycles(&stage, 17);
    assert_eq!(live.load().name, "one");
    cycles(&stage, 1);
    assert_eq!(live.load().name, "two");
}

#[test]
fn refresh_reads_now_and_returns_what_is_wrong() {
    let stage = stage();
    let sk = client(&stage);
    let live = Config::loader(&sk)
        .refresh_gap(Duration::ZERO)
        .live()
        .unwrap();
    stage.vault.put("sk_name", "two");
    assert!(live.refresh().unwrap());
    assert_eq!(live.load().name, "two");
    assert!(!live.refresh().unwrap(), "nothing has changed");
    stage.vault.put("sk_db", db("beta", "2"));
    assert!(live.refresh_secret("sk_db").unwrap());
    assert_eq!(live.load().db.port, 2);
    stage.vault.put("sk_name", "invalid");
    let error = live.refresh().unwrap_err();
    assert!(error.to_string().contains("not one of ours"), "{error}");
    assert_eq!(live.load().name, "two");
}

#[test]
fn refreshes_that_come_together_are_one() {
    let (stage, live) = start();
    let before = stage.reads("sk_name");
    let held = Hold::new();
    let fault = Fault::Hold(held.clone());
    stage.vault.fail_next_matching("/v1/secret/sk_name", fault);
    let mut context = Context::from_waker(Waker::noop());
    std::thread::scope(|scope| {
        let first = scope.spawn(|| live.refresh());
        stage.wait_for("the first refresh", |requests| {
            let read = |path: &str| path == "/v1/secret/sk_name";
            requests.iter().filter(|r| read(&r.path)).count() > before
        });
        // All who ask from now on share the second; a future asks when it is first polled.
        let mut futures: Vec<Pin<Box<_>>> =
            (0..15).map(|_| Box::pin(live.refresh_async())).collect();
        for future in &mut futures {
            assert!(future.as_mut().poll(&mut context).is_pending());
        }
        held.release();
        first.join().unwrap().unwrap();
        assert_eq!(stage.clock.threads_at_rest(WORKER, 1), SECOND, "the gap");
        assert_eq!(stage.reads("sk_name"), before + 1);
        stage.pass(SECOND);
        settle(&stage);
        for future in &mut futures {
            let Poll::Ready(result) = future.as_mut().poll(&mut context) else {
                panic!("the refresh has ended");
            };
            result.unwrap();
        }
    });
    assert_eq!(stage.reads("sk_name"), before + 2);
}

#[test]
fn the_status_is_data_without_values() {
    let (stage, live) = start();
    let _pool = live.resource(|_| Ok::<_, ()>(())).unwrap().named("pool");
    stage.vault.delete("sk_name");
    stage.vault.put("sk_db", db("beta", "54x3"));
    cycles(&stage, 1);
    let status = live.status();
    let json = serde_json::to_value(&status).unwrap();
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let loaded_at = seconds(status.loaded_at());
    let changed_at = status
        .secrets()
        .next()
        .and_then(|db| db.last_change())
        .map(seconds);
    let expected = serde_json::json!({
        "freshness": "degraded",
        "generation": 1,
        "loaded_at": loaded_at,
        "age_seconds": 0,
        "consecutive_failures": 1,
        "last_error": status.last_error().unwrap().to_string(),
        "secrets": [
            { "id": "sk_db", "state": "current", "reads": 2, "last_change": changed_at },
            { "id": "sk_name", "state": "deleted", "reads": 1, "last_change": null },
        ],
        "resources": [{
            "name": "pool",
            "state": "current",
            "consecutive_failures": 0,
            "last_error": null,
        }],
        "rotation_lag_seconds": 0,
        "identity_shared": false,
        "offline": false,
    });
    assert_eq!(json, expected);
    assert!(!json.to_string().contains("54x3"));
}
