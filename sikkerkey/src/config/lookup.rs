//! Looks up one value in a snapshot, or returns the problem.

use std::collections::HashMap;

use secrecy::{ExposeSecret, SecretString};

use super::error::{DENIED, MISSING, Problem, ProblemKind};
use super::requirement::{Requirement, SecretRef};
use super::similar::near;
use super::snapshot::{Candidate, Link, Located, ReadOutcome, Snapshot};
use crate::protocol::fields::Fields;
use crate::text;

/// The structured secrets of one build, each parsed once.
#[derive(Default)]
pub(super) struct Parsed(HashMap<String, Option<Fields>>);

impl Snapshot {
    /// Returns the text that a requirement asks for.
    ///
    /// # Errors
    /// The problem that a config would report, with the requirement's path. It does not check whether the
    /// text is what the requirement [expects](Requirement::expected).
    pub fn text(&self, requirement: &Requirement) -> Result<SecretString, Problem> {
        let (secret, field) = (requirement.secret(), requirement.field());
        find(self, &mut Parsed::default(), secret, field).map_err(|problem| {
            let problem = problem.of(secret, field).at(requirement.path());
            problem.resolved(self.resolved_id(secret))
        })
    }
}

pub(super) fn find(
    snapshot: &Snapshot,
    parsed: &mut Parsed,
    secret: &SecretRef,
    field: Option<&str>,
) -> Result<SecretString, Problem> {
    let (id, value) = match snapshot.find(secret) {
        Located::ReadOutcome { id, outcome } => (id, value(outcome)?),
        Located::Refused(problem) => return Err(problem.clone()),
        Located::Link(link) => return Err(unresolved(link)),
        Located::Unknown => {
            return Err(Problem::new(
                ProblemKind::Missing,
                "missing: the snapshot has no such secret",
            ));
        }
    };
    let Some(field) = field else {
        return Ok(value.clone());
    };
    if !parsed.0.contains_key(id) {
        parsed.0.insert(id.to_owned(), Fields::parse(value));
    }
    match parsed.0.get(id) {
        Some(Some(fields)) => of_fields(fields, field),
        _ => Err(not_structured(value)),
    }
}

fn value(outcome: &ReadOutcome) -> Result<&SecretString, Problem> {
    match outcome {
        ReadOutcome::Value(value) => Ok(value),
        ReadOutcome::Missing => Err(Problem::new(ProblemKind::Missing, MISSING)),
        ReadOutcome::Denied => Err(Problem::new(ProblemKind::Denied, DENIED)),
        ReadOutcome::Unavailable(error) => Err(Problem::unavailable(error)),
    }
}

pub(super) fn not_structured(value: &SecretString) -> Problem {
    let text = match value.expose_secret() {
        "" => "not structured: the value is empty, so it has no fields",
        text if text.starts_with('\u{feff}') => {
            "not structured: the value begins with a byte order mark, so it is not a JSON object"
        }
        _ => "not structured: the value is not a JSON object, so it has no fields",
    };
    Problem::new(ProblemKind::NotStructured, text)
}

fn of_fields(fields: &Fields, field: &str) -> Result<SecretString, Problem> {
    let missing = |text| Err(Problem::new(ProblemKind::FieldMissing, text));
    match fields.get(field) {
        Some(_) if fields.is_null(field) => missing(format!("field {field:?} is null")),
        Some(text) => Ok(text.clone()),
        None => {
            let names: Vec<_> = fields.names().collect();
            let shown = names
                .iter()
                .copied()
                .filter(|name| text::is_field_name(name));
            let meant = match near(field, shown).first() {
                Some(name) => format!(" (did you mean {name:?}?)"),
                None => String::new(),
            };
            let has = match names.is_empty() {
                true => "no fields at all".to_owned(),
                false => text::field_names(names, text::quoted),
            };
            missing(format!("no field {field:?}{meant}; the secret has {has}"))
        }
    }
}

pub(super) fn unresolved(link: &Link) -> Problem {
    match link {
        Link::Unlisted(error) => Problem::unavailable(&error.0),
        Link::Ambiguous(candidates) => Problem::new(
            ProblemKind::Ambiguous,
            format!(
                "ambiguous: {} secrets have this name: {}",
                candidates.len(),
                candidate_list(candidates)
            ),
        ),
        Link::Canary(_) => Problem::new(
            ProblemKind::Canary,
            "a canary: reading it raises an alarm, so it was not read",
        ),
        // A link to an id was followed before.
        Link::To(_) | Link::Unknown(_) => {
            let near = match link {
                Link::Unknown(candidates) if !candidates.is_empty() => {
                    format!("; near it: {}", candidate_list(candidates))
                }
                _ => String::new(),
            };
            Problem::new(
                ProblemKind::Missing,
                format!("missing: this machine sees no secret of this name{near}"),
            )
        }
    }
}

fn candidate_list(candidates: &[Candidate]) -> String {
    text::list(candidates, Candidate::to_string)
}
