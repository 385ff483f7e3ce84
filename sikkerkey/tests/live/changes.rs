//! Who is told of a change, and of what.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use sikkerkey::live::RecvError;
use sikkerkey::{Resync, SikkerKeyConfig};

use crate::common::stage::{INTERVAL, PATIENCE};
use crate::{
    Config, WORKER, after_listeners, block_on, changed, client, cycles, db, receive, settle, stage,
    start,
};

#[test]
fn a_listener_gets_old_new_and_the_paths() {
    let (stage, live) = start();
    let (tell, told) = channel();
    live.on_change(move |change| {
        let names = (change.before().name.clone(), change.after().name.clone());
        tell.send((names, change.paths().to_vec())).unwrap();
    });
    stage.vault.put("sk_name", "two");
    stage.poll();
    let (names, paths) = receive(&told);
    assert_eq!(names, ("one".to_owned(), "two".to_owned()));
    assert_eq!(paths, ["name"]);
}

#[test]
fn a_stopped_listener_is_called_no_more_and_dropped() {
    let (stage, live) = start();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let listener = live.on_change(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let told = after_listeners(&live);
    stage.vault.put("sk_name", "two");
    stage.poll();
    receive(&told);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    listener.stop();
    assert_eq!(Arc::strong_count(&calls), 1, "the callback was dropped");
    stage.vault.put("sk_name", "three");
    stage.poll();
    receive(&told);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn a_panicking_listener_kills_nothing() {
    let (stage, live) = start();
    live.on_change(|_| panic!("a listener that panics"));
    let (tell, told) = channel();
    live.on_change(move |change| tell.send(change.after().name.clone()).unwrap());
    for name in ["two", "three"] {
        stage.vault.put("sk_name", name);
        stage.poll();
        assert_eq!(receive(&told), name);
    }
}

#[test]
fn a_slow_subscriber_gets_the_latest_and_every_path() {
    let (stage, live) = start();
    let mut slow = live.subscribe();
    let mut quick = live.subscribe();
    stage.vault.put("sk_name", "two");
    stage.poll();
    changed(&mut quick);
    stage.vault.put("sk_db", db("beta", "1"));
    stage.poll();
    changed(&mut quick);

    let change = slow.recv_timeout(PATIENCE).unwrap();
    assert_eq!(
        (&*change.before().name, &*change.after().name),
        ("one", "two")
    );
    assert_eq!(change.after().db.host, "beta");
    assert_eq!(change.paths(), ["name", "db.host"]);
    assert!(matches!(slow.try_recv(), Err(RecvError::Empty)));
    assert!(matches!(
        slow.recv_timeout(Duration::ZERO),
        Err(RecvError::Timeout)
    ));
}

#[test]
fn a_subscriber_that_slept_through_a_change_and_its_end_gets_none() {
    let (stage, live) = start();
    let mut slow = live.subscribe();
    for host in ["beta", "alpha"] {
        stage.vault.put("sk_db", db(host, "1"));
        cycles(&stage, 1);
    }
    assert_eq!(live.status().generation(), 3);
    assert!(matches!(slow.try_recv(), Err(RecvError::Empty)));
    // What did change in between, and stayed, is told; the rest is not.
    stage.vault.put("sk_name", "two");
    cycles(&stage, 1);
    assert_eq!(changed(&mut slow), ["name"]);
}

#[test]
fn receiving_is_async_on_any_runtime() {
    let (stage, live) = start();
    let mut changes = live.subscribe();
    stage.vault.put("sk_name", "two");
    // No runtime at all: a future that is polled by hand, woken by the worker's thread.
    let change = block_on(changes.recv_async(), || stage.poll()).unwrap();
    assert_eq!(change.after().name, "two");
}

#[test]
fn a_subscription_ends_with_the_last_handle() {
    let (_stage, live) = start();
    let mut changes = live.subscribe();
    let waiting = std::thread::spawn(move || changes.recv().map(|_| ()));
    let second = live.clone();
    drop(live);
    drop(second);
    assert!(matches!(waiting.join().unwrap(), Err(RecvError::Closed)));
}

#[test]
fn a_live_config_can_be_dropped_by_its_own_listener() {
    let (stage, live) = start();
    let mut changes = live.subscribe();
    let slot = Arc::new(std::sync::Mutex::new(None));
    let taken = Arc::clone(&slot);
    live.on_change(move |_| drop(taken.lock().unwrap().take()));
    *slot.lock().unwrap() = Some(live);
    stage.vault.put("sk_name", "two");
    stage.wake();
    assert!(changes.recv_timeout(PATIENCE).is_ok());
    assert!(matches!(
        changes.recv_timeout(PATIENCE),
        Err(RecvError::Closed)
    ));
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

#[test]
fn a_listener_with_a_weak_handle_keeps_nothing_going() {
    let (stage, live) = start();
    let mut changes = live.subscribe();
    let weak = live.downgrade();
    let (tell, told) = channel();
    live.on_change(move |_| {
        let name = weak.upgrade().map(|live| live.load().name.clone());
        tell.send(name).unwrap();
    });
    stage.vault.put("sk_name", "two");
    stage.poll();
    assert_eq!(receive(&told).as_deref(), Some("two"));
    let weak = live.downgrade().clone();
    drop(live);
    assert!(weak.upgrade().is_none());
    assert!(changes.recv_timeout(PATIENCE).is_ok());
    let end = changes.recv_timeout(PATIENCE);
    assert!(matches!(end, Err(RecvError::Closed)));
}

#[test]
fn the_longest_times_there_are_are_no_trouble() {
    let stage = stage();
    let sk = stage
        .builder()
        .timeout(Duration::MAX)
        .deadline(Duration::MAX)
        .retry(sikkerkey::RetryPolicy::default().base_delay(Duration::MAX))
        .poll_interval(Duration::MAX)
        .resync(Resync::Every(YEAR))
        .build()
        .unwrap();
    let live = Config::loader(&sk)
        .max_stale(Duration::MAX)
        .grace(Duration::MAX)
        .resync(Resync::Every(YEAR))
        .live()
        .unwrap();
    settle(&stage);
    let mut changes = live.subscribe();
    stage.vault.put("sk_name", "two");
    sk.set_poll_interval(INTERVAL);
    cycles(&stage, 1);
    assert_eq!(live.load().name, "two");
    assert!(changes.recv_timeout(Duration::MAX).is_ok());
    assert_eq!(live.previous().unwrap().name, "one");
    stage.vault.put("sk_name", "three");
    cycles(&stage, 1);
    assert_eq!(live.load().name, "three");
    assert!(changes.recv_timeout(Duration::MAX).is_ok());
    sk.set_poll_interval(Duration::MAX);
    assert_eq!(stage.rest(), YEAR, "no time is longer than a year");
}

#[test]
fn the_previous_config_is_there_for_the_grace_and_then_gone() {
    let stage = stage();
    let (grace, moment) = (INTERVAL * 10, Duration::from_millis(1));
    let live = Config::loader(&client(&stage)).grace(grace).live().unwrap();
    settle(&stage);
    let first = Arc::downgrade(&live.get());
    let mut seen = live.subscribe();
    stage.vault.put("sk_name", "two");
    stage.poll();
    let change = seen.recv_timeout(PATIENCE).unwrap();
    drop((change, seen));
    stage.pass(grace - moment);
    settle(&stage);
    assert_eq!(live.previous().unwrap().name, "one");
    // Nothing else holds it: when the time is over it is dropped, not only hidden.
    stage.pass(moment);
    stage.clock.threads_at_rest(WORKER, 1);
    assert!(live.previous().is_none());
    assert!(first.upgrade().is_none());
}
