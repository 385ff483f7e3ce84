//! A file of secrets, whose edits are rotations.

mod excerpt;
mod parse;
mod tables;
mod values;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::builder::EmulatorBuilder;
use crate::emulator::Emulator;
use crate::vault::{CertificateProfile, Kind, Lease, Policy, SecretValue, Vault};
use crate::webhook::Webhook;
use parse::parse;

/// A TOML file of secrets that an [`Emulator`] serves.
///
/// ```toml
/// sk_stripe_key = "sk-live-1"               # a secret with one value
///
/// [sk_db_prod]                              # a secret with fields
/// name = "DB creds"                         # its display name; its id without this
/// project = "proj_x"
/// fields = { host = "db.example", port = 5432, password = "hunter2" }
///
/// [sk_sentry]
/// value = "https://key@sentry.example/1"
/// denied = true                             # it exists, and no machine may read it
///
/// [sk_flags]
/// json = '{"beta": [1, 2]}'                 # this text, byte for byte
/// ```
///
/// A secret has exactly one of `value`, `fields` and `json`. Ids consist of letters, digits, `-` and `_`. Optional keys
/// are `name`, `denied`, `project`, `project_name`, `application`, `application_name`, `kind` (the name of a [`Kind`]),
/// `policy` (a [`Policy`]), `lease` (a [`Lease`]) and `certificate` (a [`CertificateProfile`]). The keys of those three
/// are the names of the types' methods. A duration is a text such as `"90s"`, `"1h 30m"` or `"24h"`. A policy's
/// `window` is one text or a list of them; its `sources` are a list of networks such as `"10.0.0.0/8"`:
///
/// ```toml
/// [sk_billing]
/// value = "hunter2"
/// kind = "managed"
/// policy = { window = "mon-fri 08:00-18:00 Europe/Oslo", reads_per_minute = 10, ttl_expires_at = 2027-01-01T00:00:00Z }
///
/// [sk_pg]                                   # a read adds username and password, good for an hour
/// fields = { host = "db.example", database = "app" }
/// lease = { ttl = "1h", renew_on_read = true, max_life = "24h" }
///
/// [sk_tls]                                  # a read sends a key and gets a certificate for it
/// certificate = { common_name = "api", names = ["localhost"], max_validity = "1h" }
///
/// [[webhook]]                               # notified of every rotation; see Webhook
/// url = "http://localhost:8080/hooks/sikkerkey"
/// secret = "whsec_1"
/// ```
///
/// The program `sikkerkey-emulator` serves such a file. A test can do the same:
///
/// ```
/// use sikkerkey_emulator::{Emulator, SecretsFile};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("secrets.toml");
/// std::fs::write(&path, "sk_stripe_key = 'sk-live-1'")?;
/// let file = SecretsFile::open(&path)?;
/// let vault = Emulator::builder().file(&file).start()?;
/// assert_eq!(file.ids().collect::<Vec<_>>(), ["sk_stripe_key"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SecretsFile {
    path: PathBuf,
    entries: Vec<(String, Entry)>,
    webhooks: Vec<Webhook>,
    /// The content of the last look, valid or broken.
    seen: Result<Vec<u8>, io::ErrorKind>,
    /// Other content that was seen once: an editor may still be writing.
    unsettled: Option<Result<Vec<u8>, io::ErrorKind>>,
}

/// The parsed content of a file.
struct Content {
    entries: Vec<(String, Entry)>,
    webhooks: Vec<Webhook>,
}

/// One secret, as the file describes it.
#[derive(Clone, PartialEq)]
struct Entry {
    value: SecretValue,
    name: Option<String>,
    project: Option<String>,
    project_name: Option<String>,
    application: Option<String>,
    application_name: Option<String>,
    kind: Option<Kind>,
    policy: Option<Policy>,
    lease: Option<Lease>,
    certificate: Option<CertificateProfile>,
    denied: bool,
}

