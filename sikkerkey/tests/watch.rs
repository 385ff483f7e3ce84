//! Watching, against the emulator: what is told, when, and what never gets lost.

mod common;

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::emulator;
use common::stage::{INTERVAL, PATIENCE, Stage, is_poll};
use sikkerkey::{ErrorKind, ExposeSecret, Resync, SikkerKey, Watch, WatchEvent, WatchKind};
use sikkerkey_emulator::{Fault, Reply};

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
const POLL: &str = "/v1/secrets/poll";

fn stage() -> Stage {
    let vault = emulator().secret("sk_a", "1").secret("sk_b", "1");
    Stage::new(vault.start().unwrap())
}

/// Reads nothing unless there is a reason.
fn client(stage: &Stage) -> SikkerKey {
    stage.builder().resync(Resync::Never).build().unwrap()
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

/// Watches a secret; the first poll, which comes at once, may still be under way.
fn begin(sk: &SikkerKey, id: &str) -> (Watch, Receiver<String>) {
    let (sender, events) = channel();
    let watch = sk
        .watch(id, move |event| drop(sender.send(describe(event))))
        .unwrap();
    (watch, events)
}

/// Watches a secret, and waits until the first poll is over.
#[track_caller]
fn watch(stage: &Stage, sk: &SikkerKey, id: &str) -> (Watch, Receiver<String>) {
    let begun = begin(sk, id);
    stage.rest();
    begun
}

#[track_caller]
fn next(events: &Receiver<String>) -> String {
    events.recv_timeout(PATIENCE).unwrap()
}

/// The callback was dropped, after every event was received.
#[track_caller]
fn assert_ended(events: &Receiver<String>) {
    let end = events.recv_timeout(PATIENCE);
    assert_eq!(end, Err(RecvTimeoutError::Disconnected));
}

#[test]
fn every_kind_of_event() {
    let stage = stage();
    let sk = client(&stage);
    sk.get_secret("sk_a").unwrap();
    let (_, events) = watch(&stage, &sk, "sk_a");
    stage.vault.put("sk_a", "2");
    stage.poll();
    assert_eq!(next(&events), "2");
    let fields = [("host", "db"), ("port", "1")];
    stage.vault.put_structured("sk_a", fields);
    stage.poll();
    assert!(next(&events).ends_with("} host,port"));

    stage.vault.delete("sk_a");
    stage.wake();
    assert_eq!(next(&events), "Deleted");
    assert_ended(&events);
    stage.vault.put("sk_a", "3");
    let (_, events) = watch(&stage, &sk, "sk_a");
    assert_eq!(
        next(&events),
        "3",
        "a secret that came back can be watched again"
    );
    stage.vault.deny("sk_a");
    stage.wake();
    assert_eq!(next(&events), "AccessDenied");
    assert_ended(&events);
}

#[test]
fn an_id_is_checked_and_a_missing_secret_is_an_event() {
    let stage = stage();
    let sk = client(&stage);
    let error = sk.watch("sk/a", |_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidId);
    let (_, events) = begin(&sk, "sk_missing");
    assert_eq!(next(&events), "Deleted");
}

#[test]
fn one_request_asks_for_everything() {
    let ids: Vec<String> = (0..1000).map(|n| format!("sk_{n}")).collect();
    let vault = ids
        .iter()
        .fold(emulator(), |vault, id| vault.secret(id, "1"));
    let stage = Stage::new(vault.start().unwrap());
    let sk = stage.builder().build().unwrap();
    for id in &ids {
        sk.watch(id, |_| ()).unwrap();
    }
    stage.rest();
    let requests = stage.vault.requests();
    let last = requests.last().unwrap();
    assert!(is_poll(last));
    assert_eq!(last.text().matches("sk_").count(), 1000);
}

#[test]
fn watches_on_one_secret_are_told_and_stopped_each_on_its_own() {
    let stage = stage();
    let sk = client(&stage);
    sk.get_secret("sk_a").unwrap();
    let (one, ones) = watch(&stage, &sk, "sk_a");
    let (two, twos) = watch(&stage, &sk, "sk_a");
    assert_eq!(one.secret_id(), "sk_a");
    stage.vault.put("sk_a", "2");
    stage.poll();
    assert_eq!((next(&ones), next(&twos)), ("2".into(), "2".into()));
    one.stop();
    one.stop();
    drop(two);
    assert_ended(&ones);
    stage.vault.put("sk_a", "3");
    stage.poll();
    assert_eq!(next(&twos), "3", "a watch outlives its handle");
    sk.unwatch("sk_a");
    assert_ended(&twos);
}

#[test]
fn a_changed_secret_stays_pending_until_it_was_read() {
    let stage = stage();
    let sk = client(&stage);
    sk.get_secret("sk_a").unwrap();
    let (_, events) = watch(&stage, &sk, "sk_a");
    // The service acts on the read, so that it holds the change to be known; its answer is lost.
    let path = "/v1/secret/sk_a";
    let vault = &stage.vault;
    vault.fail_next_matching(path, Fault::after(Fault::Close));
    vault.fail_next_matching(path, Fault::after(Fault::Truncated));
    vault.fail_next_matching(path, Fault::Status(500));
    vault.put("sk_a", "2");
    stage.poll();
    assert_eq!(next(&events), "Network");
    stage.polls(3);
    assert_eq!(next(&events), "Recovered");
    assert_eq!(next(&events), "2");
    assert_eq!(stage.reads("sk_a"), 5, "the user's, and one with each poll");
}

#[test]
fn a_change_that_the_users_own_read_swallowed_is_told() {
    let stage = stage();
    let sk = client(&stage);
    sk.get_secret("sk_a").unwrap();
    let (_, events) = watch(&stage, &sk, "sk_a");
    for value in ["2", "3", "4"] {
        stage.vault.put("sk_a", value);
        assert_eq!(sk.get_secret("sk_a").unwrap().expose_secret(), value);
        stage.poll();
        assert_eq!(next(&events), value);
    }
}

#[test]
fn a_read_whose_answer_was_lost_loses_no_change() {
    let stage = stage();
    let sk = stage.builder().resync(Resync::Never);
    let sk = sk.retry(sikkerkey::RetryPolicy::none()).build().unwrap();
    sk.get_secret("sk_a").unwrap();
    let (_, events) = watch(&stage, &sk, "sk_a");
    stage.vault.put("sk_a", "2");
    // Begun, so that it is not asked for again at once.
    let lost = Fault::after(Fault::Truncated);
    stage.vault.fail_next_matching("/v1/secret/sk_a", lost);
    sk.get_secret("sk_a").unwrap_err();
    stage.poll();
    assert_eq!(next(&events), "2");
}

#[test]
fn what_another_process_swallowed_is_found_by_the_resync() {
    let stage = stage();
    let other = client(&stage);
    // A resync comes 427.5 s after the one before at the latest, so with every 28th poll.
    let sk = stage.builder().resync(Resync::Every(INTERVAL * 30));
    let sk = sk.build().unwrap();
    sk.get_secret("sk_a").unwrap();
    let (_, events) = watch(&stage, &sk, "sk_a");
    stage.vault.put("sk_a", "2");
    other.get_secret("sk_a").unwrap();
    stage.polls(27);
    assert_eq!(
        stage.reads("sk_a"),
        2,
        "the service says that nothing changed"
    );
    stage.poll();
    assert_eq!(next(&events), "2");

    stage.polls(28 * 2);
    assert_eq!(stage.reads("sk_a"), 5);
    stage.vault.put("sk_a", "3");
    stage.poll();
    assert_eq!(
        next(&events),
        "3",
        "a re-read without a difference is no event"
    );
}

#[test]
fn an_answer_to_a_poll_that_was_lost_is_made_up_for() {
    let vault = emulator().secret("sk_a", "1").changed_until_read(false);
    let stage = Stage::new(vault.start().unwrap());
    // A resync comes 142.5 s after the one before at the latest, so with every ninth poll.
    let sk = stage.builder().resync(Resync::Every(INTERVAL * 10));
    let sk = sk.build().unwrap();
    sk.get_secret("sk_a").unwrap();
    let (_, events) = watch(&stage, &sk, "sk_a");
    // Begun, so that it is not asked for again at once.
    let lost = Fault::after(Fault::Truncated);
    stage.vault.fail_next_matching(POLL, lost);
    stage.vault.put("sk_a", "2");
    stage.poll();
    assert_eq!(next(&events), "Network");
    stage.polls(7);
    assert_eq!(next(&events), "Recovered");
    assert_eq!(stage.reads("sk_a"), 1);
    stage.poll();
    assert_eq!(next(&events), "2");
}

#[test]
fn an_outage_is_one_error_and_one_recovery_for_each_watch() {
    let stage = stage();
    let sk = client(&stage);
    sk.get_secret("sk_a").unwrap();
    sk.get_secret("sk_b").unwrap();
    let (_, one) = watch(&stage, &sk, "sk_a");
    let (_, two) = watch(&stage, &sk, "sk_b");
    stage.vault.fail_always(Fault::Status(503));
    stage.polls(20);
    stage.vault.put("sk_b", "2");
    stage.vault.clear_faults();
    stage.polls(20);
    let last = [("sk_a", "last"), ("sk_b", "last")];
    stage.vault.put_all(last);
    stage.poll();
    for told in ["Unavailable", "Recovered", "last"] {
        assert_eq!(next(&one), told);
    }
    for told in ["Unavailable", "Recovered", "2", "last"] {
        assert_eq!(next(&two), told);
    }
}

#[test]
fn a_poll_takes_no_more_than_an_answer_about_its_secrets_can_have() {
    let stage = stage();
    let sk = client(&stage);
    sk.get_secret("sk_a").unwrap();
    let (_, events) = watch(&stage, &sk, "sk_a");
    stage.vault.put("sk_a", "2");
    let answer = |padding: usize| {
        let body = format!(
            r#"{{"changes":{{"sk_a":{{"status":"changed"}}}}}}{}"#,
            " ".repeat(padding)
        );
        Reply::new(200).body(body)
    };
    stage.vault.fail_next_matching(POLL, answer(70_000));
    stage.poll();
    assert_eq!(next(&events), "Decode");
    stage.vault.fail_next_matching(POLL, answer(60_000));
    stage.poll();
    assert_eq!(next(&events), "Recovered");
    assert_eq!(next(&events), "2");
}

#[test]
fn a_poll_is_not_repeated_within_its_cycle() {
    let stage = stage();
    let sk = client(&stage);
    stage.vault.fail_always(Fault::Status(503));
    let (_, events) = begin(&sk, "sk_a");
    assert_eq!(stage.rest(), INTERVAL, "it waits for no attempt before");
    assert_eq!(next(&events), "Unavailable");
    assert_eq!(stage.vault.request_count(), 1);
}

#[test]
fn a_time_to_wait_is_waited_for() {
    let stage = stage();
    let sk = client(&stage);
    let refusal = Reply::new(429).header("Retry-After", "60");
    stage.vault.fail_next(refusal);
    let (_, events) = watch(&stage, &sk, "sk_a");
    assert_eq!(next(&events), "RateLimited");
    sk.set_poll_interval(SECOND);
    stage.pass(SECOND * 60 - MILLISECOND);
    assert_eq!(stage.rest(), MILLISECOND);
    assert_eq!(stage.poll_count(), 1);
    stage.poll();
    assert_eq!(next(&events), "Recovered");
    assert_eq!(stage.poll_count(), 2);
}

#[test]
fn a_machine_that_is_refused_asks_less_and_less() {
    let stage = stage();
    let sk = client(&stage);
    let (_, events) = watch(&stage, &sk, "sk_a");
    stage.vault.expire_machines();
    stage.poll();
    assert_eq!(next(&events), "Authentication");
    assert_eq!(stage.rest(), INTERVAL * 4);
    stage.poll();
    assert_eq!(stage.rest(), INTERVAL * 16);
    stage.poll();
    assert_eq!(stage.rest(), SECOND * 600, "and 10 minutes at most");
    assert_eq!(stage.poll_count(), 4);
}

#[test]
fn a_new_interval_acts_at_once() {
    let stage = stage();
    let sk = stage.builder().poll_interval(HOUR).build().unwrap();
    watch(&stage, &sk, "sk_a");
    assert_eq!(stage.rest(), HOUR);
    stage.pass(SECOND);
    sk.set_poll_interval(SECOND);
    assert_eq!(stage.rest(), SECOND);
    assert_eq!(stage.poll_count(), 2, "it was due");
    stage.polls(2);
    assert_eq!(stage.poll_count(), 4);
}

#[test]
fn the_schedule_follows_the_clock_of_the_client() {
    let stage = stage();
    let sk = stage.builder().build().unwrap();
    watch(&stage, &sk, "sk_a");
    for n in 1..10 {
        assert_eq!(stage.poll_count(), n);
        stage.pass(INTERVAL - MILLISECOND);
        assert_eq!(stage.rest(), MILLISECOND);
        assert_eq!(stage.poll_count(), n);
        stage.poll();
    }
}

#[test]
fn close_ends_everything_and_a_new_watch_begins_again() {
    let stage = stage();
    let sk = client(&stage);
    sk.get_secret("sk_a").unwrap();
    let (_, events) = watch(&stage, &sk, "sk_a");
    sk.close();
    sk.close();
    assert_ended(&events);
    let before = stage.vault.request_count();
    stage.pass(INTERVAL * 10);
    assert_eq!(sk.get_secret("sk_a").unwrap().expose_secret(), "1");
    assert_eq!(
        stage.vault.request_count(),
        before + 1,
        "reads work, and nothing polls"
    );
    let (_, events) = watch(&stage, &sk, "sk_a");
    stage.vault.put("sk_a", "2");
    stage.poll();
    assert_eq!(next(&events), "2");
}

/// A client whose requests wait for an hour: longer than these tests.
fn patient_client(stage: &Stage) -> SikkerKey {
    let sk = stage.builder().timeout(HOUR).deadline(HOUR);
    sk.build().unwrap()
}

#[test]
fn close_waits_a_moment_and_no_longer_for_a_request_that_hangs() {
    let stage = stage();
    let sk = patient_client(&stage);
    stage.vault.fail_always(Fault::Hang);
    let (_, events) = begin(&sk, "sk_a");
    stage.wait_for("a poll", |requests| !requests.is_empty());
    std::thread::scope(|scope| {
        let closing = scope.spawn(|| sk.close());
        stage.clock.at_rest(1);
        let left = stage.clock.next().unwrap();
        assert!(left <= SECOND, "{left:?}");
        stage.pass(left - MILLISECOND);
        stage.clock.at_rest(1);
        assert!(!closing.is_finished());
        stage.pass(MILLISECOND);
        closing.join().unwrap();
    });
    assert_ended(&events);
}

#[test]
fn dropping_the_last_handle_ends_the_watches() {
    let stage = stage();
    let sk = client(&stage);
    let (watch, events) = watch(&stage, &sk, "sk_a");
    let other = sk.clone();
    drop(sk);
    stage.polls(2);
    assert_eq!(stage.poll_count(), 3);
    drop(other);
    assert_ended(&events);
    watch.stop();
}

#[test]
fn a_request_that_hangs_keeps_no_watch_alive() {
    let stage = stage();
    let sk = patient_client(&stage);
    stage.vault.fail_always(Fault::Hang);
    let (_, events) = begin(&sk, "sk_a");
    stage.wait_for("a poll", |requests| !requests.is_empty());
    drop(sk);
    assert_ended(&events);
}

#[test]
fn a_callback_may_do_anything_to_its_client() {
    let stage = stage();
    let sk = client(&stage);
    sk.get_secret("sk_a").unwrap();
    type Action = fn(&SikkerKey);
    let actions: [Action; 5] = [
        |sk| sk.unwatch("sk_a"),
        |sk| sk.close(),
        |sk| drop(sk.watch("sk_b", |_| ()).unwrap()),
        |sk| drop(sk.get_secret("sk_a").unwrap()),
        |sk| sk.set_poll_interval(SECOND * 7),
    ];
    for (n, action) in actions.into_iter().enumerate() {
        let (sender, events) = channel();
        let handle = sk.clone();
        let watch = sk.watch("sk_a", move |event| {
            action(&handle);
            drop(sender.send(describe(event)));
        });
        stage.rest();
        let value = format!("next {n}");
        stage.vault.put("sk_a", &value);
        stage.wake();
        assert_eq!(next(&events), value);
        watch.unwrap().stop();
        assert_ended(&events);
    }
}

#[test]
fn a_callback_may_stop_its_own_watch_and_drop_the_last_handle() {
    let stage = stage();
    let sk = client(&stage);
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
    stage.rest();
    stage.vault.put("sk_a", "2");
    stage.wake();
    assert_eq!(next(&events), "2");
    assert_ended(&events);
}

#[test]
fn a_callback_that_hangs_delays_others_for_10_s_and_its_panic_harms_none() {
    let stage = stage();
    let sk = stage.builder().resync(Resync::Never).poll_interval(SECOND);
    let sk = sk.build().unwrap();
    sk.get_secret("sk_a").unwrap();
    sk.get_secret("sk_b").unwrap();
    let (release, gate) = channel::<()>();
    let (began, begins) = channel();
    let slow = sk.watch("sk_a", move |_| {
        let _ = began.send(());
        let _ = gate.recv();
        panic!("and then it panics");
    });
    let (_, events) = watch(&stage, &sk, "sk_b");
    stage.vault.put("sk_a", "2");
    stage.poll();
    begins.recv_timeout(PATIENCE).unwrap();

    let stand_by = || stage.clock.threads_at_rest("sikkerkey-callbacks", 1);
    stage.vault.put("sk_b", "2");
    stage.poll();
    assert_eq!(stand_by(), SECOND * 9);
    stage.pass(SECOND * 9 - MILLISECOND);
    assert_eq!(stand_by(), MILLISECOND);
    assert!(events.try_recv().is_err(), "it may still return in time");
    stage.pass(MILLISECOND);
    assert_eq!(next(&events), "2");
    for value in ["3", "4"] {
        stage.vault.put("sk_b", value);
        stage.poll();
        assert_eq!(next(&events), value, "nothing waits for it any more");
    }

    drop(release);
    stage.vault.put("sk_a", "3");
    stage.poll();
    begins.recv_timeout(PATIENCE).unwrap();
    slow.unwrap().stop();
}

#[test]
fn no_event_shows_its_value_by_accident() {
    let vault = emulator().structured("sk_a", [("pin", "hunter2")]);
    let stage = Stage::new(vault.start().unwrap());
    let sk = client(&stage);
    sk.get_secret("sk_a").unwrap();
    let (sender, events) = channel();
    let watch = sk.watch("sk_a", move |event| {
        drop(sender.send(format!("{event:?} {event:#?}")))
    });
    stage.vault.put_structured("sk_a", [("pin", "hunter3")]);
    stage.poll();
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
    let stage = stage();
    let sk = stage.builder().poll_interval(MILLISECOND);
    let sk = sk.resync(Resync::Every(MILLISECOND * 50)).build().unwrap();
    sk.get_secret("sk_a").unwrap();
    let (_, events) = watch(&stage, &sk, "sk_a");
    stage.vault.fail_randomly(
        7,
        20,
        [
            Fault::after(Fault::Close),
            Fault::Close,
            Fault::after(Fault::Truncated),
        ],
    );
    stage.polling_all_the_time(|| {
        for n in 0..rotations {
            let value = format!("v{n}");
            stage.vault.put("sk_a", &value);
            // A change that is missed is followed by errors and recoveries without end.
            let told = (0..1_000).any(|_| next(&events) == value);
            assert!(told, "{value} was missed");
        }
    });
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
        let stage = stage();
        let sk = client(&stage);
        sk.get_secret("sk_a").unwrap();
        let (_watch, events) = watch(&stage, &sk, "sk_a");
        let page = Reply::new(status).body("<html></html>");
        stage.vault.fail_next_matching("/v1/secret/", page);
        stage.vault.put("sk_a", "2");
        stage.polls(2);
        let told = [next(&events), next(&events), next(&events)];
        assert_eq!(told[1..], ["Recovered", "2"], "{status}: {told:?}");
    }
}
