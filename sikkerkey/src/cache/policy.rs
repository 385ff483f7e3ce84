//! One vault's cache: when an entry is written, served and removed.

use std::io;
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secrecy::SecretString;

use super::folder::Folder;
use super::format::{Binding, CacheEntry, CacheKey, NONCE_LEN, open, seal};
use super::options::OnFallback;
use super::writer::{self, FileJob, Files, InMemory, Newest, Ticket, Writer};
use crate::contain::contain;
use crate::error::{Error, ErrorKind};
use crate::id::SecretId;
use crate::identity::Identity;
use crate::log::log;
use crate::protocol::fields::Fields;
use crate::random::{Randomness as _, SystemRandomness};
use crate::sync;
use crate::text;

/// How many seconds an entry's time may be ahead of this machine's clock. An entry further ahead is a miss,
/// because it might never expire.
const FUTURE_LIMIT: i64 = 60;

/// How long a count or a clear waits for entries that are still being written, before it looks at the folder.
const FLUSH_LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Cache {
    pub(super) files: Arc<CacheFiles>,
    pub(super) max_age: Duration,
    pub(super) on_fallback: Option<OnFallback>,
}

/// The entries of one vault, on disk and waiting to be written.
pub(super) struct CacheFiles {
    pub(super) owner: RwLock<Arc<Owner>>,
    pub(super) vault_id: String,
    pub(super) folder: Folder,
    pub(super) writer: Writer,
}

/// The machine that seals entries and opens them.
pub(super) struct Owner {
    pub(super) key: CacheKey,
    pub(super) machine_id: String,
}

impl Owner {
    /// Returns `None` for a machine whose key is not in this process.
    pub(super) fn of(identity: &Identity) -> Option<Self> {
        Some(Owner {
            key: CacheKey::derive(identity.signer.seed()?, &identity.vault_id),
            machine_id: identity.machine_id.clone(),
        })
    }
}

impl Cache {
    /// Returns the cache for a forked process, with a writer of its own.
    pub(crate) fn forked(&self) -> Self {
        let files = &self.files;
        Cache {
            files: Arc::new(CacheFiles {
                owner: RwLock::new(files.owner()),
                vault_id: files.vault_id.clone(),
                folder: files.folder.clone(),
                writer: Writer::default(),
            }),
            max_age: self.max_age,
            on_fallback: self.on_fallback.clone(),
        }
    }

    /// Starts a read; call it before the request is sent.
    pub(super) fn begin(&self) -> Ticket {
        self.files.writer.begin()
    }

    /// Queues a value that the service has just sent for writing. Never fails or delays a read: errors are
    /// logged.
    pub(super) fn store(&self, id: &SecretId, value: &SecretString, ticket: Ticket, now: i64) {
        let newest = Newest {
            value: value.clone(),
            cached_at: now,
        };
        writer::store(&self.files, id, newest, ticket);
    }

    /// Removes a secret that was denied or deleted. From now on it is not served, even if its file cannot be
    /// removed.
    pub(crate) fn forget(&self, id: &SecretId) {
        writer::forget(&self.files, id);
    }

    /// Waits until all entries are written, for at most this long.
    pub(crate) fn flush(&self, timeout: Duration) {
        if !self.files.writer.flush(timeout) {
            log!(
                warn,
                "the fallback cache is still being written; what is not on disk is lost with the \
                 process"
            );
        }
    }

    /// Returns the cached value for a read without a response, and when the service sent it. Logs a warning
    /// and runs the callback.
    pub(crate) fn serve(
        &self,
        id: &SecretId,
        now: i64,
        why: &Error,
    ) -> Option<(SecretString, i64)> {
        let newest = match self.files.writer.look_up(id) {
            InMemory::Revoked => return None,
            // The value in memory is newer than the file, which may not be written yet.
            InMemory::Value(newest) => newest,
            InMemory::Nothing => match self.files.load(id) {
                Ok(entry) => {
                    let CacheEntry {
                        value, cached_at, ..
                    } = entry?;
                    Newest { value, cached_at }
                }
                Err(problem) => {
                    log!(
                        error,
                        "the fallback cache has no usable entry for secret {id}: {problem}"
                    );
                    return None;
                }
            },
        };
        let age = now.saturating_sub(newest.cached_at);
        if age < -FUTURE_LIMIT {
            log!(
                warn,
                "the cached entry of secret {id} is from the future by {} s and is not served",
                -age
            );
            return None;
        }
        let age = u64::try_from(age).unwrap_or(0);
        if Duration::from_secs(age) > self.max_age {
            log!(
                warn,
                "the cached entry of secret {id} is {age} s old and is not served"
            );
            return None;
        }
        log!(
            warn,
            "secret {id} is served from the cache, {age} s old: {why}"
        );
        self.notify(id, newest.cached_at);
        Some((newest.value, newest.cached_at))
    }

