//! Watching, against the emulator: what is told, when, and what never gets lost.

mod common;

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{Fake as _, FakeClock, builder, emulator};
use sikkerkey::{ErrorKind, ExposeSecret, SikkerKey, Watch, WatchEvent, WatchKind};
use sikkerkey_emulator::{Emulator, Fault, Recorded, Reply};

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(5);
const HOUR: Duration = Duration::from_secs(3600);
const POLL: &str = "/v1/secrets/poll";

fn vault() -> Emulator {
    let vault = emulator().secret("sk_a", "1").secret("sk_b", "1");
    vault.start().unwrap()
}

/// Polls every few milliseconds, and reads nothing unless there is a reason.
fn client(vault: &Emulator) -> SikkerKey {
    builder(vault)
        .poll_interval(SHORT)
        .resync(None)
        .build()
        .unwrap()
}

fn describe(event: &WatchEvent) -> String {
    match &event.kind {
        WatchKind::Changed { value, fields, .. } => {
            let names = fields
                .as_ref()
                .map(|fields| fields.names().collect::<Vec<_>>().join(","));
            format!("{} {}", value.expose_secret(), names.unwrap_or_default())
                .trim_end()
                .to_owned()
        }
        WatchKind::Error(error) => format!("{:?}", error.kind()),
        other => format!("{other:?}"),
    }
}

fn watch(sk: &SikkerKey, id: &str) -> (Watch, Receiver<String>) {
    let (sender, events) = channel();
    let watch = sk
        .watch(id, move |event| drop(sender.send(describe(event))))
        .unwrap();
    (watch, events)
}

#[track_caller]
fn next(events: &Receiver<String>) -> String {
    events.recv_timeout(LONG).unwrap()
}

fn polls(requests: &[Recorded]) -> usize {
    let answered = |request: &&Recorded| request.path == POLL && request.status != 0;
    requests.iter().filter(answered).count()
}

/// Waits until so many more polls were answered.
#[track_caller]
fn wait_for_polls(vault: &Emulator, more: usize) {
    let before = polls(&vault.requests());
    assert!(vault.wait_for(LONG, |requests| polls(requests) >= before + more));
}

/// Waits until there was a poll, also where it came before this call: the next may be an hour away.
#[track_caller]
fn wait_for_the_first_poll(vault: &Emulator) {
    assert!(vault.wait_for(LONG, |requests| polls(requests) >= 1));
}

#[test]
fn every_kind_of_event() {
    let vault = vault();
    let sk = client(&vault);
    sk.get_secret("sk_a").unwrap();
    let (_, events) = watch(&sk, "sk_a");
    vault.put("sk_a", "2");
    assert_eq!(next(&events), "2");
    vault.put_structured("sk_a", [("host", "db"), ("port", "1")]);
    assert!(next(&events).ends_with("} host,port"));

    vault.delete("sk_a");
    assert_eq!(next(&events), "Deleted");
    assert_eq!(
        events.recv_timeout(LONG),
        Err(RecvTimeoutError::Disconnected),
        "the watch has ended"
    );
    vault.put("sk_a", "3");
    let (_, events) = watch(&sk, "sk_a");
    assert_eq!(
        next(&events),
        "3",
        "a secret that came back can be watched again"
    );
    vault.deny("sk_a");
    assert_eq!(next(&events), "AccessDenied");
    assert_eq!(
        events.recv_timeout(LONG),
        Err(RecvTimeoutError::Disconnected)
    );
}

#[test]
fn an_id_is_checked_and_a_missing_secret_is_an_event() {
    let vault = vault();
    let sk = client(&vault);
    let error = sk.watch("sk/a", |_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidId);
    let (_, events) = watch(&sk, "sk_missing");
    assert_eq!(next(&events), "Deleted");
}

