//! Who is told of a change, and of what.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use sikkerkey::live::RecvError;
use sikkerkey::{Resync, SikkerKeyConfig};

use crate::common::stage::{INTERVAL, PATIENCE};
use crate::{
    Config, Db, WORKER, after_listeners, changed, client, cycles, db, receive, settle, stage, start,
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
fn a_selected_part_is_silent_while_it_stays_equal() {
    let (stage, live) = start();
    let part = live.select(|config| &config.db);
    assert_eq!(part.load().port, 1);
    let (tell, told) = channel();
    part.on_change(move |change| {
        let ports = (change.before().port, change.after().port);
        tell.send(ports).unwrap();
    });
    let mut changes = live.subscribe();
    stage.vault.put("sk_name", "two");
    stage.poll();
    changed(&mut changes);
    stage.vault.put("sk_db", db("alpha", "2"));
    stage.poll();
    assert_eq!(receive(&told), (1, 2), "the change of the name is not told");
    assert!(told.try_recv().is_err(), "and this one is told once");
    let _: &Db = &part.load();
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

/// Polls a future on this thread until it is ready; runs `once_pending` when it is found not to be.
fn block_on<F: Future>(future: F, once_pending: impl FnOnce()) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    let mut once_pending = Some(once_pending);
    let start = std::time::Instant::now();
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            assert!(once_pending.is_none(), "there was nothing to wait for");
            return output;
        }
        match once_pending.take() {
            Some(run) => run(),
            None => std::thread::park_timeout(PATIENCE),
        }
        assert!(start.elapsed() < PATIENCE, "the future was not woken");
    }
}
