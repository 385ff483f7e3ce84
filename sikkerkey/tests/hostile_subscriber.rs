//! A subscriber that panics or calls back in each of its methods. One test, for a process has one
//! subscriber.
#![cfg(feature = "live")]

mod common;

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::hostile::{Choose, Hostile, ends, panics, reads};
use common::stage::{PATIENCE, Stage};
use common::{Fake as _, FakeClock, builder};
use sikkerkey::{ExposeSecret, RetryPolicy, SikkerKey, SikkerKeyConfig};
use sikkerkey_emulator::{Emulator, Fault};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

static HOSTILE: Hostile = Hostile::new("a subscriber");
/// The methods that acted.
static ACTED: Mutex<Vec<&str>> = Mutex::new(Vec::new());

fn act(method: &'static str, about: &str) {
    if let Some(act) = HOSTILE.begin(about) {
        ACTED.lock().unwrap().push(method);
        act.run();
    }
}

struct HostileSubscriber;

impl Subscriber for HostileSubscriber {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sikkerkey"
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut text = Text::default();
        attributes.record(&mut text);
        act("new_span", &text.0);
        Id::from_u64(1 + u64::from(text.0.contains(ENROLL)))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        act("event", &text.0);
    }

    fn enter(&self, id: &Id) {
        act("enter", about(id));
    }

    fn exit(&self, id: &Id) {
        act("exit", about(id));
    }

    fn try_close(&self, id: Id) -> bool {
        act("try_close", about(&id));
        true
    }
}

const ENROLL: &str = "enroll";

fn about(id: &Id) -> &'static str {
    match id.into_u64() {
        2 => ENROLL,
        _ => "",
    }
}

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        write!(self.0, "{value:?} ").unwrap();
    }
}

#[test]
fn subscribers_that_call_back_or_panic_stop_nothing() {
    tracing::subscriber::set_global_default(HostileSubscriber).unwrap();
    for (mode, choose) in [("reads", reads as Choose), ("panics", panics)] {
        // The span of an enrollment under the lock is left out.
        for (name, scenario, has_spans) in [
            ("read", a_clock_that_is_off as fn(Choose), true),
            ("live", a_live_config, true),
            ("enrollment", an_expired_machine, false),
        ] {
            ACTED.lock().unwrap().clear();
            ends(&format!("{mode}, {name}"), move || {
                scenario(choose);
                HOSTILE.set(None);
            });
            let acted = ACTED.lock().unwrap();
            assert!(acted.contains(&"event"), "{mode}, {name}: {acted:?}");
            let has = |method| acted.contains(&method);
            assert_eq!(has("new_span"), has_spans, "{mode}, {name}: {acted:?}");
            // A span whose creation panicked is never entered.
            for method in ["enter", "exit", "try_close"] {
                let expected = has_spans && mode == "reads";
                assert_eq!(has(method), expected, "{mode}, {name}: {method}");
            }
        }
    }
}

fn vault() -> Emulator {
    let vault = Emulator::builder().secret("sk_key", "one");
    vault
        .secret("sk_logger", "udp:198.51.100.7:514")
        .start()
        .unwrap()
}

#[track_caller]
fn assert_reads(sk: &SikkerKey) {
    assert_eq!(sk.get_secret("sk_key").unwrap().expose_secret(), "one");
}

fn a_clock_that_is_off(mode: Choose) {
    let vault = vault();
    let clock = FakeClock::new();
    clock.set_off(7200);
    let sk = builder(&vault).fake(&clock).build().unwrap();
    HOSTILE.set(Some(mode(&sk)));
    assert_reads(&sk);
    vault.fail_next(Fault::Status(503));
    assert_reads(&sk);
}

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(secret = "sk_key")]
    key: String,
}

fn a_live_config(mode: Choose) {
    let stage = Stage::new(vault());
    let sk = stage.builder().retry(RetryPolicy::none()).build().unwrap();
    HOSTILE.set(Some(mode(&sk)));
    let loader = Config::loader(&sk).probe(|config: &Config| match config.key.as_str() {
        "three" => panic!("a probe that panics"),
        _ => Ok::<(), &str>(()),
    });
    let live = loader.live().unwrap();
    let mut changes = live.subscribe();
    stage.vault.put("sk_key", "two");
    stage.poll();
    changes.recv_timeout(PATIENCE).unwrap();
    assert_eq!(live.load().key, "two");
    stage.vault.put("sk_key", "three");
    stage.poll();
    // The span of a probe is left while it unwinds.
    changes.recv_timeout(PATIENCE).unwrap_err();
    assert_eq!(live.load().key, "two");
}

/// The machine is enrolled under a lock, for which the calls of other threads wait.
fn an_expired_machine(mode: Choose) {
    let vault = vault();
    let token = vault.enrollment_token(9, Duration::from_secs(3600));
    let clock: Arc<FakeClock> = FakeClock::new();
    let sk = SikkerKey::bootstrap_in_memory(vault.vault_id(), &token)
        .api_url(vault.url())
        .fake(&clock)
        .reenroll_when_expired(true)
        .enroll()
        .unwrap();
    assert_reads(&sk);
    let first = sk.machine_id();
    // On everything, it would be the subscriber's own read that enrolls.
    HOSTILE.only_on(ENROLL);
    HOSTILE.set(Some(mode(&sk)));
    vault.expire_machines();
    assert_reads(&sk);
    HOSTILE.only_on("");
    assert_ne!(sk.machine_id(), first);
}
