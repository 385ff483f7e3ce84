//! The service: a live config, a watch and readers, with a cache, in a process of its own; and the handle on it.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sikkerkey::live::RecvError;
use sikkerkey::{
    CacheOptions, ErrorKind, ExposeSecret as _, Live, Resync, SikkerKey, SikkerKeyConfig, WatchKind,
};
use sikkerkey_fork_tests::fork;

use crate::kinds::TIMEOUT;
use crate::ledger::Ledger;
use crate::rotations::{IDS, WATCHED, number};

const READERS: usize = 3;
/// Freed memory goes back at once, so that what is measured is in use. This is where glibc begins.
const MALLOC_THRESHOLD: &str = "131072";
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// The service's process, as its keeper has it.
pub(crate) struct Handle {
    process: Child,
    orders: Option<ChildStdin>,
    output: Option<JoinHandle<()>>,
}

impl Handle {
    pub(crate) fn start(identity: &Path, cache: PathBuf, ledger: &Arc<Ledger>) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .arg("service")
            .args([identity, &cache])
            // By itself glibc raises these after a large answer, and keeps as much for each thread that had one.
            .env("MALLOC_MMAP_THRESHOLD_", MALLOC_THRESHOLD)
            .env("MALLOC_TRIM_THRESHOLD_", MALLOC_THRESHOLD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let orders = process.stdin.take();
        let lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let ledger = Arc::clone(ledger);
        let output = thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .for_each(|line| ledger.heard(&line));
        });
        Handle {
            process,
            orders,
            output: Some(output),
        }
    }

    pub(crate) fn process(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }

    pub(crate) fn order(&mut self, order: &str) {
        if let Some(orders) = &mut self.orders {
            let _ = writeln!(orders, "{order}");
        }
    }

    /// Lets it end; whether it did so by itself and without complaint.
    pub(crate) fn end(&mut self) -> bool {
        self.orders = None;
        let ended_well = self.process.wait().is_ok_and(|status| status.success());
        if let Some(output) = self.output.take() {
            let _ = output.join();
        }
        ended_well
    }
}

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(secret = "sk_0")]
    a: String,
    #[sikkerkey(secret = "sk_1")]
    b: String,
    #[sikkerkey(secret = "sk_2")]
    c: String,
    #[sikkerkey(secret = "sk_3")]
    d: String,
    #[sikkerkey(secret = "sk_4")]
    e: String,
    #[sikkerkey(secret = "sk_5")]
    f: String,
    #[sikkerkey(secret = "sk_6")]
    g: String,
    #[sikkerkey(secret = "sk_7")]
    h: String,
}

/// Runs until its orders end.
pub(crate) fn run(identity: &str, cache: &str) {
    let sk = SikkerKey::builder()
        .identity_file(identity)
        .cache(CacheOptions::new().folder(cache))
        .timeout(TIMEOUT)
        .deadline(3 * TIMEOUT)
        .poll_interval(Duration::from_millis(250))
        .resync(Resync::Every(Duration::from_secs(5)))
        .build()
        .expect("a client");
    let hang = Arc::new(AtomicBool::new(false));
    let live = start_live(&sk, &hang);
    let end = Arc::new(AtomicBool::new(false));
    let _watch = sk.watch(WATCHED, |event| match &event.kind {
        WatchKind::Changed { value, .. } => seen(WATCHED, value.expose_secret()),
        WatchKind::Deleted | WatchKind::AccessDenied => say("the watch was told of a loss"),
        _ => {}
    });
    let reports = {
        let (live, end) = (live.clone(), Arc::clone(&end));
        thread::spawn(move || report_changes(&live, &end))
    };
    let readers: Vec<_> = (0..READERS)
        .map(|place| {
            let (sk, end) = (sk.clone(), Arc::clone(&end));
            thread::spawn(move || read(&sk, place, &end))
        })
        .collect();
    for order in io::stdin().lines().map_while(Result::ok) {
        match order.as_str() {
            "hang" => hang.store(true, Ordering::Release),
            _ => fork_and_read(&sk),
        }
    }
    end.store(true, Ordering::Release);
    let mut outcomes = BTreeMap::new();
    for reader in readers {
        for (outcome, count) in reader.join().expect("a reader") {
            *outcomes.entry(outcome).or_insert(0) += count;
        }
    }
    reports.join().expect("the reporter");
    for secret in live.status().secrets() {
        let state = secret.state().to_string();
        if state != "current" {
            say(&format!("{} is {state} at the end", secret.id()));
        }
    }
    say(&format!("reads {outcomes:?}"));
    sk.close();
}

