//! A snapshot in the place of a vault.

use super::options::LoadOptions;
use crate::config::check::CheckReport;
use crate::config::schema::Schema;
use crate::config::snapshot::{ReadOutcome, Snapshot};
use crate::protocol::details::{SecretDetails, SecretKind};
use crate::protocol::fields::Fields;

/// Secrets that are at hand, and how a config finds them.
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

    /// What the schema names, and nothing else.
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

    /// Compares the schema with the secrets as a machine would see them: those with a value.
    pub(super) fn check(&self, schema: &Schema) -> CheckReport {
        let snapshot = self.found(schema);
        let listed: Vec<SecretDetails> = snapshot.iter().filter_map(listed).collect();
        CheckReport::new(schema, snapshot.links(), listed.iter(), |_, _| true)
    }
}

/// A secret as the service lists it.
fn listed((id, outcome): (&str, &ReadOutcome)) -> Option<SecretDetails> {
    let fields = Fields::parse(outcome.value()?);
    // The service separates names by commas, so one with a comma arrives in parts.
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
