use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};

use super::*;
use crate::clock::virtual_clock::VirtualClock;
use crate::random::SystemRandomness;
use crate::watch::event::WatchKind;
use crate::watch::follower::UpdateKind;
use crate::watch::handle::Follow;

const LONG: Duration = Duration::from_secs(30);
/// So long that only a wake-up causes a second poll.
const NEVER: Duration = Duration::from_secs(36_000);
const MINUTE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(1);

type Answer = Result<Vec<(String, SecretChange)>, Error>;

/// A service without a network, which reports every request to the test.
#[derive(Default)]
struct Fake {
    answers: Mutex<VecDeque<Answer>>,
    values: Mutex<HashMap<String, Result<String, Error>>>,
    polls: Mutex<Option<Sender<Vec<String>>>>,
    reads: Mutex<Vec<String>>,
    lost: Mutex<Vec<String>>,
    /// Polls block on this channel if it is set.
    gate: Mutex<Option<Receiver<()>>>,
}

impl Upstream for Fake {
    fn poll(&self, ids: &[Arc<str>]) -> Result<PollAnswer, Error> {
        if let Some(polls) = &*lock(&self.polls) {
            let _ = polls.send(ids.iter().map(|id| id.to_string()).collect());
        }
        if let Some(gate) = &*lock(&self.gate) {
            let _ = gate.recv();
        }
        let answer = lock(&self.answers).pop_front();
        Ok(PollAnswer {
            changes: answer.transpose()?.unwrap_or_default(),
            repeated: false,
        })
    }

    fn read(&self, id: &str) -> Result<SecretString, Error> {
        lock(&self.reads).push(id.to_owned());
        let values = lock(&self.values);
        let value = values
            .get(id)
            .cloned()
            .unwrap_or_else(|| Ok("1".to_owned()));
        value.map(SecretString::from)
    }

    fn lost(&self, id: &str) {
        lock(&self.lost).push(id.to_owned());
    }
}

struct Bench {
    fake: Arc<Fake>,
    poller: Arc<Poller>,
    polls: Receiver<Vec<String>>,
    clock: Arc<VirtualClock>,
}

impl Bench {
    fn new(interval: Duration) -> Self {
        let (sender, polls) = channel();
        let fake = Arc::new(Fake::default());
        *lock(&fake.polls) = Some(sender);
        let clock = VirtualClock::new();
        let random = Arc::new(SystemRandomness);
        let poller = Poller::new(
            clock.clone(),
            random,
            interval,
            true,
            Resync::Never,
            BTreeMap::new(),
        );
        Bench {
            fake,
            poller,
            polls,
            clock,
        }
    }

    fn source(&self) -> Weak<dyn Upstream> {
        let source: Arc<dyn Upstream> = self.fake.clone();
        Arc::downgrade(&source)
    }

    fn answer(&self, changes: &[(&str, SecretChange)]) {
        let changes = changes
            .iter()
            .map(|(id, status)| ((*id).to_owned(), *status));
        lock(&self.fake.answers).push_back(Ok(changes.collect()));
    }

    fn fail(&self, kind: ErrorKind) {
        lock(&self.fake.answers).push_back(Err(Error::new(kind, "x")));
    }

    fn watch(&self, id: &str) -> (PartyId, Arc<Registration>, Receiver<String>) {
        let (sender, events) = channel();
        let tell = move |event: &WatchEvent| {
            let _ = sender.send(match &event.kind {
                WatchKind::Changed { value, .. } => value.expose_secret().to_owned(),
                other => format!("{other:?}"),
            });
        };
        let (party, registration) = self
            .poller
            .watch(self.source(), id, Box::new(tell))
            .unwrap();
        (party, registration, events)
    }

    fn polled(&self) -> Vec<String> {
        self.polls.recv_timeout(LONG).unwrap()
    }

    /// Advances the time to the next cycle.
    fn pass(&self) {
        self.clock.at_rest(1);
        self.clock.advance(self.clock.next().unwrap());
    }

