//! Secrets in a TOML file, in the format of the emulator's files. Values, names and `denied` are used, other
//! keys are ignored.

mod parse;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

use self::parse::{Entry, Mistake, parse};
use crate::config::requirement::SecretRef;
use crate::config::snapshot::{Candidate, Link, Snapshot};
use crate::error::Error;
#[cfg(unix)]
use crate::log::log;
use crate::text;

/// The largest file. Real ones have a few kilobytes, and a secret has at most a megabyte.
const FILE_LIMIT: u64 = 16 * 1024 * 1024;

impl Snapshot {
    /// Reads the secrets of a TOML file, for [`offline`](crate::SikkerKeyConfig::offline) and
    /// [`overrides`](crate::Loader::overrides). The file is for a developer's machine: keep it out of
    /// repositories and images.
    ///
    /// ```toml
    /// sk_stripe_key = "sk-test-1"               # a secret with one value
    ///
    /// [sk_db_prod]                              # a secret with fields
    /// name = "DB creds"                         # its display name, where a config uses that
    /// fields = { host = "localhost", port = 5432, password = "dev" }
    ///
    /// [sk_sentry]
    /// value = "https://key@sentry.example/1"
    /// denied = true                             # it exists, and this machine may not read it
    ///
    /// [sk_flags]
    /// json = '{"beta": [1, 2]}'                 # this text, byte for byte
    /// ```
    ///
    /// A secret has exactly one of `value`, `fields` and `json`. The format is that of `sikkerkey-emulator`,
    /// so one file serves both: its other keys (`project`, `kind`, `policy`, `lease`, `certificate`,
    /// webhooks) are ignored here.
    ///
    /// ```
    /// # #[cfg(feature = "derive")] {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("secrets.dev.toml");
    /// # std::fs::write(&path, "[sk_db]\nfields = { host = 'localhost', port = 5433 }\n")?;
    /// use sikkerkey::{SikkerKeyConfig, Snapshot};
    ///
    /// #[derive(SikkerKeyConfig)]
    /// #[sikkerkey(secret = "sk_db")]
    /// struct Database {
    ///     host: String,
    ///     port: u16,
    /// }
    ///
    /// // path is "secrets.dev.toml"
    /// let db = Database::offline(Snapshot::from_toml_file(path)?).load()?;
    /// assert_eq!((db.host.as_str(), db.port), ("localhost", 5433));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Configuration`](crate::ErrorKind::Configuration): if the file cannot be read, if other users can
    /// change it, or if it is malformed. The text names file, line, column and key, never a value. If other
    /// users can read the file, a warning is logged.
    pub fn from_toml_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let bytes = read(path)?;
        let entries = parse(&bytes).map_err(|mistake| {
            let Mistake {
                line,
                column,
                reason,
            } = mistake;
            let path = text::path(path);
            Error::configuration(format!("{path}:{line}:{column}: {reason}"))
        })?;
        Ok(snapshot(entries))
    }
}

fn snapshot(entries: Vec<Entry>) -> Snapshot {
    let mut named: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
    for Entry { id, name, .. } in &entries {
        if let Some(name) = name {
            named.entry(name.clone()).or_default().push(Candidate {
                id: id.clone(),
                name: name.clone(),
                project: None,
            });
        }
    }
    let links = named.into_iter().map(|(name, mut called)| {
        let link = match called.len() {
            1 => Link::To(called.swap_remove(0).id),
            _ => Link::Ambiguous(called),
        };
        (SecretRef::Name(name), link)
    });
    let outcomes = entries.into_iter().map(|entry| (entry.id, entry.outcome));
    Snapshot::default()
        .with(outcomes)
        .with_links(links.collect())
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let failed = |cause: io::Error| {
        let problem = match cause.kind() {
            io::ErrorKind::NotFound => "does not exist",
            _ => "cannot be read",
        };
        let path = text::path(path);
        Error::configuration(format!("the file of secrets {path} {problem}")).with_source(cause)
    };
    // Opening a pipe would block.
    if !path.metadata().map_err(failed)?.is_file() {
        let path = text::path(path);
        let problem = format!("the file of secrets {path} is not a file");
        return Err(Error::configuration(problem));
    }
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        check_access(path, metadata.uid(), metadata.mode() & 0o7777)?;
    }
    if metadata.len() > FILE_LIMIT {
        return Err(Error::configuration(format!(
            "the file of secrets {} is larger than {FILE_LIMIT} bytes, so it is another file",
            text::path(path)
        )));
    }
    // Allocated at its full size, because a buffer that grows leaves copies behind.
    let size = usize::try_from(metadata.len()).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
    file.take(FILE_LIMIT)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

