//! Compares each requirement with the list of secrets.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Check, CheckStatus};
use crate::config::requirement::{Requirement, SecretRef};
use crate::config::schema::Schema;
use crate::config::similar::near;
use crate::config::snapshot::{Candidate, Link};
use crate::protocol::details::{SecretDetails, SecretKind};
use crate::text;

/// Returns a check for each requirement.
pub(super) fn compare<'a>(
    schema: &Schema,
    links: &BTreeMap<SecretRef, Link>,
    listed: impl Iterator<Item = &'a SecretDetails>,
    has_resync: impl Fn(&SecretRef, &str) -> bool,
) -> Vec<Check> {
    let listed: HashMap<&str, &SecretDetails> =
        listed.map(|item| (item.id.as_str(), item)).collect();
    let with_resync: HashSet<&str> = schema
        .iter()
        .filter_map(|requirement| {
            let secret = requirement.secret();
            let id = id_of(secret, links)?;
            (requirement.resync().is_some() || has_resync(secret, id)).then_some(id)
        })
        .collect();
    let finding = |requirement: &Requirement| {
        let mut finding = find(requirement, links, &listed);
        let chosen = id_of(requirement.secret(), links).is_some_and(|id| with_resync.contains(id));
        let is_leased = finding.kind == Some(SecretKind::Leased);
        if is_leased && finding.status == CheckStatus::Ok && !chosen {
            finding.hint = Some("leased: choose a resync".to_owned());
        }
        finding
    };
    checks(schema, links, schema.iter().map(finding).collect())
}

fn checks(
    schema: &Schema,
    links: &BTreeMap<SecretRef, Link>,
    findings: Vec<Finding>,
) -> Vec<Check> {
    let check = |(requirement, finding): (&Requirement, Finding)| Check {
        requirement: requirement.clone(),
        resolved_id: id_of(requirement.secret(), links).map(str::to_owned),
        kind: finding.kind,
        status: finding.status,
        hint: finding.hint,
        ok: false,
    };
    let mut checks: Vec<Check> = schema.iter().zip(findings).map(check).collect();
    judge(schema, &mut checks);
    checks
}

/// Decides for each check whether the config can be built with it. A value that is required inside a nested
/// `Option` is needed only if another value of that `Option` exists.
pub(super) fn judge(schema: &Schema, checks: &mut [Check]) {
    use CheckStatus::{FieldMissing, Missing, Ok, Overridden, Uncertain};
    let is_there = |check: &Check| !matches!(check.status, Missing | Uncertain | FieldMissing);
    let there: Vec<bool> = checks.iter().map(is_there).collect();
    for (check, may_be_absent) in checks.iter_mut().zip(schema.may_be_absent(&there)) {
        let absent = !is_there(check) && may_be_absent;
        check.status = match check.status {
            Missing | Uncertain if absent => Uncertain,
            Missing | Uncertain => Missing,
            status => status,
        };
        check.ok = absent || matches!(check.status, Ok | Overridden);
    }
}

/// The result for one requirement.
struct Finding {
    status: CheckStatus,
    hint: Option<String>,
    kind: Option<SecretKind>,
}

impl Finding {
    fn new(status: CheckStatus, hint: Option<String>) -> Self {
        Finding {
            status,
            hint,
            kind: None,
        }
    }
}

/// Returns the id that a load would read.
pub(super) fn id_of<'a>(
    secret: &'a SecretRef,
    links: &'a BTreeMap<SecretRef, Link>,
) -> Option<&'a str> {
    match (links.get(secret), secret) {
        (Some(link), _) => link.id(),
        (None, SecretRef::Id(id)) => Some(id),
        (None, SecretRef::Name(_)) => None,
    }
}

fn find(
    requirement: &Requirement,
    links: &BTreeMap<SecretRef, Link>,
    seen: &HashMap<&str, &SecretDetails>,
) -> Finding {
    let secret = requirement.secret();
    match links.get(secret) {
        Some(Link::Ambiguous(candidates)) => {
            return Finding::new(CheckStatus::Ambiguous, hint("they are", candidates));
        }
        Some(Link::Unknown(candidates)) => {
            return Finding::new(CheckStatus::Missing, hint("near it:", candidates));
        }
        Some(Link::To(_) | Link::Canary(_) | Link::Unlisted(_)) | None => {}
    }
    let item = id_of(secret, links).and_then(|id| seen.get(id));
    let Some(item) = item else {
        return Finding::new(CheckStatus::Missing, None);
    };
    let mut finding = match (item.kind, requirement.field()) {
        (SecretKind::Canary, _) => Finding::new(CheckStatus::Canary, None),
        (SecretKind::Certificate, _) => Finding::new(CheckStatus::Certificate, None),
        (_, None) => Finding::new(CheckStatus::Ok, None),
        (_, Some(field)) => find_field(item, field),
    };
    finding.kind = Some(item.kind);
    finding
}

fn find_field(item: &SecretDetails, field: &str) -> Finding {
    match &item.field_names {
        None => Finding::new(CheckStatus::NotStructured, None),
        Some(names) if has(names, field) => Finding::new(CheckStatus::Ok, None),
        Some(names) => {
            let meant = near(field, names.iter().map(String::as_str));
            let hint = meant.first().map(|name| format!("did you mean {name:?}?"));
            Finding::new(CheckStatus::FieldMissing, hint)
        }
    }
}

/// Whether the names contain the field. The service separates names with commas, so a name that contains one
/// arrives in parts.
fn has(names: &[String], field: &str) -> bool {
    let parts: Vec<&str> = field.split(',').collect();
    names
        .windows(parts.len())
        .any(|window| window.iter().map(String::as_str).eq(parts.iter().copied()))
}

fn hint(words: &str, candidates: &[Candidate]) -> Option<String> {
    let list = || text::list(candidates, Candidate::to_string);
    (!candidates.is_empty()).then(|| format!("{words} {}", list()))
}
