use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::*;
use crate::watch::state::Notice;

const LONG: Duration = Duration::from_secs(30);

fn call(to: &Arc<Registration>, notice: Notice) -> CallbackCall {
    CallbackCall {
        to: to.clone(),
        event: WatchEvent::new(to.id(), notice),
    }
}

fn change(to: &Arc<Registration>, value: &str) -> CallbackCall {
    call(to, Notice::Changed(value.into()))
}

fn describe(event: &WatchEvent) -> String {
    use secrecy::ExposeSecret as _;
    match &event.kind {
        crate::watch::event::WatchKind::Changed { value, .. } => {
            format!("{}={}", event.secret_id, value.expose_secret())
        }
        other => format!("{} {other:?}", event.secret_id),
    }
}

/// A registration whose events arrive here.
fn listener(id: &str) -> (Arc<Registration>, Receiver<String>) {
    let (sender, receiver) = channel();
    let tell = move |event: &WatchEvent| sender.send(describe(event)).unwrap();
    (Registration::new(id.into(), Box::new(tell)), receiver)
}

/// A registration whose every call says that it began and then waits to be let go.
fn stuck(id: &str) -> (Arc<Registration>, Receiver<String>, Sender<()>) {
    let (sender, receiver) = channel();
    let (release, gate) = channel::<()>();
    let callback = move |event: &WatchEvent| {
        sender.send(describe(event)).unwrap();
        let _ = gate.recv();
    };
    (
        Registration::new(id.into(), Box::new(callback)),
        receiver,
        release,
    )
}

#[test]
fn events_of_a_secret_arrive_in_order_on_a_thread_of_their_own() {
    let callbacks = Arc::new(Callbacks::default());
    let (sender, receiver) = channel();
    let tell = move |event: &WatchEvent| {
        let thread = thread::current().name().map(str::to_owned);
        sender.send((describe(event), thread)).unwrap();
    };
    let to = Registration::new("sk_a".into(), Box::new(tell));
    for n in 0..100 {
        callbacks.enqueue(vec![
            change(&to, &n.to_string()),
            call(&to, Notice::Recovered),
        ]);
    }
    for n in 0..100 {
        let (event, thread) = receiver.recv_timeout(LONG).unwrap();
        assert_eq!(event, format!("sk_a={n}"));
        assert_eq!(thread.as_deref(), Some("sikkerkey-callbacks"));
        assert_eq!(receiver.recv_timeout(LONG).unwrap().0, "sk_a Recovered");
    }
}

#[test]
fn a_panic_ends_its_call_and_nothing_else() {
    let callbacks = Arc::new(Callbacks::default());
    let (sender, receiver) = channel();
    let mut calls = 0;
    let tell = move |_: &WatchEvent| {
        calls += 1;
        assert!(calls > 1, "the first call");
        sender.send(calls).unwrap();
    };
    let to = Registration::new("sk_a".into(), Box::new(tell));
    callbacks.enqueue(vec![change(&to, "1"), change(&to, "2")]);
    assert_eq!(receiver.recv_timeout(LONG).unwrap(), 2);
}

#[test]
fn there_is_one_thread_and_one_more_for_each_that_is_held_up() {
    let callbacks = Arc::new(Callbacks::default());
    let (first, first_began, release_first) = stuck("sk_first");
    let (second, second_began, release_second) = stuck("sk_second");
    let (other, events) = listener("sk_other");
    let threads = || lock(&callbacks.lanes).last_worker;
    callbacks.cycle_began();
    callbacks.enqueue(vec![change(&first, "1")]);
    first_began.recv_timeout(LONG).unwrap();
    callbacks.enqueue(vec![change(&second, "1")]);
    assert_eq!(threads(), 1, "the first may still return in this cycle");
    callbacks.cycle_began();
    second_began.recv_timeout(LONG).unwrap();
    assert_eq!(threads(), 2);

    // The first returns, finds that it was replaced, and ends.
    release_first.send(()).unwrap();
    while lock(&callbacks.lanes).lanes.contains_key("sk_first") {
        thread::yield_now();
    }
    callbacks.enqueue(vec![change(&other, "1")]);
    assert_eq!(threads(), 2);
    release_second.send(()).unwrap();
    assert_eq!(events.recv_timeout(LONG).unwrap(), "sk_other=1");
    assert_eq!(threads(), 2);
}

