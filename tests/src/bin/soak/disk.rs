//! A small disk for the cache, which is full for a while.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file system in memory; a plain folder where none can be mounted.
pub(crate) struct Disk {
    folder: PathBuf,
    mounted: bool,
}

impl Disk {
    pub(crate) fn new(folder: &Path) -> Self {
        fs::create_dir(folder).expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs"])
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            println!("skipped: full disk (a tmpfs cannot be mounted here)");
        }
        Disk {
            folder: folder.to_owned(),
            mounted,
        }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.join("cache")
    }

    pub(crate) fn can_be_full(&self) -> bool {
        self.mounted
    }

    /// Until [`Disk::empty`] nothing can be written.
    pub(crate) fn fill(&self) {
        if self.mounted {
            let mut filler = File::create(self.filler()).expect("a file");
            while filler.write_all(&[0; 4096]).is_ok() {}
        }
    }

    pub(crate) fn empty(&self) {
        if self.mounted {
            fs::remove_file(self.filler()).expect("the filler");
        }
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg(&self.folder).status();
        }
    }
}
