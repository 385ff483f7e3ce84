//! A snapshot that replaces a vault.

use super::options::LoadOptions;
use crate::config::check::CheckReport;
use crate::config::schema::Schema;
use crate::config::snapshot::{ReadOutcome, Snapshot};
use crate::protocol::details::{SecretDetails, SecretKind};
use crate::protocol::fields::Fields;

/// The secrets of a snapshot, and the options by which a config finds them.
#[derive(Clone, Debug)]
pub(crate) struct Offline {
    pub(crate) secrets: Snapshot,
    pub(crate) options: LoadOptions,
}

impl Offline {
    pub(crate) fn new(secrets: Snapshot) -> Self {
        Offline {
            secrets,
            options: LoadOptions::new(),
        }
    }

    /// Returns a snapshot of the secrets that the schema names, and no others.
    pub(crate) fn snapshot(&self, schema: &Schema) -> Snapshot {
        let refusals = self.options.problems(schema);
        match refusals.is_empty() {
            true => self.found(schema),
            false => Snapshot::refused(refusals),
        }
    }

    fn found(&self, schema: &Schema) -> Snapshot {
        let aliased = self.secrets.aliased(self.options.alias_map(), schema);
        aliased.only(schema.secrets())
    }

    /// Compares the schema with the secrets that a machine would see: those with a value.
    pub(super) fn check(&self, schema: &Schema) -> CheckReport {
        let snapshot = self.found(schema);
        let listed: Vec<SecretDetails> = snapshot.iter().filter_map(listed).collect();
        CheckReport::new(schema, snapshot.links(), listed.iter(), |_, _| true)
    }
}

/// Describes a secret as the service would list it.
fn listed((id, outcome): (&str, &ReadOutcome)) -> Option<SecretDetails> {
    let fields = Fields::parse(outcome.value()?);
    // As the service does: it separates names with commas, so a name that contains one arrives in parts.
    let names = |fields: Fields| {
        let names = fields.names().flat_map(|name| name.split(','));
        names.map(str::to_owned).collect()
    };
    Some(SecretDetails {
        id: id.to_owned(),
        name: String::new(),
        kind: match &fields {
            Some(_) => SecretKind::Structured,
            None => SecretKind::Secret,
        },
        field_names: fields.map(names),
        project_id: None,
        project_name: None,
        application_id: None,
        application_name: None,
    })
}
