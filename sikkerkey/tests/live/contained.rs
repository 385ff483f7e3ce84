//! Nothing freezes a live config: not a probe that hangs, a list that fails, or a callback that calls
//! back.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, LazyLock, Mutex};
use std::time::Duration;

use sikkerkey::live::SecretState;
use sikkerkey::{Freshness, Live, ProblemKind, SikkerKeyConfig};
use sikkerkey_emulator::{Fault, Hold};

use crate::common::stage::{INTERVAL, PATIENCE, Stage};
use crate::common::{Armed, emulator};
use crate::{Config, client, cycles, receive, refused, settle, stage, start};

/// User code waits here until the test lets it go on.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn set(&self, open: bool) {
        *self.0.0.lock().unwrap() = open;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let open = self.0.0.lock().unwrap();
        let (open, waited) = self
            .0
            .1
            .wait_timeout_while(open, PATIENCE, |open| !*open)
            .unwrap();
        drop(open);
        assert!(!waited.timed_out(), "the gate stays shut");
    }
}

#[test]
fn a_probe_that_hangs_refuses_and_no_second_one_starts() {
    let stage = stage();
    let gate = Gate::default();
    gate.set(true);
    let tries = Arc::new(AtomicUsize::new(0));
    let (inside, counted) = (gate.clone(), Arc::clone(&tries));
    let (began, begins) = channel();
    let live = Config::loader(&client(&stage))
        .probe(move |_: &Config| {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = began.send(());
            inside.pass();
            Ok::<(), &str>(())
        })
        .live()
        .unwrap();
    receive(&begins);
    settle(&stage);
    let mut changes = live.subscribe();
    gate.set(false);
    stage.vault.put("sk_name", "two");
    stage.poll();
    receive(&begins);
    // A caller does not wait longer than its own deadline, nor the config than 30 s.
    let waiting = std::thread::scope(|scope| {
        let refreshing = scope.spawn(|| live.refresh());
        stage.clock.at_rest(2);
        stage.pass(Duration::from_secs(30));
        refreshing.join().unwrap()
    });
    let text = waiting.unwrap_err().to_string();
    assert!(
        text.contains("takes longer than 30 s and goes on"),
        "{text}"
    );
    let text = refused(&mut changes);
    assert!(text.contains("did not end within 30 s"), "{text}");
    assert_eq!(live.status().freshness(), Freshness::Degraded);
    assert_eq!(live.load().name, "one");

    // The poller goes on, so that nothing is stale, and a newer value is seen.
    stage.vault.put("sk_name", "three");
    cycles(&stage, 30);
    assert_eq!(
        tries.load(Ordering::SeqCst),
        2,
        "the one that hangs is the last"
    );
    assert_eq!(live.status().freshness(), Freshness::Degraded);
    let error = live.status().last_error().unwrap().to_string();
    assert!(error.contains("still runs"), "{error}");
    assert!(live.status().age() < INTERVAL);

    gate.set(true);
    while live.load().name != "three" {
        cycles(&stage, 1);
    }
    assert_eq!(live.status().freshness(), Freshness::Fresh);
}

#[test]
fn a_first_probe_that_hangs_is_an_error_within_its_time() {
    let stage = stage();
    let gate = Gate::default();
    let inside = gate.clone();
    let sk = client(&stage);
    let (begin, begun) = channel();
    let error = std::thread::scope(|scope| {
        let starting = scope.spawn(|| {
            let loader = Config::loader(&sk).probe_timeout(Duration::from_millis(1500));
            let probe = move |_: &Config| {
                begin.send(()).unwrap();
                inside.pass();
                Ok::<(), &str>(())
            };
            loader.probe(probe).live().map(|_| ())
        });
        // Time that passes before would end the reads.
        receive(&begun);
        let clock = &stage.clock;
        while !starting.is_finished() {
            clock.advance(Duration::from_millis(100));
            std::thread::yield_now();
        }
        starting.join().unwrap().unwrap_err()
    });
    assert!(error.to_string().contains("within 1.5 s"), "{error}");
    gate.set(true);
    let error = Config::loader(&sk).probe_timeout(Duration::ZERO).live();
    assert_eq!(
        error.unwrap_err().problems()[0].kind(),
        ProblemKind::Conflict
    );
}

#[derive(Debug, SikkerKeyConfig)]
struct Named {
    #[sikkerkey(secret = "sk_name")]
    name: String,
    #[sikkerkey(name = "REGION")]
    region: String,
    #[sikkerkey(name = "SENTRY")]
    sentry: Option<String>,
}

