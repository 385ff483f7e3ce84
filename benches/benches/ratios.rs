//! Each figure as a ratio of two things measured in this run, so that the machine falls out of it.
//!
//! `SIKKERKEY_OFFICIAL=PATH` names a Python with the official client; without it those lines are left out.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that fails should end, and its figures are its output"
)]

use std::env;
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::Value;
use sikkerkey::{SikkerKey, SikkerKeyConfig as _};
use sikkerkey_benches::Config;
use sikkerkey_emulator::Emulator;

fn main() {
    reads();
    ten_secrets();
    cold_start();
    cells();
}

fn vault() -> Emulator {
    let builder = (0..10).fold(Emulator::builder().record(false), |builder, n| match n {
        4 => builder.structured("sk_4", [("port", 5432)]),
        n => builder.secret(format!("sk_{n}"), format!("value-{n}")),
    });
    builder.start().unwrap()
}

/// The median time of one call.
fn median(times: usize, mut call: impl FnMut()) -> Duration {
    let mut taken: Vec<_> = (0..times)
        .map(|_| {
            let start = Instant::now();
            call();
            start.elapsed()
        })
        .collect();
    taken.sort_unstable();
    taken[times / 2]
}

fn line(name: &str, ours: Duration, other: &str, theirs: Duration) {
    let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
    println!("{name}: {ours:.1?}; {other} {theirs:.1?}: {ratio:.2} times ours");
}

/// A warm signed read, against a raw socket with one signature, and the official client.
fn reads() {
    let vault = vault();
    let sk = SikkerKey::new(vault.identity_path()).unwrap();
    let mut floor = Floor::new(&vault);
    let read = || drop(black_box(sk.get_secret("sk_0").unwrap()));
    // In turns, so that both see the same machine.
    let mut ours = Vec::new();
    let mut raw = Vec::new();
    for _ in 0..20 {
        ours.push(median(200, read));
        raw.push(median(200, || floor.read()));
    }
    ours.sort_unstable();
    raw.sort_unstable();
    line(
        "warm read",
        ours[10],
        "raw socket and one signature",
        raw[10],
    );
    if let Some(theirs) = python_reads(&vault, 500, 1) {
        line("warm read", ours[10], "official client", theirs);
    }
}

/// Ten distinct secrets over 20 ms latency and 40 ms connection set-up.
fn ten_secrets() {
    let vault = vault();
    vault.latency(Duration::from_millis(20));
    vault.connection_latency(Duration::from_millis(40));
    let new = || SikkerKey::new(vault.identity_path()).unwrap();
    let one = median(15, || drop(black_box(new().get_secret("sk_0").unwrap())));
    let before = vault.connections();
    let ten = median(15, || {
        let sk = new();
        thread::scope(|scope| {
            // As the loader does: eight at a time.
            for lane in 0..8 {
                let sk = &sk;
                scope.spawn(move || {
                    for n in (lane..10).step_by(8) {
                        black_box(sk.get_secret(&format!("sk_{n}")).unwrap());
                    }
                });
            }
        });
    });
    println!(
        "ten secrets: {} connections each time",
        (vault.connections() - before) / 15
    );
    let aim = one + Duration::from_millis(20);
    line(
        "ten secrets, cold, 20 ms + 40 ms",
        ten,
        "one cold read and one round trip",
        aim,
    );
    if let Some(theirs) = python_reads(&vault, 3, 10) {
        line("ten secrets, 20 ms + 40 ms", ten, "official client", theirs);
    }
}

/// A process that enrols and loads a typed config of five secrets.
fn cold_start() {
    let vault = vault();
    let token = vault.enrollment_token(1_000, Duration::from_secs(3_600));
    let run = |mut command: Command| {
        command
            .env("TOKEN", &token)
            .env("SIKKERKEY_API_URL", vault.url());
        median(15, || assert!(command.status().unwrap().success()))
    };
    let ours = run(Command::new(env!("CARGO_BIN_EXE_cold-start")));
    match env::var_os("SIKKERKEY_OFFICIAL") {
        Some(python) => {
            let mut command = Command::new(python);
            command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("cold_start.py"));
            line("cold start", ours, "official client", run(command));
        }
        None => println!("cold start: {ours:.1?}"),
    }
}

