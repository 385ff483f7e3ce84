//! `init`: a commented example of a file of secrets.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

const EXAMPLE: &str = include_str!("example.toml");

/// Writes the example to a new file that only its owner can read.
pub(crate) fn write(path: &Path) -> Result<(), String> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(EXAMPLE.as_bytes()));
    written.map_err(|e| match e.kind() {
        io::ErrorKind::AlreadyExists => {
            format!("{} exists already; nothing was written", path.display())
        }
        _ => format!("cannot write {}: {e}", path.display()),
    })
}
