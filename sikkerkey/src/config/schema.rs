use std::fmt;

use serde::Serialize;

use super::requirement::{Requirement, SecretRef};
use super::table::Table;

/// What a config reads, as data: one [`Requirement`] for each value, in the order of the fields.
///
/// A schema comes from the type alone, so it can be printed, stored or compared before anything
/// is read. `Display` is a table; `Serialize` is a list.
///
/// ```
/// # #[cfg(feature = "derive")] {
/// use sikkerkey::{SecretString, SikkerKeyConfig};
///
/// #[derive(SikkerKeyConfig)]
/// #[sikkerkey(secret = "sk_db_prod")]
/// struct Database {
///     /// Where the primary is.
///     host: String,
///     #[sikkerkey(default = 5432)]
///     port: u16,
///     password: Option<SecretString>,
/// }
///
/// assert_eq!(
///     Database::schema().to_string(),
///     "\
/// PATH      SECRET      FIELD     NEEDED    EXPECTS   DESCRIPTION
/// host      sk_db_prod  host      required  a string  Where the primary is.
/// port      sk_db_prod  port      default   a u16
/// password  sk_db_prod  password  optional  a string
/// "
/// );
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Schema {
    requirements: Vec<Requirement>,
}

impl Schema {
    /// A schema without a requirement; [`FromIterator`] makes one that has some.
    pub fn new() -> Self {
        Self::default()
    }

    /// The requirements, in the order of the fields.
    pub fn iter(&self) -> std::slice::Iter<'_, Requirement> {
        self.requirements.iter()
    }

    /// How many values the config reads.
    pub fn len(&self) -> usize {
        self.requirements.len()
    }

    /// Whether the config reads nothing.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// The secrets that the config names, each once, in the order in which they appear.
    pub fn secrets(&self) -> Vec<&SecretRef> {
        let mut secrets: Vec<&SecretRef> = Vec::new();
        let mut known = std::collections::HashSet::new();
        for requirement in &self.requirements {
            if known.insert(requirement.secret()) {
                secrets.push(requirement.secret());
            }
        }
        secrets
    }

    pub(crate) fn push(&mut self, requirement: Requirement) {
        self.requirements.push(requirement);
    }
}

impl FromIterator<Requirement> for Schema {
    fn from_iter<I: IntoIterator<Item = Requirement>>(requirements: I) -> Self {
        Schema {
            requirements: requirements.into_iter().collect(),
        }
    }
}

impl<'a> IntoIterator for &'a Schema {
    type Item = &'a Requirement;
    type IntoIter = std::slice::Iter<'a, Requirement>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new([
            "PATH",
            "SECRET",
            "FIELD",
            "NEEDED",
            "EXPECTS",
            "DESCRIPTION",
        ]);
        for requirement in self {
            table.row([
                requirement.path().to_owned(),
                requirement.secret().to_string(),
                requirement.field().unwrap_or_default().to_owned(),
                requirement.necessity().to_string(),
                requirement.expected().to_owned(),
                requirement.description().unwrap_or_default().to_owned(),
            ]);
        }
        table.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::requirement::{Necessity, ValueKind};

    #[test]
    fn a_schema_is_data() {
        let schema: Schema = [
            Requirement::new("db.port", SecretRef::Id("sk_db".into()))
                .with_field("port")
                .with_kind(ValueKind::Number, "a u16")
                .with_description("The port."),
            Requirement::new("dsn", SecretRef::Name("SENTRY DSN".into()))
                .with_necessity(Necessity::Optional),
        ]
        .into_iter()
        .collect();
        assert_eq!(
            serde_json::to_value(&schema).unwrap(),
            serde_json::json!([
                {
                    "path": "db.port", "secret": {"id": "sk_db"}, "field": "port",
                    "necessity": "required", "expected": "a u16", "kind": "number",
                    "description": "The port."
                },
                {
                    "path": "dsn", "secret": {"name": "SENTRY DSN"}, "field": null,
                    "necessity": "optional", "expected": "a string", "kind": "string"
                },
            ])
        );
        assert_eq!(
            schema.to_string(),
            "\
PATH     SECRET        FIELD  NEEDED    EXPECTS   DESCRIPTION
db.port  sk_db         port   required  a u16     The port.
dsn      \"SENTRY DSN\"         optional  a string
"
        );
    }
}
