use crate::config::error::ConfigError;
use crate::config::overrides::Overrides;
use crate::config::places::Places;
use crate::config::schema::Schema;
use crate::config::snapshot::Snapshot;
use crate::live::fingerprint::Fingerprint;
use crate::live::source::ConfigSource;

/// A source of live configs with overrides. Only secrets that are not fully overridden are read and followed.
pub(super) struct Overridden<T> {
    source: Box<dyn ConfigSource<T>>,
    overrides: Overrides,
    /// The whole schema of the config, overridden or not.
    schema: Schema,
}

impl<T> Overridden<T> {
    pub(super) fn new(
        source: Box<dyn ConfigSource<T>>,
        overrides: Overrides,
        schema: Schema,
    ) -> Self {
        Overridden {
            source,
            overrides,
            schema,
        }
    }

    fn over(&self, read: &Snapshot) -> Snapshot {
        self.overrides.over(&self.schema, read)
    }
}

impl<T: 'static> ConfigSource<T> for Overridden<T> {
    fn name(&self) -> &'static str {
        self.source.name()
    }

    fn schema(&mut self) -> Result<Schema, ConfigError> {
        self.schema = self.source.schema()?;
        Ok(self.overrides.rest(&self.schema))
    }

    fn build(&mut self, snapshot: &Snapshot, running: Option<&Snapshot>) -> Result<T, ConfigError> {
        let (snapshot, running) = (
            self.over(snapshot),
            running.map(|running| self.over(running)),
        );
        self.source.build(&snapshot, running.as_ref())
    }

    fn fingerprint(&mut self, snapshot: &Snapshot) -> Fingerprint {
        let snapshot = self.over(snapshot);
        self.source.fingerprint(&snapshot)
    }

    fn places(&self) -> Option<fn(&T) -> Places> {
        self.source.places()
    }

    fn has_more_than_secrets(&self) -> bool {
        self.source.has_more_than_secrets()
    }

    fn names_more(&mut self) -> bool {
        self.source.names_more()
    }
}
