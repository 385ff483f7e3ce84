//! The metrics of the client and of a live config, and a recorder that panics or calls back. One test,
//! for a process has one recorder.
#![cfg(all(feature = "metrics", feature = "live", feature = "cache"))]

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::hostile::{Choose, Hostile, ends, panics, reads};
use common::stage::{PATIENCE, Stage};
use common::{Fake as _, FakeClock, builder, client};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use sikkerkey::{CacheOptions, Live, RetryPolicy, SikkerKey, SikkerKeyConfig};
use sikkerkey_emulator::{Emulator, Fault};

/// What was recorded: a series as `name{label=value}`, and its value.
static SERIES: Mutex<BTreeMap<String, f64>> = Mutex::new(BTreeMap::new());
static DESCRIBED: Mutex<BTreeMap<String, (char, Option<Unit>)>> = Mutex::new(BTreeMap::new());
static HOSTILE: Hostile = Hostile::new("a recorder");

fn act(series: &str) {
    if let Some(act) = HOSTILE.begin(series) {
        act.run();
    }
}

struct TestRecorder;

impl TestRecorder {
    fn describe(&self, kind: char, name: &KeyName, unit: Option<Unit>) {
        let mut described = DESCRIBED.lock().unwrap();
        described.insert(name.as_str().to_owned(), (kind, unit));
    }
}

impl Recorder for TestRecorder {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe('c', &name, unit);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe('g', &name, unit);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe('h', &name, unit);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Series::new(key)))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(Series::new(key)))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Series::new(key)))
    }
}

struct Series(String);

impl Series {
    fn new(key: &Key) -> Self {
        let labels = key.labels();
        let labels: Vec<_> = labels
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        let series = format!("{}{{{}}}", key.name(), labels.join(","));
        act(&series);
        Series(series)
    }

    fn change(&self, change: impl FnOnce(&mut f64)) {
        act(&self.0);
        change(SERIES.lock().unwrap().entry(self.0.clone()).or_default());
    }
}

impl CounterFn for Series {
    fn increment(&self, by: u64) {
        self.change(|value| *value += by as f64);
    }

    fn absolute(&self, to: u64) {
        self.change(|value| *value = to as f64);
    }
}

impl GaugeFn for Series {
    fn increment(&self, by: f64) {
        self.change(|value| *value += by);
    }

    fn decrement(&self, by: f64) {
        self.change(|value| *value -= by);
    }

    fn set(&self, to: f64) {
        self.change(|value| *value = to);
    }
}

impl HistogramFn for Series {
    fn record(&self, _: f64) {
        self.change(|value| *value += 1.0);
    }
}

/// What was recorded of this metric since the last reset, `{labels} value` each.
fn series(name: &str) -> Vec<String> {
    let series = SERIES.lock().unwrap();
    let of_name = series.iter().filter_map(|(series, value)| {
        let labels = series.strip_prefix(name)?;
        labels.starts_with('{').then(|| format!("{labels} {value}"))
    });
    of_name.collect()
}

fn reset() {
    SERIES.lock().unwrap().clear();
}

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(secret = "sk_key")]
    key: String,
    #[sikkerkey(secret = "sk_host")]
    host: String,
}

fn vault() -> Emulator {
    let vault = Emulator::builder()
        .secret("sk_key", "one")
        .secret("sk_host", "db");
    vault
        .secret("sk_logger", "udp:198.51.100.7:514")
        .start()
        .unwrap()
}

#[test]
fn what_is_sent_read_and_swapped_is_measured() {
    metrics::set_global_recorder(TestRecorder).ok().unwrap();
    descriptions();
    requests_and_reads();
    the_cache();
    reads_that_no_schema_names();
    a_live_config();
    hostile_recorders();
}

fn descriptions() {
    client(&vault());
    let described = DESCRIBED.lock().unwrap();
    let seconds = Some(Unit::Seconds);
    let expected = [
        ("sikkerkey_fallbacks_total", ('c', None)),
        ("sikkerkey_live_age_seconds", ('g', seconds)),
        ("sikkerkey_live_failures", ('g', None)),
        ("sikkerkey_live_generation", ('g', None)),
        ("sikkerkey_live_rotation_lag_seconds", ('g', seconds)),
        ("sikkerkey_live_state", ('g', None)),
        ("sikkerkey_reads_total", ('c', None)),
        ("sikkerkey_request_duration_seconds", ('h', seconds)),
        ("sikkerkey_requests_total", ('c', None)),
        ("sikkerkey_retries_total", ('c', None)),
    ];
    let described: Vec<_> = described
        .iter()
        .map(|(name, what)| (name.as_str(), *what))
        .collect();
    assert_eq!(described, expected);
}

