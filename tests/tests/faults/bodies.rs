//! Bodies that are too large, too slow or never end cost neither memory nor more than the time that was given.

use std::process::Command;
use std::time::{Duration, Instant};

use sikkerkey_emulator::{Emulator, Fault};

use crate::long;

/// How much more memory a process may take at its peak.
const MORE: u64 = 8 << 20;

#[test]
fn a_body_without_end_costs_no_memory() {
    let mib = 1 << 20;
    for (name, fault) in [
        ("200 MiB in chunks", Fault::Huge(200 * mib)),
        ("no end", Fault::Endless),
        ("headers without end", Fault::EndlessHead),
        (
            "one byte at a time, without end",
            Fault::DripForever(Duration::from_millis(1)),
        ),
        (
            "one byte at a time",
            Fault::DripAll(Duration::from_millis(20)),
        ),
        ("no answer", Fault::Hang),
    ] {
        let vault = Emulator::builder().secret("sk_a", "1").start().unwrap();
        vault.fail_matching("/v1/secret/sk_a", fault);
        let start = Instant::now();
        let output = Command::new(env!("CARGO_BIN_EXE_fault-worker"))
            .arg("memory")
            .arg(vault.identity_path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let more: u64 = text.trim().parse().unwrap();
        println!(
            "body: {name}: {} KiB more at the peak, {:.1?}",
            more / 1024,
            start.elapsed()
        );
        assert!(more <= MORE, "{name}: {more} bytes more");
        if long() > 0 {
            // Its deadline is a second; the process starts and ends in the other.
            assert!(start.elapsed() < Duration::from_secs(2), "{name}");
        }
    }
}