    fn notify(&self, id: &SecretId, cached_at: i64) {
        let Some(on_fallback) = &self.on_fallback else {
            return;
        };
        let since = Duration::from_secs(cached_at.unsigned_abs());
        let time = match cached_at {
            0.. => UNIX_EPOCH.checked_add(since),
            _ => UNIX_EPOCH.checked_sub(since),
        };
        let time = time.unwrap_or(SystemTime::UNIX_EPOCH);
        if contain(|| on_fallback(id, time)).is_err() {
            log!(
                error,
                "on_fallback panicked for secret {id}; the read goes on"
            );
        }
    }

    pub(crate) fn clear(&self) -> Result<(), Error> {
        self.files.writer.clear();
        self.flush(FLUSH_LIMIT);
        self.files
            .folder
            .clear()
            .map_err(|cause| self.problem("cleared", cause))
    }

    pub(crate) fn count(&self) -> Result<usize, Error> {
        self.flush(FLUSH_LIMIT);
        self.files
            .folder
            .count()
            .map_err(|cause| self.problem("read", cause))
    }

    fn problem(&self, what: &str, cause: io::Error) -> Error {
        let folder = text::path(self.files.folder.path());
        let message = format!("the fallback cache in {folder} could not be {what}");
        Error::new(ErrorKind::Configuration, message).with_source(cause)
    }
}

impl CacheFiles {
    fn write(&self, id: &SecretId, value: &SecretString, now: i64) -> io::Result<()> {
        let (name, field_names) = self.known(id, value);
        let entry = CacheEntry {
            value: value.clone(),
            name,
            field_names,
            cached_at: now,
        };
        let mut nonce = [0; NONCE_LEN];
        SystemRandomness
            .fill(&mut nonce)
            .map_err(io::Error::other)?;
        let owner = self.owner();
        let sealed =
            seal(&owner.key, self.binding(&owner, id), &entry, nonce).map_err(io::Error::other)?;
        self.folder.write(id, sealed.as_bytes())
    }

    /// Returns the name and field names that the file holds. A read returns only the value, so what another
    /// client stored with it is kept.
    fn known(&self, id: &SecretId, value: &SecretString) -> (String, Option<String>) {
        let Ok(Some(file)) = self.folder.read(id) else {
            return Default::default();
        };
        let owner = self.owner();
        match open(&owner.key, self.binding(&owner, id), &file) {
            Ok(Some(old)) => {
                let fields = old.field_names.and(Fields::parse(value));
                let names = fields.map(|fields| fields.names().collect::<Vec<_>>().join(","));
                (old.name, names)
            }
            _ => Default::default(),
        }
    }

    fn load(&self, id: &SecretId) -> Result<Option<CacheEntry>, String> {
        let Some(file) = self.folder.read(id).map_err(|error| error.to_string())? else {
            return Ok(None);
        };
        let owner = self.owner();
        open(&owner.key, self.binding(&owner, id), &file).map_err(|problem| problem.to_string())
    }

    fn owner(&self) -> Arc<Owner> {
        sync::read(&self.owner).clone()
    }

    fn binding<'a>(&'a self, owner: &'a Owner, id: &'a SecretId) -> Binding<'a> {
        Binding {
            vault_id: &self.vault_id,
            machine_id: &owner.machine_id,
            secret_id: id,
        }
    }
}

impl Files for CacheFiles {
    fn writer(&self) -> &Writer {
        &self.writer
    }