/// The effect of an edit: the ids of the affected secrets, in the file's order.
///
/// ```
/// # use sikkerkey_emulator::{Emulator, SecretsFile};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("secrets.toml");
/// std::fs::write(&path, "sk_a = '1'")?;
/// let mut file = SecretsFile::open(&path)?;
/// let vault = Emulator::builder().file(&file).start()?;
///
/// std::fs::write(&path, "sk_a = '2'\nsk_b = '1'")?;
/// assert_eq!(file.reload(&vault)?, None); // seen once: it may be half-written
/// let edit = file.reload(&vault)?.expect("seen twice: it is applied");
/// assert_eq!((edit.rotated, edit.added), (vec!["sk_a".to_owned()], vec!["sk_b".to_owned()]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Edit {
    /// New secrets, and deleted ones that returned.
    pub added: Vec<String>,
    /// Secrets whose value changed.
    pub rotated: Vec<String>,
    /// Secrets whose value is the same, and whose name, project, kind, policy or grant changed.
    pub described: Vec<String>,
    /// Secrets removed from the file, ordered by id.
    pub deleted: Vec<String>,
}

impl Edit {
    /// Returns whether the edit changed no secret, only a comment, a blank line or a webhook.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// An error in a file of secrets. It names places and ids, never a value.
///
/// ```
/// use sikkerkey_emulator::{FileError, SecretsFile};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("secrets.toml");
/// std::fs::write(&path, "sk_port = 5432")?; // a value must be a string or a table
/// let Err(FileError::Content { line, column, excerpt, .. }) = SecretsFile::open(&path) else {
///     panic!("the file has a mistake");
/// };
/// assert_eq!((line, column), (1, 11));
/// assert!(excerpt.contains("sk_port = ****"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file is not TOML, or not in the format of [`SecretsFile`].
    #[error("{}:{line}:{column}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1, in characters.
        column: usize,
        /// The mistake, in one line.
        reason: String,
        /// The line and, below it, a caret at the column. Every value in it is replaced by asterisks.
        excerpt: String,
    },
    /// The thread that delivers webhooks cannot be started.
    #[error("cannot deliver webhooks")]
    Webhooks {
        /// The error of the operating system.
        source: io::Error,
    },
}

impl SecretsFile {
    /// Reads and checks a file of secrets.
    ///
    /// # Errors
    ///
    /// [`FileError`] if the file cannot be read or is malformed.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, FileError> {
        let path = path.into();
        let bytes = fs::read(&path).map_err(|source| FileError::Read {
            path: path.clone(),
            source,
        })?;
        let Content { entries, webhooks } = parse(&path, &bytes)?;
        Ok(Self {
            path,
            entries,
            webhooks,
            seen: Ok(bytes),
            unsettled: None,
        })
    }

    /// Returns the path of the file, as it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the ids of the secrets, in the file's order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(id, _)| id.as_str())
    }

    /// Returns the number of secrets in the file.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether the file has no secrets.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Applies an edit of the file to the vault, atomically. Call it every few hundred milliseconds: an edit is applied
    /// once two calls in a row see the same content, so a half-written file is never served. Returns `None` if nothing
    /// changed or the edit is not applied yet; [`Edit`] has an example.
    ///
    /// # Errors
    ///
    /// [`FileError`] if the edit is broken. It is returned once, and the last good content stays.
    pub fn reload(&mut self, emulator: &Emulator) -> Result<Option<Edit>, FileError> {
        let read = fs::read(&self.path);
        let found = read.as_ref().map(Vec::clone).map_err(io::Error::kind);
        if found == self.seen {
            self.unsettled = None;
            return Ok(None);
        }
        if self.unsettled.as_ref() != Some(&found) {
            self.unsettled = Some(found);
            return Ok(None);
        }
        self.unsettled = None;
        self.seen = found;
        let bytes = read.map_err(|source| FileError::Read {
            path: self.path.clone(),
            source,
        })?;
        let Content { entries, webhooks } = parse(&self.path, &bytes)?;
        if webhooks != self.webhooks {
            emulator
                .change_webhooks(&self.webhooks, &webhooks)
                .map_err(|source| FileError::Webhooks { source })?;
            self.webhooks = webhooks;
        }
        let edit = emulator.vault(|vault| apply(vault, &self.entries, &entries));
        self.entries = entries;
        Ok((!edit.is_empty()).then_some(edit))
    }
}

