//! The source of a config's snapshots: a vault or a given snapshot.

use std::sync::Arc;

use super::offline::Offline;
use super::options::LoadOptions;
use super::reader::Fetch;
use crate::client::call_threads::CallThreads;
use crate::clock::Clock;
use crate::config::check::CheckReport;
use crate::config::requirement::SecretRef;
use crate::config::schema::Schema;
use crate::config::snapshot::Snapshot;
use crate::error::Error;

/// The source of a config's secrets: a vault, or a snapshot that replaces it.
#[derive(Clone, Debug)]
pub(crate) enum SnapshotSource {
    Vault(Fetch),
    Offline(Offline),
}

impl SnapshotSource {
    pub(crate) fn options(&self) -> &LoadOptions {
        match self {
            SnapshotSource::Vault(fetch) => fetch.load_options(),
            SnapshotSource::Offline(offline) => &offline.options,
        }
    }

    /// Changes the options that are set.
    pub(crate) fn change(self, change: impl FnOnce(LoadOptions) -> LoadOptions) -> Self {
        match self {
            SnapshotSource::Vault(fetch) => SnapshotSource::Vault(fetch.change(change)),
            SnapshotSource::Offline(offline) => SnapshotSource::Offline(Offline {
                options: change(offline.options),
                ..offline
            }),
        }
    }

    /// Returns the source for a part of a schema whose options were already checked.
    pub(crate) fn for_part(self, part: &Schema) -> Self {
        self.change(|options| options.for_part(part))
    }

    /// Returns the client's clock, by which certificates must be valid. Secrets of a snapshot are not checked
    /// against a clock.
    pub(crate) fn clock(&self) -> Option<Arc<dyn Clock>> {
        match self {
            SnapshotSource::Vault(fetch) => {
                Some(Arc::clone(&fetch.client.inner().settings().clock))
            }
            SnapshotSource::Offline(_) => None,
        }
    }

    /// Reads each secret of the schema: its value, or why it has none.
    pub(crate) fn snapshot(&self, schema: &Schema) -> Snapshot {
        match self {
            SnapshotSource::Vault(fetch) => fetch.snapshot(schema),
            SnapshotSource::Offline(offline) => offline.snapshot(schema),
        }
    }

    /// Compares the schema with the available secrets, without reading a value from a vault; see
    /// [`Fetch::check_with`].
    ///
    /// # Errors
    /// Any error of a list call.
    pub(crate) fn check_with(
        &self,
        schema: &Schema,
        has_resync: impl Fn(&SecretRef, &str) -> bool,
    ) -> Result<CheckReport, Error> {
        match self {
            SnapshotSource::Vault(fetch) => fetch.check_with(schema, has_resync),
            SnapshotSource::Offline(offline) => Ok(offline.check(schema)),
        }
    }

    /// Runs a blocking call on a thread of the client, or without a client on a new thread.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        call: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Error> {
        match self {
            SnapshotSource::Vault(fetch) => fetch.client.run(call).await,
            SnapshotSource::Offline(_) => CallThreads::for_one_call().run(call).await,
        }
    }
}
