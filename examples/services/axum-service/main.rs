//! An axum service that answers from a live config while its secrets rotate under load.
//!
//! `cargo run -p sikkerkey-service-examples --example axum_service` starts the emulator and the service, sends requests
//! from four clients, rotates two secrets together a hundred times, and counts. The last rotation is a bad one:
//!
//! ```text
//! /healthz: fresh, generation 101, confirmed 0s ago; degraded: false
//! /healthz: degraded, generation 101, confirmed 0s ago, 1 failure; degraded: true
//! /metrics:
//! sikkerkey_live_state{config="Config",state="degraded"} 1
//! sikkerkey_live_state{config="Config",state="fresh"} 0
//! sikkerkey_live_state{config="Config",state="stale"} 0
//! sikkerkey_live_failures{config="Config"} 1
//! sikkerkey_live_generation{config="Config"} 101
//! sikkerkey_live_age_seconds{config="Config"} 0.001
//! sikkerkey_live_rotation_lag_seconds{config="Config"} 0.001273727
//! ```
//!
//! With `-- --offline examples/services/axum-service/secrets.dev.toml` it starts without a vault, with the secrets of that file, and
//! serves until it is stopped.
#![allow(clippy::print_stdout)] // It is read in a terminal.

#[path = "../shared/hooks.rs"]
mod hooks;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use sikkerkey::live::{RecvError, Subscription};
use sikkerkey::webhook::Webhook;
use sikkerkey::{
    ExposeSecret, Freshness, Live, SecretString, SikkerKey, SikkerKeyConfig, Snapshot,
};
use sikkerkey_emulator::Emulator;

/// Two secrets that belong together: `key_id` names the key.
#[derive(SikkerKeyConfig)]
#[sikkerkey(validate = "Config::is_pair")]
struct Config {
    #[sikkerkey(secret = "sk_signing_key_id")]
    key_id: u64,
    #[sikkerkey(secret = "sk_signing_key")]
    key: SecretString,
}

impl Config {
    /// The number of the key itself.
    fn number(&self) -> &str {
        let key = self.key.expose_secret();
        key.strip_prefix("key-").unwrap_or_default()
    }

    /// Refuses half of a rotation: a webhook announces one secret at a time.
    fn is_pair(&self) -> Result<(), &'static str> {
        match self.number() == self.key_id.to_string() {
            true => Ok(()),
            false => Err("key and key id are of different rotations"),
        }
    }
}

type AnyError = Box<dyn Error + Send + Sync>;

const ROTATIONS: u64 = 100;
const CLIENTS: usize = 4;
/// Longer than a busy machine needs for one poll of 10 ms.
const PATIENCE: Duration = Duration::from_secs(20);

/// The service itself, as your program would have it.
fn service(live: Live<Config>, metrics: PrometheusHandle) -> Router {
    let metrics = move || async move { metrics.render() };
    Router::new()
        .route("/metrics", get(metrics))
        .route("/sign", get(sign))
        .route("/healthz", get(health))
        .with_state(live)
}

/// Responds with the number of its key twice: once from each secret.
async fn sign(State(live): State<Live<Config>>) -> String {
    // One load per request: key and number are of one instant, even if a secret rotates now.
    let config = live.load();
    format!("{} {}", config.key_id, config.number())
}

/// 200 while a config serves, even a stale one: with a 503, an outage of SikkerKey would take out all
/// replicas at the same moment.
async fn health(State(live): State<Live<Config>>) -> String {
    let status = live.status();
    let degraded = status.freshness() != Freshness::Fresh;
    format!("{status}; degraded: {degraded}\n")
}

fn main() -> Result<(), AnyError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // Before the client is built, because building it describes the metrics.
    let metrics = PrometheusBuilder::new().install_recorder()?;
    match arguments.as_slice() {
        [] => rotate_under_load(metrics),
        ["--offline", file] => serve_offline(file, metrics),
        _ => Err("usage: axum_service [--offline FILE]".into()),
    }
}

/// Runs the service on a developer's machine, without a vault.
fn serve_offline(file: &str, metrics: PrometheusHandle) -> Result<(), AnyError> {
    let secrets = Snapshot::from_toml_file(file)?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let live = Config::offline(secrets).live_async().await?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        println!("serving on http://{address} from {file}; Ctrl-C ends it");
        axum::serve(listener, service(live, metrics)).await?;
        Ok(())
    })
}

