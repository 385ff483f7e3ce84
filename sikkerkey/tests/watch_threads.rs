//! Watching leaves nothing behind. Alone in its process, so that every thread in it is its own.

#![cfg(target_os = "linux")]
mod common;

use std::fs;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use common::{builder, emulator};

/// How many threads have a name of ours.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    // The kernel keeps 15 bytes of a name.
    names
        .filter(|name| {
            ["sikkerkey-poll", "sikkerkey-callb", "sikkerkey-read"].contains(&name.trim())
        })
        .count()
}

fn files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[track_caller]
fn wait_until(holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30));
        thread::yield_now();
    }
}

#[test]
fn a_thousand_starts_and_stops_leave_threads_and_files_as_they_were() {
    let vault = emulator().secret("sk_a", "1").record(false);
    let vault = vault.start().unwrap();
    let sk = builder(&vault)
        .poll_interval(Duration::from_millis(1))
        .build()
        .unwrap();
    sk.get_secret("sk_a").unwrap();
    assert_eq!(threads(), 0, "reading alone starts none");
    let mut first = None;
    for n in 0..1000 {
        let (sender, events) = channel();
        let watch = sk.watch("sk_a", move |_| {
            let _ = sender.send(());
        });
        if n % 50 == 0 {
            vault.put("sk_a", format!("v{n}"));
            events.recv_timeout(Duration::from_secs(30)).unwrap();
            let other = builder(&vault).build().unwrap();
            other.watch("sk_a", |_| ()).unwrap();
        }
        match n % 3 {
            0 => watch.unwrap().stop(),
            1 => sk.unwatch("sk_a"),
            _ => sk.close(),
        }
        if n == 100 {
            wait_until(|| threads() == 0);
            first = Some(files());
        }
    }
    wait_until(|| threads() == 0);
    let first = first.unwrap();
    // Connections that are kept for the next request come and go by a few.
    wait_until(|| files() <= first + 8);
}