fn named() -> (Stage, Live<Named>) {
    let vault = emulator()
        .secret("sk_name", "one")
        .secret("sk_region", "north")
        .secret("sk_sentry", "dsn-1")
        .name("sk_region", "REGION")
        .name("sk_sentry", "SENTRY");
    let stage = Stage::new(vault.start().unwrap());
    let live = Named::loader(&client(&stage))
        .refresh_gap(Duration::ZERO)
        .live()
        .unwrap();
    settle(&stage);
    (stage, live)
}

#[test]
fn a_refresh_while_the_list_fails_keeps_every_link() {
    let (stage, live) = named();
    let down = Fault::Status(503);
    stage.vault.fail_next_matching("/v1/secrets", down);
    assert!(live.refresh().is_err(), "it could not be looked up");
    settle(&stage);
    stage.vault.put("sk_name", "two");
    stage.vault.put("sk_region", "south");
    cycles(&stage, 2);
    let config = live.load();
    assert_eq!((&*config.name, &*config.region), ("two", "south"));
    assert_eq!(live.status().freshness(), Freshness::Fresh);
    assert!(live.status().last_error().is_none());
}

#[test]
fn the_list_is_asked_for_again_after_it_failed() {
    let (stage, live) = named();
    stage
        .vault
        .fail_next_matching("/v1/secrets", Fault::Status(503));
    stage.vault.put("sk_new", "west");
    stage.vault.rename("sk_region", "OLD");
    stage.vault.rename("sk_new", "REGION");
    assert!(live.refresh().is_err());
    assert_eq!(live.load().region, "north");
    let lists = || stage.requests_to("/v1/secrets");
    let before = lists();
    stage
        .vault
        .fail_next_matching("/v1/secrets/poll", Fault::Status(503));
    cycles(&stage, 1);
    assert_eq!(
        lists(),
        before,
        "a poll that failed is not followed by a list request"
    );
    cycles(&stage, 1);
    assert_eq!(live.load().region, "west", "the name leads elsewhere now");
    let before = lists();
    stage.vault.put("sk_new", "east");
    cycles(&stage, 1);
    assert_eq!(live.load().region, "east", "which is followed");
    cycles(&stage, 2);
    assert_eq!(lists(), before, "a poll sends no list request");
}

#[test]
fn a_grant_that_is_taken_away_is_no_none() {
    let (stage, live) = named();
    stage.vault.deny("sk_sentry");
    let error = live.refresh().unwrap_err();
    assert_eq!(error.problems()[0].kind(), ProblemKind::Denied, "{error}");
    assert_eq!(error.problems()[0].path(), "sentry");
    assert_eq!(live.load().sentry.as_deref(), Some("dsn-1"));
    let state = |live: &Live<Named>| {
        let status = live.status();
        let mut secrets = status.secrets();
        secrets.find(|of| of.id() == "sk_sentry").unwrap().state()
    };
    assert_eq!(state(&live), SecretState::Denied);
    stage.vault.allow("sk_sentry");
    stage.vault.put("sk_sentry", "dsn-2");
    cycles(&stage, 3);
    assert_eq!(live.load().sentry.as_deref(), Some("dsn-2"));
    assert_eq!(state(&live), SecretState::Current);
}

#[test]
fn callbacks_may_call_back_in_any_form() {
    let (stage, one) = start();
    let two = Config::live(&client(&stage)).unwrap();
    stage.clock.threads_at_rest("sikkerkey-poll", 2);
    let (tell, told) = channel();
    for (live, other) in [(&one, &two), (&two, &one)] {
        let (live_again, other, tell) = (live.clone(), other.clone(), tell.clone());
        live.on_change(move |_| {
            let blocking = [
                live_again.refresh(),
                other.refresh(),
                other.refresh_secret("sk_name"),
            ];
            for answer in blocking {
                assert!(!answer.unwrap(), "it is only asked for");
            }
            let mut future = Box::pin(other.refresh_async());
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(future.as_mut().poll(&mut context).is_ready());
            assert!(other.rehearse("sk_name", "three").is_err());
            tell.send(()).unwrap();
        });
    }
    stage.vault.put("sk_name", "two");
    let left = stage.clock.threads_at_rest("sikkerkey-poll", 2);
    stage.pass(left);
    receive(&told);
    drop((one, two));
}

#[test]
fn a_refresh_ends_with_its_callers_deadline_and_goes_on() {
    let stage = stage();
    let sk = stage.builder().deadline(Duration::from_secs(5));
    let sk = sk.retry(sikkerkey::RetryPolicy::none()).build().unwrap();
    let live = Config::live(&sk).unwrap();
    settle(&stage);
    let held = Hold::new();
    let fault = Fault::Hold(held.clone());
    stage.vault.put("sk_name", "two");
    stage.vault.fail_next_matching("/v1/secret/sk_name", fault);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut future = Box::pin(live.refresh_async());
    assert!(future.as_mut().poll(&mut context).is_pending());
    stage.wait_for("the refresh", |requests| {
        requests
            .iter()
            .filter(|r| r.path == "/v1/secret/sk_name")
            .count()
            == 2
    });
    stage.pass(Duration::from_secs(5));
    let answer = loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(answer) => break answer,
            std::task::Poll::Pending => std::thread::yield_now(),
        }
    };
    let text = answer.unwrap_err().to_string();
    assert!(text.contains("longer than 5 s and goes on"), "{text}");
    held.release();
    settle(&stage);
    assert_eq!(live.load().name, "two");
}