#[test]
fn a_slow_callback_holds_others_up_until_the_next_cycle_at_most() {
    let callbacks = Arc::new(Callbacks::default());
    let (slow, began, release) = stuck("sk_slow");
    let (other, events) = listener("sk_other");
    callbacks.cycle_began();
    callbacks.enqueue(vec![
        change(&slow, "1"),
        change(&slow, "2"),
        change(&other, "1"),
    ]);
    began.recv_timeout(LONG).unwrap();

    callbacks.cycle_began();
    assert_eq!(events.recv_timeout(LONG).unwrap(), "sk_other=1");
    for n in 2..10 {
        // While it is stuck, what comes is not held up at all.
        callbacks.enqueue(vec![change(&other, &n.to_string()), change(&slow, "3")]);
        assert_eq!(events.recv_timeout(LONG).unwrap(), format!("sk_other={n}"));
        callbacks.cycle_began();
    }
    assert!(began.try_recv().is_err(), "its own later events wait");
    release.send(()).unwrap();
    assert_eq!(began.recv_timeout(LONG).unwrap(), "sk_slow=2");
    drop(release);
    assert_eq!(began.recv_timeout(LONG).unwrap(), "sk_slow=3");
}

#[test]
fn many_stuck_callbacks_hold_nobody_up() {
    let callbacks = Arc::new(Callbacks::default());
    let stuck: Vec<_> = (0..20).map(|n| stuck(&format!("sk_{n}"))).collect();
    for (to, began, _) in &stuck {
        callbacks.cycle_began();
        callbacks.enqueue(vec![change(to, "1"), change(to, "2")]);
        began.recv_timeout(LONG).unwrap();
    }
    for (_, began, release) in &stuck {
        callbacks.cycle_began();
        release.send(()).unwrap();
        began.recv_timeout(LONG).unwrap();
    }
}

#[test]
fn after_stop_no_call_begins() {
    let callbacks = Arc::new(Callbacks::default());
    let (slow, began, release) = stuck("sk_a");
    let (other, events) = listener("sk_a");
    callbacks.enqueue(vec![
        change(&slow, "1"),
        change(&slow, "2"),
        change(&other, "1"),
    ]);
    began.recv_timeout(LONG).unwrap();
    callbacks.stop(&slow);
    release.send(()).unwrap();
    assert_eq!(events.recv_timeout(LONG).unwrap(), "sk_a=1");
    assert!(began.try_recv().is_err());
}

#[test]
fn what_is_cleared_is_not_told_and_what_comes_after_is() {
    let callbacks = Arc::new(Callbacks::default());
    let (slow, began, release) = stuck("sk_slow");
    let (one, ones) = listener("sk_1");
    let (two, twos) = listener("sk_2");
    callbacks.enqueue(vec![
        change(&slow, "1"),
        change(&one, "1"),
        change(&two, "1"),
    ]);
    began.recv_timeout(LONG).unwrap();
    callbacks.clear(Some("sk_1"));
    callbacks.enqueue(vec![change(&one, "2")]);
    release.send(()).unwrap();
    assert_eq!(ones.recv_timeout(LONG).unwrap(), "sk_1=2");
    assert_eq!(twos.recv_timeout(LONG).unwrap(), "sk_2=1");

    callbacks.enqueue(vec![
        change(&slow, "1"),
        change(&slow, "2"),
        change(&one, "3"),
    ]);
    began.recv_timeout(LONG).unwrap();
    callbacks.clear(None);
    callbacks.enqueue(vec![change(&two, "4")]);
    release.send(()).unwrap();
    assert_eq!(twos.recv_timeout(LONG).unwrap(), "sk_2=4");
    assert!(ones.try_recv().is_err() && began.try_recv().is_err());
}

#[test]
fn a_callback_that_never_returns_keeps_a_bounded_number_of_events() {
    let callbacks = Arc::new(Callbacks::default());
    let (slow, began, release) = stuck("sk_a");
    callbacks.enqueue(vec![change(&slow, "first")]);
    began.recv_timeout(LONG).unwrap();
    let calls = (0..LANE_LIMIT + 5).map(|n| change(&slow, &n.to_string()));
    callbacks.enqueue(calls.collect());
    drop(release);
    for n in 5..LANE_LIMIT + 5 {
        assert_eq!(began.recv_timeout(LONG).unwrap(), format!("sk_a={n}"));
    }
}

#[test]
fn an_idle_dispatch_has_no_lanes_and_no_thread() {
    let callbacks = Arc::new(Callbacks::default());
    let (to, events) = listener("sk_a");
    callbacks.enqueue(vec![change(&to, "1")]);
    events.recv_timeout(LONG).unwrap();
    // The thread's end drops its reference; it needs no more than to be scheduled.
    while Arc::strong_count(&callbacks) > 1 {
        thread::yield_now();
    }
    let lanes = lock(&callbacks.lanes);
    assert!(lanes.lanes.is_empty() && lanes.ready.is_empty() && lanes.current.is_none());
}