    /// Waits until the thread has ended.
    #[track_caller]
    fn ended(&self) {
        wait_for_threads(&self.poller, 0);
    }
}

#[track_caller]
fn wait_for_threads(poller: &Poller, threads: usize) {
    let started = std::time::Instant::now();
    loop {
        let seen = poller.ended.count();
        let left = LONG.saturating_sub(started.elapsed());
        if lock(&poller.state).threads == threads {
            return;
        }
        assert!(!left.is_zero(), "the thread does not end");
        poller
            .ended
            .wait_while(seen, || LONG.saturating_sub(started.elapsed()));
    }
}

fn changed(value: &str) -> HashMap<String, Result<String, Error>> {
    HashMap::from([("sk_a".to_owned(), Ok(value.to_owned()))])
}

#[test]
fn the_first_poll_is_at_once_and_one_request_asks_for_all() {
    let bench = Bench::new(NEVER);
    bench.watch("sk_b");
    assert_eq!(bench.polled(), ["sk_b"]);
    bench.watch("sk_a");
    assert_eq!(bench.polled(), ["sk_a", "sk_b"]);
    bench.poller.set_interval(SHORT);
    bench.watch("sk_a");
    for _ in 0..5 {
        assert_eq!(bench.polled(), ["sk_a", "sk_b"]);
        bench.pass();
    }
}

#[test]
fn a_watch_that_comes_while_a_poll_is_under_way_is_polled_for_at_once() {
    let bench = Bench::new(NEVER);
    let (go, gate) = channel();
    *lock(&bench.fake.gate) = Some(gate);
    bench.watch("sk_a");
    assert_eq!(bench.polled(), ["sk_a"]);
    bench.watch("sk_b");
    go.send(()).unwrap();
    assert_eq!(bench.polled(), ["sk_a", "sk_b"]);
    drop(go);
}

#[test]
fn a_new_interval_acts_at_once() {
    let bench = Bench::new(NEVER);
    bench.watch("sk_a");
    bench.polled();
    bench.clock.at_rest(1);
    bench.clock.advance(SHORT);
    bench.poller.set_interval(SHORT);
    bench.polled();
    bench.pass();
    bench.polled();
}

#[test]
fn a_change_is_read_and_told() {
    let bench = Bench::new(NEVER);
    *lock(&bench.fake.values) = changed("2");
    bench.answer(&[("sk_a", SecretChange::Changed)]);
    let (.., events) = bench.watch("sk_a");
    assert_eq!(events.recv_timeout(LONG).unwrap(), "2");
    assert!(lock(&bench.fake.lost).is_empty(), "it only changed");
    bench.answer(&[("sk_a", SecretChange::Denied)]);
    bench.poller.wake(bench.source());
    assert_eq!(events.recv_timeout(LONG).unwrap(), "AccessDenied");
    assert_eq!(
        events.recv_timeout(LONG),
        Err(RecvTimeoutError::Disconnected),
        "the closure is dropped with its watch"
    );
    assert_eq!(*lock(&bench.fake.lost), ["sk_a"]);
    bench.ended();
}

#[test]
fn the_thread_ends_with_the_last_watch_and_starts_again() {
    let bench = Bench::new(NEVER);
    for _ in 0..200 {
        let (party, registration, _events) = bench.watch("sk_a");
        bench.polled();
        bench.poller.stop(party, &registration);
    }
    bench.ended();
    let state = lock(&bench.poller.state);
    assert!(!state.running && state.watches.is_empty() && state.registrations.is_empty());
}

#[test]
fn the_thread_does_not_keep_the_client_alive() {
    let bench = Bench::new(SHORT);
    bench.watch("sk_a");
    bench.polled();
    let Bench {
        fake,
        poller,
        polls,
        clock,
    } = bench;
    let weak = Arc::downgrade(&fake);
    clock.at_rest(1);
    drop(fake);
    clock.advance(SHORT * 2);
    assert!(polls.recv_timeout(LONG).is_err(), "the client is gone");
    assert_eq!(weak.strong_count(), 0);
    wait_for_threads(&poller, 0);
}

