//! This client's HTTP reader against hyper's: both read the same streams, cut at random places, without TLS and with it,
//! several responses to a stream.
//!
//! - Where both give a response, status and body agree.
//! - Where hyper refuses a connection, this client does not use it again, and neither where more came than the
//!   response.
//! - Memory stays bounded.
//!
//! `cargo test -p sikkerkey-tests --test oracle` reads 10,000 streams; `SIKKERKEY_STREAMS=10000000` with `--release` reads as
//! many as it says. `SIKKERKEY_SEED=N` begins at another stream; the one that fails prints its number.
//!
//! That the comparison can fail is a test too: with the rule that this client had first, which looked at the socket
//! and not at what TLS had decrypted, a second response in one TLS record is found well within the 10,000.

#![allow(clippy::print_stdout, reason = "what was compared is worth a line")]

mod check;
mod choices;
mod reference;
mod stream;
mod wire;

use std::fs;

use check::{Rule, Seen, Tls, check};
use choices::Seed;
use stream::{Batch, Part, Stream};

/// How many streams are read unless the environment says otherwise.
const STREAMS: u64 = 10_000;

/// How much the resident memory may grow while they are read, in bytes.
const MEMORY: u64 = 64 * 1024 * 1024;

fn number_of(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().expect(variable))
}

/// Reads streams until one differs; its number, and what differed.
fn run(first: u64, number: u64, tls: &Tls, rule: Rule) -> Result<Seen, (u64, String)> {
    let mut seen = Seen::default();
    let mut before = None;
    for seed in first..first + number {
        let stream = stream::stream(&mut Seed(seed));
        let cuts = Seed(!seed);
        check(&stream, cuts, tls, rule, &mut seen)
            .map_err(|problem| (seed, format!("stream {seed}: {problem}\n{stream:?}")))?;
        // Not from the start: allocator and TLS take their share first.
        if (seed - first).is_multiple_of(500) && seed - first >= 500 {
            let memory = resident_memory();
            let before = *before.get_or_insert(memory);
            if memory > before + MEMORY {
                return Err((seed, format!("{before} bytes of memory became {memory}")));
            }
        }
    }
    Ok(seen)
}

/// The resident memory of this process, in bytes; 0 where the system does not say.
fn resident_memory() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| {
            let resident = text.split(' ').nth(1)?;
            resident.parse::<u64>().ok()
        });
    4096 * pages.unwrap_or(0)
}

#[test]
fn hyper_agrees() {
    let first = number_of("SIKKERKEY_SEED").unwrap_or(1);
    let number = number_of("SIKKERKEY_STREAMS").unwrap_or(STREAMS);
    match run(first, number, &Tls::new(), check::silent) {
        Ok(seen) => {
            println!("{number} streams: {seen:?}");
            // Streams that were all refused would agree about nothing.
            let enough = |what: u64| what > number / 4;
            assert!(
                enough(seen.responses) && enough(seen.bodies) && enough(seen.reused),
                "{seen:?}"
            );
            assert!(seen.stricter < seen.responses / 4, "{seen:?}");
        }
        Err((_, problem)) => panic!("{problem}"),
    }
}

#[test]
fn a_reader_that_looks_only_at_the_socket_is_found() {
    let Err((seed, problem)) = run(1, STREAMS, &Tls::new(), check::socket_is_quiet) else {
        panic!("{STREAMS} streams did not find it");
    };
    println!(
        "found in stream {seed}: {}",
        problem.lines().next().unwrap()
    );
    assert!(problem.contains("used again"), "{problem}");
}

fn ok(body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend(body);
    bytes
}

/// Streams by hand, of what once went wrong and of what must not be taken for it; and whether the connection is used for
/// each of its requests.
#[test]
fn known_streams() {
    let injected = [ok(&[b'x'; 6000]), ok(b"INJECTED")].concat();
    let one = || Part::Bytes(ok(b"one"));
    let head = |length| {
        Part::Bytes(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes())
    };
    let config = Tls::new();
    for (name, batches, reused) in [
        (
            "two responses in one record",
            vec![vec![Part::Bytes(injected)]],
            0,
        ),
        ("two responses in two records", vec![vec![one(), one()]], 0),
        (
            "a line end after the body",
            vec![vec![one(), Part::Bytes(b"\r\n".to_vec())]],
            0,
        ),
        (
            "new keys before and after",
            vec![vec![Part::KeyUpdate, one(), Part::KeyUpdate, Part::KeyUpdate]; 3],
            3,
        ),
        (
            "new keys within a body",
            vec![vec![head(4), Part::KeyUpdate, Part::Bytes(b"body".to_vec())]; 2],
            2,
        ),
        ("an end after the body", vec![vec![one(), Part::Close]], 0),
        ("a cut after the body", vec![vec![one(), Part::Cut]], 0),
        (
            "an end within the body",
            vec![vec![head(4), Part::Close]],
            0,
        ),
        ("a cut within the body", vec![vec![head(4), Part::Cut]], 0),
        (
            "an end of what ends so",
            vec![vec![
                Part::Bytes(b"HTTP/1.1 200 OK\r\n\r\nbody".to_vec()),
                Part::Close,
            ]],
            0,
        ),
        (
            "a cut of what ends so",
            vec![vec![
                Part::Bytes(b"HTTP/1.1 200 OK\r\n\r\nbody".to_vec()),
                Part::Cut,
            ]],
            0,
        ),
    ] {
        for tls in [false, true] {
            let stream = Stream {
                tls,
                tickets: 4,
                batches: batches
                    .iter()
                    .map(|parts| Batch {
                        parts: parts.clone(),
                        surplus: false,
                    })
                    .collect(),
                limit: 1_000_000,
            };
            let mut seen = Seen::default();
            for cuts in 0..20 {
                let checked = check(&stream, Seed(cuts), &config, check::silent, &mut seen);
                checked.unwrap_or_else(|problem| panic!("{name}, TLS {tls}: {problem}"));
            }
            assert_eq!(seen.reused, 20 * reused, "{name}, TLS {tls}");
        }
    }
}
