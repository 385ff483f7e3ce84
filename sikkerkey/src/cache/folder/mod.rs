//! The folder of `.skc` files: thin I/O that a hostile or crowded file system cannot turn against
//! the reader.
//!
//! Promises: the folder is 0700 and each file 0600 from the moment it exists; a new entry replaces
//! the old one in one step, so that a reader, another writer or `kill -9` never leaves a torn one;
//! no symbolic link is followed, neither in place of a file nor in place of the folder itself.
//! (Links above the folder are the owner's own matter: a user who can place one there already has
//! the private key's folder.)

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::Error;
use crate::id::SecretId;
use crate::identity::is_ours;
use crate::random::{Randomness as _, SystemRandomness};

const EXTENSION: &str = ".skc";
const TEMPORARY: &str = ".skc-";
/// A secret has at most 1 MiB; JSON makes at most six bytes of one, base64 four of three.
const FILE_LIMIT: u64 = 16 << 20;
/// A writer needs milliseconds between its file and the rename: what is older was left by a crash.
const LEFT_OVER: Duration = Duration::from_secs(600);

#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Folder { path }
    }

    /// The folder that the user chose, or one below it where it is not for this user alone: what it
    /// is for besides is not known, so it keeps its mode.
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
                self.path.display()
            ))),
            // A read never fails because of the cache: anything else is logged then.
            _ => Ok(()),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of an entry's file, or `None` where there is none.
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
            // Whatever went wrong, that is the error to tell.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Removes an entry; one that is not there is as good as removed.
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
        // Another process may just have written, or someone else's file be here: then it stays.
        let _ = fs::remove_dir(&self.path);
        Ok(())
    }

    /// How many entries there are.
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

    /// Removes what writers that were killed have left; best effort.
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

    /// A name that no other user can have placed a link under.
    fn temporary(&self) -> io::Result<PathBuf> {
        let mut random = [0; 16];
        SystemRandomness
            .fill(&mut random)
            .map_err(io::Error::other)?;
        let random = u128::from_le_bytes(random);
        Ok(self.path.join(format!("{TEMPORARY}{random:032x}")))
    }

    /// Whether the folder is there; an error where something else is in its place.
    fn exists(&self) -> io::Result<bool> {
        match fs::symlink_metadata(&self.path) {
            // Windows calls a folder in a file missing.
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
                "is in the place of the cache folder and is no folder",
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
    io::Error::new(io::ErrorKind::InvalidData, format!("what is there {what}"))
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

/// Whether a folder is for this user alone.
fn is_private(folder: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        is_ours(folder) && folder.permissions().mode() & 0o077 == 0
    }
    #[cfg(not(unix))]
    is_ours(folder)
}

/// A cache folder that another tool made with looser rights is made 0700.
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

/// A file that did not exist, with the right mode before its first byte.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Windows refuses to replace a file that a reader or a scanner for viruses has open, where the file system cannot do it
/// as Unix does. They close it soon.
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

/// A regular file, never what a link at its place points to. O_NONBLOCK, so that a pipe at its
/// place is refused instead of waited for.
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
        Err(refusal("is no regular file"))
    }
}

#[cfg(test)]
mod tests;
