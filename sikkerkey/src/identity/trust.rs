//! The rules for trusting identity files by their owner and mode.
//!
//! A user who can write `identity.json` decides where signed requests go. A signature does not cover the
//! host, so that user could read every secret of the machine. So a file is used only if it, and each folder
//! up to the base folder, belongs to this user, to root, or to a user who was named as trusted, and only if
//! no other user can replace it.

use std::path::Path;

use crate::error::Error;

/// The user's settings about trusted files.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrustRules {
    /// Whether a private key that others can read is refused.
    pub(crate) refuse_shared_key: bool,
    /// Users whose files are trusted, in addition to this user and root.
    pub(crate) owners: Vec<u32>,
    /// Whether the warning about readers of the key is left out.
    #[cfg_attr(
        not(unix),
        expect(dead_code, reason = "only mode bits tell of readers")
    )]
    pub(crate) quiet: bool,
}

impl TrustRules {
    /// Returns these rules without warnings in the log.
    pub(crate) fn quiet(self) -> Self {
        TrustRules {
            quiet: true,
            ..self
        }
    }
}

#[cfg(all(unix, feature = "cache"))]
pub(crate) use unix::is_ours;
#[cfg(unix)]
pub(crate) use unix::{check_file, check_folders, refuse_or_warn_of_readers};

#[cfg(unix)]
mod unix {
    use std::fs::{self, Metadata};
    use std::io;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::PathBuf;

    use rustix::fs::StatVfsMountFlags;

    use super::{Error, Path, TrustRules};
    use crate::log::log;
    use crate::text;

    /// The most links that are followed, as on Linux.
    const LINKS: usize = 40;
    const STICKY: u32 = 0o1000;

    impl TrustRules {
        fn trust(&self, owner: u32) -> bool {
            is_own_or_root(owner) || self.owners.contains(&owner)
        }

        fn check_owner(&self, noun: &str, path: &Path, found: &Metadata) -> Result<(), Error> {
            let owner = found.uid();
            if self.trust(owner) {
                return Ok(());
            }
            Err(Error::configuration(format!(
                "the {noun} {path} belongs to user {owner}, who could send this machine's requests \
                 elsewhere: make it this user's ({own}) or root's, or trust that user with \
                 trust_owner({owner})",
                path = text::path(path),
                own = rustix::process::geteuid().as_raw(),
            )))
        }
    }

    fn is_own_or_root(owner: u32) -> bool {
        owner == 0 || owner == rustix::process::geteuid().as_raw()
    }

    /// Whether a folder belongs to this user, and no other user can write to it.
    #[cfg(feature = "cache")]
    pub(crate) fn is_ours(folder: &Metadata) -> bool {
        folder.uid() == rustix::process::geteuid().as_raw() && folder.mode() & 0o022 == 0
    }

    /// Checks the opened file itself.
    pub(crate) fn check_file(
        path: &Path,
        noun: &str,
        file: &Metadata,
        rules: &TrustRules,
    ) -> Result<(), Error> {
        rules.check_owner(noun, path, file)?;
        let mode = file.mode() & 0o7777;
        if mode & 0o022 == 0 {
            return Ok(());
        }
        Err(Error::configuration(format!(
            "the {noun} {path} can be changed by other users (mode {mode:04o}), so it cannot be \
             trusted: chmod 600 {path}",
            path = text::path(path)
        )))
    }

    pub(crate) fn refuse_or_warn_of_readers(
        path: &Path,
        file: &Metadata,
        rules: &TrustRules,
    ) -> Result<(), Error> {
        let mode = file.mode() & 0o7777;
        if mode & 0o044 == 0 {
            return Ok(());
        }
        let problem = format!(
            "the private key {path} can be read by other users (mode {mode:04o}): chmod 600 {path}",
            path = text::path(path)
        );
        if rules.refuse_shared_key {
            return Err(Error::configuration(problem));
        }
        if !rules.quiet {
            log!(warn, "{problem}");
        }
        Ok(())
    }

