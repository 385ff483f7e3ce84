//! Where the layers of this crate take their secrets from.

use sikkerkey::{Fetch, Problem, Requirement, Schema, SecretString, SikkerKey, Snapshot};

/// The secrets of one schema, read.
#[derive(Clone)]
pub(crate) struct Taken {
    snapshot: Snapshot,
}

impl Taken {
    pub(crate) fn fetch(_sk: &SikkerKey, fetch: &Fetch, schema: &Schema) -> Self {
        Taken {
            snapshot: fetch.snapshot(schema),
        }
    }

    /// The text that `requirement` asks for, or why there is none.
    pub(crate) fn text(&self, requirement: &Requirement) -> Result<SecretString, Problem> {
        self.snapshot.text(requirement)
    }
}
