//! The ratios of this run, from the medians that criterion estimated, as the rows of the README's table.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use serde_json::Value;

use crate::OURS;
use crate::official::THEIRS;

/// Which of two is divided by which, and the aim.
enum Ratio {
    /// Theirs by ours.
    Faster(&'static str),
    /// Ours by theirs.
    Times(&'static str),
}
use Ratio::{Faster, Times};

/// A group, what ours is against in it, and the ratio.
const ROWS: [(&str, &str, Ratio); 15] = [
    ("warm read", THEIRS, Faster("≥ 5")),
    ("warm read", "raw socket and one signature", Times("≤ 1.3")),
    (
        "ten secrets",
        "one cold read and one round trip",
        Times("≤ 1.2"),
    ),
    ("ten secrets", THEIRS, Faster("")),
    (
        "load of 200 secrets",
        "25 reads one after the other",
        Times("≤ 1.2"),
    ),
    ("change in 1,000 secrets", "change in 5 secrets", Times("")),
    ("cold start", THEIRS, Faster("≥ 15")),
    ("load, 1 thread", "ArcSwap", Times("≤ 1.1")),
    ("load, 1 thread", "RwLock of an Arc", Times("")),
    ("load, 1 thread", "RwLock of an Arc, cloned", Times("")),
    ("load, 1 thread", "tokio's watch", Times("")),
    ("load, 2 threads", "ArcSwap", Times("≤ 1.1")),
    ("load, 2 threads", "RwLock of an Arc", Times("")),
    ("load, 2 threads", "RwLock of an Arc, cloned", Times("")),
    ("load, 2 threads", "tokio's watch", Times("")),
];

/// Prints the rows of which both sides were measured since `started`; nothing when there is none, as when
/// each is only run once to see that it works.
pub(crate) fn print(folder: &Path, started: SystemTime) {
    let rows = ROWS.iter().filter_map(|(group, against, ratio)| {
        let median = |function| median(&folder.join(group).join(function), started);
        let (ours, theirs) = (median(OURS)?, median(against)?);
        let (ratio, aim) = match ratio {
            Faster(aim) => (format!("{:.1} times faster", theirs / ours), aim),
            Times(aim) => (format!("{:.2} times", ours / theirs), aim),
        };
        let (ours, theirs) = (time(ours), time(theirs));
        Some(format!(
            "| {group} | {ours} | {against} | {theirs} | {ratio} | {aim} |"
        ))
    });
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        println!("| what | ours | against | theirs | ratio | aim |");
        println!("| --- | --- | --- | --- | --- | --- |");
        println!("{}", rows.join("\n"));
    }
}

/// Nanoseconds, as criterion estimated them; none where nothing was measured, or by an earlier run only.
fn median(function: &Path, started: SystemTime) -> Option<f64> {
    let file = function.join("new/estimates.json");
    if fs::metadata(&file).ok()?.modified().unwrap() < started {
        return None;
    }
    let estimates: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    estimates["median"]["point_estimate"].as_f64()
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ..1e3 => format!("{nanoseconds:.1} ns"),
        ..1e6 => format!("{:.0} µs", nanoseconds / 1e3),
        _ => format!("{:.1} ms", nanoseconds / 1e6),
    }
}
