//! Which spans there are, and which events lie in them. One test, for a process has one subscriber.
#![cfg(all(feature = "live", feature = "cache"))]

mod common;

use std::fmt::{Debug, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use common::stage::Stage;
use common::{Fake as _, FakeClock, builder, client};
use sikkerkey::{
    CacheOptions, ConfigError, Fetch, Live, Loader, RetryPolicy, SikkerKey, SikkerKeyConfig,
    Snapshot,
};
use sikkerkey_emulator::{Emulator, Fault};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

/// What a subscriber sees: `SPAN:SPAN: LEVEL text` for each event.
struct Lines;

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A span as `name{field=value}`.
struct Shown(String);

impl Visit for Shown {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => write!(self.0, "{value:?}").unwrap(),
            name => write!(self.0, "{{{name}={value:?}}}").unwrap(),
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut shown = Shown(attributes.metadata().name().to_owned());
        attributes.record(&mut shown);
        let span = context.span(id).unwrap();
        span.extensions_mut().insert(shown);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // The emulator's own events are left out.
        if !["sikkerkey", "spans"].contains(&event.metadata().target()) {
            return;
        }
        let mut line = String::new();
        for span in context
            .event_scope(event)
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .iter()
            .rev()
        {
            let extensions = span.extensions();
            line.push_str(&extensions.get::<Shown>().unwrap().0);
            line.push_str(": ");
        }
        let mut shown = Shown(line);
        write!(shown.0, "{} ", event.metadata().level()).unwrap();
        event.record(&mut shown);
        LINES
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(shown.0);
    }
}

/// The lines since the last call.
fn lines() -> Vec<String> {
    std::mem::take(&mut LINES.lock().unwrap())
}

const CANARY: &str = "canary-4e8b17";

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(secret = "sk_key")]
    key: String,
    #[sikkerkey(secret = "sk_host")]
    host: String,
}

fn vault() -> Emulator {
    let vault = Emulator::builder().secret("sk_key", CANARY);
    vault.secret("sk_host", "db").start().unwrap()
}

#[track_caller]
fn assert_within(span: &str, lines: &[String], parts: &[&str]) {
    assert!(!lines.is_empty());
    for line in lines {
        assert!(line.starts_with(span), "not in {span}: {line}");
        assert!(!line.contains('\n'), "a line break: {line:?}");
        assert!(!line.contains(CANARY), "a value: {line}");
    }
    for part in parts {
        assert!(
            lines.iter().any(|line| line.contains(part)),
            "{part}: {lines:#?}"
        );
    }
}

const READ: &str = r#"call{method="GET"}{path="/v1/secret/sk_key"}: "#;

#[test]
fn events_lie_in_the_spans_of_their_work() {
    let subscriber = tracing_subscriber::registry().with(Lines);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    a_read();
    other_calls();
    a_load();
    a_live_config();
    a_config_without_a_vault();
    an_async_read();
    a_thread_with_another_subscriber();
}

fn a_read() {
    let vault = vault();
    let clock = FakeClock::new();
    clock.set_off(7200);
    let folder = tempfile::tempdir().unwrap();
    let cache = CacheOptions::new().folder(folder.path());
    let sk = builder(&vault).fake(&clock).cache(cache).build().unwrap();
    lines();
    // The first permits are counted, so these events are held back, and still lie in the span.
    sk.get_secret("sk_key").unwrap();
    sk.cached_count().unwrap();
    assert_within(
        READ,
        &lines(),
        &[
            "DEBUG GET /v1/secret/sk_key: attempt 1: 401",
            "attempt 2: 200",
            "WARN this machine's clock",
        ],
    );
    vault.fail_next(Fault::Status(503));
    sk.get_secret("sk_key").unwrap();
    assert_within(READ, &lines(), &["attempt 1: 503", "attempt 2: 200"]);
    vault.outage(true);
    sk.get_secret("sk_key").unwrap();
    assert_within(
        READ,
        &lines(),
        &["WARN secret sk_key is served from the cache"],
    );
}

