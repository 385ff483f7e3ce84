//! Resources are built again on a change, and drained.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use sikkerkey::SikkerKeyConfig;
use sikkerkey::live::RecvError;

use crate::{Config, PATIENCE, changed, client, eventually, start, vault};

#[derive(Debug)]
struct Pool {
    name: String,
}

#[test]
fn a_resource_follows_the_config_and_the_old_one_drains() {
    let (vault, live) = start();
    let pool = live
        .resource(|config| {
            Ok::<_, ()>(Pool {
                name: config.name.clone(),
            })
        })
        .unwrap();
    let in_use = pool.get();
    let old: Weak<Pool> = Arc::downgrade(&in_use);
    vault.put("sk_name", "two");
    eventually(&vault, "it is built again", || pool.load().name == "two");
    assert_eq!(in_use.name, "one", "who holds the old one keeps it");
    drop(in_use);
    assert!(old.upgrade().is_none(), "and it goes with the last holder");
}

#[test]
fn the_old_resource_stays_while_building_fails_or_panics() {
    let (vault, live) = start();
    let (fail, burst) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let (failing, bursting) = (Arc::clone(&fail), Arc::clone(&burst));
    let pool = live
        .resource(move |config| {
            assert!(!bursting.load(Ordering::SeqCst), "a build that panics");
            match failing.load(Ordering::SeqCst) {
                false => Ok(config.name.clone()),
                true => Err("no connection"),
            }
        })
        .unwrap();
    fail.store(true, Ordering::SeqCst);
    vault.put("sk_name", "two");
    eventually(&vault, "builds fail", || pool.consecutive_failures() > 1);
    assert_eq!(*pool.load(), "one");
    burst.store(true, Ordering::SeqCst);
    let before = pool.consecutive_failures();
    eventually(&vault, "builds panic", || {
        pool.consecutive_failures() > before + 1
    });
    burst.store(false, Ordering::SeqCst);
    fail.store(false, Ordering::SeqCst);
    eventually(&vault, "it is tried again", || *pool.load() == "two");
    assert_eq!(pool.consecutive_failures(), 0);
}

#[test]
fn a_first_build_that_fails_is_the_callers() {
    let (_vault, live) = start();
    let error = live
        .resource(|_| Err::<(), _>("no connection"))
        .unwrap_err();
    assert_eq!(error, "no connection");
}

#[test]
fn a_resource_can_be_built_for_some_changes_only() {
    let (vault, live) = start();
    let builds = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&builds);
    let _pool = live
        .resource_when(
            |change| change.touches("db"),
            move |config| {
                counted.fetch_add(1, Ordering::SeqCst);
                Ok::<_, ()>(config.db.port)
            },
        )
        .unwrap();
    let mut changes = live.subscribe();
    vault.put("sk_name", "two");
    changed(&mut changes);
    crate::polls(&vault, 2);
    assert_eq!(builds.load(Ordering::SeqCst), 1);
    vault.put("sk_db", crate::db("beta", "2"));
    eventually(&vault, "it is built again", || {
        builds.load(Ordering::SeqCst) == 2
    });
}

#[test]
fn a_resource_keeps_the_live_config_going_and_ends_it() {
    let vault = vault();
    let live = Config::live(&client(&vault)).unwrap();
    let mut changes = live.subscribe();
    let pool = live
        .resource(|config| Ok::<_, ()>(config.name.clone()))
        .unwrap();
    drop(live);
    vault.put("sk_name", "two");
    changed(&mut changes);
    eventually(&vault, "it is built again", || *pool.load() == "two");
    let built = Arc::downgrade(&pool.get());
    drop(pool);
    assert!(matches!(
        changes.recv_timeout(PATIENCE),
        Err(RecvError::Closed)
    ));
    drop(changes);
    // The worker may be in the middle of a cycle; what it holds goes with it.
    for _ in 0..10_000 {
        if built.upgrade().is_none() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("the resource outlives its last handle");
}
