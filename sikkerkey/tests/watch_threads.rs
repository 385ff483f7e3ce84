//! Watching leaves nothing behind. Alone in its process, so that every thread in it is its own.

#![cfg(target_os = "linux")]
mod common;

use std::sync::mpsc::channel;

use common::emulator;
use common::process::{files, threads, wait_for_at_most};
use common::stage::{PATIENCE, Stage};

#[test]
fn a_thousand_starts_and_stops_leave_threads_and_files_as_they_were() {
    let vault = emulator().secret("sk_a", "1").record(false);
    let stage = Stage::new(vault.start().unwrap());
    let sk = stage.builder().build().unwrap();
    sk.get_secret("sk_a").unwrap();
    // The threads that connect end soon after; reading alone starts no other.
    wait_for_at_most(0, "threads", threads);
    let mut first = None;
    for n in 0..1000 {
        let (sender, events) = channel();
        let watch = sk.watch("sk_a", move |_| {
            let _ = sender.send(());
        });
        if n % 50 == 0 {
            stage.vault.put("sk_a", format!("v{n}"));
            stage.poll();
            events.recv_timeout(PATIENCE).unwrap();
            let other = stage.builder().build().unwrap();
            other.watch("sk_a", |_| ()).unwrap();
        }
        match n % 3 {
            0 => watch.unwrap().stop(),
            1 => sk.unwatch("sk_a"),
            _ => sk.close(),
        }
        if n == 100 {
            wait_for_at_most(0, "threads", threads);
            first = Some(files());
        }
    }
    wait_for_at_most(0, "threads", threads);
    let first = first.unwrap();
    // Connections that are kept for the next request come and go by a few.
    wait_for_at_most(first + 8, "files", files);
}