fn rotate_under_load(metrics: PrometheusHandle) -> Result<(), AnyError> {
    let vault = Emulator::builder()
        .secret("sk_signing_key_id", "1")
        .secret("sk_signing_key", "key-1")
        .start()?;
    let sk = SikkerKey::builder()
        .identity_file(vault.identity_path())
        .poll_interval(Duration::from_millis(10))
        .build()?;

    let runtime = tokio::runtime::Runtime::new()?;
    let live = runtime.block_on(Config::live_async(&sk))?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    let signing_secret = sikkerkey_emulator::Webhook::new_secret();
    let webhook = Webhook::new(signing_secret.clone());
    let router = service(live.clone(), metrics).merge(hooks::routes(live.clone(), webhook));
    runtime.spawn(async move { axum::serve(listener, router).await });
    println!("serving on http://{address}, rotating {ROTATIONS} times under {CLIENTS} clients");

    let running = AtomicBool::new(true);
    let counts = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| ask_until_done(address, &running)))
            .collect();
        let rotated = rotate(&vault, &live);
        running.store(false, Ordering::Relaxed);
        let mut counts = Counts::default();
        for client in clients {
            counts.add(client.join().map_err(|_| "a client panicked")??);
        }
        rotated.map(|()| counts)
    })?;

    let mut operator = connect(address)?;
    let health = ask(&mut operator, "/healthz")?;
    println!(
        "{} requests answered, {} failed, {} with a mixed pair; {} of {} keys were used",
        counts.answered,
        counts.failed,
        counts.mixed,
        counts.keys.len(),
        ROTATIONS + 1
    );
    println!("/healthz: {}", health.trim());
    // A bad rotation: the last good config stays, and the service continues.
    let mut changes = live.subscribe();
    vault.put("sk_signing_key_id", "none");
    let refused = loop {
        if let Err(reason) = changes.recv_timeout(PATIENCE) {
            break reason;
        }
    };
    let health = ask(&mut operator, "/healthz")?;
    println!("/healthz: {}", health.trim());
    if !matches!(refused, RecvError::Refused(_)) || !health.contains("degraded: true") {
        return Err("the bad rotation was not refused".into());
    }
    let metrics = ask(&mut operator, "/metrics")?;
    println!("/metrics:");
    for line in metrics
        .lines()
        .filter(|line| line.starts_with("sikkerkey_live_"))
    {
        println!("{line}");
    }
    if !metrics.contains("sikkerkey_live_generation") {
        return Err("the metrics of the live config are missing".into());
    }
    if counts.failed + counts.mixed > 0 || live.status().generation() != ROTATIONS + 1 {
        return Err("not every request was answered from one whole config".into());
    }

    // From here on no poll comes: webhooks announce the rotations.
    sk.set_poll_interval(Duration::from_secs(3600));
    let url = format!("http://{address}/hooks/sikkerkey");
    vault.add_webhook(sikkerkey_emulator::Webhook::new(url, signing_secret)?)?;
    let start = Instant::now();
    rotate_once(&vault, &mut live.subscribe(), ROTATIONS + 2)?;
    println!(
        "a rotation by webhook: swapped in after {:.0?}",
        start.elapsed()
    );
    Ok(())
}

/// Rotates both secrets together, again and again, each time after the swap.
fn rotate(vault: &Emulator, live: &Live<Config>) -> Result<(), AnyError> {
    let mut changes = live.subscribe();
    for number in 2..=ROTATIONS + 1 {
        rotate_once(vault, &mut changes, number)?;
    }
    Ok(())
}

fn rotate_once(
    vault: &Emulator,
    changes: &mut Subscription<Config>,
    number: u64,
) -> Result<(), AnyError> {
    vault.put_all([
        ("sk_signing_key_id", number.to_string()),
        ("sk_signing_key", format!("key-{number}")),
    ]);
    loop {
        match changes.recv_timeout(PATIENCE) {
            Ok(_) => return Ok(()),
            // The first half; the second follows.
            Err(RecvError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[derive(Default)]
struct Counts {
    answered: u64,
    failed: u64,
    mixed: u64,
    keys: BTreeMap<String, u64>,
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.answered += other.answered;
        self.failed += other.failed;
        self.mixed += other.mixed;
        for (key, times) in other.keys {
            *self.keys.entry(key).or_default() += times;
        }
    }
}

fn ask_until_done(address: SocketAddr, running: &AtomicBool) -> Result<Counts, AnyError> {
    let mut counts = Counts::default();
    let mut connection = connect(address)?;
    while running.load(Ordering::Relaxed) {
        let Ok(answer) = ask(&mut connection, "/sign") else {
            counts.failed += 1;
            connection = connect(address)?;
            continue;
        };
        counts.answered += 1;
        match answer.split_once(' ') {
            Some((id, key)) if id == key => *counts.keys.entry(id.to_owned()).or_default() += 1,
            _ => counts.mixed += 1,
        }
    }
    Ok(counts)
}

fn connect(address: SocketAddr) -> std::io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(BufReader::new(stream))
}

/// Sends one request on an open connection, and returns the body of the response.
fn ask(connection: &mut BufReader<TcpStream>, path: &str) -> Result<String, AnyError> {
    write!(
        connection.get_mut(),
        "GET {path} HTTP/1.1\r\nHost: service\r\n\r\n"
    )?;
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        if connection.read_line(&mut line)? == 0 {
            return Err("the connection ended".into());
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    std::io::Read::read_exact(connection, &mut body)?;
    Ok(String::from_utf8(body)?)
}
