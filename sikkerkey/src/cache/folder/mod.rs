//! The folder of the cache's `.skc` files: a thin layer of I/O that stays safe on a hostile or shared file
//! system.
//!
//! Promises: the folder is 0700 and each file 0600 from the moment it exists; a new entry replaces the old
//! one in one step, so a concurrent reader or writer, or `kill -9`, never leaves a half-written file; no
//! symbolic link is followed, neither in place of a file nor in place of the folder itself. (Links above the
//! folder are not checked: a user who can place one there already controls the private key's folder.)

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::Error;
use crate::id::SecretId;
use crate::identity::is_ours;
use crate::random::{Randomness as _, SystemRandomness};
use crate::text;

const EXTENSION: &str = ".skc";
const TEMPORARY: &str = ".skc-";
/// A secret has at most 1 MiB. JSON encodes one byte in at most six, base64 three bytes in four.
const FILE_LIMIT: u64 = 16 << 20;
/// A writer renames its temporary file within milliseconds, so an older one was left behind by a crash.
const LEFT_OVER: Duration = Duration::from_secs(600);

#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Folder { path }
    }

    /// Uses the folder that the user chose, or a folder below it if other users have access to it. The chosen
    /// folder may have other uses, so its mode is not changed.
    pub(crate) fn within(path: PathBuf) -> Self {
        match fs::metadata(&path) {
            Ok(found) if !is_private(&found) => Folder::new(path.join("sikkerkey-cache")),
            _ => Folder::new(path),
        }
    }

    /// Refuses a folder that another user could change.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match fs::symlink_metadata(&self.path) {
            Ok(found) if found.is_dir() && !is_ours(&found) => Err(Error::configuration(format!(
                "the fallback cache cannot be in {}, a folder that another user owns or can write \
                 to: choose another one, or chmod 700",
                text::path(&self.path)
            ))),
            // Other errors are logged when the cache is used, because a read never fails because of the
            // cache.
            _ => Ok(()),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads an entry's file. Returns `None` if it does not exist.
    pub(crate) fn read(&self, id: &SecretId) -> io::Result<Option<Vec<u8>>> {
        if !self.exists()? {
            return Ok(None);
        }
        let file = match open_plain(&self.file(id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut bytes = Vec::new();
        file.take(FILE_LIMIT + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_LIMIT {
            return Err(refusal("is larger than any entry"));
        }
        Ok(Some(bytes))
    }

    /// Replaces an entry's file in one step.
    pub(crate) fn write(&self, id: &SecretId, bytes: &[u8]) -> io::Result<()> {
        self.prepare()?;
        let temporary = self.temporary()?;
        let written = create_private(&temporary)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| replace(&temporary, &self.file(id)));
        if written.is_err() {
            // Report the first error, not one of the clean-up.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Removes an entry. Succeeds if it does not exist.
    pub(crate) fn remove(&self, id: &SecretId) -> io::Result<()> {
        if !self.exists()? {
            return Ok(());
        }
        gone(fs::remove_file(self.file(id)))
    }

    /// Removes every entry, and the folder if nothing else is in it.
    pub(crate) fn clear(&self) -> io::Result<()> {
        if !self.exists()? {
            return Ok(());
        }
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(EXTENSION) || name.starts_with(TEMPORARY) {
                gone(fs::remove_file(entry.path()))?;
            }
        }
        // Fails if another process has just written an entry, or if the folder holds other files: then it
        // stays.
        let _ = fs::remove_dir(&self.path);
        Ok(())
    }

    /// Counts the entries.
    pub(crate) fn count(&self) -> io::Result<usize> {
        if !self.exists()? {
            return Ok(0);
        }
        let mut count = 0;
        for entry in fs::read_dir(&self.path)? {
            count += usize::from(entry?.file_name().to_string_lossy().ends_with(EXTENSION));
        }
        Ok(count)
    }

    /// Removes temporary files of writers that were killed; best effort.
    pub(crate) fn sweep(&self, now: SystemTime) {
        if !self.exists().unwrap_or(false) {
            return;
        }
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let old = entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .ok()
                .and_then(|modified| now.duration_since(modified).ok())
                .is_some_and(|age| age > LEFT_OVER);
            if old && entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn file(&self, id: &SecretId) -> PathBuf {
        self.path.join(format!("{id}{EXTENSION}"))
    }

    /// Makes a random name for a temporary file, which no other user can have guessed and used for a link.
    fn temporary(&self) -> io::Result<PathBuf> {
        let mut random = [0; 16];
        SystemRandomness
            .fill(&mut random)
            .map_err(io::Error::other)?;
        let random = u128::from_le_bytes(random);
        Ok(self.path.join(format!("{TEMPORARY}{random:032x}")))
    }

    /// Returns whether the folder exists; an error if something other than a folder has its path.
    fn exists(&self) -> io::Result<bool> {
        match fs::symlink_metadata(&self.path) {
            // On Windows, a path that leads through a file gives "not found".
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match self.path.parent().map(fs::metadata) {
                    Some(Ok(parent)) if !parent.is_dir() => Err(refusal("is a file")),
                    _ => Ok(false),
                }
            }
            Err(error) => Err(error),
            Ok(found) if found.is_dir() && is_ours(&found) => Ok(true),
            Ok(found) if found.is_dir() => Err(refusal(
                "is a folder that another user owns or can write to",
            )),
            Ok(_) => Err(refusal(
                "stands in the place of the cache folder and is not a folder",
            )),
        }
    }

    fn prepare(&self) -> io::Result<()> {
        if !self.exists()? {
            create_folder(&self.path)?;
            self.exists()?;
        }
        tighten(&self.path)
    }
}

fn refusal(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the existing file {what}"),
    )
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn create_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Whether no other user has access to the folder.
fn is_private(folder: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        is_ours(folder) && folder.permissions().mode() & 0o077 == 0
    }
    #[cfg(not(unix))]
    is_ours(folder)
}

/// Sets a cache folder's mode to 0700, if another tool made it with wider access.
fn tighten(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if fs::symlink_metadata(path)?.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Creates a new file with mode 0600 before its first byte is written.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Renames with retries. On some file systems, Windows refuses to replace a file that a reader or a virus
/// scanner has open; they soon close it.
#[cfg(windows)]
fn replace(new: &Path, old: &Path) -> io::Result<()> {
    const TRIES: u32 = 20;
    for _ in 1..TRIES {
        match fs::rename(new, old) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
    fs::rename(new, old)
}

#[cfg(not(windows))]
fn replace(new: &Path, old: &Path) -> io::Result<()> {
    fs::rename(new, old)
}

/// Opens a regular file and follows no link. `O_NONBLOCK` makes a pipe with this name an error, instead of a
/// wait.
fn open_plain(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits().cast_signed());
    }
    #[cfg(not(unix))]
    if fs::symlink_metadata(path)?.is_symlink() {
        return Err(refusal("is a link"));
    }
    let file = options.open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(refusal("is not a regular file"))
    }
}

#[cfg(test)]
mod tests;
