//! A live config through everything that happens to secrets, on the emulator.
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a test that cannot go on fails; figures are printed"
)]

#[cfg(feature = "tokio")]
mod asynchronous;
mod changes;
#[path = "../common/mod.rs"]
mod common;
mod consistency;
mod failures;
mod resources;
mod swaps;

use std::time::Duration;

use common::emulator;
use sikkerkey::live::{RecvError, Subscription};
use sikkerkey::{Live, SikkerKey, SikkerKeyConfig};
use sikkerkey_emulator::Emulator;

/// How long a test waits for what must come; longer than any machine needs.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, SikkerKeyConfig)]
#[sikkerkey(validate = "Config::validate")]
struct Config {
    #[sikkerkey(secret = "sk_name")]
    name: String,
    #[sikkerkey(nested)]
    db: Db,
}

#[derive(Debug, PartialEq, SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db")]
struct Db {
    host: String,
    port: u16,
}

impl Config {
    fn validate(&self) -> Result<(), &'static str> {
        if self.name == "invalid" {
            return Err("the name is not one of ours");
        }
        if self.name == "panic" {
            panic!("a validation that panics");
        }
        Ok(())
    }
}

fn db(host: &str, port: &str) -> String {
    format!(r#"{{"host":"{host}","port":"{port}"}}"#)
}

fn vault() -> Emulator {
    emulator()
        .secret("sk_name", "one")
        .structured("sk_db", [("host", "alpha"), ("port", "1")])
        .start()
        .unwrap()
}

fn client(vault: &Emulator) -> SikkerKey {
    SikkerKey::builder()
        .identity_file(vault.identity_path())
        .poll_interval(Duration::from_millis(5))
        .retry(sikkerkey::RetryPolicy::none())
        .build()
        .unwrap()
}

fn start() -> (Emulator, Live<Config>) {
    let vault = vault();
    let live = Config::live(&client(&vault)).unwrap();
    (vault, live)
}

/// Waits until the poller has asked `more` times from now on.
#[track_caller]
fn polls(vault: &Emulator, more: usize) {
    let count = |requests: &[sikkerkey_emulator::Recorded]| {
        requests
            .iter()
            .filter(|request| request.path == "/v1/secrets/poll")
            .count()
    };
    let before = count(&vault.requests());
    let reached = vault.wait_for(PATIENCE, |requests| count(requests) >= before + more);
    assert!(reached, "the poller stopped asking");
}

/// Waits for a change and returns its key paths.
#[track_caller]
fn changed<T>(changes: &mut Subscription<T>) -> Vec<String> {
    match changes.recv_timeout(PATIENCE) {
        Ok(change) => change.paths().to_vec(),
        Err(error) => panic!("no change came: {error}"),
    }
}

/// Waits for a refusal and returns its text.
#[track_caller]
fn refused<T>(changes: &mut Subscription<T>) -> String {
    match changes.recv_timeout(PATIENCE) {
        Err(RecvError::Refused(error)) => error.to_string(),
        Err(error) => panic!("no refusal came: {error}"),
        Ok(change) => panic!("swapped instead: {:?}", change.paths()),
    }
}

/// Waits, poll by poll, until `holds`.
#[track_caller]
fn eventually(vault: &Emulator, what: &str, holds: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        polls(vault, 1);
    }
    panic!("this never became true: {what}");
}
