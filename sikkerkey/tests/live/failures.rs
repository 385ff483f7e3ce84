//! What goes wrong keeps the last good config, shows, and heals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use sikkerkey::live::SecretState;
use sikkerkey::{Freshness, SikkerKeyConfig};
use sikkerkey_emulator::Fault;

use crate::{Config, PATIENCE, changed, client, db, eventually, polls, refused, start, vault};

#[test]
fn a_bad_value_keeps_the_last_good_config_until_it_is_repaired() {
    let (vault, live) = start();
    let mut changes = live.subscribe();
    vault.put("sk_db", db("beta", "54x3"));
    let text = refused(&mut changes);
    assert!(text.contains("db.port"), "{text}");
    assert!(!text.contains("54x3") && !text.contains("beta"), "{text}");
    assert_eq!(live.load().db.host, "alpha");
    assert_eq!(live.status().freshness(), Freshness::Degraded);
    assert!(live.status().last_error().is_some());
    eventually(&vault, "failures are counted", || {
        live.status().consecutive_failures() > 1
    });

    vault.put("sk_db", db("beta", "2"));
    assert_eq!(changed(&mut changes), ["db.host", "db.port"]);
    assert_eq!(live.status().freshness(), Freshness::Fresh);
    assert!(live.status().last_error().is_none());
    assert_eq!(live.status().generation(), 2);
}

#[test]
fn the_old_good_value_again_clears_the_error_without_a_swap() {
    let (vault, live) = start();
    let mut changes = live.subscribe();
    vault.put("sk_db", db("alpha", "x"));
    refused(&mut changes);
    vault.put("sk_db", db("alpha", "1"));
    eventually(&vault, "the state is fresh", || {
        live.status().freshness() == Freshness::Fresh
    });
    assert!(live.status().last_error().is_none());
    assert_eq!(live.status().generation(), 1);
}

#[test]
fn one_bad_value_holds_back_what_changed_with_it() {
    let (vault, live) = start();
    let mut changes = live.subscribe();
    vault.put_all([("sk_name", "two".to_owned()), ("sk_db", db("beta", "x"))]);
    refused(&mut changes);
    assert_eq!(live.load().name, "one");
    vault.put("sk_db", db("beta", "2"));
    assert_eq!(changed(&mut changes), ["name", "db.host", "db.port"]);
}

#[test]
fn validation_refuses_with_its_own_words() {
    let (vault, live) = start();
    let mut changes = live.subscribe();
    vault.put("sk_name", "invalid");
    assert!(refused(&mut changes).contains("the name is not one of ours"));
    assert_eq!(live.load().name, "one");
}

#[test]
fn a_panicking_validation_kills_nothing() {
    let (vault, live) = start();
    let mut changes = live.subscribe();
    vault.put("sk_name", "panic");
    assert!(!refused(&mut changes).contains("a validation that panics"));
    vault.put("sk_name", "two");
    assert_eq!(changed(&mut changes), ["name"]);
}

#[test]
fn a_probe_refuses_and_is_tried_again() {
    let vault = vault();
    let open = Arc::new(AtomicBool::new(true));
    let tries = Arc::new(AtomicUsize::new(0));
    let (gate, counted) = (Arc::clone(&open), Arc::clone(&tries));
    let live = Config::loader(&client(&vault))
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
    open.store(false, Ordering::SeqCst);
    let mut changes = live.subscribe();
    vault.put("sk_name", "two");
    assert!(refused(&mut changes).contains("the database refuses the new password"));
    eventually(&vault, "it is tried again", || {
        tries.load(Ordering::SeqCst) > 3
    });
    assert_eq!(live.load().name, "one");
    open.store(true, Ordering::SeqCst);
    assert_eq!(changed(&mut changes), ["name"]);
}

#[test]
fn a_probe_that_refuses_the_first_config_is_an_error() {
    let vault = vault();
    let error = Config::loader(&client(&vault))
        .probe(|_: &Config| Err("not with these"))
        .live()
        .unwrap_err();
    assert!(error.to_string().contains("not with these"), "{error}");
}