fn other_calls() {
    let vault = Emulator::builder()
        .secret("sk_a1", "1")
        .name("sk_a1", "a b")
        .secret("sk_b2", "2")
        .name("sk_b2", "a-b")
        .start()
        .unwrap();
    let sk = client(&vault);
    lines();
    sk.export().unwrap();
    // The collision of the names is an event of the call too.
    let export = r#"call{method="POST"}{path="/v1/secrets/export"}: "#;
    assert_within(export, &lines(), &["attempt 1: 200", "A_B"]);
    sk.list_secrets().unwrap();
    assert_within(
        r#"call{method="GET"}{path="/v1/secrets"}: "#,
        &lines(),
        &["attempt 1: 200"],
    );
    sk.list_secrets_detailed().unwrap();
    assert_within(
        r#"call{method="GET"}{path="/v1/cli/secrets"}: "#,
        &lines(),
        &[],
    );
    sk.list_projects().unwrap();
    assert_within(
        r#"call{method="GET"}{path="/v1/cli/projects"}: "#,
        &lines(),
        &[],
    );
    let token = vault.enrollment_token(9, Duration::from_secs(600));
    let enrolled = SikkerKey::bootstrap_in_memory(vault.vault_id(), &token).api_url(vault.url());
    enrolled.enroll().unwrap();
    assert_within(
        r#"call{method="POST"}{path="/v1/"#,
        &lines(),
        &["enroll/register: attempt 1: 20"],
    );
}

fn a_load() {
    let vault = vault();
    let sk = client(&vault);
    lines();
    assert!(Config::load(&sk).unwrap().key == CANARY);
    // On threads of their own.
    let load = r#"load{config="Config"}: call{"#;
    assert_within(
        load,
        &lines(),
        &[
            "/v1/secret/sk_key: attempt 1",
            "/v1/secret/sk_host: attempt 1",
        ],
    );
    let _ = Fetch::new(&sk).snapshot(&Config::schema());
    assert_within("call{", &lines(), &[]);
}

