//! Resources are built again on a change, and drained.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Weak};

use sikkerkey::SikkerKeyConfig;
use sikkerkey::live::RecvError;

use crate::common::stage::PATIENCE;
use crate::{
    Config, TellsItsEnd, after_listeners, changed, client, cycles, db, receive, settle, stage,
    start,
};

#[derive(Debug)]
struct Pool {
    name: String,
}

#[test]
fn a_resource_follows_the_config_and_the_old_one_drains() {
    let (stage, live) = start();
    let pool = live
        .resource(|config| {
            Ok::<_, ()>(Pool {
                name: config.name.clone(),
            })
        })
        .unwrap();
    let built = after_listeners(&live);
    let in_use = pool.get();
    let old: Weak<Pool> = Arc::downgrade(&in_use);
    stage.vault.put("sk_name", "two");
    stage.poll();
    receive(&built);
    assert_eq!(pool.load().name, "two");
    assert_eq!(in_use.name, "one", "who holds the old one keeps it");
    drop(in_use);
    assert!(old.upgrade().is_none(), "and it goes with the last holder");
}

#[test]
fn the_old_resource_stays_while_building_fails_or_panics() {
    let (stage, live) = start();
    let (fail, burst) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let (failing, bursting) = (Arc::clone(&fail), Arc::clone(&burst));
    let (tell, builds) = channel();
    let (gone, dropped) = channel();
    let pool = live
        .resource(move |config| {
            tell.send(()).unwrap();
            assert!(!bursting.load(Ordering::SeqCst), "a build that panics");
            match failing.load(Ordering::SeqCst) {
                false => Ok(TellsItsEnd::new(&config.name, &gone)),
                true => Err("no connection"),
            }
        })
        .unwrap();
    receive(&builds);
    fail.store(true, Ordering::SeqCst);
    stage.vault.put("sk_name", "two");
    // A build that begins tells that the one before has ended.
    for _ in 0..3 {
        cycles(&stage, 1);
        receive(&builds);
    }
    assert!(pool.consecutive_failures() > 1);
    assert_eq!(pool.load().name, "one");
    burst.store(true, Ordering::SeqCst);
    let before = pool.consecutive_failures();
    for _ in 0..4 {
        cycles(&stage, 1);
        receive(&builds);
    }
    assert!(pool.consecutive_failures() > before + 1);
    assert_eq!(pool.load().name, "one");
    burst.store(false, Ordering::SeqCst);
    fail.store(false, Ordering::SeqCst);
    stage.poll();
    assert_eq!(receive(&dropped), "one");
    assert_eq!(pool.load().name, "two");
    assert_eq!(pool.consecutive_failures(), 0);
}

#[test]
fn a_first_build_that_fails_is_the_callers() {
    let (_stage, live) = start();
    let error = live
        .resource(|_| Err::<(), _>("no connection"))
        .unwrap_err();
    assert_eq!(error, "no connection");
}

#[test]
fn a_resource_can_be_built_for_some_changes_only() {
    let (stage, live) = start();
    let builds = Arc::new(AtomicUsize::new(0));
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
    let told = after_listeners(&live);
    stage.vault.put("sk_name", "two");
    stage.poll();
    receive(&told);
    assert_eq!(builds.load(Ordering::SeqCst), 1);
    stage.vault.put("sk_db", db("beta", "2"));
    stage.poll();
    receive(&told);
    assert_eq!(builds.load(Ordering::SeqCst), 2);
}

#[test]
fn a_resource_keeps_the_live_config_going_and_ends_it() {
    let stage = stage();
    let live = Config::live(&client(&stage)).unwrap();
    settle(&stage);
    let mut changes = live.subscribe();
    let (gone, dropped) = channel();
    let pool = live
        .resource(move |config| Ok::<_, ()>(TellsItsEnd::new(&config.name, &gone)))
        .unwrap();
    drop(live);
    stage.vault.put("sk_name", "two");
    stage.poll();
    changed(&mut changes);
    assert_eq!(receive(&dropped), "one");
    assert_eq!(pool.load().name, "two");
    drop(pool);
    assert!(matches!(
        changes.recv_timeout(PATIENCE),
        Err(RecvError::Closed)
    ));
    // The worker may be in the middle of a cycle; what it holds goes with it.
    assert_eq!(receive(&dropped), "two");
}
