//! A live service under faults for an hour, and what it shows for it: no wrong value, no missed change, and
//! threads, descriptors and memory that stay where they are.
//!
//! `cargo run --release -p sikkerkey-tests --bin soak -- --minutes 60` prints a table and draws the memory into
//! `target/soak.svg`. The service is this program once more, in a process of its own, so that only the client's memory
//! is measured. See `tests/README.md`.
#![allow(clippy::print_stdout, reason = "its output is the table")]

#[cfg(unix)]
mod disk;
#[cfg(unix)]
mod kinds;
#[cfg(unix)]
mod ledger;
#[cfg(unix)]
mod report;
#[cfg(unix)]
mod rotations;
#[cfg(unix)]
mod service;
#[cfg(unix)]
mod trouble;

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["service", identity, cache] => {
            service::run(identity, cache);
            std::process::ExitCode::SUCCESS
        }
        ["--minutes", minutes] => run(minutes.parse().expect("a number of minutes")),
        _ => {
            println!("usage: soak --minutes N");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(not(unix))]
fn main() {
    println!("it forks and measures as on unix");
}

#[cfg(unix)]
fn run(minutes: u64) -> std::process::ExitCode {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    const TICK: Duration = Duration::from_millis(20);
    /// What is late at the end has this long to arrive.
    const SETTLE: Duration = Duration::from_secs(90);

    let vault = rotations::vault();
    let disk = disk::Disk::new(&vault.home().join("disk"));
    let ledger = Arc::new(ledger::Ledger::default());
    let mut service = service::Handle::start(vault.identity_path(), disk.folder(), &ledger);
    let mut rotations = rotations::Rotations::default();
    let mut trouble = trouble::Trouble::new(&vault, &disk);
    let mut samples = report::Samples::new(service.process());

    let started = Instant::now();
    let length = Duration::from_secs(60 * minutes);
    while started.elapsed() < length && !service.has_ended() {
        let now = started.elapsed();
        rotations.tick(now, &vault, &ledger);
        trouble.tick(now, &mut service);
        samples.tick(now);
        std::thread::sleep(TICK);
    }
    let mut strikes = trouble.end();
    let deadline = Instant::now() + SETTLE;
    while !ledger.is_settled() && Instant::now() < deadline && !service.has_ended() {
        std::thread::sleep(TICK);
    }
    ledger.end();
    let ended_well = service.end();
    strikes.extend(ledger.strikes());
    let report = report::Report {
        minutes,
        rotations: rotations.count(),
        requests: vault.request_count(),
        strikes,
        ended_well,
        ledger: ledger.summary(),
        samples,
    };
    report.print();
    match report.verdict() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(why) => {
            println!("FAILED: {why}");
            std::process::ExitCode::FAILURE
        }
    }
}
