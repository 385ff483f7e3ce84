//! A thousand clients come and go. Alone in its process, so that every thread in it is its own.

#![cfg(all(target_os = "linux", feature = "cache", feature = "tokio"))]
mod common;

use common::process::{files, threads, wait_for_at_most};
use common::{builder, emulator};
use sikkerkey::CacheOptions;

#[test]
fn a_thousand_clients_leave_threads_and_files_as_they_were() {
    let vault = emulator().secret("sk_a", "1").record(false);
    let vault = vault.start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.unwrap();
    let mut first = None;
    for n in 0..1000 {
        let cache = CacheOptions::new().folder(folder.path());
        let sk = builder(&vault).cache(cache).build().unwrap();
        let _watch = sk.watch("sk_a", |_| ()).unwrap();
        let sk = sk.into_async();
        runtime.block_on(sk.get_secret("sk_a")).unwrap();
        drop(sk);
        if n == 100 {
            wait_for_at_most(0, "threads", threads);
            first = Some(files());
        }
    }
    wait_for_at_most(0, "threads", threads);
    // The emulator closes its ends of the connections a little later.
    wait_for_at_most(first.unwrap() + 8, "files", files);
}
