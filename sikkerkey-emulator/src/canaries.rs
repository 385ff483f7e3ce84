//! The file of secrets that no output may contain: each value, token and key of this process's emulators, so that the
//! output of a test suite can be searched for them.
//!
//! The file is private to its owner and never opened through a link. Several processes may append to it at once.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::error::Error;

/// The open file; `None` if the variable is not set.
type Slot = Result<Option<Mutex<File>>, (PathBuf, io::ErrorKind, String)>;

/// Opens the file that `SIKKERKEY_EMULATOR_CANARIES` names. An emulator that cannot write it does not start, because a
/// search without the secrets would find nothing.
pub(crate) fn open() -> Result<(), Error> {
    match slot() {
        Ok(_) => Ok(()),
        Err((path, kind, reason)) => Err(Error::Canaries {
            path: path.clone(),
            source: io::Error::new(*kind, reason.clone()),
        }),
    }
}

/// Appends a secret to the file, as a JSON string on a line of its own; does nothing without a file.
pub(crate) fn note(secret: &str) {
    if let Ok(Some(file)) = slot() {
        let line = format!("{}\n", serde_json::Value::from(secret));
        // One write for each line, because several processes append. The search notices missing lines.
        let _ = lock(file).write_all(line.as_bytes());
    }
}

fn slot() -> &'static Slot {
    static FILE: OnceLock<Slot> = OnceLock::new();
    FILE.get_or_init(|| {
        let Some(path) = env::var_os("SIKKERKEY_EMULATOR_CANARIES").filter(|path| !path.is_empty())
        else {
            return Ok(None);
        };
        let path = PathBuf::from(path);
        match private_append(&path) {
            Ok(file) => Ok(Some(Mutex::new(file))),
            Err(e) => Err((path, e.kind(), e.to_string())),
        }
    })
}

fn lock(file: &Mutex<File>) -> MutexGuard<'_, File> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens a file of this user for appending, and sets its mode to 0600.
#[cfg(unix)]
fn private_append(path: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt};

    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        // A pipe without a reader would block, and keys belong in a file.
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32)
        .open(path)?;
    let found = file.metadata()?;
    let unfit = |reason| Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    if !found.is_file() {
        return unfit("it is not a regular file");
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return unfit("it belongs to another user");
    }
    // A second name of the file may be in a folder that others can read.
    if found.nlink() > 1 {
        return unfit("it has several names");
    }
    file.set_permissions(PermissionsExt::from_mode(0o600))?;
    Ok(file)
}

#[cfg(not(unix))]
fn private_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn the_file_is_private_to_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("canaries");
        for text in ["one", "two"] {
            private_append(&path)
                .unwrap()
                .write_all(text.as_bytes())
                .unwrap();
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            // An existing file that others can read is closed to them.
            fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "onetwo");
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "mine").unwrap();
        let link = folder.path().join("link");
        symlink(&victim, &link).unwrap();
        private_append(&link).unwrap_err();
        let dangling = folder.path().join("dangling");
        symlink(folder.path().join("none"), &dangling).unwrap();
        private_append(&dangling).unwrap_err();
        assert!(!folder.path().join("none").exists());
        let second = folder.path().join("second");
        fs::hard_link(&victim, &second).unwrap();
        private_append(&second).unwrap_err();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
        private_append(folder.path()).unwrap_err();
    }
}
