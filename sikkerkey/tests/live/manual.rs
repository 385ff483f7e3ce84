//! A live config without a service: one that never changes, and one that a test changes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{TryRecvError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sikkerkey::live::RecvError;
use sikkerkey::{ConfigError, Error, ErrorKind, Freshness, Live};

#[test]
fn a_fixed_config_is_fresh_and_never_changes() {
    let live = Live::fixed("one");
    let mut changes = live.subscribe();
    let _: Result<_, ConfigError> = live.refresh();
    live.refresh().unwrap();
    live.refresh_secret("sk_name").unwrap();
    let status = live.status();
    assert_eq!(
        (status.generation(), status.freshness(), status.age()),
        (1, Freshness::Fresh, Duration::ZERO)
    );
    assert_eq!(status.secrets().count(), 0);
    assert_eq!((*live.load(), live.previous()), ("one", None));
    assert!(matches!(changes.try_recv(), Err(RecvError::Empty)));
    drop(live);
    assert!(matches!(changes.recv(), Err(RecvError::Closed)));
}

#[test]
fn callbacks_have_run_when_a_swap_returns() {
    let (live, control) = Live::manual(1);
    let (tell, told) = channel();
    live.on_change(move |change| {
        let sides = (*change.before(), *change.after());
        tell.send((sides, change.paths().to_vec())).unwrap();
    });
    let pool = live
        .resource(|config| Ok::<_, Error>(format!("pool {config}")))
        .unwrap();
    control.swap_paths(2, &["db.password"]);
    let paths = vec!["db.password".to_owned()];
    assert_eq!(told.try_recv(), Ok(((1, 2), paths)));
    assert_eq!(*pool.load(), "pool 2");
    control.swap(3);
    assert_eq!(told.try_recv(), Ok(((2, 3), vec![])));
    assert_eq!(*pool.load(), "pool 3");
    assert_eq!(live.status().generation(), 3);
    assert_eq!(live.previous().as_deref(), Some(&2));
}

#[test]
fn a_subscriber_gets_all_paths_of_what_it_missed() {
    let (live, control) = Live::manual(1);
    let mut changes = live.subscribe();
    control.swap_paths(2, &["name"]);
    control.swap_paths(3, &["db.host", "name"]);
    let change = changes.try_recv().unwrap();
    assert_eq!((*change.before(), *change.after()), (1, 3));
    assert_eq!(change.paths(), ["name", "db.host"]);
    // A swap that names no path may have changed anything.
    control.swap(4);
    assert!(changes.try_recv().unwrap().paths().is_empty());
    assert!(matches!(changes.try_recv(), Err(RecvError::Empty)));
}

#[test]
fn a_failure_degrades_until_the_next_swap() {
    let (live, control) = Live::manual(1);
    let mut changes = live.subscribe();
    control.fail(ErrorKind::AccessDenied);
    let status = live.status();
    assert_eq!(status.freshness(), Freshness::Degraded);
    assert_eq!(status.consecutive_failures(), 1);
    let error = status.last_error().unwrap().to_string();
    assert!(error.contains("denied: "), "{error}");
    let Err(RecvError::Refused(refused)) = changes.try_recv() else {
        panic!("no refusal came");
    };
    assert_eq!(refused.to_string(), error);
    assert_eq!(*live.load(), 1);
    control.fail(Error::from(ErrorKind::NotFound));
    assert!(matches!(changes.try_recv(), Err(RecvError::Refused(_))));
    control.swap(2);
    assert_eq!(live.status().freshness(), Freshness::Fresh);
    assert!(live.status().last_error().is_none());
}

#[test]
fn a_stale_config_is_fresh_again_after_a_swap() {
    let (live, control) = Live::manual(1);
    control.stale();
    let status = live.status();
    assert_eq!(status.freshness(), Freshness::Stale);
    assert!(status.age() > Duration::from_secs(300));
    assert!(status.last_error().is_some());
    assert_eq!(status.consecutive_failures(), 1);
    control.swap(2);
    let status = live.status();
    assert_eq!(
        (status.freshness(), status.age()),
        (Freshness::Fresh, Duration::ZERO)
    );
}

#[test]
fn a_listener_may_swap_refresh_and_panic() {
    let (live, control) = Live::manual(1);
    let control = Arc::new(control);
    let (again, weak) = (Arc::clone(&control), Mutex::new(Some(live.clone())));
    let (tell, told) = channel();
    live.on_change(move |change| {
        tell.send(*change.after()).unwrap();
        if *change.after() == 2 {
            again.swap(3);
            let live = weak.lock().unwrap().take().unwrap();
            live.refresh().unwrap();
            assert_eq!(*live.load(), 3);
            panic!("a listener that panics");
        }
    });
    control.swap(2);
    assert_eq!((told.try_recv(), told.try_recv()), (Ok(2), Ok(3)));
    assert_eq!(told.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(*live.load(), 3);
}

#[test]
fn swaps_from_many_threads_reach_a_listener_in_their_order() {
    let (live, control) = Live::manual(0);
    let last = Arc::new(Mutex::new(0));
    let calls = Arc::new(AtomicUsize::new(0));
    let (seen, counted) = (Arc::clone(&last), Arc::clone(&calls));
    live.on_change(move |change| {
        let mut last = seen.lock().unwrap();
        assert_eq!(*change.before(), *last);
        *last = *change.after();
        counted.fetch_add(1, Ordering::SeqCst);
    });
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let control = &control;
            scope.spawn(move || (0..50).for_each(|n| control.swap(1 + thread * 50 + n)));
        }
    });
    assert_eq!(calls.load(Ordering::SeqCst), 200);
    assert_eq!(*last.lock().unwrap(), *live.load());
}

#[test]
fn the_control_keeps_nothing_going() {
    let (live, control) = Live::manual(Arc::new(1));
    let mut changes = live.subscribe();
    drop(live);
    let other = Arc::new(2);
    control.swap(Arc::clone(&other));
    assert_eq!(Arc::strong_count(&other), 1, "it changes nothing any more");
    assert!(matches!(changes.recv(), Err(RecvError::Closed)));
}