impl EmulatorBuilder {
    /// Adds the secrets and webhooks of a file. [`SecretsFile::reload`] applies later edits of it.
    pub fn file(mut self, file: &SecretsFile) -> Self {
        self.webhooks.extend_from_slice(&file.webhooks);
        let entries = file.entries.clone();
        self.change(move |vault| {
            apply(vault, &[], &entries);
        })
    }
}

/// Replaces the entries `old` by `new` in the vault, and returns the differences.
fn apply(vault: &mut Vault, old: &[(String, Entry)], new: &[(String, Entry)]) -> Edit {
    let mut edit = Edit::default();
    let mut gone: HashMap<&str, &Entry> =
        old.iter().map(|(id, entry)| (id.as_str(), entry)).collect();
    for (id, entry) in new {
        let before = gone.remove(id.as_str());
        match before {
            None => edit.added.push(id.clone()),
            Some(before) if before.value != entry.value => edit.rotated.push(id.clone()),
            Some(before) if before != entry => edit.described.push(id.clone()),
            Some(_) => continue,
        }
        if before.is_none_or(|before| before.value != entry.value) {
            vault.put(id, entry.value.clone());
        }
        vault.describe(id, |secret| {
            secret.name = entry.name.as_ref().unwrap_or(id).clone();
            secret.project.clone_from(&entry.project);
            secret.applications = entry.application.iter().cloned().collect();
            secret.kind = entry.kind;
        });
        // Only if it changed, because setting it starts anew: a policy's counts, a lease's logins, a certificate's
        // authority.
        if before.is_none_or(|before| before.policy != entry.policy) {
            vault.set_policy(id, entry.policy.clone());
        }
        if before.is_none_or(|before| before.lease != entry.lease) {
            vault.set_lease(id, entry.lease.clone());
        }
        if before.is_none_or(|before| before.certificate != entry.certificate) {
            vault.set_certificate(id, entry.certificate.clone());
        }
        if entry.denied {
            vault.deny(id)
        } else {
            vault.allow(id)
        }
    }
    let (before, after) = (Names::of(old), Names::of(new));
    for id in before.projects.keys().chain(after.projects.keys()) {
        vault.project(id).name = after.projects.get(id).cloned();
    }
    for id in before.applications.keys().chain(after.applications.keys()) {
        vault.name_application(id.clone(), after.applications.get(id).cloned());
    }
    edit.deleted = gone.into_keys().map(str::to_owned).collect();
    edit.deleted.sort();
    edit.deleted.iter().for_each(|id| vault.delete(id));
    edit
}

/// The names of projects and applications that the entries give, by their ids.
struct Names {
    projects: BTreeMap<String, String>,
    applications: BTreeMap<String, String>,
}

impl Names {
    fn of(entries: &[(String, Entry)]) -> Self {
        let named = |id: &Option<String>, name: &Option<String>| id.clone().zip(name.clone());
        let entries = || entries.iter().map(|(_, entry)| entry);
        let projects = entries().filter_map(|e| named(&e.project, &e.project_name));
        let applications = entries().filter_map(|e| named(&e.application, &e.application_name));
        Names {
            projects: projects.collect(),
            applications: applications.collect(),
        }
    }
}

impl std::fmt::Debug for SecretsFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids: Vec<_> = self.ids().collect();
        f.debug_struct("SecretsFile")
            .field("path", &self.path)
            .field("ids", &ids)
            .finish_non_exhaustive()
    }
}
