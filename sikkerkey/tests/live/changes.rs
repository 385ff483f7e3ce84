//! Who is told of a change, and of what.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use sikkerkey::SikkerKeyConfig;
use sikkerkey::live::RecvError;

use crate::{Config, Db, PATIENCE, changed, client, db, polls, start, vault};

#[test]
fn a_listener_gets_old_new_and_the_paths() {
    let (vault, live) = start();
    let (tell, told) = mpsc::channel();
    live.on_change(move |change| {
        let names = (change.before().name.clone(), change.after().name.clone());
        tell.send((names, change.paths().to_vec())).unwrap();
    });
    vault.put("sk_name", "two");
    let (names, paths) = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(names, ("one".to_owned(), "two".to_owned()));
    assert_eq!(paths, ["name"]);
}

#[test]
fn a_stopped_listener_is_called_no_more_and_dropped() {
    let (vault, live) = start();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let listener = live.on_change(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let mut changes = live.subscribe();
    vault.put("sk_name", "two");
    changed(&mut changes);
    polls(&vault, 2);
    listener.stop();
    assert_eq!(Arc::strong_count(&calls), 1, "the callback was dropped");
    vault.put("sk_name", "three");
    changed(&mut changes);
    polls(&vault, 2);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn a_panicking_listener_kills_nothing() {
    let (vault, live) = start();
    live.on_change(|_| panic!("a listener that panics"));
    let (tell, told) = mpsc::channel();
    live.on_change(move |change| tell.send(change.after().name.clone()).unwrap());
    for name in ["two", "three"] {
        vault.put("sk_name", name);
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), name);
    }
}

#[test]
fn a_slow_subscriber_gets_the_latest_and_every_path() {
    let (vault, live) = start();
    let mut slow = live.subscribe();
    let mut quick = live.subscribe();
    vault.put("sk_name", "two");
    changed(&mut quick);
    vault.put("sk_db", db("beta", "1"));
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
fn receiving_is_async_on_any_runtime() {
    let (vault, live) = start();
    let mut changes = live.subscribe();
    vault.put("sk_name", "two");
    // No runtime at all: a future that is polled by hand, woken by the worker's thread.
    let change = block_on(changes.recv_async()).unwrap();
    assert_eq!(change.after().name, "two");
}

#[test]
fn a_subscription_ends_with_the_last_handle() {
    let (_vault, live) = start();
    let mut changes = live.subscribe();
    let waiting = std::thread::spawn(move || changes.recv().map(|_| ()));
    let second = live.clone();
    drop(live);
    drop(second);
    assert!(matches!(waiting.join().unwrap(), Err(RecvError::Closed)));
}

#[test]
fn a_selected_part_is_silent_while_it_stays_equal() {
    let (vault, live) = start();
    let part = live.select(|config| &config.db);
    assert_eq!(part.load().port, 1);
    let (tell, told) = mpsc::channel();
    part.on_change(move |change| {
        let ports = (change.before().port, change.after().port);
        tell.send(ports).unwrap();
    });
    let mut changes = live.subscribe();
    vault.put("sk_name", "two");
    changed(&mut changes);
    vault.put("sk_db", db("alpha", "2"));
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), (1, 2));
    assert!(told.try_recv().is_err(), "the change of the name was told");
    let _: &Db = &part.load();
}

#[test]
fn a_live_config_can_be_dropped_by_its_own_listener() {
    let vault = vault();
    let live = Config::live(&client(&vault)).unwrap();
    let mut changes = live.subscribe();
    let slot = Arc::new(std::sync::Mutex::new(None));
    let taken = Arc::clone(&slot);
    live.on_change(move |_| drop(taken.lock().unwrap().take()));
    *slot.lock().unwrap() = Some(live);
    vault.put("sk_name", "two");
    assert!(changes.recv_timeout(PATIENCE).is_ok());
    assert!(matches!(
        changes.recv_timeout(PATIENCE),
        Err(RecvError::Closed)
    ));
}

#[test]
fn the_longest_times_there_are_are_no_trouble() {
    let vault = vault();
    let sk = sikkerkey::SikkerKey::builder()
        .identity_file(vault.identity_path())
        .timeout(Duration::MAX)
        .deadline(Duration::MAX)
        .retry(sikkerkey::RetryPolicy::default().base_delay(Duration::MAX))
        .poll_interval(Duration::MAX)
        .resync(Some(Duration::MAX))
        .build()
        .unwrap();
    let live = Config::loader(&sk)
        .max_stale(Duration::MAX)
        .grace(Duration::MAX)
        .resync(Duration::MAX)
        .live()
        .unwrap();
    let mut changes = live.subscribe();
    vault.put("sk_name", "two");
    sk.set_poll_interval(Duration::from_millis(5));
    assert!(changes.recv_timeout(Duration::MAX).is_ok());
    assert_eq!(live.previous().unwrap().name, "one");
    vault.put("sk_name", "three");
    assert!(changes.recv_timeout(Duration::MAX).is_ok());
    sk.set_poll_interval(Duration::MAX);
    assert_eq!(live.load().name, "three");
}

#[test]
fn the_previous_config_is_there_for_the_grace_and_then_gone() {
    let vault = vault();
    let live = Config::loader(&client(&vault))
        .grace(Duration::from_millis(300))
        .live()
        .unwrap();
    let first = Arc::downgrade(&live.get());
    let mut seen = live.subscribe();
    vault.put("sk_name", "two");
    let change = seen.recv_timeout(PATIENCE).unwrap();
    drop((change, seen));
    if let Some(previous) = live.previous() {
        assert_eq!(previous.name, "one");
    }
    // Nothing else holds it: when the time is over it is dropped, not only hidden.
    crate::eventually(&vault, "the previous config is dropped", || {
        first.upgrade().is_none()
    });
    assert!(live.previous().is_none());
}

/// Polls a future on this thread until it is ready.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::park();
    }
}
