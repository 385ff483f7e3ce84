use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::marker::PhantomData;
use std::sync::Arc;

use secrecy::ExposeSecret as _;

use super::fingerprint::Fingerprint;
use crate::clock::Clock;
use crate::config::error::{ConfigError, short_name};
use crate::config::places::Places;
use crate::config::requirement::Requirement;
use crate::config::schema::Schema;
use crate::config::snapshot::Snapshot;
use crate::config::visit::{self, Visit};

/// The source of a live config: the secrets that it reads, and how a `T` is built from a snapshot of them.
///
/// Only the live config's worker calls it. A config that derives `SikkerKeyConfig` depends only on its
/// secrets; other sources may also read files, in [`schema`](ConfigSource::schema).
pub trait ConfigSource<T>: Send + 'static {
    /// Returns the config's name for errors.
    fn name(&self) -> &'static str;

    /// Returns the schema. Called at the start and with each full refresh.
    ///
    /// # Errors
    /// If the schema cannot be made. A refresh then fails and changes nothing.
    fn schema(&mut self) -> Result<Schema, ConfigError>;

    /// Builds a config from a snapshot. `running` is the snapshot of the config that runs now, if one does:
    /// a value that runs already is not refused for its age.
    ///
    /// # Errors
    /// Every problem of the config.
    fn build(&mut self, snapshot: &Snapshot, running: Option<&Snapshot>) -> Result<T, ConfigError>;

    /// Returns the fingerprint of the last config that was built, from this snapshot.
    fn fingerprint(&mut self, snapshot: &Snapshot) -> Fingerprint;

    /// Returns a function that finds the places of a config's keys; `None` if they are unknown.
    fn places(&self) -> Option<fn(&T) -> Places> {
        None
    }

    /// Whether a full refresh can change the config although no secret changed.
    fn has_more_than_secrets(&self) -> bool;

    /// Whether its other sources now name a secret that the last [`schema`](ConfigSource::schema) did not
    /// contain. Called before each build for a change; if so, everything is read, as by a full refresh.
    fn names_more(&mut self) -> bool {
        false
    }
}

/// The source of a config that derives [`SikkerKeyConfig`](crate::SikkerKeyConfig).
pub(crate) struct Derived<T> {
    schema: Schema,
    /// The clock by which certificates must be valid; `None` to accept any.
    clock: Option<Arc<dyn Clock>>,
    /// With a random key, so that a hash reveals nothing about a value.
    hasher: RandomState,
    config: PhantomData<fn() -> T>,
}

impl<T: Visit> Derived<T> {
    pub(crate) fn new(clock: Option<Arc<dyn Clock>>) -> Self {
        Derived {
            schema: visit::schema::<T>(),
            clock,
            hasher: RandomState::new(),
            config: PhantomData,
        }
    }
}

impl<T: Visit + 'static> ConfigSource<T> for Derived<T> {
    fn name(&self) -> &'static str {
        short_name(std::any::type_name::<T>())
    }

    fn schema(&mut self) -> Result<Schema, ConfigError> {
        Ok(self.schema.clone())
    }

    fn build(&mut self, snapshot: &Snapshot, running: Option<&Snapshot>) -> Result<T, ConfigError> {
        let now = self.clock.as_ref().map(|clock| clock.unix_now());
        visit::build(snapshot, now, running)
    }

    fn fingerprint(&mut self, snapshot: &Snapshot) -> Fingerprint {
        let hash = |requirement: &Requirement| {
            // The reason for a missing value does not matter.
            let text = snapshot.text(requirement).ok()?;
            Some(self.hasher.hash_one(text.expose_secret()))
        };
        let key = |requirement| (Requirement::path(requirement).to_owned(), hash(requirement));
        self.schema.iter().map(key).collect()
    }

    fn places(&self) -> Option<fn(&T) -> Places> {
        Some(visit::places::<T>)
    }

    fn has_more_than_secrets(&self) -> bool {
        false
    }
}

impl<T> fmt::Debug for Derived<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Derived")
            .field("schema", &self.schema)
            .finish()
    }
}
