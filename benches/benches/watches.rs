//! What 10,000 watches cost: the requests of a poll cycle, and the memory of each watch. The emulator runs in
//! a process of its own, so that only the client's memory is counted.

#![allow(clippy::print_stdout, missing_docs, reason = "a program that measures")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use sikkerkey::{SikkerKey, WatchKind};
use sikkerkey_emulator::Emulator;

const WATCHES: u32 = 10_000;
const CYCLES: u64 = 5;

fn main() {
    if std::env::args().any(|argument| argument == "serve") {
        return serve();
    }
    let mut server = Server::start();
    let sk = SikkerKey::builder()
        .identity_file(&server.identity)
        .poll_interval(Duration::from_secs(1))
        .build()
        .unwrap();

    // What a first read brings with it is no watch's: the connection, its buffers, the allocator's.
    for _ in 0..100 {
        sk.get_secret("sk_0").unwrap();
    }
    let before = resident();
    let (told, changed) = mpsc::channel();
    for n in 0..WATCHES {
        let id = format!("sk_{n}");
        // A change is what differs from the value that was read last: so each is read first.
        sk.get_secret(&id).unwrap();
        let told = told.clone();
        sk.watch(&id, move |event| {
            if matches!(event.kind, WatchKind::Changed { .. }) {
                let _ = told.send(());
            }
        })
        .unwrap();
    }
    // A change that was told: at least one cycle with all of them is over.
    server.ask("rotate");
    changed.recv_timeout(Duration::from_secs(60)).unwrap();
    let each = (resident() - before) as f64 * 1024.0 / f64::from(WATCHES);

    let quiet = server.requests_of(CYCLES);
    println!("10,000 watches, nothing changes: {quiet} requests in {CYCLES} cycles");
    println!("memory of a watch, with what is known of its secret: {each:.0} bytes");
    sk.close();
}

/// This process's memory that is in RAM, in KiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let mut words = line.unwrap().split_whitespace();
    words.nth(1).unwrap().parse().unwrap()
}

/// The emulator in a process of its own, which takes orders.
struct Server {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    identity: String,
}

impl Server {
    fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let mut server = Server {
            process,
            orders,
            answers,
            identity: String::new(),
        };
        server.identity = server.answer();
        server
    }

    fn ask(&mut self, order: &str) -> String {
        writeln!(self.orders, "{order}").unwrap();
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim().to_owned()
    }

    /// The requests of the next so many cycles.
    fn requests_of(&mut self, cycles: u64) -> u64 {
        self.ask(&format!("cycles {cycles}")).parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn serve() {
    let mut vault = Emulator::builder();
    for n in 0..WATCHES {
        vault = vault.secret(format!("sk_{n}"), format!("value {n}"));
    }
    let vault = vault.start().unwrap();
    println!("{}", vault.identity_path().display());
    let mut rotations = 0;
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let Some(cycles) = line.strip_prefix("cycles ") else {
            rotations += 1;
            vault.put("sk_7", format!("rotated {rotations}"));
            println!("rotated");
            continue;
        };
        let cycles: usize = cycles.parse().unwrap();
        // From the next poll to just before the poll that begins the cycle after the last.
        vault.clear_requests();
        let mut counted = 0;
        vault.wait_for(Duration::from_secs(60), |requests| {
            let polls = requests.iter().enumerate();
            let mut polls = polls.filter(|(_, request)| request.path.ends_with("/poll"));
            let first = polls.next().map(|(place, _)| place);
            let last = polls.nth(cycles - 1).map(|(place, _)| place);
            counted = last.zip(first).map_or(0, |(last, first)| last - first);
            last.is_some()
        });
        println!("{counted}");
    }
}
