use std::fmt;
use std::marker::PhantomData;

use crate::config::error::{ConfigError, short_name};
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

    /// The key paths in which the config that was built last, from `new`, differs from the one
    /// that runs, from `old`. Called once for each config that is adopted.
    fn changed(&mut self, old: &Snapshot, new: &Snapshot) -> Vec<String>;

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
    config: PhantomData<fn() -> T>,
}

impl<T: Visit> Derived<T> {
    pub(crate) fn new() -> Self {
        Derived {
            schema: visit::schema::<T>(),
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
        visit::build(snapshot)
    }

    fn changed(&mut self, old: &Snapshot, new: &Snapshot) -> Vec<String> {
        changed_paths(&self.schema, old, new)
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

/// The key paths whose text is another, in the order of the schema.
pub fn changed_paths(schema: &Schema, old: &Snapshot, new: &Snapshot) -> Vec<String> {
    use secrecy::ExposeSecret as _;
    schema
        .iter()
        .filter(|requirement| {
            match (old.text(requirement), new.text(requirement)) {
                (Ok(old), Ok(new)) => old.expose_secret() != new.expose_secret(),
                // Where neither has a value, it does not matter why.
                (old, new) => old.is_ok() != new.is_ok(),
            }
        })
        .map(|requirement| requirement.path().to_owned())
        .collect()
}
