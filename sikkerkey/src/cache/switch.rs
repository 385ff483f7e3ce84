use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::SystemTime;

use secrecy::SecretString;

use super::folder::Folder;
use super::options::CacheOptions;
use super::policy::{Cache, CacheFiles, Owner};
use super::writer::Writer;
use crate::clock::Clock;
use crate::error::Error;
use crate::id::{SecretId, normal_vault_id};
use crate::identity::{Environment, Identity, Origin};
use crate::sync;

/// The value that a user's read returns, and its source.
pub(crate) enum CachedRead {
    Live(SecretString),
    /// From the cache, with the time at which the service sent it, in seconds since 1970.
    Cached(SecretString, i64),
}

impl Cache {
    /// Makes the cache of an identity on disk. An identity in memory has no cache.
    pub(crate) fn of(identity: &Identity, options: CacheOptions) -> Result<Cache, Error> {
        let Origin::Disk(file) = &identity.origin else {
            return Err(Error::configuration(
                "the fallback cache needs an identity on disk: the key of this one is in memory \
                 alone, so nothing that it seals could be opened after a restart",
            ));
        };
        let Some(owner) = Owner::of(identity) else {
            return Err(Error::configuration(
                "the fallback cache needs the machine's private key, which a signer keeps to itself",
            ));
        };
        let folder = match options.folder {
            Some(folder) => Folder::within(folder),
            None => Folder::new(usual_folder(
                file,
                &identity.vault_id,
                &Environment::of_process()?,
            )?),
        };
        folder.check()?;
        folder.sweep(SystemTime::now());
        Ok(Cache {
            files: Arc::new(CacheFiles {
                owner: RwLock::new(Arc::new(owner)),
                vault_id: identity.vault_id.clone(),
                folder,
                writer: Writer::default(),
            }),
            max_age: options.max_age,
            on_fallback: options.on_fallback,
        })
    }

    /// Switches to another identity of the same vault. Entries that the previous one sealed can no longer be
    /// opened.
    pub(crate) fn adopt(&self, identity: &Identity) {
        if let Some(owner) = Owner::of(identity) {
            *sync::write(&self.files.owner) = Arc::new(owner);
        }
    }

    /// Makes a user's read. If the service was unreachable, the cache serves it.
    pub(crate) fn read(
        &self,
        id: &SecretId,
        clock: &dyn Clock,
        ask: impl FnOnce() -> Result<SecretString, Error>,
    ) -> Result<CachedRead, Error> {
        let error = match self.read_live(id, clock, ask) {
            Ok(value) => return Ok(CachedRead::Live(value)),
            Err(error) => error,
        };
        if !error.is_unavailable() {
            return Err(error);
        }
        match self.serve(id, clock.unix_now(), &error) {
            Some((value, cached_at)) => Ok(CachedRead::Cached(value, cached_at)),
            None => Err(error),
        }
    }

    /// Makes a read that needs the service's current value: it updates the cache, and is never served from
    /// it.
    pub(crate) fn read_live(
        &self,
        id: &SecretId,
        clock: &dyn Clock,
        ask: impl FnOnce() -> Result<SecretString, Error>,
    ) -> Result<SecretString, Error> {
        let ticket = self.begin();
        let response = ask();
        match &response {
            Ok(value) => self.store(id, value, ticket, clock.unix_now()),
            Err(error) if error.verdict().is_some() => self.forget(id),
            Err(_) => {}
        }
        response
    }
}

/// The cache's default folder, which the official clients also use: below the folder of identities that the
/// environment names. An identity that was chosen by its path has its cache beside it, if it lies in such a
/// folder.
fn usual_folder(identity: &Path, vault: &str, environment: &Environment) -> Result<PathBuf, Error> {
    // The id becomes part of a path.
    normal_vault_id(vault)?;
    let vault = Path::new("vaults").join(vault);
    let beside = identity.parent().filter(|folder| folder.ends_with(&vault));
    Ok(match beside {
        Some(folder) if environment.sikkerkey_home.is_none() => folder.join("cache"),
        _ => environment.base()?.join(vault).join("cache"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn the_cache_lies_beside_the_identity_or_where_the_environment_says() {
        let here = |path: &str| std::path::absolute(path).unwrap();
        let plain = Environment {
            user_home: Some(here("/home/me")),
            ..Environment::default()
        };
        let told = Environment {
            sikkerkey_home: Some(here("/srv/keys")),
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
            let usual = usual_folder(&here(identity), "vault_a", environment).unwrap();
            assert_eq!(usual, here(folder), "{identity}");
        }
        usual_folder(Path::new(inside), "../vault_a", &plain).unwrap_err();
    }

    #[test]
    fn an_identity_in_memory_has_no_cache() {
        let identity = Identity {
            vault_id: "vault_a".to_owned(),
            machine_id: "m".to_owned(),
            machine_name: "n".to_owned(),
            api_url: crate::protocol::api_url::ApiUrl::parse("http://localhost:1").unwrap(),
            signer: crate::protocol::signing::Signer::from_seed(&[1; 32]),
            origin: Origin::Memory {
                expires_at: None,
                expires_monotonic: None,
            },
        };
        let Err(error) = Cache::of(&identity, CacheOptions::new()) else {
            panic!("it has one");
        };
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("identity on disk"), "{error}");
    }
}