fn start_live(sk: &SikkerKey, hang: &Arc<AtomicBool>) -> Live<Config> {
    let hang = Arc::clone(hang);
    Config::loader(sk)
        .probe_timeout(PROBE_TIMEOUT)
        .probe(move |_: &Config| {
            if hang.swap(false, Ordering::AcqRel) {
                say("struck hanging probe");
                thread::sleep(4 * PROBE_TIMEOUT);
            }
            Ok::<(), &str>(())
        })
        .live()
        .expect("a config")
}

/// Tells of each secret of each config that is adopted.
fn report_changes(live: &Live<Config>, end: &AtomicBool) {
    let mut changes = live.subscribe();
    let report = |config: &Config| {
        let values = [
            &config.a, &config.b, &config.c, &config.d, &config.e, &config.f, &config.g, &config.h,
        ];
        for (id, value) in IDS.iter().zip(values) {
            seen(id, value);
        }
    };
    report(&live.load());
    while !end.load(Ordering::Acquire) {
        match changes.recv_timeout(Duration::from_millis(200)) {
            Ok(change) => report(change.after()),
            Err(RecvError::Closed) => return say("the live config has ended"),
            Err(_) => {}
        }
    }
}

/// Reads all secrets in turn. None may be older than what this thread has read of it; how the reads ended.
fn read(sk: &SikkerKey, place: usize, end: &AtomicBool) -> BTreeMap<String, u64> {
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    let mut outcomes = BTreeMap::new();
    for turn in place.. {
        if end.load(Ordering::Acquire) {
            break;
        }
        let id = IDS[turn % IDS.len()];
        let outcome = match sk.get_secret(id) {
            Ok(value) => {
                let before = last.get(id).copied().unwrap_or_default();
                match number(id, value.expose_secret()) {
                    Some(number) if number >= before => drop(last.insert(id, number)),
                    Some(number) => say(&format!("read of {id}: {number} after {before}")),
                    None => say(&format!("read of {id}: another value")),
                }
                "right".to_owned()
            }
            Err(error) => {
                // No response of the service says so.
                if error.kind() == ErrorKind::NotFound && !error.to_string().contains("proxy") {
                    say(&format!("read of {id}: {error}"));
                }
                format!("{:?}", error.kind())
            }
        };
        *outcomes.entry(outcome).or_insert(0) += 1;
        thread::sleep(Duration::from_millis(50));
    }
    outcomes
}

/// Parent and child read at the same time; a thread waits for the child.
fn fork_and_read(sk: &SikkerKey) {
    let sk = sk.clone();
    let work = move || {
        let read = |id: &str| {
            if let Ok(value) = sk.get_secret(id) {
                assert!(number(id, value.expose_secret()).is_some(), "another value");
            }
        };
        let child = fork(|| (0..20).for_each(|_| read("sk_0")));
        (0..20).for_each(|_| read("sk_1"));
        child.join();
    };
    thread::spawn(|| match catch_unwind(AssertUnwindSafe(work)) {
        Ok(()) => say("struck fork"),
        Err(_) => say("a forked process hung, or read another value"),
    });
}

fn seen(id: &str, value: &str) {
    match number(id, value) {
        Some(number) => say(&format!("seen {id} {number}")),
        None => say(&format!("{id}: another value")),
    }
}

/// One line to the keeper. A pipe that is gone is one that nobody reads.
fn say(line: &str) {
    static OUTPUT: Mutex<()> = Mutex::new(());
    let _one = OUTPUT.lock().unwrap_or_else(PoisonError::into_inner);
    let mut output = io::stdout().lock();
    let _ = output.write_all(format!("{line}\n").as_bytes());
    let _ = output.flush();
}