#[test]
fn one_request_asks_for_everything() {
    let ids: Vec<String> = (0..1000).map(|n| format!("sk_{n}")).collect();
    let vault = ids
        .iter()
        .fold(emulator(), |vault, id| vault.secret(id, "1"));
    let vault = vault.start().unwrap();
    let sk = builder(&vault).poll_interval(HOUR).build().unwrap();
    for id in &ids {
        sk.watch(id, |_| ()).unwrap();
    }
    assert!(vault.wait_for(LONG, |requests| {
        let last = requests.last().map(Recorded::text).unwrap_or_default();
        last.matches("sk_").count() == 1000
    }));
}

#[test]
fn watches_on_one_secret_are_told_and_stopped_each_on_its_own() {
    let vault = vault();
    let sk = client(&vault);
    sk.get_secret("sk_a").unwrap();
    let (one, ones) = watch(&sk, "sk_a");
    let (two, twos) = watch(&sk, "sk_a");
    assert_eq!(one.secret_id(), "sk_a");
    vault.put("sk_a", "2");
    assert_eq!((next(&ones), next(&twos)), ("2".into(), "2".into()));
    one.stop();
    one.stop();
    drop(two);
    assert_eq!(
        ones.recv_timeout(LONG),
        Err(RecvTimeoutError::Disconnected),
        "the callback is gone"
    );
    vault.put("sk_a", "3");
    assert_eq!(next(&twos), "3", "a watch outlives its handle");
    sk.unwatch("sk_a");
    assert_eq!(twos.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn a_changed_secret_stays_pending_until_it_was_read() {
    let vault = vault();
    let sk = client(&vault);
    sk.get_secret("sk_a").unwrap();
    let (_, events) = watch(&sk, "sk_a");
    // The service acts on the read, so that it holds the change to be known; its answer is lost.
    vault.fail_next_matching("/v1/secret/sk_a", Fault::after(Fault::Close));
    vault.fail_next_matching("/v1/secret/sk_a", Fault::after(Fault::Truncated));
    vault.fail_next_matching("/v1/secret/sk_a", Fault::Status(500));
    vault.put("sk_a", "2");
    assert_eq!(next(&events), "Network");
    assert_eq!(next(&events), "Recovered");
    assert_eq!(next(&events), "2");
}

#[test]
fn a_change_that_the_users_own_read_swallowed_is_told() {
    let vault = vault();
    let sk = client(&vault);
    sk.get_secret("sk_a").unwrap();
    let (_, events) = watch(&sk, "sk_a");
    for value in ["2", "3", "4"] {
        vault.put("sk_a", value);
        assert_eq!(sk.get_secret("sk_a").unwrap().expose_secret(), value);
        assert_eq!(next(&events), value);
    }
}

#[test]
fn a_read_whose_answer_was_lost_loses_no_change() {
    let vault = vault();
    let sk = builder(&vault)
        .poll_interval(HOUR)
        .resync(None)
        .retry(sikkerkey::RetryPolicy::none())
        .build()
        .unwrap();
    sk.get_secret("sk_a").unwrap();
    let (_, events) = watch(&sk, "sk_a");
    wait_for_the_first_poll(&vault);
    vault.put("sk_a", "2");
    // Begun, so that it is not asked for again at once.
    vault.fail_next_matching("/v1/secret/sk_a", Fault::after(Fault::Truncated));
    sk.get_secret("sk_a").unwrap_err();
    sk.set_poll_interval(SHORT);
    assert_eq!(next(&events), "2");
}

#[test]
fn what_another_process_swallowed_is_found_by_the_resync() {
    let vault = vault();
    let other = client(&vault);
    let sk = builder(&vault)
        .poll_interval(HOUR)
        .resync(Some(Duration::from_millis(30)))
        .build()
        .unwrap();
    sk.get_secret("sk_a").unwrap();
    let (_, events) = watch(&sk, "sk_a");
    wait_for_the_first_poll(&vault);
    vault.put("sk_a", "2");
    other.get_secret("sk_a").unwrap();
    sk.set_poll_interval(SHORT);
    assert_eq!(next(&events), "2");
    wait_for_polls(&vault, 30);
    assert!(
        events.try_recv().is_err(),
        "a re-read without a difference is no event"
    );
}

#[test]
fn an_answer_to_a_poll_that_was_lost_is_made_up_for() {
    let vault = emulator().secret("sk_a", "1").changed_until_read(false);
    let vault = vault.start().unwrap();
    let sk = builder(&vault)
        .poll_interval(SHORT)
        .resync(Some(Duration::from_millis(30)))
        .build()
        .unwrap();
    sk.get_secret("sk_a").unwrap();
    let (_, events) = watch(&sk, "sk_a");
    wait_for_polls(&vault, 1);
    // Begun, so that it is not asked for again at once.
    vault.fail_next_matching(POLL, Fault::after(Fault::Truncated));
    vault.put("sk_a", "2");
    let told: Vec<_> = (0..3).map(|_| next(&events)).collect();
    assert_eq!(told, ["Network", "Recovered", "2"]);
}

#[test]
fn an_outage_is_one_error_and_one_recovery_for_each_watch() {
    let vault = vault();
    let sk = client(&vault);
    sk.get_secret("sk_a").unwrap();
    sk.get_secret("sk_b").unwrap();
    let (_, one) = watch(&sk, "sk_a");
    let (_, two) = watch(&sk, "sk_b");
    wait_for_polls(&vault, 2);
    vault.fail_always(Fault::Status(503));
    assert_eq!(
        (next(&one), next(&two)),
        ("Unavailable".into(), "Unavailable".into())
    );
    wait_for_polls(&vault, 20);
    vault.put("sk_b", "2");
    vault.clear_faults();
    assert_eq!(
        (next(&one), next(&two)),
        ("Recovered".into(), "Recovered".into())
    );
    assert_eq!(next(&two), "2");
    wait_for_polls(&vault, 20);
    assert!(one.try_recv().is_err() && two.try_recv().is_err());
}

#[test]
fn a_poll_is_not_repeated_within_its_cycle() {
    let vault = vault();
    let sk = builder(&vault).poll_interval(HOUR).build().unwrap();
    vault.fail_always(Fault::Status(503));
    let (_, events) = watch(&sk, "sk_a");
    assert_eq!(next(&events), "Unavailable");
    assert_eq!(vault.request_count(), 1);
}

#[test]
fn a_time_to_wait_is_waited_for() {
    let vault = vault();
    let sk = client(&vault);
    vault.fail_next(Reply::new(429).header("Retry-After", "1"));
    let (_, events) = watch(&sk, "sk_a");
    assert_eq!(next(&events), "RateLimited");
    sk.set_poll_interval(SHORT);
    assert_eq!(next(&events), "Recovered");
    let requests = vault.requests();
    let [refused, answered] = [&requests[0], &requests[1]];
    assert!(answered.at - refused.at >= Duration::from_secs(1));
}

#[test]
fn a_machine_that_is_refused_asks_less_and_less() {
    let vault = vault();
    let sk = client(&vault);
    let (_, events) = watch(&sk, "sk_a");
    wait_for_polls(&vault, 1);
    vault.expire_machines();
    assert_eq!(next(&events), "Authentication");
    assert!(vault.wait_for(LONG, |requests| {
        requests
            .iter()
            .filter(|request| request.status == 401)
            .count()
            >= 3
    }));
    let refused = vault
        .requests()
        .into_iter()
        .filter(|request| request.status == 401);
    let at: Vec<Instant> = refused.map(|request| request.at).collect();
    // Four and sixteen intervals, less the jitter.
    assert!(at[1] - at[0] >= SHORT * 3);
    assert!(at[2] - at[1] >= SHORT * 12);
}

#[test]
fn a_new_interval_acts_at_once() {
    let vault = vault();
    let sk = builder(&vault).poll_interval(HOUR).build().unwrap();
    sk.watch("sk_a", |_| ()).unwrap();
    wait_for_the_first_poll(&vault);
    sk.set_poll_interval(SHORT);
    wait_for_polls(&vault, 3);
}

#[test]
fn the_schedule_follows_the_clock_of_the_client() {
    let vault = vault();
    let clock = FakeClock::new();
    let sk = builder(&vault).fake(&clock).build().unwrap();
    sk.watch("sk_a", |_| ()).unwrap();
    for n in 1..10 {
        // The poll may have been answered and its end not yet noted: then more time must pass.
        while !vault.wait_for(Duration::from_millis(50), |requests| polls(requests) >= n) {
            clock.pass(Duration::from_secs(15));
            // Looks at the clock again; the interval is what it was.
            sk.set_poll_interval(Duration::from_secs(15));
        }
    }
}

#[test]
fn close_ends_everything_and_a_new_watch_begins_again() {
    let vault = vault();
    let sk = client(&vault);
    sk.get_secret("sk_a").unwrap();
    let (_, events) = watch(&sk, "sk_a");
    wait_for_polls(&vault, 1);
    sk.close();
    sk.close();
    assert_eq!(
        events.recv_timeout(LONG),
        Err(RecvTimeoutError::Disconnected)
    );
    let before = vault.request_count();
    assert_eq!(sk.get_secret("sk_a").unwrap().expose_secret(), "1");
    assert_eq!(
        vault.request_count(),
        before + 1,
        "reads work, and nothing polls"
    );
    let (_, events) = watch(&sk, "sk_a");
    vault.put("sk_a", "2");
    assert_eq!(next(&events), "2");
}

#[test]
fn close_does_not_wait_for_a_request_that_hangs() {
    let vault = vault();
    let sk = client(&vault);
    vault.fail_always(Fault::Hang);
    let (_, events) = watch(&sk, "sk_a");
    assert!(vault.wait_for(LONG, |requests| !requests.is_empty()));
    let start = Instant::now();
    sk.close();
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "the request itself waits for 15 s"
    );
    assert_eq!(
        events.recv_timeout(LONG),
        Err(RecvTimeoutError::Disconnected)
    );
}

#[test]
fn dropping_the_last_handle_ends_the_watches() {
    let vault = vault();
    let sk = client(&vault);
    let (watch, events) = watch(&sk, "sk_a");
    let other = sk.clone();
    drop(sk);
    wait_for_polls(&vault, 2);
    drop(other);
    assert_eq!(
        events.recv_timeout(LONG),
        Err(RecvTimeoutError::Disconnected),
        "the callback is dropped with the client"
    );
    watch.stop();
}

#[test]
fn a_request_that_hangs_keeps_no_watch_alive() {
    let vault = vault();
    let sk = client(&vault);
    vault.fail_always(Fault::Hang);
    let (_, events) = watch(&sk, "sk_a");
    assert!(vault.wait_for(LONG, |requests| !requests.is_empty()));
    let start = Instant::now();
    drop(sk);
    assert_eq!(
        events.recv_timeout(LONG),
        Err(RecvTimeoutError::Disconnected)
    );
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "the request itself waits for 15 s"
    );
}

