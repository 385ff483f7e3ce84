//! A Rocket service whose database URL and `secret_key` are in SikkerKey, rotating while it
//! answers.
//!
//! `cargo run -p sikkerkey-service-examples --example rocket_service` starts the emulator and the service in this process, sends
//! a request over HTTP, rotates the database URL, and sends another. With `--serve` it runs
//! until Ctrl-C.
#![allow(clippy::print_stdout, clippy::print_stderr)] // It is read in a terminal.

mod service;

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Duration;

use rocket::fairing::AdHoc;
use rocket::figment::Profile;
use sikkerkey::{Live, SikkerKey};
use sikkerkey_emulator::Emulator;

use service::AppConfig;

/// Long enough for a busy machine. A rotation is found within one poll of 50 ms.
const PATIENCE: Duration = Duration::from_secs(20);

type ReadOutcome = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rocket_service: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> ReadOutcome {
    let serve = std::env::args().any(|word| word == "--serve");
    let vault = Emulator::builder()
        .structured("sk_db_prod", [("url", "postgres://app_1:hunter2@db/app")])
        .secret(
            "sk_rocket_key",
            "qclaEXAAe81NrWcAIMcrkkLl/wHyOy3yfJn4ovwsNbw=",
        )
        .start()?;
    let sk = SikkerKey::builder()
        .identity_file(vault.identity_path())
        .poll_interval(Duration::from_millis(50))
        .build()?;

    // Blocking calls to the vault come before the runtime starts.
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/rocket-service/Rocket.toml");
    let layers = service::layers(file, Profile::new("release"));
    let layers = move || layers().merge(("port", 0)).merge(("shutdown.grace", 0));
    let rocket = service::rocket(&sk, layers).map_err(|error| error.to_string())?;
    let live = rocket.state::<Live<AppConfig>>().cloned();
    let live = live.ok_or("the service has no live config")?;

    // The port is known when the service listens.
    let (listening, listens) = std::sync::mpsc::channel();
    let rocket = rocket.attach(AdHoc::on_liftoff("port", move |rocket| {
        Box::pin(async move {
            // The receiver is gone only if the demonstration has already failed.
            let _ = listening.send((rocket.config().port, rocket.shutdown()));
        })
    }));
    let (vault, live) = (&vault, &live);
    std::thread::scope(|scope| {
        let demonstration = scope.spawn(move || -> ReadOutcome {
            let (port, shutdown) = listens.recv_timeout(PATIENCE)?;
            let shown = demonstrate(port, vault, live);
            if !serve || shown.is_err() {
                shutdown.notify();
            }
            shown
        });
        let launched = rocket::execute(rocket.launch());
        let shown = demonstration
            .join()
            .map_err(|_| "the demonstration panicked")?;
        launched.map_err(|error| error.to_string())?;
        shown
    })
}

fn demonstrate(port: u16, vault: &Emulator, live: &Live<AppConfig>) -> ReadOutcome {
    println!("serving on http://127.0.0.1:{port}, profile release");
    let say = |path: &str| -> Result<String, Box<dyn Error + Send + Sync>> {
        let (status, body) = get(port, path)?;
        println!("  GET {path:<10} {status}  {body}");
        Ok(body)
    };
    expect(&say("/")?, "hello")?;
    expect(&say("/database")?, "app_1 with 16 connections")?;
    expect(&say("/healthz")?, "fresh, generation 1")?;

    println!("the database URL rotates");
    let mut changes = live.subscribe();
    vault.put_structured(
        "sk_db_prod",
        [("url", "postgres://app_2:correct-horse@db/app")],
    );
    let change = changes.recv_timeout(PATIENCE)?;
    println!("  changed: {}", change.paths().join(", "));
    expect(&say("/database")?, "app_2 with 16 connections")?;
    expect(&say("/healthz")?, "fresh, generation 2")
}

fn expect(body: &str, wanted: &str) -> ReadOutcome {
    match body.starts_with(wanted) {
        true => Ok(()),
        false => Err(format!("the service did not answer {wanted:?}").into()),
    }
}

/// Sends one request by hand, so the demonstration needs no HTTP client.
fn get(port: u16, path: &str) -> Result<(String, String), Box<dyn Error + Send + Sync>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    Ok((status, body.unwrap_or_default().to_owned()))
}
