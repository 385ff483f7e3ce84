//! The official Python client, driven as a function: a process that does so many calls as it is told, and
//! says how long they took by its own clock. So neither the start of Python nor the pipe is in a time.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use sikkerkey_emulator::Emulator;

/// The name of its side in each group.
pub(crate) const THEIRS: &str = "official client";

/// A Python that has the official client, if one was named.
pub(crate) fn python() -> Option<OsString> {
    env::var_os("SIKKERKEY_OFFICIAL")
}

/// One of this package's Python programs.
pub(crate) fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// `reads.py`, waiting for numbers.
pub(crate) struct Official {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Official {
    /// `what` is the name of a call in `reads.py`. `None` without a Python that has the client.
    pub(crate) fn start(vault: &Emulator, what: &str) -> Option<Self> {
        let mut process = Command::new(python()?)
            .arg(program("reads.py"))
            .arg(vault.identity_path())
            .arg(what)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Some(Official {
            orders: process.stdin.take().unwrap(),
            answers: BufReader::new(process.stdout.take().unwrap()),
            process,
        })
    }

    /// How long so many calls took.
    pub(crate) fn time(&mut self, calls: u64) -> Duration {
        writeln!(self.orders, "{calls}").unwrap();
        let mut nanoseconds = String::new();
        self.answers.read_line(&mut nanoseconds).unwrap();
        Duration::from_nanos(nanoseconds.trim().parse().unwrap())
    }
}

impl Drop for Official {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
