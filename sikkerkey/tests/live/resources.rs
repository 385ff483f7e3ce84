//! Resources are built again on a change, and drained.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, Weak};

use sikkerkey::live::{RecvError, ResourceState};
use sikkerkey::{ErrorKind, Live, SikkerKeyConfig};

use crate::common::stage::PATIENCE;
use crate::{
    Config, TellsItsEnd, after_listeners, changed, client, cycles, receive, settle, stage, start,
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
fn the_status_shows_each_resource_and_why_it_failed() {
    let (live, control) = Live::manual("one");
    let pool = live
        .resource(|config| match *config {
            "bad" => Err("no connection"),
            _ => Ok(Pool {
                name: (*config).to_owned(),
            }),
        })
        .unwrap();
    let other = live.resource(|_| Ok::<_, ()>(vec![1])).unwrap();
    let shown = || -> Vec<_> {
        let status = live.status();
        let shown = status.resources().map(|resource| {
            let error = resource.last_error().map(str::to_owned);
            let failures = resource.consecutive_failures();
            (
                resource.name().to_owned(),
                resource.state(),
                failures,
                error,
            )
        });
        shown.collect()
    };
    let current = |name: &str| (name.to_owned(), ResourceState::Current, 0, None);
    assert_eq!(shown(), [current("Pool"), current("Vec")]);
    let pool = pool.named("orders\npool");
    other.named("other");
    assert_eq!(shown(), [current(r"orders\u{a}pool"), current("other")]);
    pool.named("orders");

    control.swap("bad");
    let text = || Some("no connection".to_owned());
    let failed = ("orders".to_owned(), ResourceState::Failed, 1, text());
    assert_eq!(shown(), [failed, current("other")]);
    assert_eq!(
        (pool.state(), pool.last_error()),
        (ResourceState::Failed, text())
    );
    assert!(live.status().to_string().ends_with(", orders failed"));
    assert_eq!(pool.load().name, "one");
    control.swap("two");
    assert_eq!(shown(), [current("orders"), current("other")]);
    assert_eq!(pool.load().name, "two");
    drop(other);
    assert_eq!(shown(), [current("orders")], "as long as it is held");
}

#[test]
fn an_error_that_could_quote_a_secret_is_not_shown() {
    let (live, control) = Live::manual("hunter2-first");
    let pool = live
        .resource(|config| match *config {
            "hunter2-panics" => panic!("{config}"),
            "hunter2-refused" => Err(format!("cannot log in with {config}")),
            _ => Ok(()),
        })
        .unwrap();
    control.swap("hunter2-refused");
    let text = pool.last_error().unwrap();
    assert!(text.starts_with("the build failed ("), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    control.swap("hunter2-panics");
    assert_eq!(pool.last_error().as_deref(), Some("the build panicked"));
    assert_eq!(pool.consecutive_failures(), 2);
}

#[test]
fn a_build_shows_and_counts_no_failure() {
    let (stage, live) = start();
    let (begin, begun) = channel();
    let (go_on, told) = channel::<()>();
    let told = Mutex::new(told);
    let first = AtomicBool::new(true);
    let pool = live
        .resource(move |config| {
            if !first.swap(false, Ordering::SeqCst) {
                begin.send(()).unwrap();
                told.lock().unwrap().recv().unwrap();
            }
            Ok::<_, ()>(config.name.clone())
        })
        .unwrap();
    let built = after_listeners(&live);
    stage.vault.put("sk_name", "two");
    stage.poll();
    receive(&begun);
    assert_eq!(pool.state(), ResourceState::Building);
    assert_eq!((pool.consecutive_failures(), pool.last_error()), (0, None));
    assert!(live.status().to_string().ends_with(", String building"));
    go_on.send(()).unwrap();
    receive(&built);
    assert_eq!(pool.state(), ResourceState::Current);
    assert_eq!(*pool.load(), "two");
}

#[test]
fn while_a_build_hangs_no_second_one_starts_and_listeners_go_on() {
    let (stage, live) = start();
    let (begin, begun) = channel();
    let (go_on, told) = channel::<()>();
    let told = Mutex::new(told);
    let pool = live
        .resource(move |config| {
            begin.send(config.name.clone()).unwrap();
            if config.name == "two" {
                told.lock().unwrap().recv().unwrap();
            }
            Ok::<_, ()>(config.name.clone())
        })
        .unwrap();
    assert_eq!(receive(&begun), "one");
    stage.vault.put("sk_name", "two");
    stage.poll();
    assert_eq!(receive(&begun), "two");
    // After 10 s others no longer wait for it.
    let heard = after_listeners(&live);
    for name in ["three", "four"] {
        stage.vault.put("sk_name", name);
        stage.poll();
        receive(&heard);
    }
    assert!(begun.try_recv().is_err());
    assert_eq!(pool.state(), ResourceState::Building);
    go_on.send(()).unwrap();
    // What was missed meanwhile is one build.
    assert_eq!(receive(&begun), "four");
    cycles(&stage, 1);
    assert!(begun.try_recv().is_err());
}

#[test]
fn a_replaced_resource_is_handed_over_after_the_new_one_is_in_place() {
    let (live, control) = Live::manual(1);
    let (tell, told) = channel();
    let pool = live.resource(|config| Ok::<_, ()>(config * 10)).unwrap();
    let weak = live.downgrade();
    let seen = pool.clone();
    let pool = pool.on_replaced(move |old| {
        assert!(weak.upgrade().is_some());
        tell.send((*old, *seen.load())).unwrap();
    });
    pool.on_replaced(|_| panic!("a callback that panics"));
    control.swap(2);
    assert_eq!(receive(&told), (10, 20));
    control.swap(3);
    assert_eq!(receive(&told), (20, 30));
    assert!(told.try_recv().is_err());
    assert_eq!(pool.consecutive_failures(), 0);
}

#[test]
fn what_drains_an_old_resource_holds_up_no_build() {
    let (stage, live) = start();
    let (begin, begun) = channel();
    let (go_on, told) = channel::<()>();
    let told = Mutex::new(told);
    let pool = live
        .resource(|config| Ok::<_, ()>(config.name.clone()))
        .unwrap()
        .on_replaced(move |old| {
            begin.send((*old).clone()).unwrap();
            told.lock().unwrap().recv().unwrap();
        });
    let heard = after_listeners(&live);
    stage.vault.put("sk_name", "two");
    stage.poll();
    assert_eq!(receive(&begun), "one");
    receive(&heard);
    stage.vault.put("sk_name", "three");
    stage.poll();
    receive(&heard);
    assert_eq!(*pool.load(), "three");
    assert!(begun.try_recv().is_err(), "one after the other");
    go_on.send(()).unwrap();
    assert_eq!(receive(&begun), "two");
    go_on.send(()).unwrap();
}

#[test]
fn a_config_that_comes_back_is_what_the_resource_was_built_from() {
    let (live, control) = Live::manual(1);
    let builds = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&builds);
    let pool = live
        .resource(move |config| {
            counted.fetch_add(1, Ordering::SeqCst);
            match config {
                2 => Err("no connection"),
                _ => Ok(*config),
            }
        })
        .unwrap();
    control.swap_paths(2, &["key"]);
    assert_eq!(pool.state(), ResourceState::Failed);
    // A failure of the config, say, is a moment at which a build is tried again.
    control.fail(ErrorKind::AccessDenied);
    assert_eq!(pool.consecutive_failures(), 2);
    assert_eq!(builds.load(Ordering::SeqCst), 3);

    let (stage, live) = start();
    let builds = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&builds);
    let pool = live
        .resource(move |config| {
            counted.fetch_add(1, Ordering::SeqCst);
            match config.name.as_str() {
                "two" => Err("no connection"),
                name => Ok(name.to_owned()),
            }
        })
        .unwrap();
    let heard = after_listeners(&live);
    stage.vault.put("sk_name", "two");
    stage.poll();
    receive(&heard);
    assert_eq!(pool.consecutive_failures(), 1);
    stage.vault.put("sk_name", "one");
    stage.poll();
    receive(&heard);
    assert_eq!(pool.state(), ResourceState::Current);
    assert_eq!((pool.consecutive_failures(), pool.last_error()), (0, None));
    assert_eq!(builds.load(Ordering::SeqCst), 2);
}

#[test]
fn a_swap_during_the_first_build_is_not_lost() {
    let (live, control) = Live::manual(1);
    let again = Mutex::new(Some(control));
    let (gone, dropped) = channel();
    let pool = live
        .resource(move |config| {
            let control = again.lock().unwrap().take();
            if let Some(control) = control {
                control.swap(2);
            }
            Ok::<_, ()>(TellsItsEnd::new(&config.to_string(), &gone))
        })
        .unwrap();
    assert_eq!(receive(&dropped), "1");
    assert_eq!(pool.load().name, "2");
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