fn requests_and_reads() {
    let vault = vault();
    let sk = client(&vault);
    reset();
    Config::load(&sk).unwrap();
    vault.fail_next(Fault::Status(503));
    sk.get_secret("sk_key").unwrap();
    sk.get_secret("sk_logger").unwrap();
    sk.get_secret("sk_nothing").unwrap_err();
    sk.list_secrets().unwrap();
    sk.export().unwrap();
    vault.fail_next(Fault::Truncated);
    sk.export().unwrap();
    assert_eq!(
        series("sikkerkey_requests_total"),
        [
            "{call=export,status=200} 3",
            "{call=list,status=200} 1",
            "{call=read,status=200} 4",
            "{call=read,status=404} 1",
            "{call=read,status=503} 1",
        ]
    );
    assert_eq!(
        series("sikkerkey_retries_total"),
        ["{call=export} 1", "{call=read} 1"]
    );
    assert_eq!(
        series("sikkerkey_reads_total"),
        [
            "{secret=other} 2",
            "{secret=sk_host} 1",
            "{secret=sk_key} 3"
        ]
    );
    assert_eq!(
        series("sikkerkey_request_duration_seconds"),
        ["{call=export} 3", "{call=list} 1", "{call=read} 6"]
    );
    // The same as the client's own counters.
    let stats = sk.stats();
    assert_eq!((stats.requests(), stats.retries()), (10, 2));

    reset();
    let token = vault.enrollment_token(1, Duration::from_secs(600));
    let bootstrap = SikkerKey::bootstrap_in_memory(vault.vault_id(), &token);
    bootstrap.api_url(vault.url()).enroll().unwrap();
    assert_eq!(series("sikkerkey_requests_total").len(), 1);
    assert!(series("sikkerkey_requests_total")[0].starts_with("{call=enroll,status=20"));

    reset();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let token = "token".to_owned();
    let bootstrap =
        SikkerKey::bootstrap_in_memory("vault_abc123", &token).retry(RetryPolicy::none());
    bootstrap.api_url(&url).enroll().unwrap_err();
    assert_eq!(
        series("sikkerkey_requests_total"),
        ["{call=enroll,status=none} 1"]
    );
}

fn the_cache() {
    let vault = vault();
    let folder = tempfile::tempdir().unwrap();
    let options = CacheOptions::new().folder(folder.path());
    let build = builder(&vault).retry(RetryPolicy::none());
    let sk = build.cache(options).build().unwrap();
    Config::load(&sk).unwrap();
    sk.get_secret("sk_logger").unwrap();
    sk.cached_count().unwrap();
    vault.outage(true);
    reset();
    for id in ["sk_key", "sk_key", "sk_logger"] {
        sk.get_secret(id).unwrap();
    }
    assert_eq!(
        series("sikkerkey_fallbacks_total"),
        ["{secret=other} 1", "{secret=sk_key} 2"]
    );
}

fn reads_that_no_schema_names() {
    const IDS: u64 = 10_000;
    let vault = vault();
    let sk = client(&vault);
    let other = client(&vault);
    reset();
    Config::load(&sk).unwrap();
    vault.fail_always(Fault::Status(404));
    for number in 0..IDS {
        sk.get_secret(&format!("sk_{number}")).unwrap_err();
    }
    // What a config of another client reads is not this client's to name.
    other.get_secret("sk_key").unwrap_err();
    assert_eq!(
        series("sikkerkey_reads_total"),
        [
            "{secret=other} 10001",
            "{secret=sk_host} 1",
            "{secret=sk_key} 1"
        ]
    );
    assert!(SERIES.lock().unwrap().len() < 10);
}

