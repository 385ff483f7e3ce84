//! A thousand live configs come and go, and leave no thread and no file behind. A program of its
//! own: other tests' threads would be counted too.
#![cfg(target_os = "linux")] // Where /proc says what a process has.
#![allow(missing_docs, reason = "a test that cannot go on fails")]

mod common;

use std::time::Duration;

use common::emulator;
use sikkerkey::{SikkerKey, SikkerKeyConfig};

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(secret = "sk_name")]
    name: String,
}

#[test]
fn starting_and_stopping_leaves_nothing_behind() {
    let vault = emulator().secret("sk_name", "one").start().unwrap();
    let sk = SikkerKey::builder()
        .identity_file(vault.identity_path())
        .poll_interval(Duration::from_millis(5))
        .build()
        .unwrap();
    for _ in 0..20 {
        drop(Config::live(&sk).unwrap());
    }
    wait_for_the_threads();
    let before = files();
    for _ in 0..1000 {
        let live = Config::live(&sk).unwrap();
        let _pool = live.resource(|config| Ok::<_, ()>(config.name.clone()));
    }
    wait_for_the_threads();
    let after = files();
    // The client keeps a connection or two, and the emulator the other ends of them.
    assert!(after <= before + 8, "files: {before}, then {after}");
}

/// The threads of what was dropped end by themselves, and nobody can be told of the end.
fn wait_for_the_threads() {
    let ours = || named("sikkerkey-live") + named("sikkerkey-poll") + named("sikkerkey-load");
    for _ in 0..10_000 {
        if ours() == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("{} threads of dropped configs go on", ours());
}

fn named(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|comm| comm.trim() == name).count()
}

fn files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