#[test]
fn no_event_is_sent_after_the_end() {
    let bench = Bench::new(NEVER);
    let (go, gate) = channel();
    *lock(&bench.fake.gate) = Some(gate);
    bench.answer(&[("sk_a", SecretChange::Changed)]);
    let (.., events) = bench.watch("sk_a");
    bench.polled();
    bench.poller.end();
    go.send(()).unwrap();
    bench.ended();
    assert_eq!(
        events.recv_timeout(LONG),
        Err(RecvTimeoutError::Disconnected)
    );
    assert!(lock(&bench.fake.reads).is_empty());
}

#[test]
fn close_waits_for_a_cycle_but_not_for_one_that_hangs() {
    let bench = Bench::new(NEVER);
    let (go, gate) = channel();
    *lock(&bench.fake.gate) = Some(gate);
    bench.answer(&[("sk_a", SecretChange::Changed)]);
    let (.., events) = bench.watch("sk_a");
    bench.polled();
    std::thread::scope(|scope| {
        let closing = scope.spawn(|| bench.poller.close());
        bench.clock.at_rest(1);
        bench.clock.advance(CLOSE_LIMIT - SHORT);
        bench.clock.at_rest(1);
        assert!(!closing.is_finished());
        bench.clock.advance(SHORT);
        closing.join().unwrap();
    });
    assert_eq!(
        events.recv_timeout(LONG),
        Err(RecvTimeoutError::Disconnected),
        "nothing was told, and the closure is gone"
    );

    // A new watch starts another thread, while the old one still hangs.
    *lock(&bench.fake.polls) = None;
    drop(go);
    bench.ended();
    bench.poller.close();
    bench.poller.close();
    let (sender, polls) = channel();
    *lock(&bench.fake.polls) = Some(sender);
    bench.watch("sk_b");
    assert_eq!(polls.recv_timeout(LONG).unwrap(), ["sk_b"]);
    bench.poller.close();
    bench.ended();
}

#[test]
fn the_end_of_an_older_thread_is_not_that_of_a_newer_one() {
    let bench = Bench::new(NEVER);
    let (go, gate) = channel();
    *lock(&bench.fake.gate) = Some(gate);
    bench.watch("sk_a");
    bench.polled();
    // The first poll reaches the gate before the second one starts.
    let started = std::time::Instant::now();
    while bench.fake.gate.try_lock().is_ok() {
        assert!(started.elapsed() < LONG, "no poll waits at the gate");
        std::thread::yield_now();
    }
    bench.poller.end();
    bench.watch("sk_b");
    assert_eq!(bench.polled(), ["sk_b"]);
    go.send(()).unwrap();
    wait_for_threads(&bench.poller, 1);
    let state = lock(&bench.poller.state);
    assert!(state.threads == 1 && state.running);
    drop((state, go));
    bench.poller.end();
    bench.ended();
}

#[test]
fn close_returns_when_the_thread_has_ended() {
    let bench = Bench::new(NEVER);
    let ended = (0..20).filter(|_| {
        bench.watch("sk_a");
        bench.polled();
        bench.poller.close();
        let ended = lock(&bench.poller.state).threads == 0;
        bench.ended();
        ended
    });
    assert_eq!(ended.count(), 20);
}

#[test]
fn values_of_an_older_generation_are_not_read() {
    let fake = Fake::default();
    let mut watches = WatchState::new(Resync::Never);
    let mut random = || 0.5;
    watches.watch("sk_a", None, None, SHORT, 0.5);
    let (mut round, _) = watches.begin(SHORT);
    let changes = [("sk_a".to_owned(), SecretChange::Changed)];
    watches.polled(&mut round, Ok(&changes), SHORT, &mut random);
    let reads = watches.reads(&round, SHORT);
    let poller = Bench::new(NEVER).poller;
    let current = lock(&poller.state).generation;
    for (generation, sent) in [(current + 1, 0), (current, 1)] {
        let values = poller.read(&fake, &reads, generation);
        assert_eq!(values.len(), 1);
        assert_eq!(values[0].is_ok(), generation == current);
        assert_eq!(lock(&fake.reads).len(), sent);
    }
}

