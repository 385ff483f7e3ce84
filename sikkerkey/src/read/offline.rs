//! A snapshot in the place of a vault.

use super::options::LoadOptions;
use crate::config::check::CheckReport;
use crate::config::requirement::SecretRef;
use crate::config::schema::Schema;
use crate::config::snapshot::{Link, ReadOutcome, Snapshot};
use crate::protocol::fields::Fields;
use crate::protocol::listing::SecretListItem;

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
        let aliases = self.options.alias_map();
        let to = |secret: &SecretRef| aliases.get(secret.as_str()).cloned().map(Link::To);
        let aliased = schema.secrets().into_iter();
        let aliased = aliased.filter_map(|secret| Some((secret.clone(), to(secret)?)));
        let linked = self.secrets.with_links(aliased.collect());
        linked.only(schema.secrets())
    }

    /// Compares the schema with the secrets as a machine would see them: those with a value.
    pub(super) fn check(&self, schema: &Schema) -> CheckReport {
        let snapshot = self.snapshot(schema);
        let listed: Vec<SecretListItem> = snapshot.iter().filter_map(listed).collect();
        CheckReport::new(schema, snapshot.links(), listed.iter())
    }
}

/// A secret as the service lists it.
fn listed((id, outcome): (&str, &ReadOutcome)) -> Option<SecretListItem> {
    let fields = Fields::parse(outcome.value()?);
    // The service separates names by commas, so one with a comma arrives in parts.
    let names = |fields: Fields| {
        let names = fields.names().flat_map(|name| name.split(','));
        names.map(str::to_owned).collect()
    };
    Some(SecretListItem {
        id: id.to_owned(),
        name: String::new(),
        field_names: fields.map(names),
        project_id: None,
    })
}
