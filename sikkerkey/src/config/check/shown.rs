//! A report as a table (`Display`) and as a list (`Serialize`).

use std::fmt;

use serde::ser::{Serialize, SerializeSeq, Serializer};

use super::{CheckReport, CheckStatus};
use crate::config::requirement::SecretRef;
use crate::config::table::Table;
use crate::protocol::details::{SecretDetails, SecretKind};
use crate::text::quoted;

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["", "PATH", "SECRET", "FIELD", "NEEDED", "STATUS"]);
        for check in self {
            let requirement = &check.requirement;
            table.row([
                match check.status {
                    _ if !check.ok => "!!",
                    CheckStatus::Uncertain => "??",
                    _ => "ok",
                }
                .to_owned(),
                requirement.path().to_owned(),
                requirement.secret().with_id(check.resolved_id()),
                requirement.field().unwrap_or_default().to_owned(),
                requirement.necessity().to_string(),
                match &check.hint {
                    Some(hint) => format!("{}; {hint}", check.status),
                    None => check.status.to_string(),
                },
            ]);
        }
        let row = |mark: &str, path: &str, secret: String, status: String| {
            [
                mark.into(),
                path.into(),
                secret,
                "".into(),
                "".into(),
                status,
            ]
        };
        for refusal in &self.refusals {
            let secret = refusal.secret();
            let secret = secret.map(|secret| secret.with_id(refusal.resolved_id()));
            let said = refusal.message().to_owned();
            table.row(row("!!", refusal.path(), secret.unwrap_or_default(), said));
        }
        for secret in &self.unneeded {
            let said = format!("not needed: {}", described(secret));
            table.row(row("??", "", secret.id.clone(), said));
        }
        table.fmt(f)
    }
}

/// The checks, then each refusal with the status `refused`, then each unneeded secret with the status
/// `unneeded`.
impl Serialize for CheckReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// A row that belongs to no requirement.
        #[derive(serde::Serialize)]
        struct Other<'a> {
            path: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            secret: Option<SecretRef>,
            #[serde(skip_serializing_if = "Option::is_none")]
            kind: Option<SecretKind>,
            status: &'static str,
            hint: String,
            ok: bool,
        }
        let mut list = serializer.serialize_seq(None)?;
        for check in &self.checks {
            list.serialize_element(check)?;
        }
        for refusal in &self.refusals {
            list.serialize_element(&Other {
                path: refusal.path(),
                secret: refusal.secret().cloned(),
                kind: None,
                status: "refused",
                hint: refusal.message().to_owned(),
                ok: false,
            })?;
        }
        for secret in &self.unneeded {
            list.serialize_element(&Other {
                path: "",
                secret: Some(SecretRef::Id(secret.id.clone())),
                kind: Some(secret.kind),
                status: "unneeded",
                hint: described(secret),
                ok: true,
            })?;
        }
        list.end()
    }
}

/// A secret's name and project, escaped for a terminal.
fn described(secret: &SecretDetails) -> String {
    let name = quoted(&secret.name);
    match secret.project_name.as_ref().or(secret.project_id.as_ref()) {
        Some(project) => format!("{name} in {}", quoted(project)),
        None => name,
    }
}
