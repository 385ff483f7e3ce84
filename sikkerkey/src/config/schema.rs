use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::Serialize;

use super::error::{Problem, ProblemKind};
use super::requirement::{Necessity, Requirement, SecretRef};
use super::snapshot::Snapshot;
use super::table::Table;
use crate::resync::Resync;

/// The schema of a config: what it reads, as data, with one [`Requirement`] for each value, in the order of
/// the fields.
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
    /// Makes an empty schema; [`FromIterator`] makes one from requirements.
    pub fn new() -> Self {
        Self::default()
    }

    /// Iterates over the requirements, in the order of the fields.
    pub fn iter(&self) -> std::slice::Iter<'_, Requirement> {
        self.requirements.iter()
    }

    /// The number of values that the config reads.
    pub fn len(&self) -> usize {
        self.requirements.len()
    }

    /// Whether the config reads no value at all.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// The secrets that the config names, each once, in the order of their first field.
    pub fn secrets(&self) -> Vec<&SecretRef> {
        let mut secrets: Vec<&SecretRef> = Vec::new();
        let mut known = HashSet::new();
        for requirement in &self.requirements {
            if known.insert(requirement.secret()) {
                secrets.push(requirement.secret());
            }
        }
        secrets
    }

    /// Returns how often each secret is read again unasked, by its id in the snapshot, for secrets whose
    /// config sets it. Also returns a problem for each requirement whose interval is impossible, or differs
    /// from that of an earlier requirement of the same secret.
    pub(crate) fn resyncs(&self, snapshot: &Snapshot) -> (BTreeMap<String, Resync>, Vec<Problem>) {
        let mut first: BTreeMap<String, (&Requirement, Resync)> = BTreeMap::new();
        let mut problems = Vec::new();
        for requirement in self {
            let Some(resync) = requirement.resync() else {
                continue;
            };
            let mut refuse = |text: String| {
                let problem = Problem::new(ProblemKind::Conflict, text);
                let problem = problem.of(requirement.secret(), requirement.field());
                let id = snapshot.resolved_id(requirement.secret());
                problems.push(problem.at(requirement.path()).resolved(id));
            };
            if let Some(mistake) = resync.mistake() {
                refuse(format!("`resync` is {resync}: {mistake}"));
                continue;
            }
            let (earlier, other) = first
                .entry(snapshot.id_or_name(requirement.secret()).to_owned())
                .or_insert((requirement, resync));
            if *other != resync {
                refuse(format!(
                    "`resync` is {resync} here and {other} at `{}`: a secret has one `resync`",
                    earlier.path()
                ));
            }
        }
        let resyncs = first.into_iter();
        let resyncs = resyncs.map(|(id, (_, resync))| (id, resync)).collect();
        (resyncs, problems)
    }

    /// Returns for each requirement whether the config can be built without its value. `there` says for each
    /// whether a value exists: a nested struct in an `Option` needs its required values only if one of its
    /// values exists.
    #[doc(hidden)]
    pub fn may_be_absent(&self, there: &[bool]) -> Vec<bool> {
        let present: HashSet<&str> = self
            .iter()
            .zip(there)
            .filter(|(_, there)| **there)
            .flat_map(|(requirement, _)| prefixes(requirement.path()))
            .collect();
        let may_be = |requirement: &Requirement| match requirement.group() {
            _ if requirement.declared() != Necessity::Required => true,
            Some(group) => !present.contains(group),
            None => false,
        };
        self.iter().map(may_be).collect()
    }

    pub(crate) fn push(&mut self, requirement: Requirement) {
        self.requirements.push(requirement);
    }
}

/// Iterates over the structs around a value: `a` and `a.b` of `a.b.c`.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('.').map(|(dot, _)| &path[..dot])
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
    use std::time::Duration;

    use super::*;
    use crate::config::requirement::ValueKind;
    use crate::config::snapshot::Link;

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
    #[test]
    fn a_secret_has_one_resync() {
        let of = |path: &str, secret: &str, resync: Option<Resync>| {
            let requirement = Requirement::new(path, SecretRef::Id(secret.into()));
            match resync {
                Some(resync) => requirement.with_resync(resync),
                None => requirement,
            }
        };
        let every = |seconds| Some(Resync::Every(Duration::from_secs(seconds)));
        let name = |name: &str| SecretRef::Name(name.to_owned());
        let good: Schema = [
            of("a", "sk_a", None),
            of("b.a", "sk_a", every(3600)),
            of("c.a", "sk_a", every(3600)),
            of("d", "sk_d", Some(Resync::Never)),
            of("e", "sk_e", None),
            Requirement::new("f", name("sk_a")).with_resync(Resync::Adaptive),
        ]
        .into_iter()
        .collect();
        let alias = |from: SecretRef| (from, Link::To("sk_a".to_owned()));
        let named = Snapshot::from_iter([("sk_a", "1"), ("sk_n", "2")])
            .with_links([(name("sk_a"), Link::To("sk_n".to_owned()))].into());
        assert_eq!(
            good.resyncs(&named).0.into_iter().collect::<Vec<_>>(),
            [
                ("sk_a".to_owned(), every(3600).unwrap()),
                ("sk_d".to_owned(), Resync::Never),
                ("sk_n".to_owned(), Resync::Adaptive),
            ]
        );
        let all = [alias(SecretRef::Id("sk_d".into())), alias(name("sk_a"))];
        let one = Snapshot::from_iter([("sk_a", "1")]).with_links(all.into());
        let problems = good.resyncs(&one).1;
        let paths: Vec<_> = problems.iter().map(Problem::path).collect();
        assert_eq!(
            paths,
            ["d", "f"],
            "names and aliases may lead to one secret"
        );
        assert_eq!(
            serde_json::to_value(&good).unwrap()[1]["resync"],
            serde_json::json!("1h")
        );

        let bad: Schema = [
            of("a", "sk_a", every(3600)),
            of("db.a", "sk_a", Some(Resync::Never)),
            of("db.b", "sk_b", every(0)),
            of("db.c", "sk_c", every(366 * 86_400)),
        ]
        .into_iter()
        .collect();
        let problems = bad.resyncs(&Snapshot::default()).1;
        let said: Vec<_> = problems
            .iter()
            .map(|problem| (problem.kind(), problem.path(), problem.message()))
            .collect();
        assert_eq!(
            said,
            [
                (
                    ProblemKind::Conflict,
                    "db.a",
                    "`resync` is never here and 1h at `a`: a secret has one `resync`"
                ),
                (
                    ProblemKind::Conflict,
                    "db.b",
                    "`resync` is 0s: the interval is 0; to read the secret only after a change, use `Never`"
                ),
                (
                    ProblemKind::Conflict,
                    "db.c",
                    "`resync` is 366d: the interval is longer than 365 days; to read the secret only after a change, use `Never`"
                ),
            ]
        );
    }
}