    /// Checks every folder and link on the path of a file: up to `top` if that is above it, otherwise only
    /// the file's folder. The folders of link targets are checked, too.
    pub(crate) fn check_folders(file: &Path, top: &Path, rules: &TrustRules) -> Result<(), Error> {
        let real_top = fs::canonicalize(top).unwrap_or_else(|_| top.to_owned());
        let mut at = file.to_owned();
        for _ in 0..LINKS {
            for folder in folders(&at, [top, &real_top]) {
                check_folder(folder, rules)?;
            }
            let Some(target) = link(&at, rules)? else {
                break;
            };
            at = target;
        }
        let real = fs::canonicalize(file).map_err(|cause| unreadable(file, cause))?;
        for folder in folders(&real, [top, &real_top]) {
            check_folder(folder, rules)?;
        }
        Ok(())
    }

    /// Iterates over the folder of a path and those above it, up to the first of `tops`.
    fn folders<'a>(path: &'a Path, tops: [&Path; 2]) -> impl Iterator<Item = &'a Path> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let top = tops
            .into_iter()
            .find(|top| folder.starts_with(top))
            .map_or_else(|| folder.to_owned(), Path::to_owned);
        folder
            .ancestors()
            .take_while(move |folder| folder.starts_with(&top))
    }

    /// Returns the target of a link; `None` if the path is not a link.
    fn link(path: &Path, rules: &TrustRules) -> Result<Option<PathBuf>, Error> {
        let found = fs::symlink_metadata(path).map_err(|cause| unreadable(path, cause))?;
        if !found.is_symlink() {
            return Ok(None);
        }
        rules.check_owner("link", path, &found)?;
        let target = fs::read_link(path).map_err(|cause| unreadable(path, cause))?;
        Ok(Some(path.parent().unwrap_or(path).join(target)))
    }

    fn check_folder(folder: &Path, rules: &TrustRules) -> Result<(), Error> {
        link(folder, rules)?;
        let found = fs::metadata(folder).map_err(|cause| unreadable(folder, cause))?;
        rules.check_owner("folder", folder, &found)?;
        let mode = found.mode() & 0o7777;
        if mode & 0o022 == 0 {
            return Ok(());
        }
        // In a sticky folder, others can add files but replace none. Kubernetes mounts secrets in sticky
        // folders.
        let others_replace_nothing = mode & STICKY != 0 || is_read_only(folder);
        if is_own_or_root(found.uid()) && others_replace_nothing {
            return Ok(());
        }
        Err(Error::configuration(format!(
            "the folder {path} can be changed by other users (mode {mode:04o}), so the identity in \
             it cannot be trusted: chmod 700 {path}",
            path = text::path(folder)
        )))
    }

    fn is_read_only(folder: &Path) -> bool {
        rustix::fs::statvfs(folder)
            .is_ok_and(|mounted| mounted.f_flag.contains(StatVfsMountFlags::RDONLY))
    }

    fn unreadable(path: &Path, cause: io::Error) -> Error {
        let advice = match cause.kind() {
            io::ErrorKind::PermissionDenied => {
                "cannot be looked at by this user: let it read the folder"
            }
            _ => "cannot be looked at",
        };
        Error::configuration(format!("{} {advice}", text::path(path))).with_source(cause)
    }
}

// Other systems lack mode bits: the folder's inherited access rights protect the files.
#[cfg(not(unix))]
mod elsewhere {
    use std::fs::Metadata;

    use super::{Error, Path, TrustRules};

    #[cfg(feature = "cache")]
    pub(crate) fn is_ours(_: &Metadata) -> bool {
        true
    }

    pub(crate) fn check_file(_: &Path, _: &str, _: &Metadata, _: &TrustRules) -> Result<(), Error> {
        Ok(())
    }

    pub(crate) fn refuse_or_warn_of_readers(
        _: &Path,
        _: &Metadata,
        _: &TrustRules,
    ) -> Result<(), Error> {
        Ok(())
    }

    pub(crate) fn check_folders(_: &Path, _: &Path, _: &TrustRules) -> Result<(), Error> {
        Ok(())
    }
}
#[cfg(all(not(unix), feature = "cache"))]
pub(crate) use elsewhere::is_ours;
#[cfg(not(unix))]
pub(crate) use elsewhere::{check_file, check_folders, refuse_or_warn_of_readers};
