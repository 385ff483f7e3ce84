//! What a client leaves in the memory of its process, looked for by reading all of it (Linux).
//!
//! This program starts itself twice: once as the service, so that its copies of the values are not
//! in the process that is searched, and once as the client. The client's process never holds a
//! canary in clear text but where the client puts it: what is searched for is masked.

#![cfg(target_os = "linux")]
#![allow(
    clippy::print_stdout,
    reason = "the processes talk over it, and figures are shown"
)]

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use std::{env, hint};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sikkerkey::__private::{Randomness, SystemRandomness};
use sikkerkey::{Error, ExposeSecret as _, SecretString, SikkerKey, SikkerKeyConfig};
use sikkerkey_emulator::Emulator;

const ROLE: &str = "SIKKERKEY_TEST_MEMORY_ROLE";
const TLS: &str = "SIKKERKEY_TEST_MEMORY_TLS";
const MASK: u8 = 0xa5;

/// A text to be found, masked.
struct Canary {
    name: &'static str,
    masked: Vec<u8>,
}

impl Canary {
    /// Letters that follow from a number.
    fn letters(name: &'static str, seed: u64) -> Self {
        let mut state = seed;
        let masked = (0..40).map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (b'a' + ((state >> 33) % 26) as u8) ^ MASK
        });
        Canary {
            name,
            masked: masked.collect(),
        }
    }

    /// From the service's process, which sends it masked.
    fn received(name: &'static str, base64: &str) -> Self {
        Canary {
            name,
            masked: STANDARD.decode(base64).unwrap(),
        }
    }

    fn plain(&self) -> Vec<u8> {
        self.masked.iter().map(|byte| byte ^ MASK).collect()
    }

    fn text(&self) -> String {
        String::from_utf8(self.plain()).unwrap()
    }

    fn is_at(&self, bytes: &[u8]) -> bool {
        bytes.len() >= self.masked.len()
            && self
                .masked
                .iter()
                .zip(bytes)
                .all(|(masked, byte)| masked ^ MASK == *byte)
    }
}

fn value() -> Canary {
    Canary::letters("value", 1)
}

fn password() -> Canary {
    Canary::letters("field", 2)
}

fn old() -> Canary {
    Canary::letters("value before its rotation", 3)
}

fn new() -> Canary {
    Canary::letters("value after its rotation", 4)
}

/// Searches the writable memory of this process.
struct Search {
    window: Vec<u8>,
}

/// A window begins again with the end of the last one, so that nothing is missed between them.
const OVERLAP: usize = 256;

impl Search {
    fn new() -> Self {
        Search {
            window: vec![0; 1 << 20],
        }
    }

    /// How often the canary is found.
    fn count(&mut self, canary: &Canary) -> usize {
        let own = self.window.as_ptr() as usize;
        let own = own..own + self.window.len();
        let masked = canary.masked.as_ptr() as usize;
        let mut memory = File::open("/proc/self/mem").unwrap();
        let mut found = 0;
        for line in fs::read_to_string("/proc/self/maps").unwrap().lines() {
            let mut parts = line.split_whitespace();
            let (range, rights) = (parts.next().unwrap(), parts.next().unwrap());
            if !rights.starts_with("rw") || line.contains("[v") {
                continue;
            }
            let (start, end) = range.split_once('-').unwrap();
            let [mut at, end] = [start, end].map(|hex| usize::from_str_radix(hex, 16).unwrap());
            while at < end {
                let length = self.window.len().min(end - at);
                memory.seek(SeekFrom::Start(at as u64)).unwrap();
                if memory.read_exact(&mut self.window[..length]).is_err() {
                    break;
                }
                let last = at + length == end;
                let places = if last { length } else { length - OVERLAP };
                let first = canary.masked[0] ^ MASK;
                for place in 0..places {
                    let address = at + place;
                    if self.window[place] == first
                        && !own.contains(&address)
                        && address != masked
                        && canary.is_at(&self.window[place..length])
                    {
                        found += 1;
                        if env::var_os("SIKKERKEY_TEST_MEMORY_SHOW").is_some() {
                            println!("at {address:x} of {line}");
                        }
                    }
                }
                at += if last { length } else { places };
            }
        }
        found
    }
}