#[test]
fn a_callback_may_do_anything_to_its_client() {
    let vault = vault();
    let sk = client(&vault);
    sk.get_secret("sk_a").unwrap();
    type Action = fn(&SikkerKey);
    let actions: [Action; 5] = [
        |sk| sk.unwatch("sk_a"),
        |sk| sk.close(),
        |sk| drop(sk.watch("sk_b", |_| ()).unwrap()),
        |sk| drop(sk.get_secret("sk_a").unwrap()),
        |sk| sk.set_poll_interval(Duration::from_millis(7)),
    ];
    for (n, action) in actions.into_iter().enumerate() {
        let (sender, events) = channel();
        let handle = sk.clone();
        let watch = sk.watch("sk_a", move |event| {
            action(&handle);
            drop(sender.send(describe(event)));
        });
        let value = format!("next {n}");
        vault.put("sk_a", &value);
        assert_eq!(next(&events), value);
        watch.unwrap().stop();
        assert_eq!(
            events.recv_timeout(LONG),
            Err(RecvTimeoutError::Disconnected),
            "{n}"
        );
    }
}

#[test]
fn a_callback_may_stop_its_own_watch_and_drop_the_last_handle() {
    let vault = vault();
    let sk = client(&vault);
    sk.get_secret("sk_a").unwrap();
    let own: Arc<Mutex<Option<(SikkerKey, Watch)>>> = Arc::default();
    let (sender, events) = channel();
    let kept = own.clone();
    let watch = sk.watch("sk_a", move |event| {
        let taken = kept.lock().unwrap().take();
        if let Some((sk, watch)) = taken {
            watch.stop();
            drop(sk);
        }
        drop(sender.send(describe(event)));
    });
    *own.lock().unwrap() = Some((sk, watch.unwrap()));
    vault.put("sk_a", "2");
    assert_eq!(next(&events), "2");
    assert_eq!(
        events.recv_timeout(LONG),
        Err(RecvTimeoutError::Disconnected),
        "all is gone"
    );
}