fn a_live_config() {
    const WORKER: &str = "sikkerkey-live";
    let stage = Stage::new(vault());
    let sk = stage.builder().retry(RetryPolicy::none()).build().unwrap();
    reset();
    let live = Config::live(&sk).unwrap();
    let is = |state: &str, generation: u64, failures: u32| {
        let figures = ["sikkerkey_live_generation", "sikkerkey_live_failures"].map(series);
        let expected = [generation.to_string(), failures.to_string()];
        assert_eq!(
            figures,
            expected.map(|value| vec![format!("{{config=Config}} {value}")])
        );
        let states = ["degraded", "fresh", "stale"].map(|named| {
            format!(
                "{{config=Config,state={named}}} {}",
                u8::from(named == state)
            )
        });
        assert_eq!(series("sikkerkey_live_state"), states);
    };
    let cycle = || {
        stage.poll();
        stage.clock.threads_at_rest(WORKER, 1);
    };
    is("fresh", 1, 0);
    assert_eq!(
        series("sikkerkey_live_rotation_lag_seconds"),
        Vec::<String>::new()
    );
    stage.rest();
    stage.clock.threads_at_rest(WORKER, 1);
    assert_eq!(series("sikkerkey_live_age_seconds"), ["{config=Config} 0"]);

    stage.vault.put("sk_key", "two");
    cycle();
    is("fresh", 2, 0);
    assert_eq!(
        series("sikkerkey_live_rotation_lag_seconds"),
        ["{config=Config} 0"]
    );

    stage.vault.outage(true);
    cycle();
    is("fresh", 2, 1);
    let age = live.status().age();
    assert_eq!(
        series("sikkerkey_live_age_seconds"),
        [format!("{{config=Config}} {}", age.as_secs_f64())]
    );
    assert!(age >= Duration::from_secs(15));
    while live.status().age() <= Duration::from_secs(300) {
        cycle();
    }
    let failures = live.status().consecutive_failures();
    is("stale", 2, failures);
    stage.vault.outage(false);
    stage.vault.deny("sk_host");
    cycle();
    is("degraded", 2, 0);
    assert_eq!(series("sikkerkey_live_age_seconds"), ["{config=Config} 0"]);
    drop(live);
    is("none", 2, 0);
    // What follows no vault is not measured.
    let (manual, control) = Live::manual(1);
    control.swap(2);
    drop(manual);
    is("none", 2, 0);
    // All of it under few labels.
    assert_eq!(series("sikkerkey_reads_total").len(), 2);
}

fn hostile_recorders() {
    ends("hostile recorders", measured_by_hostile_recorders);
}

fn measured_by_hostile_recorders() {
    for mode in [reads as Choose, panics] {
        // The first permits are counted: others wait for them.
        let vault = vault();
        let clock = FakeClock::new();
        clock.set_off(7200);
        let sk = builder(&vault).fake(&clock).build().unwrap();
        HOSTILE.set(Some(mode(&sk)));
        sk.get_secret("sk_key").unwrap();
        HOSTILE.set(None);

        let token = vault.enrollment_token(9, Duration::from_secs(3600));
        let bootstrap = SikkerKey::bootstrap_in_memory(vault.vault_id(), &token);
        let bootstrap = bootstrap.api_url(vault.url()).fake(&FakeClock::new());
        let sk = bootstrap.reenroll_when_expired(true).enroll().unwrap();
        sk.get_secret("sk_key").unwrap();
        // At the end of the lock under which the machine is enrolled; on each series, it would be the
        // recorder's own read that enrolls it.
        HOSTILE.only_on("enroll");
        HOSTILE.set(Some(mode(&sk)));
        vault.expire_machines();
        sk.get_secret("sk_key").unwrap();
        HOSTILE.set(None);
        HOSTILE.only_on("");

        let stage = Stage::new(self::vault());
        let sk = stage.builder().retry(RetryPolicy::none()).build().unwrap();
        HOSTILE.set(Some(mode(&sk)));
        let live = Config::live(&sk).unwrap();
        let mut changes = live.subscribe();
        stage.vault.put("sk_key", "two");
        stage.poll();
        changes.recv_timeout(PATIENCE).unwrap();
        assert_eq!(
            (live.load().key.as_str(), live.load().host.as_str()),
            ("two", "db")
        );
        HOSTILE.set(None);
    }
}