fn a_live_config() {
    let stage = Stage::new(vault());
    let sk = stage.builder().retry(RetryPolicy::none()).build().unwrap();
    lines();
    let loader: Loader<Config> = Config::loader(&sk).probe(|config: &Config| {
        tracing::info!("asked");
        match config.host == "refused" {
            true => Err("not this host,\nnever"),
            false => Ok(()),
        }
    });
    let live = loader.live().unwrap();
    stage.rest();
    stage.clock.threads_at_rest(WORKER, 1);
    let load = r#"load{config="Config"}: "#;
    let (of_load, of_poll): (Vec<_>, Vec<_>) = lines()
        .into_iter()
        .partition(|line| line.starts_with("load{"));
    assert_within(
        load,
        &of_load,
        &["sk_key: attempt 1", r#"probe{config="Config"}: INFO asked"#],
    );
    // The first poll found nothing, so there is no swap.
    for line in of_poll {
        assert!(
            line.starts_with(POLL) || line.starts_with("DEBUG polled for 2 secrets"),
            "{line}"
        );
    }

    let cycle = || {
        stage.poll();
        stage.clock.threads_at_rest(WORKER, 1);
        let swap = |line: &String| line.starts_with("swap{");
        lines().into_iter().filter(swap).collect::<Vec<_>>()
    };
    stage.vault.put("sk_key", format!("{CANARY}-2"));
    let swap = r#"swap{config="Config"}{generation=2}: "#;
    let swapped = cycle();
    assert_within(swap, &swapped, &[r#"probe{config="Config"}: INFO asked"#]);
    let event = format!("{swap}INFO Config is at generation 2: key");
    assert_eq!(
        swapped.iter().filter(|line| **line == event).count(),
        1,
        "{swapped:#?}"
    );

    stage.vault.put("sk_host", "refused");
    let swap = r#"swap{config="Config"}{generation=3}: "#;
    let refusal = "WARN the live config keeps its last good values: cannot build Config: 1 problem: not this host, never";
    assert_within(swap, &cycle(), &[refusal]);
    // Once for each refusal.
    assert!(!cycle().iter().any(|line| line.contains("WARN")));
    stage.vault.put_all([
        ("sk_host", "db-2".to_owned()),
        ("sk_key", format!("{CANARY}-3")),
    ]);
    let swapped = cycle();
    assert_within(
        swap,
        &swapped,
        &[
            "INFO Config is at generation 3: key, host",
            "INFO Config has recovered after 2 failures",
            "GET /v1/secret/sk_host",
        ],
    );
    assert_eq!(
        swapped
            .iter()
            .filter(|line| line.contains(": INFO Config"))
            .count(),
        2
    );

    // What recovers without a swap says so too.
    stage.vault.deny("sk_host");
    assert_within(
        swap_to(4).as_str(),
        &cycle(),
        &["WARN Config keeps its last value of secret sk_host, which is denied"],
    );
    assert_eq!(live.status().generation(), 3);
    stage.vault.allow("sk_host");
    let mut recovered = Vec::new();
    for _ in 0..20 {
        recovered.extend(cycle());
        if !recovered.is_empty() {
            break;
        }
    }
    assert_within(
        swap_to(4).as_str(),
        &recovered,
        &["INFO Config has recovered"],
    );

    live.refresh().unwrap();
    assert_within(
        swap_to(4).as_str(),
        &lines(),
        &["GET /v1/secret/sk_key: attempt 1"],
    );
}

fn a_config_without_a_vault() {
    let secrets = Snapshot::from_iter([("sk_key", CANARY), ("sk_host", "db")]);
    lines();
    let offline = Config::offline(secrets).probe(|_: &Config| {
        tracing::info!("asked");
        Ok::<(), &str>(())
    });
    offline.live().unwrap();
    let probe = r#"load{config="Config"}: probe{config="Config"}: INFO asked"#;
    assert_eq!(lines(), [probe]);

    let (_live, control) = Live::manual(1);
    control.swap(2);
    control.swap_paths(3, &["db.password"]);
    let swaps = [
        "INFO the config is at generation 2",
        "INFO the config is at generation 3: db.password",
    ];
    assert_eq!(lines(), swaps);
}

const WORKER: &str = "sikkerkey-live";
const POLL: &str = r#"call{method="POST"}{path="/v1/secrets/poll"}: "#;

fn swap_to(generation: u64) -> String {
    format!(r#"swap{{config="Config"}}{{generation={generation}}}: "#)
}

/// The caller's span, though a thread of the client's reads.
fn an_async_read() {
    use tracing::Instrument as _;

    let vault = vault();
    let sk = client(&vault).into_async();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    lines();
    let request = tracing::info_span!("request", number = 7);
    runtime.block_on(async { sk.get_secret("sk_key").await.unwrap() }.instrument(request));
    assert_within(
        &format!("request{{number=7}}: {READ}"),
        &lines(),
        &["attempt 1: 200"],
    );
}

/// The threads of a load tell the subscriber of their caller.
fn a_thread_with_another_subscriber() {
    struct Count(std::sync::Arc<Mutex<usize>>);
    impl<S: Subscriber> Layer<S> for Count {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            *self.0.lock().unwrap() += 1;
        }
    }
    let vault = vault();
    let sk = client(&vault);
    lines();
    let count = std::sync::Arc::default();
    let subscriber = tracing_subscriber::registry().with(Count(std::sync::Arc::clone(&count)));
    let loaded: Result<Config, ConfigError> =
        tracing::subscriber::with_default(subscriber, || Config::load(&sk));
    loaded.unwrap();
    assert_eq!(*count.lock().unwrap(), 2);
    assert_eq!(lines(), Vec::<String>::new());
}
