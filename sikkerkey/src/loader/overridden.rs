use std::collections::BTreeSet;

use crate::config::error::ConfigError;
use crate::config::overrides::Overrides;
use crate::config::schema::Schema;
use crate::config::snapshot::Snapshot;
use crate::live::source::ConfigSource;

/// A source of live configs with overrides over its secrets. What is below them alone is read and
/// followed.
pub(super) struct Overridden<T> {
    source: Box<dyn ConfigSource<T>>,
    overrides: Overrides,
    /// What the config reads, overridden or not.
    schema: Option<Schema>,
}

impl<T> Overridden<T> {
    pub(super) fn new(source: Box<dyn ConfigSource<T>>, overrides: Overrides) -> Self {
        Overridden {
            source,
            overrides,
            schema: None,
        }
    }

    fn over(&self, read: &Snapshot) -> Snapshot {
        match &self.schema {
            Some(schema) => self.overrides.over(schema, read),
            None => read.clone(),
        }
    }
}

impl<T: 'static> ConfigSource<T> for Overridden<T> {
    fn name(&self) -> &'static str {
        self.source.name()
    }

    fn schema(&mut self) -> Result<Schema, ConfigError> {
        let schema = self.source.schema()?;
        // Later, a file of the config may stop to name a secret: its override does no harm.
        if self.schema.is_none() {
            let checked = self.overrides.check(&schema);
            checked.map_err(|problems| ConfigError::new(self.name(), problems))?;
        }
        let rest = self.overrides.rest(&schema);
        self.schema = Some(schema);
        Ok(rest)
    }

    fn build(&mut self, snapshot: &Snapshot) -> Result<T, ConfigError> {
        let snapshot = self.over(snapshot);
        self.source.build(&snapshot)
    }

    fn changed(&mut self, old: &Snapshot, new: &Snapshot) -> Vec<String> {
        let (old, new) = (self.over(old), self.over(new));
        self.source.changed(&old, &new)
    }

    fn has_more_than_secrets(&self) -> bool {
        self.source.has_more_than_secrets()
    }

    fn overridden(&self, read: &Snapshot) -> BTreeSet<String> {
        let schema = self.schema.as_ref();
        schema.map_or_else(BTreeSet::new, |schema| self.overrides.ids(schema, read))
    }

    fn names_more(&mut self) -> bool {
        self.source.names_more()
    }
}
