//! Each figure as a ratio of two things measured in this run, so that the machine falls out of it.
//!
//! `SIKKERKEY_OFFICIAL=PATH` names a Python with the official client; without it those lines are left out.
#![allow(
    clippy::print_stdout,
    reason = "a benchmark that fails should end, and its figures are its output"
)]

mod floor;
mod load;
mod many;
mod official;
mod read;
mod start;
mod table;
mod ten;

use std::path::Path;
use std::time::{Duration, SystemTime};

use criterion::Criterion;
use sikkerkey_emulator::Emulator;

/// What stands on our side of each group; the others are divided by it, or it by them.
const OURS: &str = "sikkerkey";

fn main() {
    let started = SystemTime::now();
    // Criterion's usual folder, said here because the table is read from it.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("criterion");
    // What is compared is measured within seconds of each other, so that both see the same machine. And each
    // group takes many short samples: most of them pass without an interruption by what else runs, so that the
    // median is a time without one.
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .nresamples(10_000)
        .without_plots()
        .output_directory(&folder)
        .configure_from_args();
    read::bench(&mut criterion);
    ten::bench(&mut criterion);
    many::bench(&mut criterion);
    start::bench(&mut criterion);
    load::bench(&mut criterion);
    criterion.final_summary();
    table::print(&folder, started);
}

/// An emulator with the five secrets of the typed config, and five more.
fn vault() -> Emulator {
    let builder = (0..10).fold(Emulator::builder().record(false), |builder, n| match n {
        4 => builder.structured("sk_4", [("port", 5432)]),
        n => builder.secret(format!("sk_{n}"), format!("value-{n}")),
    });
    builder.start().unwrap()
}