#[test]
fn a_slow_build_of_a_resource_makes_nothing_stale() {
    let stage = stage();
    let live = Config::loader(&client(&stage))
        .max_stale(INTERVAL * 2)
        .live()
        .unwrap();
    settle(&stage);
    let gate = Gate::default();
    gate.set(true);
    let inside = gate.clone();
    let (began, begins) = channel();
    let _pool = live.resource(move |_| {
        let _ = began.send(());
        inside.pass();
        Ok::<_, &str>(())
    });
    receive(&begins);
    gate.set(false);
    stage.vault.put("sk_name", "two");
    cycles(&stage, 1);
    receive(&begins);
    cycles(&stage, 10);
    assert_eq!(live.status().freshness(), Freshness::Fresh);
    assert_eq!(live.load().name, "two");
    gate.set(true);
}

#[test]
fn a_config_whose_drop_panics_ends_nothing() {
    #[derive(SikkerKeyConfig)]
    struct Bomb {
        #[sikkerkey(secret = "sk_name")]
        name: String,
        #[sikkerkey(skip)]
        #[allow(dead_code, reason = "its drop is what matters")]
        armed: Armed,
    }
    let stage = stage();
    let live = Bomb::live(&client(&stage)).unwrap();
    drop(live.load());
    settle(&stage);
    for name in ["two", "three"] {
        stage.vault.put("sk_name", name);
        cycles(&stage, 1);
        assert_eq!(live.load().name, name);
    }
    assert!(!live.refresh().unwrap());
    // The last one is dropped by this thread, where it would fail the test.
    std::mem::forget(live);
}

#[test]
fn a_rehearsal_parses_validates_and_probes_and_installs_nothing() {
    let stage = stage();
    let refuses = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&refuses);
    let live = Config::loader(&client(&stage))
        .probe(move |_: &Config| match asked.load(Ordering::SeqCst) {
            true => Err("the database refuses it"),
            false => Ok(()),
        })
        .live()
        .unwrap();
    settle(&stage);
    let reads = stage.vault.read_counts();
    live.rehearse("sk_name", "two").unwrap();
    let wrong = live.rehearse("sk_db", crate::db("beta", "54x3"));
    let text = wrong.unwrap_err().to_string();
    assert!(text.contains("db.port") && !text.contains("54x3"), "{text}");
    let text = live.rehearse("sk_name", "invalid").unwrap_err().to_string();
    assert!(text.contains("the name is not one of ours"), "{text}");
    refuses.store(true, Ordering::SeqCst);
    let text = live.rehearse("sk_name", "two").unwrap_err().to_string();
    assert!(text.contains("the database refuses it"), "{text}");
    let text = live.rehearse("sk_nmae", "two").unwrap_err().to_string();
    assert!(text.contains("did you mean \"sk_name\""), "{text}");
    assert_eq!(live.load().name, "one");
    assert_eq!(live.status().freshness(), Freshness::Fresh);
    assert_eq!(live.status().generation(), 1);
    assert_eq!(stage.vault.read_counts(), reads);
}

#[test]
fn a_config_whose_drop_hangs_does_not_stop_the_live_config() {
    #[derive(SikkerKeyConfig)]
    struct Slow {
        #[sikkerkey(secret = "sk_name")]
        name: String,
    }
    impl Drop for Slow {
        fn drop(&mut self) {
            if self.name == "one" {
                DROPS.store(true, Ordering::SeqCst);
                GATE.pass();
            }
        }
    }
    static GATE: LazyLock<Gate> = LazyLock::new(Gate::default);
    static DROPS: AtomicBool = AtomicBool::new(false);
    let stage = stage();
    let live = Slow::live(&client(&stage)).unwrap();
    settle(&stage);
    stage.vault.put("sk_name", "two");
    stage.poll();
    while !DROPS.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }
    // Its limit, after which the worker goes on.
    stage.pass(Duration::from_secs(10));
    settle(&stage);
    stage.vault.put("sk_name", "three");
    cycles(&stage, 1);
    assert_eq!(live.load().name, "three");
    assert_eq!(live.status().freshness(), Freshness::Fresh);
    GATE.set(true);
}
