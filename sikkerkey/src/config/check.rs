use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use serde::Serialize;

use super::requirement::{Necessity, Requirement, SecretRef};
use super::schema::Schema;
use super::similar::near;
use super::snapshot::{Candidate, Link};
use super::table::Table;
use crate::protocol::listing::SecretListItem;

/// What a machine would find if it loaded a config now, without a value being read.
///
/// `Display` is a table with a line for each requirement; `Serialize` is the list of the checks.
/// [`SikkerKeyConfig::check`](crate::SikkerKeyConfig::check) makes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct CheckReport {
    checks: Vec<Check>,
}

/// One requirement, and whether it can be met.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    requirement: Requirement,
    status: CheckStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Whether the config can do without it.
    ok: bool,
}

/// What the list of secrets says of one requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CheckStatus {
    /// The secret is there, and so is the field.
    Ok,
    /// This machine does not see the secret: it does not exist, or there is no grant for it. The
    /// service does not say which.
    Missing,
    /// The secret is there, and has no such field.
    FieldMissing,
    /// The secret is there as a single value, which has no fields.
    NotStructured,
    /// Several secrets have the name.
    Ambiguous,
    /// An [override](crate::Loader::overrides) takes the place of what is there.
    Overridden,
}

impl CheckReport {
    /// Compares a schema with the secrets that the machine sees. `links` says where names and
    /// aliases lead.
    pub(crate) fn new<'a>(
        schema: &Schema,
        links: &BTreeMap<SecretRef, Link>,
        listed: impl Iterator<Item = &'a SecretListItem>,
    ) -> Self {
        let listed: HashMap<&str, &SecretListItem> =
            listed.map(|item| (item.id.as_str(), item)).collect();
        let statuses = schema
            .iter()
            .map(|requirement| status(requirement, links, &listed))
            .collect();
        report(schema, statuses)
    }

    /// The report on a schema, parts of which are decided by overrides; this one has the others.
    pub(crate) fn overridden(
        self,
        schema: &Schema,
        decide: impl Fn(&Requirement) -> Option<CheckStatus>,
    ) -> Self {
        let mut read = self.checks.into_iter().peekable();
        let finding = |requirement: &Requirement| {
            let found = read.next_if(|check| check.requirement == *requirement);
            match (decide(requirement), found) {
                (Some(status), _) => (status, None),
                (None, Some(check)) => (check.status, check.hint),
                (None, None) => (CheckStatus::Missing, None),
            }
        };
        let statuses = schema.iter().map(finding).collect();
        report(schema, statuses)
    }

    /// Whether the config would find all that it needs. What it finds may still be no `u16`.
    pub fn is_ok(&self) -> bool {
        self.checks.iter().all(Check::is_ok)
    }

    /// Every check, in the order of the fields.
    pub fn iter(&self) -> std::slice::Iter<'_, Check> {
        self.checks.iter()
    }

    /// The checks that would keep the config from loading.
    pub fn problems(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.is_ok())
    }
}

impl<'a> IntoIterator for &'a CheckReport {
    type Item = &'a Check;
    type IntoIter = std::slice::Iter<'a, Check>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Check {
    /// What the config asks for.
    pub fn requirement(&self) -> &Requirement {
        &self.requirement
    }

    /// What the list says.
    pub fn status(&self) -> CheckStatus {
        self.status
    }

    /// Names that may have been meant, or that are to choose from; fit to be shown.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether the config can do with what is there: it was found, or nothing is there and it may
    /// be absent.
    pub fn is_ok(&self) -> bool {
        self.ok
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["", "PATH", "SECRET", "FIELD", "NEEDED", "STATUS"]);
        for check in self {
            let requirement = &check.requirement;
            table.row([
                if check.ok { "ok" } else { "!!" }.to_owned(),
                requirement.path().to_owned(),
                requirement.secret().to_string(),
                requirement.field().unwrap_or_default().to_owned(),
                requirement.necessity().to_string(),
                match &check.hint {
                    Some(hint) => format!("{}; {hint}", check.status),
                    None => check.status.to_string(),
                },
            ]);
        }
        table.fmt(f)
    }
}

impl fmt::Display for CheckStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CheckStatus::Ok => "found",
            CheckStatus::Missing => "not visible to this machine: missing or not granted",
            CheckStatus::FieldMissing => "field missing",
            CheckStatus::NotStructured => "a single value, without fields",
            CheckStatus::Ambiguous => "several secrets have this name",
            CheckStatus::Overridden => "overridden",
        })
    }
}

/// The status of one requirement, with a hint.
type Finding = (CheckStatus, Option<String>);

fn status(
    requirement: &Requirement,
    links: &BTreeMap<SecretRef, Link>,
    seen: &HashMap<&str, &SecretListItem>,
) -> Finding {
    let secret = requirement.secret();
    let id = match links.get(secret) {
        None => secret.as_str(),
        Some(Link::To(id)) => id,
        Some(Link::Ambiguous(candidates)) => {
            return (CheckStatus::Ambiguous, hint("they are", candidates));
        }
        Some(Link::Unknown(candidates)) => {
            return (CheckStatus::Missing, hint("near it:", candidates));
        }
        Some(Link::Unlisted(_)) => return (CheckStatus::Missing, None),
    };
    match (seen.get(id), requirement.field()) {
        (None, _) => (CheckStatus::Missing, None),
        (Some(_), None) => (CheckStatus::Ok, None),
        (Some(item), Some(field)) => match &item.field_names {
            None => (CheckStatus::NotStructured, None),
            Some(names) if has(names, field) => (CheckStatus::Ok, None),
            Some(names) => {
                let meant = near(field, names.iter().map(String::as_str));
                let hint = meant.first().map(|name| format!("did you mean {name:?}?"));
                (CheckStatus::FieldMissing, hint)
            }
        },
    }
}

/// The service lists names with commas between them, so a name with a comma arrives in parts.
fn has(names: &[String], field: &str) -> bool {
    let parts: Vec<&str> = field.split(',').collect();
    names
        .windows(parts.len())
        .any(|window| window.iter().map(String::as_str).eq(parts.iter().copied()))
}

fn hint(text: &str, candidates: &[Candidate]) -> Option<String> {
    let candidates: Vec<_> = candidates.iter().map(Candidate::to_string).collect();
    (!candidates.is_empty()).then(|| format!("{text} {}", candidates.join(", ")))
}

/// Decides of each requirement whether the config can do without it: one that is required inside
/// a nested `Option` only where that has another value.
fn report(schema: &Schema, statuses: Vec<Finding>) -> CheckReport {
    let is_there =
        |status: CheckStatus| !matches!(status, CheckStatus::Missing | CheckStatus::FieldMissing);
    let present: HashSet<&str> = schema
        .iter()
        .zip(&statuses)
        .filter(|(_, (status, _))| is_there(*status))
        .flat_map(|(requirement, _)| prefixes(requirement.path()))
        .collect();
    let checks = schema
        .iter()
        .zip(statuses)
        .map(|(requirement, (status, hint))| {
            let absent_is_ok = match requirement.group() {
                _ if requirement.declared() != Necessity::Required => true,
                Some(group) => !present.contains(group),
                None => false,
            };
            Check {
                ok: matches!(status, CheckStatus::Ok | CheckStatus::Overridden)
                    || !is_there(status) && absent_is_ok,
                requirement: requirement.clone(),
                status,
                hint,
            }
        })
        .collect();
    CheckReport { checks }
}

/// The structs around a value: `a` and `a.b` of `a.b.c`.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('.').map(|(dot, _)| &path[..dot])
}