/// Refuses a file that other users can change, because they could redirect where the config's passwords are
/// sent.
#[cfg(unix)]
fn check_access(path: &Path, owner: u32, mode: u32) -> Result<(), Error> {
    let path = text::path(path);
    let own = rustix::process::geteuid().as_raw();
    if owner != 0 && owner != own {
        return Err(Error::configuration(format!(
            "the file of secrets {path} belongs to user {owner}, who could change it: make it this \
             user's ({own}) or root's"
        )));
    }
    if mode & 0o022 != 0 {
        return Err(Error::configuration(format!(
            "the file of secrets {path} can be changed by other users (mode {mode:04o}): chmod 600 \
             {path}"
        )));
    }
    if mode & 0o044 != 0 {
        log!(
            warn,
            "the file of secrets {path} can be read by other users (mode {mode:04o}): chmod 600 {path}"
        );
    }
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use super::*;
    use crate::error::ErrorKind;

    fn write(folder: &tempfile::TempDir, text: &str, mode: u32) -> PathBuf {
        let path = folder.path().join("secrets.toml");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[track_caller]
    fn refused(path: &Path) -> String {
        let error = Snapshot::from_toml_file(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        let text = error.to_string();
        text.replace(&path.display().to_string(), "FILE")
    }

    #[test]
    fn a_file_that_others_can_change_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o602, 0o620, 0o666] {
            let path = write(&folder, "sk_a = 'canary'", mode);
            assert_eq!(
                refused(&path),
                format!(
                    "the file of secrets FILE can be changed by other users (mode {mode:04o}): chmod \
                     600 FILE"
                )
            );
        }
        for mode in [0o600, 0o400, 0o644] {
            let path = write(&folder, "sk_a = '1'", mode);
            let snapshot = Snapshot::from_toml_file(&path).unwrap();
            assert_eq!(snapshot, Snapshot::from_iter([("sk_a", "1")]));
            fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let own = rustix::process::geteuid().as_raw();
        let access = |owner| check_access(Path::new("s.toml"), owner, 0o600);
        assert!(access(own).is_ok() && access(0).is_ok());
        assert_eq!(
            access(own + 1).unwrap_err().to_string(),
            format!(
                "the file of secrets s.toml belongs to user {other}, who could change it: make it this \
                 user's ({own}) or root's",
                other = own + 1
            )
        );
    }

    #[test]
    fn problems_of_a_file_of_secrets_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = folder.path().join("nowhere.toml");
        assert_eq!(refused(&nowhere), "the file of secrets FILE does not exist");
        let text = refused(folder.path());
        assert_eq!(text, "the file of secrets FILE is not a file");
        let path = write(&folder, "sk_a = '1'\nsk_b = canary", 0o600);
        let text = refused(&path);
        assert!(text.starts_with("FILE:2:8: not TOML: "), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }

    #[test]
    fn names_lead_to_ids() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[sk_a]\nvalue = '1'\nname = 'A'\n[sk_b]\nvalue = '2'\nname = 'B'\n\
                    [sk_c]\nvalue = '3'\nname = 'B'";
        let snapshot = Snapshot::from_toml_file(write(&folder, text, 0o600)).unwrap();
        let of = |name: &str| snapshot.id_of(&SecretRef::Name(name.into()));
        assert_eq!(of("A"), Some("sk_a"));
        assert_eq!(of("B"), None);
        assert_eq!(of("C"), None);
        assert_eq!(snapshot.ids().collect::<Vec<_>>(), ["sk_a", "sk_b", "sk_c"]);
    }
}