#[test]
fn the_error_decides_when_to_poll_again() {
    let failed = |kind| Error::new(kind, "x");
    let wait = Some(Duration::from_secs(7));
    for (error, expected) in [
        (None, PollOutcome::Answered),
        (Some(failed(ErrorKind::Network)), PollOutcome::Failed),
        (
            Some(failed(ErrorKind::Authentication)),
            PollOutcome::Unauthorized,
        ),
        (
            Some(failed(ErrorKind::RateLimited).with_retry_after(wait)),
            PollOutcome::RetryAfter(Duration::from_secs(7)),
        ),
    ] {
        assert_eq!(outcome(error.as_ref()), expected);
    }
}

#[test]
fn a_401_among_the_reads_stops_the_others() {
    let bench = Bench::new(MINUTE);
    let ids: Vec<String> = (0..100).map(|n| format!("sk_{n}")).collect();
    let refused = Err(Error::new(ErrorKind::Authentication, "x"));
    *lock(&bench.fake.values) = ids.iter().map(|id| (id.clone(), refused.clone())).collect();
    let changes: Vec<_> = ids
        .iter()
        .map(|id| (id.as_str(), SecretChange::Changed))
        .collect();
    bench.answer(&changes);
    let (sender, told) = channel();
    let follower = Arc::new(Teller(Mutex::new(sender)));
    bench
        .poller
        .follow(bench.source(), &unknown(&ids), follower);
    let cycle = told.recv_timeout(LONG).unwrap();
    assert_eq!(cycle.updates.len(), 100);
    assert!(
        cycle
            .updates
            .iter()
            .all(|update| matches!(update.kind, UpdateKind::Failed(_)))
    );
    assert!(lock(&bench.fake.reads).len() <= 8);
    bench.clock.at_rest(1);
    let left = bench.clock.next().unwrap();
    assert!(
        left > MINUTE * 2,
        "polls are slower, as after a poll's own 401: {left:?}"
    );
}

struct Teller(Mutex<Sender<Cycle>>);

impl Follower for Teller {
    fn cycle(&self, cycle: Cycle) {
        let _ = lock(&self.0).send(cycle);
    }
}

#[test]
fn a_follower_gets_every_cycle_and_none_after_it_left() {
    let bench = Bench::new(SHORT);
    let (sender, told) = channel();
    let follower = Arc::new(Teller(Mutex::new(sender)));
    let ids = ["sk_a".to_owned(), "sk_b".to_owned()];
    bench.answer(&[]);
    bench.fail(ErrorKind::Unavailable);
    bench.answer(&[
        ("sk_a", SecretChange::Changed),
        ("sk_b", SecretChange::Deleted),
    ]);
    let party = bench
        .poller
        .follow(bench.source(), &unknown(&ids), follower.clone());
    let cycle = told.recv_timeout(LONG).unwrap();
    assert!(cycle.outcome.is_ok() && cycle.updates.is_empty());
    bench.pass();
    let cycle = told.recv_timeout(LONG).unwrap();
    assert_eq!(cycle.outcome.unwrap_err().kind(), ErrorKind::Unavailable);
    bench.pass();
    let cycle = told.recv_timeout(LONG).unwrap();
    assert_eq!(format!("{:?}", cycle.updates[0].kind), "Value(..)");
    assert!(matches!(cycle.updates[1].kind, UpdateKind::Deleted));
    drop(Follow::new(&bench.poller, party));
    bench.ended();
    while told.try_recv().is_ok() {}
    assert_eq!(Arc::strong_count(&follower), 1);
}

/// A follower that closes the client from inside its own call.
struct Closer {
    poller: Weak<Poller>,
    done: Mutex<Sender<()>>,
}

