use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use secrecy::SecretString;

use super::folder::Folder;
use super::options::CacheOptions;
use super::seal::CacheKey;
use super::store::Cache;
use crate::clock::Clock;
use crate::identity::{Environment, Identity, Origin, normal_vault_id};
use crate::shared::Got;
use crate::{Error, ErrorKind, SikkerKey};

/// Where a client has its cache, if it has one.
#[derive(Default)]
pub(crate) struct CacheSlot(RwLock<State>);

#[derive(Default)]
enum State {
    #[default]
    Off,
    On(Arc<Cache>),
    Refused(Error),
}

impl CacheSlot {
    fn enable(&self, identity: &Identity, options: CacheOptions) {
        let state = match make(identity, options) {
            Ok(cache) => State::On(Arc::new(cache)),
            Err(error) => {
                log::error!(target: "sikkerkey", "the fallback cache cannot be used: {error}");
                State::Refused(error)
            }
        };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// The cache, `None` where it is off, an error where it was refused.
    fn cache(&self) -> Result<Option<Arc<Cache>>, Error> {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            State::Off => Ok(None),
            State::On(cache) => Ok(Some(cache.clone())),
            State::Refused(error) => Err(error.clone()),
        }
    }

    /// A user's read, with the cache behind it.
    pub(crate) fn read(
        &self,
        id: &str,
        clock: &dyn Clock,
        ask: impl FnOnce() -> Result<SecretString, Error>,
    ) -> Result<Got, Error> {
        let cache = self.cache()?;
        let error = match live(cache.as_deref(), id, clock, ask) {
            Ok(value) => return Ok(Got::Live(value)),
            Err(error) => error,
        };
        match cache.filter(|_| error.is_unavailable()) {
            Some(cache) => match cache.serve(id, clock.unix_now(), &error) {
                Some(value) => Ok(Got::Cached(value)),
                None => Err(error),
            },
            None => Err(error),
        }
    }

    /// A read that wants to know what the service says now: it feeds the cache and is never served
    /// from it.
    pub(crate) fn read_live(
        &self,
        id: &str,
        clock: &dyn Clock,
        ask: impl FnOnce() -> Result<SecretString, Error>,
    ) -> Result<SecretString, Error> {
        live(self.cache()?.as_deref(), id, clock, ask)
    }

    /// The service said that the secret is deleted or denied.
    pub(crate) fn forget(&self, id: &str) {
        if let Ok(Some(cache)) = self.cache() {
            cache.forget(id);
        }
    }
}

fn live(
    cache: Option<&Cache>,
    id: &str,
    clock: &dyn Clock,
    ask: impl FnOnce() -> Result<SecretString, Error>,
) -> Result<SecretString, Error> {
    let Some(cache) = cache else {
        return ask();
    };
    let ticket = cache.begin();
    let answer = ask();
    match &answer {
        Ok(value) => cache.store(id, value, ticket, clock.unix_now()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AccessDenied) => {
            cache.forget(id);
        }
        Err(_) => {}
    }
    answer
}

fn make(identity: &Identity, options: CacheOptions) -> Result<Cache, Error> {
    let Origin::Disk(file) = &identity.origin else {
        return Err(Error::configuration(
            "the fallback cache needs an identity on disk: the key of this one is in memory alone, \
             so nothing that it seals could be opened after a restart",
        ));
    };
    let folder = match options.folder {
        Some(folder) => folder,
        None => usual_folder(file, &identity.vault_id, &Environment::of_process())?,
    };
    let folder = Folder::new(folder);
    folder.sweep(SystemTime::now());
    Ok(Cache {
        key: CacheKey::derive(identity.signer.seed(), &identity.vault_id),
        vault_id: identity.vault_id.clone(),
        machine_id: identity.machine_id.clone(),
        folder,
        max_age: options.max_age,
        on_fallback: options.on_fallback,
        reads: 0.into(),
        revoked: Mutex::new(HashMap::new()),
    })
}

/// Where the official clients look: in the folder of identities that the environment names. An
/// identity that was chosen by its path has its cache beside it, where it lies in such a folder.
fn usual_folder(identity: &Path, vault: &str, environment: &Environment) -> Result<PathBuf, Error> {
    // It becomes part of a path.
    normal_vault_id(vault)?;
    let vault = Path::new("vaults").join(vault);
    let beside = identity.parent().filter(|folder| folder.ends_with(&vault));
    Ok(match beside {
        Some(folder) if environment.sikkerkey_home.is_none() => folder.join("cache"),
        _ => environment.base()?.join(vault).join("cache"),
    })
}

