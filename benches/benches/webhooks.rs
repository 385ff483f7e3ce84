//! From a rotation to the swap, by a webhook, as a part of the poll interval in which it would come otherwise.
#![allow(
    clippy::print_stdout,
    reason = "a benchmark that fails should end, and its figures are its output"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use sikkerkey::webhook::Webhook;
use sikkerkey::{Live, SikkerKey, SikkerKeyConfig};
use sikkerkey_emulator::Emulator;

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(secret = "sk_key_of_the_day")]
    key: u64,
}

const ROTATIONS: u64 = 100;
/// Unless it is set, with ±20 %.
const POLL_INTERVAL: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    // `cargo test --benches` only wants to see that it works.
    let rotations = match std::env::args().any(|argument| argument == "--bench") {
        true => ROTATIONS,
        false => 2,
    };
    let secret = sikkerkey_emulator::Webhook::new_secret();
    let vault = Emulator::builder()
        .secret("sk_key_of_the_day", "0")
        .start()
        .unwrap();
    let sk = SikkerKey::new(vault.identity_path()).unwrap();
    let live = Config::live(&sk).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    receive(listener, live.clone(), Webhook::new(secret.clone()));
    let hook = sikkerkey_emulator::Webhook::new(url, secret).unwrap();
    vault.add_webhook(hook).unwrap();

    let mut changes = live.subscribe();
    let mut times: Vec<Duration> = (1..=rotations)
        .map(|number| {
            let start = Instant::now();
            vault.put("sk_key_of_the_day", number.to_string());
            let change = changes.recv_timeout(PATIENCE).unwrap();
            assert_eq!(change.after().key, number);
            start.elapsed()
        })
        .collect();
    times.sort();
    let row = |what: &str, time: Duration| {
        let ms = time.as_secs_f64() * 1e3;
        let ratio = POLL_INTERVAL.as_secs_f64() / time.as_secs_f64();
        println!(
            "| {what} | {ms:.1} ms | poll interval | 15 s | {ratio:.0} times faster | ≤ 100 ms |"
        );
    };
    println!("| what | ours | against | theirs | ratio | aim |");
    println!("| --- | --- | --- | --- | --- | --- |");
    row(
        "rotation to swap by webhook, median",
        times[times.len() / 2],
    );
    row("the slowest", times[times.len() - 1]);
}

/// A receiver as small as it can be.
fn receive(listener: TcpListener, live: Live<Config>, webhook: Webhook) {
    thread::spawn(move || {
        for wire in listener.incoming() {
            let (signature, body, mut wire) = read(wire.unwrap());
            let event = webhook.verify(signature, body).unwrap();
            live.on_webhook(&event).unwrap();
            write!(wire, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
    });
}

fn read(wire: TcpStream) -> (String, Vec<u8>, TcpStream) {
    let mut reader = BufReader::new(wire);
    let (mut signature, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end().split_once(": ") {
            Some(("X-SikkerKey-Signature", value)) => signature = value.to_owned(),
            Some(("Content-Length", value)) => length = value.parse().unwrap(),
            None if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (signature, body, reader.into_inner())
}
