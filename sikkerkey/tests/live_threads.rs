//! A thousand live configs come and go, and leave no thread and no file behind. A program of its
//! own: other tests' threads would be counted too.
#![cfg(target_os = "linux")] // Where /proc says what a process has.
#![allow(missing_docs, reason = "a test that cannot go on fails")]

mod common;

use common::emulator;
use common::process::{files, threads, wait_for_at_most};
use common::stage::Stage;
use sikkerkey::SikkerKeyConfig;

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(secret = "sk_name")]
    name: String,
}

#[test]
fn starting_and_stopping_leaves_nothing_behind() {
    let vault = emulator().secret("sk_name", "one").start().unwrap();
    let stage = Stage::new(vault);
    let sk = stage.builder().build().unwrap();
    for _ in 0..20 {
        drop(Config::live(&sk).unwrap());
    }
    wait_for_at_most(0, "threads", threads);
    let before = files();
    for _ in 0..1000 {
        let live = Config::live(&sk).unwrap();
        let _pool = live.resource(|config| Ok::<_, ()>(config.name.clone()));
    }
    for _ in 0..1000 {
        let (live, control) = sikkerkey::Live::manual(1);
        live.on_change(|_| ());
        control.swap(2);
    }
    wait_for_at_most(0, "threads", threads);
    // The client keeps a connection or two, and the emulator the other ends of them.
    wait_for_at_most(before + 8, "files", files);
}
