//! Secrets that override those of a vault: for instance a developer's own database, with the vault's mail
//! key.

use std::collections::{BTreeMap, BTreeSet};

use super::check::CheckStatus;
use super::error::{Problem, ProblemKind};
use super::lookup::unresolved;
use super::requirement::{Requirement, SecretRef};
use super::schema::Schema;
use super::similar::near;
use super::snapshot::{Link, Located, ReadOutcome, Snapshot};
use crate::protocol::fields::{Fields, merged};
use crate::text;

/// The overrides of a vault's secrets, by the names that the config uses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    secrets: Snapshot,
    /// From the config's name of a secret to the id that is read.
    aliases: BTreeMap<String, String>,
}

/// The override of one secret.
struct Override<'a> {
    id: &'a str,
    outcome: &'a ReadOutcome,
    /// The fields that it replaces; `None` if it replaces the whole secret.
    fields: Option<Fields>,
}

impl Override<'_> {
    /// Whether the override alone decides a requirement's value.
    fn covers(&self, requirement: &Requirement) -> bool {
        match (&self.fields, requirement.field()) {
            (None, _) => true,
            (Some(fields), Some(field)) => fields.get(field).is_some(),
            (Some(_), None) => false,
        }
    }
}

impl Overrides {
    pub(crate) fn new(secrets: Snapshot, aliases: BTreeMap<String, String>) -> Self {
        Overrides { secrets, aliases }
    }

    #[cfg(feature = "live")]
    pub(crate) fn is_empty(&self) -> bool {
        self.secrets.iter().next().is_none()
    }

    /// Returns a problem for each overridden secret or field that a config of this schema does not read: it
    /// would have no effect.
    pub(crate) fn problems(&self, schema: &Schema) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut read: BTreeMap<&str, Vec<&Requirement>> = BTreeMap::new();
        for secret in schema.secrets() {
            if let Located::Link(link @ Link::Ambiguous(_)) = self.secrets.find(secret) {
                problems.push(unresolved(link).of(secret, None));
            }
        }
        for requirement in schema {
            if let Some(found) = self.find(requirement.secret()) {
                read.entry(found.id).or_default().push(requirement);
            }
        }
        for (id, outcome) in &self.secrets {
            match read.get(id) {
                Some(requirements) => problems.extend(unread_fields(id, outcome, requirements)),
                None if self.is_ambiguous(id) => {}
                None => problems.push(unread_secret(id, schema)),
            }
        }
        problems
    }

    /// Returns the part of the schema that must still be read.
    pub(crate) fn rest(&self, schema: &Schema) -> Schema {
        let is_covered = |requirement: &&Requirement| {
            let found = self.find(requirement.secret());
            found.is_some_and(|found| found.covers(requirement))
        };
        // A secret has one resync, whichever of its fields states it.
        let stated = |secret: &SecretRef| {
            let of_secret = schema.iter().filter(|other| other.secret() == secret);
            of_secret.filter_map(Requirement::resync).next()
        };
        let rest = schema.iter().filter(|requirement| !is_covered(requirement));
        let rest = rest
            .cloned()
            .map(|requirement| match stated(requirement.secret()) {
                Some(resync) => requirement.with_resync(resync),
                None => requirement,
            });
        rest.collect()
    }

    /// Returns the snapshot that a config is built from: the overrides, and what was read of the
    /// [`rest`](Self::rest).
    pub(crate) fn over(&self, schema: &Schema, read: &Snapshot) -> Snapshot {
        let mut outcomes = Vec::new();
        let mut links = BTreeMap::new();
        for secret in schema.secrets() {
            let Some(found) = self.find(secret) else {
                continue;
            };
            let below = match &found.fields {
                Some(_) => read.find(secret),
                None => Located::Unknown,
            };
            let outcome = match below {
                Located::ReadOutcome { outcome, .. } => match outcome {
                    ReadOutcome::Value(value) => over_value(value, found.outcome),
                    ReadOutcome::Missing => found.outcome.clone(),
                    // The other fields of this secret could not be read, so its outcome stays.
                    ReadOutcome::Denied | ReadOutcome::Unavailable(_) => outcome.clone(),
                },
                // The name is ambiguous or could not be looked up. The build reports that.
                Located::Refused(_)
                | Located::Link(Link::Ambiguous(_) | Link::Canary(_) | Link::Unlisted(_)) => {
                    continue;
                }
                Located::Link(Link::To(_) | Link::Unknown(_)) | Located::Unknown => {
                    found.outcome.clone()
                }
            };
            links.insert(secret.clone(), Link::To(found.id.to_owned()));
            outcomes.push((found.id.to_owned(), outcome));
        }
        read.with(outcomes).with_links(links)
    }

    /// Returns the config's names of the overridden secrets, each with its id here.
    #[cfg(feature = "live")]
    pub(crate) fn ids(&self, schema: &Schema) -> BTreeMap<String, String> {
        let ids = schema.secrets().into_iter().filter_map(|secret| {
            let found = self.find(secret)?;
            Some((secret.as_str().to_owned(), found.id.to_owned()))
        });
        ids.collect()
    }

    /// Returns the check's status of an overridden requirement; `None` for any other.
    pub(crate) fn status(&self, requirement: &Requirement) -> Option<CheckStatus> {
        let found = self.find(requirement.secret())?;
        let whole = requirement.field().is_none();
        match (found.outcome, &found.fields) {
            (ReadOutcome::Value(_), None) if !whole => Some(CheckStatus::NotStructured),
            (ReadOutcome::Value(_), Some(fields)) => {
                let covered = whole || requirement.field().is_some_and(|f| fields.get(f).is_some());
                covered.then_some(CheckStatus::Overridden)
            }
            (ReadOutcome::Value(_), None) => Some(CheckStatus::Overridden),
            _ => Some(CheckStatus::Missing),
        }
    }

    /// Finds the override of a secret, by the config's name or by the id that an alias leads to.
    fn find(&self, secret: &SecretRef) -> Option<Override<'_>> {
        let (id, outcome) = match self.secrets.find(secret) {
            Located::ReadOutcome { id, outcome } => (id, outcome),
            Located::Refused(_) | Located::Link(_) | Located::Unknown => {
                let id = self.aliases.get(secret.as_str())?;
                (id.as_str(), self.secrets.get(id)?)
            }
        };
        let fields = outcome.value().and_then(Fields::parse);
        Some(Override {
            id,
            outcome,
            fields,
        })
    }

    fn is_ambiguous(&self, id: &str) -> bool {
        let is_one = |link: &Link| match link {
            Link::Ambiguous(candidates) => candidates.iter().any(|candidate| candidate.id == id),
            _ => false,
        };
        self.secrets.links().values().any(is_one)
    }
}