/// Fills keys with a canary and nonces with something else each time.
#[derive(Debug)]
struct Seeds(AtomicU8);

fn enrolled_seed() -> Canary {
    Canary {
        name: "seed of an enrolled machine",
        masked: (1..=32).map(|n: u8| n.wrapping_mul(167) ^ MASK).collect(),
    }
}

impl Randomness for Seeds {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        match bytes.len() {
            32 if self.0.fetch_add(1, Ordering::SeqCst) == 1 => {
                for (n, byte) in (1..=32_u8).zip(bytes) {
                    *byte = n.wrapping_mul(167);
                }
                Ok(())
            }
            _ => SystemRandomness.fill(bytes),
        }
    }

    fn fraction(&self) -> f64 {
        0.5
    }
}

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(secret = "sk_rotated")]
    rotated: SecretString,
}

/// The service, in a process of its own.
struct Service {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Service {
    fn start() -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", "the_service", "--nocapture"])
            .env(ROLE, "service")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Service {
            to: process.stdin.take().unwrap(),
            from: BufReader::new(process.stdout.take().unwrap()),
            process,
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(
                self.from.read_line(&mut line).unwrap() > 0,
                "the service ended"
            );
            if let Some(line) = line.strip_prefix("> ") {
                return line.trim().to_owned();
            }
        }
    }