impl SikkerKey {
    /// Turns the fallback cache on, for every handle of this client, and returns one.
    ///
    /// From then on each value that the service sends is also sealed and written to
    /// `vaults/VAULT/cache`, and a read that nobody answers, after all its repetitions, is served
    /// from there. "Nobody" means no answer at all, or one of the statuses with which a proxy
    /// speaks for a service that it cannot reach: 502, 503, 504, 520 to 527 and 530. A certificate
    /// that is refused is not an outage, and never served over. The files are those of the
    /// official clients and their CLI, in both directions.
    ///
    /// Watches and `Live` never take a value of the cache for a new one.
    ///
    /// A second call replaces the options.
    ///
    /// # Errors
    ///
    /// There is no place for one here, so it comes with the reads: where the cache cannot be had,
    /// every read is [`ErrorKind::Configuration`] and says why. That is so for an identity in
    /// memory ([`bootstrap_in_memory`](Self::bootstrap_in_memory)), whose key ends with the process:
    /// nothing that it sealed could be opened again.
    ///
    /// ```
    /// # use sikkerkey_emulator::{Emulator, Fault};
    /// # let vault = Emulator::builder().secret("sk_stripe_key", "sk-live-1").start()?;
    /// # let path = vault.identity_path().display().to_string();
    /// # let folder = vault.home().join("cache");
    /// use sikkerkey::{CacheOptions, ExposeSecret, SikkerKey};
    ///
    /// let sk = SikkerKey::new(&path)?.enable_cache(
    ///     CacheOptions::new()
    /// #       .folder(folder)
    ///         .on_fallback(|id, cached_at| eprintln!("{id} comes from the cache, as of {cached_at:?}")),
    /// );
    /// sk.get_secret("sk_stripe_key")?;
    /// # vault.fail_always(Fault::Status(502));
    /// // The service is gone, and the value is still there:
    /// assert_eq!(sk.get_secret("sk_stripe_key")?.expose_secret(), "sk-live-1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn enable_cache(&self, options: CacheOptions) -> SikkerKey {
        let shared = self.shared();
        shared.cache().enable(&shared.session().identity, options);
        self.clone()
    }

    /// Removes every cached value of this vault; nothing where the cache is off.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] where the folder cannot be read or a file not be removed, or the
    /// cache was refused.
    pub fn clear_cache(&self) -> Result<(), Error> {
        self.shared()
            .cache()
            .cache()?
            .map_or(Ok(()), |cache| cache.clear())
    }

    /// How many secrets have a value in the cache of this vault, whoever wrote it; 0 where the
    /// cache is off.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] where the folder cannot be read, or the cache was refused.
    pub fn cached_count(&self) -> Result<usize, Error> {
        self.shared()
            .cache()
            .cache()?
            .map_or(Ok(0), |cache| cache.count())
    }
}

impl fmt::Debug for CacheSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
                State::Off => "CacheSlot(off)",
                State::On(_) => "CacheSlot(on)",
                State::Refused(_) => "CacheSlot(refused)",
            },
        )
    }
}

#[cfg(test)]
mod tests {
    // A test that cannot say where it is may as well panic.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_cache_lies_beside_the_identity_or_where_the_environment_says() {
        let plain = Environment {
            user_home: Some("/home/me".into()),
            ..Environment::default()
        };
        let told = Environment {
            sikkerkey_home: Some("/srv/keys".into()),
            ..plain.clone()
        };
        let inside = "/etc/x/vaults/vault_a/identity.json";
        for (identity, environment, folder) in [
            (inside, &plain, "/etc/x/vaults/vault_a/cache"),
            (inside, &told, "/srv/keys/vaults/vault_a/cache"),
            (
                "/etc/id.json",
                &plain,
                "/home/me/.sikkerkey/vaults/vault_a/cache",
            ),
            (
                "/etc/vault_a/id.json",
                &told,
                "/srv/keys/vaults/vault_a/cache",
            ),
        ] {
            let usual = usual_folder(Path::new(identity), "vault_a", environment).unwrap();
            assert_eq!(usual, Path::new(folder), "{identity}");
        }
        usual_folder(Path::new(inside), "../vault_a", &plain).unwrap_err();
    }

    #[test]
    fn debug_says_whether_it_is_on() {
        let slot = CacheSlot::default();
        assert_eq!(format!("{slot:?}"), "CacheSlot(off)");
        *slot.0.write().unwrap() = State::Refused(Error::configuration("no"));
        assert_eq!(format!("{slot:?}"), "CacheSlot(refused)");
        let options = format!("{:?}", CacheOptions::new().folder("/tmp/cache"));
        assert!(options.contains("/tmp/cache"), "{options}");
    }
}
