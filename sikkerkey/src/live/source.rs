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

/// Where a live config comes from: which secrets, and how a snapshot of them becomes a `T`.
///
/// Called by the live config's worker alone. A config that derives `SikkerKeyConfig` depends on
/// nothing but its secrets; other sources may read files too, in [`schema`](ConfigSource::schema).
pub trait ConfigSource<T>: Send + 'static {
    /// What errors call the config.
    fn name(&self) -> &'static str;

    /// What is read. Asked at the start and with each full refresh.
    ///
    /// # Errors
    /// Why that cannot be said; a refresh then fails and changes nothing.
    fn schema(&mut self) -> Result<Schema, ConfigError>;

    /// Builds a config.
    ///
    /// # Errors
    /// Every problem of it.
    fn build(&mut self, snapshot: &Snapshot) -> Result<T, ConfigError>;

    /// The fingerprint of the config that was built last, from this snapshot.
    fn fingerprint(&mut self, snapshot: &Snapshot) -> Fingerprint;

    /// What says where the keys of a config lie in memory; `None` where that cannot be told.
    fn places(&self) -> Option<fn(&T) -> Places> {
        None
    }

    /// Whether a full refresh can bring another config though no secret changed.
    fn has_more_than_secrets(&self) -> bool;

    /// Whether what else it reads names a secret by now that the last [`schema`](ConfigSource::schema)
    /// did not have. Asked before each build for a change; then everything is read, as by a full
    /// refresh.
    fn names_more(&mut self) -> bool {
        false
    }
}

/// A config that derives [`SikkerKeyConfig`](crate::SikkerKeyConfig).
pub(crate) struct Derived<T> {
    schema: Schema,
    /// By which certificates are judged, if by any.
    clock: Option<Arc<dyn Clock>>,
    /// With a key of its own, so that a hash says nothing about a value.
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

    fn build(&mut self, snapshot: &Snapshot) -> Result<T, ConfigError> {
        let now = self.clock.as_ref().map(|clock| clock.unix_now());
        visit::build(snapshot, now)
    }

    fn fingerprint(&mut self, snapshot: &Snapshot) -> Fingerprint {
        let hash = |requirement: &Requirement| {
            // Where there is no value, it does not matter why.
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