impl Follower for Closer {
    fn cycle(&self, _: Cycle) {
        self.poller.upgrade().unwrap().close();
        let _ = lock(&self.done).send(());
    }
}

#[test]
fn a_follower_may_close_from_inside() {
    let bench = Bench::new(SHORT);
    let (sender, done) = channel();
    let follower = Closer {
        poller: Arc::downgrade(&bench.poller),
        done: Mutex::new(sender),
    };
    bench.poller.follow(
        bench.source(),
        &unknown(&["sk_a".to_owned()]),
        Arc::new(follower),
    );
    done.recv_timeout(LONG).unwrap();
    bench.ended();
}

#[test]
fn the_users_reads_are_baselines_and_their_failures_reasons_to_read() {
    let bench = Bench::new(NEVER);
    bench.poller.note("sk_a", &"1".into(), None);
    *lock(&bench.fake.values) = changed("2");
    let (.., events) = bench.watch("sk_a");
    bench.polled();
    bench
        .poller
        .note_failure("sk_a", &Error::new(ErrorKind::Network, "x"));
    bench.poller.wake(bench.source());
    assert_eq!(events.recv_timeout(LONG).unwrap(), "2");

    *lock(&bench.fake.values) = changed("3");
    bench.poller.note("sk_a", &"3".into(), None);
    bench.poller.wake(bench.source());
    assert_eq!(events.recv_timeout(LONG).unwrap(), "3");

    // For the service, the new machine has read nothing yet.
    *lock(&bench.fake.values) = changed("4");
    bench.poller.suspect_all();
    bench.poller.wake(bench.source());
    assert_eq!(events.recv_timeout(LONG).unwrap(), "4");
}

#[test]
fn a_read_of_the_users_is_over_when_it_ends() {
    let bench = Bench::new(NEVER);
    let (_party, _registration, _events) = bench.watch("sk_a");
    let is_read = || lock(&bench.poller.state).watches.is_read("sk_a");
    let (first, second) = (bench.poller.reading("sk_a"), bench.poller.reading("sk_a"));
    drop(first);
    assert!(is_read());
    drop(second);
    assert!(!is_read());
}

#[test]
fn what_a_deleted_secret_was_is_no_baseline() {
    for kind in [ErrorKind::NotFound, ErrorKind::AccessDenied] {
        let bench = Bench::new(NEVER);
        bench.poller.note("sk_a", &"1".into(), None);
        bench.poller.note_failure("sk_a", &Error::new(kind, "x"));
        bench.answer(&[("sk_a", SecretChange::Changed)]);
        let (.., events) = bench.watch("sk_a");
        assert_eq!(events.recv_timeout(LONG).unwrap(), "1", "it came back");
    }
}

#[test]
fn a_failure_that_says_nothing_about_the_secret_leaves_the_baseline() {
    for kind in [
        ErrorKind::Authentication,
        ErrorKind::RateLimited,
        ErrorKind::Unavailable,
    ] {
        let bench = Bench::new(NEVER);
        bench.poller.note("sk_a", &"1".into(), None);
        bench.poller.note_failure("sk_a", &Error::new(kind, "x"));
        bench.answer(&[("sk_a", SecretChange::Changed)]);
        let (.., events) = bench.watch("sk_a");
        bench.polled();
        // The cycle has ended, and with it the read.
        bench.clock.at_rest(1);
        *lock(&bench.fake.values) = changed("2");
        bench.answer(&[("sk_a", SecretChange::Changed)]);
        bench.poller.wake(bench.source());
        let event = events.recv_timeout(LONG).unwrap();
        assert_eq!(event, "2", "the user has 1 already");
    }
}

/// A follower that has no values yet.
fn unknown(ids: &[String]) -> Vec<Followed<SecretString>> {
    let unknown = ids.iter().map(|id| Followed {
        id: id.clone(),
        value: None,
        unconfirmed: false,
        resync: None,
    });
    unknown.collect()
}