#[test]
fn a_slow_or_panicking_callback_harms_no_other_secret() {
    let vault = vault();
    let sk = client(&vault);
    sk.get_secret("sk_a").unwrap();
    sk.get_secret("sk_b").unwrap();
    let (release, gate) = channel::<()>();
    let (began, begins) = channel();
    let slow = sk.watch("sk_a", move |_| {
        let _ = began.send(());
        let _ = gate.recv();
        panic!("and then it panics");
    });
    let (_, events) = watch(&sk, "sk_b");
    vault.put("sk_a", "2");
    begins.recv_timeout(LONG).unwrap();
    for value in ["2", "3", "4"] {
        vault.put("sk_b", value);
        assert_eq!(next(&events), value);
    }
    drop(release);
    vault.put("sk_a", "3");
    begins.recv_timeout(LONG).unwrap();
    slow.unwrap().stop();
}

#[test]
fn no_event_shows_its_value_by_accident() {
    let vault = emulator()
        .structured("sk_a", [("pin", "hunter2")])
        .start()
        .unwrap();
    let sk = client(&vault);
    sk.get_secret("sk_a").unwrap();
    let (sender, events) = channel();
    let watch = sk.watch("sk_a", move |event| {
        drop(sender.send(format!("{event:?} {event:#?}")))
    });
    vault.put_structured("sk_a", [("pin", "hunter3")]);
    let shown = next(&events);
    assert!(
        shown.contains("Changed") && shown.contains("pin") && !shown.contains("hunter"),
        "{shown}"
    );
    assert_eq!(
        format!("{:?}", watch.unwrap()),
        r#"Watch { secret_id: "sk_a", .. }"#
    );
}