fn python_reads(vault: &Emulator, times: usize, secrets: usize) -> Option<Duration> {
    let output = Command::new(env::var_os("SIKKERKEY_OFFICIAL")?)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("reads.py"))
        .arg(vault.identity_path())
        .args([times.to_string(), secrets.to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let micros: f64 = String::from_utf8(output.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    Some(Duration::from_secs_f64(micros / 1e6))
}

/// `Live::load` against the cells that a program could hold its config in.
fn cells() {
    let vault = vault();
    let sk = SikkerKey::new(vault.identity_path()).unwrap();
    let live = Config::live(&sk).unwrap();
    let swap = ArcSwap::from_pointee(5432_u16);
    let lock = RwLock::new(Arc::new(5432_u16));
    let (_keep, watch) = tokio::sync::watch::channel(5432_u16);
    for threads in [1, 2] {
        let ours = per_load(threads, &|| live.load().port);
        let theirs = [
            ("ArcSwap", per_load(threads, &|| **swap.load())),
            ("RwLock<Arc>", per_load(threads, &|| **lock.read().unwrap())),
            (
                "RwLock<Arc>, cloned",
                per_load(threads, &|| *Arc::clone(&lock.read().unwrap())),
            ),
            ("tokio's watch", per_load(threads, &|| *watch.borrow())),
        ];
        for (name, theirs) in theirs {
            println!(
                "load, {threads} threads: {ours:.1} ns; {name} {theirs:.1} ns: {:.2} times ours",
                theirs / ours
            );
        }
    }
}

/// Nanoseconds a load, the best of several runs: what disturbs one only makes it slower.
fn per_load(threads: usize, load: &(dyn Fn() -> u16 + Sync)) -> f64 {
    const LOADS: u32 = 1_000_000;
    let run = || {
        let start = Instant::now();
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..LOADS {
                        black_box(load());
                    }
                });
            }
        });
        start.elapsed().as_nanos() as f64 / f64::from(LOADS)
    };
    (0..9).map(|_| run()).fold(f64::MAX, f64::min)
}

/// The least that a signed read can be: a socket that is open, and one signature.
struct Floor {
    stream: TcpStream,
    key: SigningKey,
    machine: String,
    nonce: u128,
}

impl Floor {
    fn new(vault: &Emulator) -> Self {
        let identity = std::fs::read_to_string(vault.identity_path()).unwrap();
        let identity: Value = serde_json::from_str(&identity).unwrap();
        let pem = std::fs::read_to_string(identity["privateKeyPath"].as_str().unwrap()).unwrap();
        let stream = TcpStream::connect(("127.0.0.1", vault.port())).unwrap();
        stream.set_nodelay(true).unwrap();
        Floor {
            stream,
            key: SigningKey::from_pkcs8_pem(&pem).unwrap(),
            machine: vault.machine_id().to_owned(),
            nonce: 0,
        }
    }

    fn read(&mut self) {
        // The hash of an empty body.
        const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        self.nonce += 1;
        let nonce = STANDARD.encode(self.nonce.to_be_bytes());
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let text = format!("GET:/v1/secret/sk_0:{now}:{nonce}:{EMPTY}");
        let signature = STANDARD.encode(self.key.sign(text.as_bytes()).to_bytes());
        let request = format!(
            "GET /v1/secret/sk_0 HTTP/1.1\r\nHost: localhost\r\nX-Machine-Id: {}\r\nX-Timestamp: {now}\r\n\
             X-Nonce: {nonce}\r\nX-Signature: {signature}\r\n\r\n",
            self.machine
        );
        self.stream.write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 4096];
        let mut length = 0;
        while !answer[..length].ends_with(b"}") {
            let read = self.stream.read(&mut answer[length..]).unwrap();
            assert!(read > 0, "the answer ended");
            length += read;
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
}
