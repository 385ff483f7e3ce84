//! What this process has open. Meant for tests that are alone in their process.

use std::fs;
use std::time::{Duration, Instant};

use super::stage::PATIENCE;

/// How many threads of a client there are.
pub fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    // The kernel keeps 15 bytes of a name.
    let ours = [
        "sikkerkey-poll",
        "sikkerkey-call",
        "sikkerkey-callb",
        "sikkerkey-cache",
        "sikkerkey-conne",
        "sikkerkey-read",
        "sikkerkey-live",
        "sikkerkey-cert",
        "sikkerkey-resol",
    ];
    names.filter(|name| ours.contains(&name.trim())).count()
}

/// How many files and sockets are open.
pub fn files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Waits until there are so many or fewer of these. The operating system tells nobody when a thread
/// ends or a socket closes, so they are counted again and again.
#[track_caller]
pub fn wait_for_at_most(most: usize, of: &str, count: impl Fn() -> usize) {
    let start = Instant::now();
    loop {
        let now = count();
        if now <= most {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{now} {of} instead of {most}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