#[test]
fn deleted_and_denied_degrade_and_recover() {
    let (vault, live) = start();
    let state = |id: &str| {
        let status = live.status();
        status.secrets().find(|(other, _)| *other == id).unwrap().1
    };
    vault.delete("sk_name");
    eventually(&vault, "deleted shows", || {
        state("sk_name") == SecretState::Deleted
    });
    assert_eq!(live.status().freshness(), Freshness::Degraded);
    assert_eq!(live.load().name, "one");
    vault.put("sk_name", "two");
    eventually(&vault, "it recovers", || live.load().name == "two");
    eventually(&vault, "and is fresh", || {
        live.status().freshness() == Freshness::Fresh
    });

    vault.deny("sk_db");
    eventually(&vault, "denied shows", || {
        state("sk_db") == SecretState::Denied
    });
    assert_eq!(live.load().db.port, 1);
    vault.allow("sk_db");
    eventually(&vault, "it recovers", || {
        live.status().freshness() == Freshness::Fresh
    });
    assert_eq!(state("sk_db"), SecretState::Current);
}

#[test]
fn an_outage_goes_stale_and_back() {
    let vault = vault();
    let live = Config::loader(&client(&vault))
        .max_stale(Duration::from_millis(20))
        .live()
        .unwrap();
    vault.fail_always(Fault::Status(503));
    eventually(&vault, "stale", || {
        live.status().freshness() == Freshness::Stale
    });
    assert!(live.status().consecutive_failures() > 0);
    assert!(live.status().last_error().is_some());
    assert_eq!(live.load().name, "one");
    vault.put("sk_name", "two");
    vault.clear_faults();
    eventually(&vault, "what changed meanwhile comes", || {
        live.load().name == "two"
    });
    eventually(&vault, "a poll within max_stale", || {
        live.status().freshness() != Freshness::Stale
    });
}

#[test]
fn a_read_that_fails_after_the_poll_is_tried_until_it_succeeds() {
    let (vault, live) = start();
    let mut changes = live.subscribe();
    for _ in 0..3 {
        vault.fail_next_matching("/v1/secret/", Fault::Status(500));
    }
    vault.put("sk_name", "two");
    assert_eq!(changed(&mut changes), ["name"]);
    polls(&vault, 1);
    assert_eq!(live.status().consecutive_failures(), 0);
}

#[test]
fn a_change_that_a_second_process_swallowed_costs_at_most_a_resync() {
    let vault = vault();
    let live = Config::loader(&client(&vault))
        .resync(Duration::from_millis(50))
        .live()
        .unwrap();
    let other = client(&vault);
    let mut changes = live.subscribe();
    // The other process polls and reads before this one can: the service then says "unchanged".
    vault.fail_always(Fault::Status(503));
    vault.put("sk_name", "two");
    vault.clear_faults();
    let _ = other.get_secret("sk_name").unwrap();
    assert_eq!(changed(&mut changes), ["name"]);
}

#[test]
fn refresh_reads_now_and_returns_what_is_wrong() {
    let vault = vault();
    let sk = sikkerkey::SikkerKey::builder()
        .identity_file(vault.identity_path())
        .poll_interval(Duration::from_secs(3600))
        .retry(sikkerkey::RetryPolicy::none())
        .build()
        .unwrap();
    let live = Config::loader(&sk)
        .refresh_gap(Duration::ZERO)
        .live()
        .unwrap();
    vault.put("sk_name", "two");
    live.refresh().unwrap();
    assert_eq!(live.load().name, "two");
    vault.put("sk_db", db("beta", "2"));
    live.refresh_secret("sk_db").unwrap();
    assert_eq!(live.load().db.port, 2);
    vault.put("sk_name", "invalid");
    let error = live.refresh().unwrap_err();
    assert!(error.to_string().contains("not one of ours"), "{error}");
    assert_eq!(live.load().name, "two");
}

#[test]
fn refreshes_that_come_together_are_one() {
    let vault = vault();
    let live = Config::loader(&client(&vault)).live().unwrap();
    let reads = |requests: &[sikkerkey_emulator::Recorded]| {
        let read = |path: &str| path == "/v1/secret/sk_name";
        requests.iter().filter(|r| read(&r.path)).count()
    };
    let before = reads(&vault.requests());
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| live.refresh().unwrap());
        }
    });
    let after = reads(&vault.requests());
    // The first may run alone; all who came during it share the second.
    assert!(
        (1..=3).contains(&(after - before)),
        "{} reads",
        after - before
    );
    let _ = PATIENCE;
}
