//! The cache folder while its writers are killed and crowd each other.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sikkerkey::{CacheOptions, ErrorKind, ExposeSecret as _, RetryPolicy, SikkerKey};
use sikkerkey_emulator::{Emulator, Fault};

use crate::{canary, count, hasty, long};

const WRITERS: usize = 8;
const SECRETS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);

fn vault(test: &str) -> Emulator {
    let mut builder = Emulator::builder().lock_out(false).record_limit(100);
    for n in 0..SECRETS {
        let value = canary::value(test, n);
        canary::guard(&value);
        // Longer than one write of the operating system.
        builder = builder.secret(format!("sk_{n}"), value.repeat(400));
    }
    builder.start().unwrap()
}

/// Reads every secret over and over, each into the cache, until it is killed.
fn writer(vault: &Emulator) -> Child {
    Command::new(env!("CARGO_BIN_EXE_fault-worker"))
        .arg("write")
        .arg(vault.identity_path())
        .args([cache(vault).as_os_str()])
        .arg(SECRETS.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn cache(vault: &Emulator) -> std::path::PathBuf {
    vault.home().join("cache")
}

/// A client that reads from the cache alone.
fn offline(vault: &Emulator) -> SikkerKey {
    vault.fail_always(Fault::Status(502));
    let options = CacheOptions::new().folder(cache(vault));
    hasty(vault).cache(options).build().unwrap()
}

/// Every entry is whole, or not there; returns how many there are.
fn check(vault: &Emulator, test: &str) -> usize {
    let sk = offline(vault);
    let whole = (0..SECRETS)
        .filter(|n| match sk.get_secret(&format!("sk_{n}")) {
            Ok(value) => {
                assert_eq!(value.expose_secret(), canary::value(test, *n).repeat(400));
                true
            }
            Err(error) => {
                canary::search_error(&error);
                assert_eq!(error.http_status(), Some(502));
                // A torn file would be there and not be served.
                assert!(
                    !cache(vault).join(format!("sk_{n}.skc")).exists(),
                    "sk_{n} is torn"
                );
                false
            }
        })
        .count();
    vault.clear_faults();
    whole
}

/// Waits until so many more requests have come.
fn more(vault: &Emulator, requests: u64) {
    let until = vault.request_count() + requests;
    let came = vault.wait_for(PATIENCE, |seen| {
        seen.last().is_some_and(|r| r.number >= until)
    });
    assert!(came, "the writer does not write");
}

#[test]
fn a_writer_that_is_killed_leaves_no_torn_entry() {
    let kills = count(12, 1_000);
    let vault = vault("killed");
    for n in 0..kills {
        let mut child = writer(&vault);
        more(&vault, 2 + n as u64 % 7);
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        check(&vault, "killed");
    }
    assert_eq!(check(&vault, "killed"), SECRETS);
    let left = leftovers(&cache(&vault));
    canary::assert_none();
    println!("cache: {kills} writers killed, 0 torn entries, {left} temporary files left behind");
}

#[test]
fn writers_that_crowd_each_other_leave_no_torn_entry() {
    let rounds = count(200, 20_000);
    let vault = vault("crowd");
    let mut writers: Vec<Child> = (0..WRITERS).map(|_| writer(&vault)).collect();
    let has_all = || (0..SECRETS).all(|n| cache(&vault).join(format!("sk_{n}.skc")).exists());
    while !has_all() {
        more(&vault, WRITERS as u64);
    }
    // A reader beside them, with the same identity and an address where nobody answers.
    let identity = fs::read_to_string(vault.identity_path()).unwrap();
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let away = identity.replace(vault.url(), &format!("http://{closed}"));
    let file = vault.home().join("identity.json");
    fs::copy(vault.identity_path(), &file).unwrap(); // with its mode
    fs::write(&file, away).unwrap();
    let sk = SikkerKey::builder()
        .identity_file(&file)
        .retry(RetryPolicy::none())
        .cache(CacheOptions::new().folder(cache(&vault)))
        .build()
        .unwrap();
    for n in 0..rounds {
        let id = n % SECRETS;
        let read = sk.get_secret(&format!("sk_{id}")).expect("a torn entry");
        assert_eq!(read.expose_secret(), canary::value("crowd", id).repeat(400));
    }
    for child in &mut writers {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(check(&vault, "crowd"), SECRETS);
    canary::assert_none();
    println!("cache: {WRITERS} processes writing, {rounds} reads beside them: 0 torn entries");
}

/// Every bit of a file, turned round, one at a time.
#[test]
fn no_forged_entry_is_served() {
    let vault = vault("forged");
    let options = CacheOptions::new().folder(cache(&vault));
    let sk = hasty(&vault).cache(options).build().unwrap();
    vault.put("sk_0", "short");
    sk.get_secret("sk_0").unwrap();
    // To count them, the client waits until it is written.
    assert_eq!(sk.cached_count().unwrap(), 1);
    let file = cache(&vault).join("sk_0.skc");
    let whole = fs::read(&file).unwrap();
    let sk = offline(&vault);
    assert_eq!(sk.get_secret("sk_0").unwrap().expose_secret(), "short");

    // Every bit in the long form; in the short one, one of each byte.
    let each = if long() > 0 { 1 } else { 8 };
    let mut served = 0;
    let mut flipped = 0;
    for bit in (0..whole.len() * 8).step_by(each) {
        let bit = bit + (bit / 8 % each);
        let mut forged = whole.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        fs::write(&file, &forged).unwrap();
        flipped += 1;
        match sk.get_secret("sk_0") {
            // Base64 ignores nothing and JSON no byte: only a difference that means the same may pass.
            Ok(value) => {
                assert_eq!(value.expose_secret(), "short");
                served += 1;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Api),
        }
    }
    println!(
        "cache: {flipped} bits flipped in {} bytes, {served} served",
        whole.len()
    );
    assert_eq!(served, 0);
}

fn leftovers(folder: &Path) -> usize {
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| !name.to_string_lossy().ends_with(".skc"))
        .count()
}