    fn ask(&mut self, what: &str) -> String {
        writeln!(self.to, "{what}").unwrap();
        self.line()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_service() {
    if env::var(ROLE).is_ok_and(|role| role == "service") {
        serve();
    }
}

fn serve() {
    let field = format!("one\n\"{}\"", password().text());
    let fields = serde_json::json!({"user": "u", "password": field}).to_string();
    let builder = Emulator::builder()
        .vault("vault_abc123")
        .secret(
            "sk_text",
            format!("-----BEGIN-----\n\"{}\"\n", value().text()),
        )
        .json("sk_db", fields)
        .secret("sk_rotated", format!("é\t{}", old().text()));
    let builder = match env::var_os(TLS) {
        Some(_) => builder.tls(),
        None => builder,
    };
    let vault = builder.start().unwrap();
    let mask = |bytes: &[u8]| -> String {
        STANDARD.encode(bytes.iter().map(|byte| byte ^ MASK).collect::<Vec<_>>())
    };
    let pem = fs::read_to_string(vault.identity_path().with_file_name("private.pem")).unwrap();
    let body = pem.lines().nth(1).unwrap();
    let seed = &STANDARD.decode(body).unwrap()[16..];
    let identity = vault.identity_path().display();
    for line in std::io::stdin().lines() {
        match line.unwrap().as_str() {
            "identity" => println!("> {identity}"),
            "url" => println!("> {}", vault.url()),
            "ca" => println!("> {}", STANDARD.encode(vault.ca_pem().unwrap_or_default())),
            "pem" => println!("> {}", mask(body.as_bytes())),
            "seed" => println!("> {}", mask(seed)),
            "token" => {
                let token = vault.enrollment_token(9, Duration::from_secs(600));
                println!("> {}", mask(token.as_bytes()));
            }
            "rotate" => {
                vault.put("sk_rotated", format!("é\t{}", new().text()));
                println!("> rotated");
            }
            other => panic!("{other}"),
        }
    }
}

/// The client. It ends with one line for each canary that is left.
#[test]
fn the_client() {
    if !env::var(ROLE).is_ok_and(|role| role == "client") {
        return;
    }
    let mut service = Service::start();
    let identity = service.ask("identity");
    let url = service.ask("url");
    let ca = STANDARD.decode(service.ask("ca")).unwrap();
    let seed = Canary::received("seed of the machine on disk", &service.ask("seed"));
    let pem = Canary::received("key file of the machine on disk", &service.ask("pem"));
    let token = Canary::received("enrollment token", &service.ask("token"));
    let mut search = Search::new();
    let mut left = |when: &str, canaries: &[&Canary]| {
        for canary in canaries {
            println!("LEFT {} {} {when}", search.count(canary), canary.name);
        }
    };

    let build = || {
        let builder = SikkerKey::builder().identity_file(&identity);
        match ca.is_empty() {
            true => builder,
            false => builder.root_certificate_pem(&ca),
        }
    };
    let sk = build().build().unwrap();
    {
        let text = sk.get_secret("sk_text").unwrap();
        // That it is found where it is shows that the search works.
        let mut search = Search::new();
        println!("HELD {} {}", search.count(&value()), value().name);
        println!("HELD {} {}", search.count(&seed), seed.name);
        hint::black_box(&text);
    }
    left("after a read", &[&value()]);
    {
        let fields = sk.get_fields("sk_db").unwrap();
        let one = sk.get_field("sk_db", "password").unwrap();
        hint::black_box((fields, one));
    }
    left("after its fields were read", &[&password()]);
    {
        let export = sk.export().unwrap();
        assert_eq!(export.len(), 4);
        hint::black_box(export);
    }
    left("after an export", &[&value(), &password(), &old()]);
    {
        let live = Config::live(&sk).unwrap();
        assert!(old().is_at(&live.load().rotated.expose_secret().as_bytes()[3..]));
        service.ask("rotate");
        live.refresh().unwrap();
        assert!(new().is_at(&live.load().rotated.expose_secret().as_bytes()[3..]));
    }
    sk.close();
    left("after a rotation", &[&old(), &new()]);
    drop(sk);
    left("after the client was dropped", &[&seed, &pem]);
    {
        let mut plain = token.plain();
        let bootstrap =
            SikkerKey::bootstrap_in_memory("vault_abc123", std::str::from_utf8(&plain).unwrap());
        // This test's own copy.
        plain.fill(0);
        hint::black_box(&plain);
        let bootstrap = match ca.is_empty() {
            true => bootstrap,
            false => bootstrap.root_certificate_pem(&ca),
        };
        let sk = bootstrap
            .api_url(&url)
            .randomness(Arc::new(Seeds(AtomicU8::new(1))))
            .enroll()
            .unwrap();
        let mut search = Search::new();
        println!(
            "HELD {} {}",
            search.count(&enrolled_seed()),
            enrolled_seed().name
        );
        sk.get_secret("sk_text").unwrap();
    }
    left("after an enrollment", &[&token, &enrolled_seed()]);
}

/// What the client's process said: how often each canary was held, and how often it is left.
fn run(tls: bool) -> (Vec<String>, Vec<String>) {
    let mut client = Command::new(env::current_exe().unwrap());
    client.args(["--exact", "the_client", "--nocapture"]);
    client.env(ROLE, "client").env_remove(TLS);
    if tls {
        client.env(TLS, "1");
    }
    let output = client.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    let lines = |start: &str| {
        let lines = text.lines().filter(|line| line.starts_with(start));
        lines.map(str::to_owned).collect()
    };
    if env::var_os("SIKKERKEY_TEST_MEMORY_SHOW").is_some() {
        println!("{text}");
    }
    (lines("HELD "), lines("LEFT "))
}

#[track_caller]
fn held(held: &[String]) {
    assert_eq!(held.len(), 3, "{held:?}");
    assert!(
        held.iter().all(|line| !line.starts_with("HELD 0 ")),
        "{held:?}"
    );
}

#[test]
fn nothing_of_ours_is_left_in_memory_over_plain_http() {
    let (found, left) = run(false);
    held(&found);
    assert_eq!(left.len(), 11, "{left:?}");
    let left: Vec<_> = left
        .iter()
        .filter(|line| !line.starts_with("LEFT 0 "))
        .collect();
    assert!(left.is_empty(), "{left:#?}");
}

/// rustls decrypts into buffers of its own, which it does not wipe: these are its figures.
#[test]
fn what_rustls_leaves_is_shown() {
    let (found, left) = run(true);
    held(&found);
    for line in &left {
        println!("over TLS: {line}");
    }
    // What never passed through TLS as a secret of ours to keep.
    let ours = |line: &&String| line.contains("machine");
    let left: Vec<_> = left.iter().filter(ours).collect();
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(
        left.iter().all(|line| line.starts_with("LEFT 0 ")),
        "{left:#?}"
    );
}