#[test]
fn no_change_is_missed_with_a_fifth_of_the_answers_lost() {
    // The long form: SIKKERKEY_ROTATIONS=10000 cargo test -p sikkerkey --test watch no_change_is_missed
    let rotations: u32 = std::env::var("SIKKERKEY_ROTATIONS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(200);
    let vault = vault();
    let sk = builder(&vault)
        .poll_interval(Duration::from_millis(1))
        .resync(Some(Duration::from_millis(50)))
        .build()
        .unwrap();
    sk.get_secret("sk_a").unwrap();
    let (_, events) = watch(&sk, "sk_a");
    vault.fail_randomly(
        7,
        20,
        [
            Fault::after(Fault::Close),
            Fault::Close,
            Fault::after(Fault::Truncated),
        ],
    );
    for n in 0..rotations {
        let value = format!("v{n}");
        vault.put("sk_a", &value);
        while next(&events) != value {}
    }
}

#[test]
fn handles_and_events_go_between_threads() {
    fn sends<T: Send + Sync>() {}
    sends::<SikkerKey>();
    sends::<Watch>();
    sends::<WatchEvent>();
}

#[test]
fn a_page_of_a_proxy_ends_no_watch() {
    for status in [403, 404] {
        let vault = vault();
        let sk = client(&vault);
        sk.get_secret("sk_a").unwrap();
        let (_watch, events) = watch(&sk, "sk_a");
        vault.fail_next_matching("/v1/secret/", Reply::new(status).body("<html></html>"));
        vault.put("sk_a", "2");
        let told = [next(&events), next(&events), next(&events)];
        assert_eq!(told[1..], ["Recovered", "2"], "{status}: {told:?}");
    }
}