    fn work(&self, id: &SecretId, job: FileJob) -> bool {
        match job {
            FileJob::Write(Newest { value, cached_at }) => {
                let Err(error) = self.write(id, &value, cached_at) else {
                    return true;
                };
                // The file is out of date, and another process could serve it.
                let removed = self.folder.remove(id);
                log!(
                    warn,
                    "secret {id} was read and could not be written to the fallback cache: {error}; \
                     its older entry was {}",
                    if removed.is_ok() {
                        "removed"
                    } else {
                        "not removed"
                    }
                );
                false
            }
            FileJob::Remove => {
                let removed = self.folder.remove(id);
                if let Err(error) = &removed {
                    log!(
                        error,
                        "secret {id} is deleted or denied and could not be removed from the \
                         fallback cache: {error}"
                    );
                }
                removed.is_ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use secrecy::ExposeSecret as _;

    use super::*;

    fn id(id: &str) -> SecretId {
        SecretId::new(id).unwrap()
    }

    fn cache() -> (tempfile::TempDir, Cache) {
        let home = tempfile::tempdir().unwrap();
        let files = CacheFiles {
            owner: RwLock::new(Arc::new(Owner {
                key: CacheKey::derive(&[7; 32], "vault_a"),
                machine_id: "machine".into(),
            })),
            vault_id: "vault_a".into(),
            folder: Folder::new(home.path().join("cache")),
            writer: Writer::default(),
        };
        let cache = Cache {
            files: Arc::new(files),
            max_age: Duration::from_secs(100),
            on_fallback: None,
        };
        (home, cache)
    }

    #[test]
    fn of_a_revocation_and_an_answer_the_later_one_wins() {
        let (_home, cache) = cache();
        let holds = || {
            cache.flush(FLUSH_LIMIT);
            cache.files.load(&id("sk_a")).unwrap().is_some()
        };
        let early = cache.begin();
        let also_early = cache.begin();
        cache.forget(&id("sk_a"));
        let late = cache.begin();
        cache.store(&id("sk_a"), &"1".into(), early, 0);
        cache.store(&id("sk_a"), &"1".into(), also_early, 0);
        assert!(!holds(), "both were asked for before the revocation");
        cache.store(&id("sk_a"), &"2".into(), late, 0);
        assert!(holds());
    }

    #[test]
    fn an_entry_is_served_up_to_its_greatest_age_and_a_minute_before_its_time() {
        let (_home, mut cache) = cache();
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = told.clone();
        cache.on_fallback = Some(Arc::new(move |id: &str, time| {
            tell.lock().unwrap().push((id.to_owned(), time));
        }));
        let why = Error::new(ErrorKind::Network, "nobody answers");
        let served = |now| cache.serve(&id("sk_a"), now, &why).is_some();
        assert!(!served(1000), "there is none yet");
        cache.store(&id("sk_a"), &"1".into(), cache.begin(), 1000);
        let times = [940, 1000, 1100];
        assert!(times.into_iter().all(served));
        assert!(!served(939) && !served(1101));
        let written = UNIX_EPOCH + Duration::from_secs(1000);
        assert_eq!(*told.lock().unwrap(), vec![("sk_a".into(), written); 3]);
    }

    #[test]
    fn what_another_client_wrote_beside_a_value_is_kept() {
        let (_home, cache) = cache();
        let store = |value: &str| {
            cache.store(&id("sk_db"), &value.into(), cache.begin(), 5);
            cache.flush(FLUSH_LIMIT);
            let entry = cache.files.load(&id("sk_db")).unwrap().unwrap();
            assert_eq!(entry.value.expose_secret(), value);
            (entry.name, entry.field_names)
        };
        assert_eq!(store("{}"), (String::new(), None), "nothing is known yet");

        let theirs = CacheEntry {
            value: r#"{"host": "db"}"#.into(),
            name: "The database".into(),
            field_names: Some("host".into()),
            cached_at: 5,
        };
        let (owner, db) = (cache.files.owner(), id("sk_db"));
        let sealed = seal(
            &owner.key,
            cache.files.binding(&owner, &db),
            &theirs,
            [1; NONCE_LEN],
        )
        .unwrap();
        cache.files.folder.write(&db, sealed.as_bytes()).unwrap();
        let name = "The database".to_owned();
        let fields = store(r#"{"host": "db", "port": "1"}"#);
        assert_eq!(fields, (name.clone(), Some("host,port".into())));
        assert_eq!(store("no fields any more"), (name, None));
    }
}
