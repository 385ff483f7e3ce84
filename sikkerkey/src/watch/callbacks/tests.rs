use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::*;
use crate::clock::virtual_clock::VirtualClock;
use crate::watch::state::Notice;

const LONG: Duration = Duration::from_secs(30);

fn callbacks() -> (Arc<Callbacks>, Arc<VirtualClock>) {
    let clock = VirtualClock::new();
    (Callbacks::new(clock.clone()), clock)
}

fn call(to: &Arc<Registration>, notice: Notice) -> CallbackCall {
    to.call(WatchEvent::new(to.id(), notice))
}

/// Waits until this many threads are left.
#[track_caller]
fn wait_for_threads(callbacks: &Callbacks, threads: usize) {
    let started = std::time::Instant::now();
    loop {
        let seen = callbacks.changed.count();
        let left = || LONG.saturating_sub(started.elapsed());
        let now = lock(&callbacks.state).threads;
        if now == threads {
            return;
        }
        assert!(!left().is_zero(), "{now} threads instead of {threads}");
        callbacks.changed.wait_while(seen, left);
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

/// Makes a registration whose events arrive in the returned channel.
fn listener(id: &str) -> (Arc<Registration>, Receiver<String>) {
    let (sender, receiver) = channel();
    let tell = move |event: &WatchEvent| sender.send(describe(event)).unwrap();
    (Registration::new(id.into(), Box::new(tell)), receiver)
}

/// Makes a registration whose calls report their start and then block until the test releases them.
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
    let (callbacks, _clock) = callbacks();
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
    let (callbacks, _clock) = callbacks();
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
fn a_call_that_hangs_keeps_its_thread_and_another_thread_continues() {
    let (callbacks, clock) = callbacks();
    let (slow, began, release) = stuck("sk_slow");
    let (other, events) = listener("sk_other");
    callbacks.enqueue(vec![
        change(&slow, "1"),
        change(&slow, "2"),
        change(&other, "1"),
    ]);
    began.recv_timeout(LONG).unwrap();
    // Wait for the thread that stands by.
    clock.at_rest(1);
    clock.advance(HANGS_AFTER - Duration::from_millis(1));
    clock.at_rest(1);
    assert!(events.try_recv().is_err(), "it may still return in time");

    clock.advance(Duration::from_millis(1));
    assert_eq!(events.recv_timeout(LONG).unwrap(), "sk_other=1");
    for n in 2..10 {
        callbacks.enqueue(vec![change(&other, &n.to_string()), change(&slow, "3")]);
        assert_eq!(events.recv_timeout(LONG).unwrap(), format!("sk_other={n}"));
    }
    assert!(began.try_recv().is_err(), "its own later events wait");
    release.send(()).unwrap();
    assert_eq!(began.recv_timeout(LONG).unwrap(), "sk_slow=2");
    drop(release);
    assert_eq!(began.recv_timeout(LONG).unwrap(), "sk_slow=3");
}

#[test]
fn eight_calls_may_hang_and_then_events_wait() {
    let (callbacks, clock) = callbacks();
    let stuck: Vec<_> = (0..MOST_HANGING)
        .map(|n| stuck(&format!("sk_{n}")))
        .collect();
    for (n, (to, began, _)) in stuck.iter().enumerate() {
        callbacks.enqueue(vec![change(to, "1")]);
        if n > 0 {
            // A thread stands by until the earlier call counts as hanging.
            clock.at_rest(1);
            clock.advance(HANGS_AFTER);
        }
        began.recv_timeout(LONG).unwrap();
    }
    let (other, events) = listener("sk_other");
    callbacks.enqueue(vec![change(&other, "1")]);
    clock.at_rest(1);
    clock.advance(HANGS_AFTER * 100);
    clock.at_rest(1);
    assert!(events.try_recv().is_err());
    let state = lock(&callbacks.state);
    assert_eq!((state.running.len(), state.threads), (8, 9));
    drop(state);

    let (_, _, release) = &stuck[3];
    release.send(()).unwrap();
    assert_eq!(events.recv_timeout(LONG).unwrap(), "sk_other=1");
    for (_, _, release) in &stuck {
        let _ = release.send(());
    }
    wait_for_threads(&callbacks, 0);
}

#[test]
fn after_stop_no_call_begins() {
    let (callbacks, _clock) = callbacks();
    let (slow, began, release) = stuck("sk_a");
    let (other, events) = listener("sk_a");
    callbacks.enqueue(vec![
        change(&slow, "1"),
        change(&slow, "2"),
        change(&other, "1"),
    ]);
    began.recv_timeout(LONG).unwrap();
    callbacks.stop(slow.stopped());
    release.send(()).unwrap();
    assert_eq!(events.recv_timeout(LONG).unwrap(), "sk_a=1");
    assert!(began.try_recv().is_err());
}

#[test]
fn cleared_events_are_not_delivered_and_later_ones_are() {
    let (callbacks, _clock) = callbacks();
    let (slow, began, release) = stuck("sk_slow");
    let (one, ones) = listener("sk_1");
    let (two, twos) = listener("sk_2");
    callbacks.enqueue(vec![
        change(&slow, "1"),
        change(&one, "1"),
        change(&two, "1"),
    ]);
    began.recv_timeout(LONG).unwrap();
    callbacks.clear_watches(Some("sk_1"));
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
    callbacks.clear_watches(None);
    callbacks.enqueue(vec![change(&two, "4")]);
    release.send(()).unwrap();
    assert_eq!(twos.recv_timeout(LONG).unwrap(), "sk_2=4");
    assert!(ones.try_recv().is_err() && began.try_recv().is_err());
}

#[test]
fn a_callback_that_never_returns_keeps_a_bounded_number_of_events() {
    let (callbacks, _clock) = callbacks();
    let (slow, began, release) = stuck("sk_a");
    callbacks.enqueue(vec![change(&slow, "first")]);
    began.recv_timeout(LONG).unwrap();
    let calls = (0..QUEUE_LIMIT + 5).map(|n| change(&slow, &n.to_string()));
    callbacks.enqueue(calls);
    drop(release);
    for n in 5..QUEUE_LIMIT + 5 {
        assert_eq!(began.recv_timeout(LONG).unwrap(), format!("sk_a={n}"));
    }
}

#[test]
fn events_of_one_callback_do_not_displace_those_of_another() {
    let (callbacks, _clock) = callbacks();
    let (slow, began, release) = stuck("sk_a");
    let (other, others, release_other) = stuck("sk_b");
    callbacks.enqueue(vec![change(&slow, "first"), change(&other, "1")]);
    began.recv_timeout(LONG).unwrap();
    callbacks.enqueue((0..QUEUE_LIMIT).map(|n| change(&slow, &n.to_string())));
    callbacks.enqueue(vec![change(&other, "2"), change(&other, "3")]);
    drop((release, release_other));
    for n in 1..=3 {
        assert_eq!(others.recv_timeout(LONG).unwrap(), format!("sk_b={n}"));
    }
    for n in 0..QUEUE_LIMIT {
        assert_eq!(began.recv_timeout(LONG).unwrap(), format!("sk_a={n}"));
    }
}

#[test]
fn idle_means_that_no_call_runs_or_begins_except_calls_that_hang() {
    let (callbacks, clock) = callbacks();
    callbacks.wait_until_idle();
    let (slow, began, release) = stuck("sk_a");
    let (other, events) = listener("sk_b");
    callbacks.enqueue(vec![
        change(&slow, "1"),
        change(&slow, "2"),
        change(&other, "1"),
    ]);
    began.recv_timeout(LONG).unwrap();
    let (idle, is_idle) = channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            callbacks.wait_until_idle();
            let _ = idle.send(());
        });
        // The thread that stands by, and the one that waits here.
        clock.at_rest(2);
        assert!(is_idle.try_recv().is_err(), "a call runs");
        clock.advance(HANGS_AFTER);
        is_idle.recv_timeout(LONG).unwrap();
        assert_eq!(events.try_recv().as_deref(), Ok("sk_b=1"));
    });
    drop(release);
    assert_eq!(began.recv_timeout(LONG).unwrap(), "sk_a=2");
}

#[test]
fn a_call_begins_only_on_a_thread() {
    let mut state = CallbackState::default();
    let (to, _events) = listener("sk_a");
    assert!(state.add(change(&to, "1")).is_none());
    assert_eq!(state.busy_until(LONG), None, "the system gave no thread");
    for threads in [1, 2] {
        state.threads = threads;
        assert!(state.busy_until(LONG).is_some_and(|until| until > LONG));
    }
}

#[test]
fn threads_end_when_no_event_waits() {
    let (callbacks, _clock) = callbacks();
    let (to, events) = listener("sk_a");
    callbacks.enqueue(vec![change(&to, "1"), change(&to, "2")]);
    events.recv_timeout(LONG).unwrap();
    wait_for_threads(&callbacks, 0);
    let state = lock(&callbacks.state);
    assert!(state.waiting.is_empty() && state.running.is_empty());
}
