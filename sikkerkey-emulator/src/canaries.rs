//! What no output may show: each value, token and key of this process's emulators, written down for a
//! search through what a test suite printed.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Appends a secret to the file that `SIKKERKEY_EMULATOR_CANARIES` names, as a JSON string on a line of its
/// own; does nothing where it names none.
pub(crate) fn note(secret: &str) {
    static FILE: OnceLock<Option<Mutex<File>>> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let path = env::var_os("SIKKERKEY_EMULATOR_CANARIES")?;
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.ok().map(Mutex::new)
    });
    if let Some(file) = file {
        let line = format!("{}\n", serde_json::Value::from(secret));
        // One write a line: several processes append to one file. A search that finds too few says so.
        let _ = file
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(line.as_bytes());
    }
}
