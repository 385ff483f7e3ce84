//! A client in a process of its own, for tests that kill it or weigh it.

use std::error::Error;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;
use std::{env, fs};

use sikkerkey::{CacheOptions, RetryPolicy, SikkerKey};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let text: Vec<_> = arguments.iter().map(|a| a.to_string_lossy()).collect();
    match text.iter().map(AsRef::as_ref).collect::<Vec<&str>>()[..] {
        ["memory", identity] => memory(identity),
        ["write", identity, folder, secrets] => {
            write(identity, Path::new(folder), secrets.parse()?)
        }
        _ => Err("memory IDENTITY, or write IDENTITY FOLDER SECRETS".into()),
    }
}

/// Prints how many bytes more this process took at its peak because of one read that fails.
fn memory(identity: &str) -> Result<(), Box<dyn Error>> {
    let sk = SikkerKey::builder()
        .identity_file(identity)
        .deadline(Duration::from_secs(1))
        .retry(RetryPolicy::none())
        .build()?;
    // Everything that the first request of a process sets up.
    let _ = sk.get_secret("sk_none");
    let before = peak()?;
    if sk.get_secret("sk_a").is_ok() {
        return Err("the read should fail".into());
    }
    writeln!(io::stdout(), "{}", peak()? - before)?;
    Ok(())
}

/// The most memory that this process ever had, in bytes.
fn peak() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .ok_or("no VmHWM")?
        .parse()?;
    Ok(kib * 1024)
}

/// Reads every secret into the cache, over and over, until it is killed.
fn write(identity: &str, folder: &Path, secrets: usize) -> Result<(), Box<dyn Error>> {
    let sk = SikkerKey::builder()
        .identity_file(identity)
        .cache(CacheOptions::new().folder(folder))
        .build()?;
    loop {
        for n in 0..secrets {
            // Faults are meant: the next round reads again.
            let _ = sk.get_secret(&format!("sk_{n}"));
            // To count them, the client waits until it is written.
            sk.cached_count()?;
        }
    }
}