/// Replaces the fields of a value with those of an override. If one of the two has no fields, returns the
/// override.
fn over_value(value: &secrecy::SecretString, over: &ReadOutcome) -> ReadOutcome {
    let merged = over.value().and_then(|over| merged(value, over));
    merged.map_or_else(|| over.clone(), ReadOutcome::Value)
}

fn unread_secret(id: &str, schema: &Schema) -> Problem {
    let secrets = schema.secrets();
    let known = secrets.iter().map(|secret| secret.as_str());
    let near = match near(id, known).as_slice() {
        [] => String::new(),
        near => format!("; near it: {}", text::list(near, |name| text::name(name))),
    };
    let text = format!("overridden, and the config does not read this secret{near}");
    let secret = SecretRef::Id(text::name(id));
    Problem::new(ProblemKind::Conflict, text).of(&secret, None)
}

fn unread_fields(id: &str, outcome: &ReadOutcome, read: &[&Requirement]) -> Vec<Problem> {
    let fields = outcome.value().and_then(Fields::parse).unwrap_or_default();
    let known: BTreeSet<&str> = read.iter().filter_map(|r| r.field()).collect();
    if read.iter().any(|r| r.field().is_none()) {
        return Vec::new();
    }
    let unread = fields.names().filter(|name| !known.contains(name));
    let problem = |name: &str| {
        let meant = near(name, known.iter().copied());
        let (field, what) = match text::is_field_name(name) {
            true => (Some(name), "this field"),
            false => (None, "a field whose name is not shown"),
        };
        let meant = match meant.first() {
            Some(meant) => format!(" (did you mean {meant:?}?)"),
            None => String::new(),
        };
        let text = format!("overridden, and the config does not read {what}{meant}");
        Problem::new(ProblemKind::Conflict, text).of(&SecretRef::Id(text::name(id)), field)
    };
    unread.map(problem).collect()
}
