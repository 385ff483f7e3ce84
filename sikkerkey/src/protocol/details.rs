//! Secrets and projects with kinds and names, without values.

use std::fmt;

use serde::Serialize;

use super::listing::{SecretListItem, field_names};
use super::messages::{DetailsEntry, ProjectEntry};
use crate::text;

/// A secret that this machine may read: its kind, project and application, without its value; from
/// [`SikkerKey::list_secrets_detailed`](crate::SikkerKey::list_secrets_detailed).
///
/// Names are as people entered them and may hold any character; `Debug` escapes what does not belong on a
/// terminal or in a log.
///
/// ```
/// # let vault = sikkerkey_emulator::Emulator::builder().secret("sk_workers", "4").start()?;
/// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
/// use sikkerkey::SecretKind;
///
/// for secret in sk.list_secrets_detailed()? {
///     if secret.kind == SecretKind::Canary {
///         println!("{} is a trap: do not read it", secret.id);
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecretDetails {
    /// The secret's id, for reading it.
    pub id: String,
    /// The display name.
    pub name: String,
    /// The names of the fields; `None` for a single value.
    pub field_names: Option<Vec<String>>,
    /// The project's id, if the secret is in one.
    pub project_id: Option<String>,
    /// The project's display name.
    pub project_name: Option<String>,
    /// The id of its application.
    pub application_id: Option<String>,
    /// The name of its application.
    pub application_name: Option<String>,
    /// The kind, which determines what a read of the secret does.
    pub kind: SecretKind,
}

/// The kind of a secret, which determines what a read does. `Display` shows the service's own word for it.
///
/// ```
/// # use sikkerkey_emulator::{Emulator, Kind};
/// # let vault = Emulator::builder()
/// #     .secret("sk_key", "sk-live-1").kind("sk_key", Kind::Secret)
/// #     .secret("sk_trap", "never read").kind("sk_trap", Kind::Canary)
/// #     .start()?;
/// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
/// use sikkerkey::SecretKind;
///
/// for secret in sk.list_secrets_detailed()? {
///     match secret.kind {
///         SecretKind::Canary => println!("{}: an alarm at each read", secret.id),
///         SecretKind::Leased => println!("{}: each read makes or extends a login", secret.id),
///         SecretKind::Certificate => println!("{}: has no value to read", secret.id),
///         _ => drop(sk.get_secret(&secret.id)?), // a read has no effect but its line in the audit log
///     }
/// }
/// # assert!(vault.alarms().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SecretKind {
    /// A single value.
    Secret,
    /// A JSON object with fields.
    Structured,
    /// A password that the service rotates in a database before it publishes the new one.
    Managed,
    /// A login with a lease, which is its limited life: each read makes a login or extends its lease.
    #[serde(rename = "leased-secret")]
    Leased,
    /// A certificate, issued to a key that the reader sends. It has no value.
    Certificate,
    /// A canary: a trap, which raises an alarm at each read.
    Canary,
    /// Unknown: an older service does not report kinds, or this version does not know the kind.
    Unknown,
}

/// A project in which this machine may read a secret; from
/// [`SikkerKey::list_projects`](crate::SikkerKey::list_projects).
///
/// Names are as people entered them and may hold any character; `Debug` escapes what does not belong on a
/// terminal or in a log.
///
/// ```
/// # let vault = sikkerkey_emulator::Emulator::builder().secret("sk_a", "4").project("sk_a", "proj_shop").start()?;
/// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
/// let projects = sk.list_projects()?;
/// assert_eq!(projects[0].id, "proj_shop");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Project {
    /// The project's id, such as `proj_shop`.
    pub id: String,
    /// The project's display name.
    pub name: String,
    /// The id of its application.
    pub application_id: Option<String>,
    /// The name of its application.
    pub application_name: Option<String>,
}

impl SecretKind {
    fn of(word: &str) -> Self {
        match word {
            "secret" => SecretKind::Secret,
            "structured" => SecretKind::Structured,
            "managed" => SecretKind::Managed,
            "leased-secret" => SecretKind::Leased,
            "certificate" => SecretKind::Certificate,
            "canary" => SecretKind::Canary,
            _ => SecretKind::Unknown,
        }
    }
}

impl fmt::Display for SecretKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SecretKind::Secret => "secret",
            SecretKind::Structured => "structured",
            SecretKind::Managed => "managed",
            SecretKind::Leased => "leased-secret",
            SecretKind::Certificate => "certificate",
            SecretKind::Canary => "canary",
            SecretKind::Unknown => "unknown",
        })
    }
}

impl From<DetailsEntry> for SecretDetails {
    fn from(entry: DetailsEntry) -> Self {
        SecretDetails {
            id: entry.id,
            name: entry.name.unwrap_or_default(),
            field_names: field_names(entry.field_names.as_deref()),
            project_id: entry.project_id,
            project_name: entry.project_name,
            application_id: entry.application_id,
            application_name: entry.application_name,
            kind: SecretKind::of(entry.kind.as_str().unwrap_or_default()),
        }
    }
}

/// Fields that the plain list leaves out are unknown.
impl From<SecretListItem> for SecretDetails {
    fn from(item: SecretListItem) -> Self {
        SecretDetails {
            id: item.id,
            name: item.name,
            field_names: item.field_names,
            project_id: item.project_id,
            project_name: None,
            application_id: None,
            application_name: None,
            kind: SecretKind::Unknown,
        }
    }
}

impl From<ProjectEntry> for Project {
    fn from(entry: ProjectEntry) -> Self {
        Project {
            id: entry.project_id,
            name: entry.project_name.unwrap_or_default(),
            application_id: entry.application_id,
            application_name: entry.application_name,
        }
    }
}

impl fmt::Debug for SecretDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.field_names.as_ref().map(text::quoted_names);
        f.debug_struct("SecretDetails")
            .field("id", &self.id)
            .field("name", &Shown(Some(&self.name)))
            .field(
                "field_names",
                &format_args!("[{}]", names.unwrap_or_default()),
            )
            .field("project_id", &Shown(self.project_id.as_ref()))
            .field("project_name", &Shown(self.project_name.as_ref()))
            .field("application_id", &Shown(self.application_id.as_ref()))
            .field("application_name", &Shown(self.application_name.as_ref()))
            .field("kind", &self.kind)
            .finish()
    }
}

impl fmt::Debug for Project {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Project")
            .field("id", &self.id)
            .field("name", &Shown(Some(&self.name)))
            .field("application_id", &Shown(self.application_id.as_ref()))
            .field("application_name", &Shown(self.application_name.as_ref()))
            .finish()
    }
}

/// A name escaped for a terminal, or `None`.
struct Shown<'a>(Option<&'a String>);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self.0 {
            Some(name) => text::quoted(name),
            None => "None".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::messages;

    fn details(body: &str) -> Vec<SecretDetails> {
        let entries = messages::details(body.as_bytes()).unwrap();
        entries.into_iter().map(SecretDetails::from).collect()
    }

    #[test]
    fn the_rich_list_is_read_with_whatever_an_older_service_leaves_out() {
        let full = r#"{"id":"sk_a","name":"A","fieldNames":"x,y","projectId":"proj_1",
            "projectName":"One","applicationId":"app_1","applicationName":"App","type":"managed","new":1}"#;
        let found = details(&format!(r#"{{"secrets":[{full},{{"id":"sk_b"}}]}}"#));
        let expected = SecretDetails {
            id: "sk_a".into(),
            name: "A".into(),
            field_names: Some(vec!["x".into(), "y".into()]),
            project_id: Some("proj_1".into()),
            project_name: Some("One".into()),
            application_id: Some("app_1".into()),
            application_name: Some("App".into()),
            kind: SecretKind::Managed,
        };
        assert_eq!(found[0], expected);
        assert_eq!((found[1].name.as_str(), &found[1].project_id), ("", &None));
        assert_eq!(found[1].kind, SecretKind::Unknown);
    }

    #[test]
    fn a_kind_that_is_not_known_hides_no_secret() {
        for (word, kind) in [
            (r#""secret""#, SecretKind::Secret),
            (r#""structured""#, SecretKind::Structured),
            (r#""managed""#, SecretKind::Managed),
            (r#""leased-secret""#, SecretKind::Leased),
            (r#""certificate""#, SecretKind::Certificate),
            (r#""canary""#, SecretKind::Canary),
            (r#""""#, SecretKind::Unknown),
            (r#""quantum""#, SecretKind::Unknown),
            ("null", SecretKind::Unknown),
            ("7", SecretKind::Unknown),
        ] {
            let found = details(&format!(r#"{{"secrets":[{{"id":"sk_a","type":{word}}}]}}"#));
            assert_eq!(found[0].kind, kind, "{word}");
            if kind != SecretKind::Unknown {
                assert_eq!(serde_json::to_string(&kind).unwrap(), word);
                assert_eq!(format!("\"{kind}\""), word);
            }
        }
    }

    #[test]
    fn projects_are_read_and_odd_ones_left_out() {
        let body = br#"{"projects":[{"projectId":"proj_1","projectName":"One","applicationId":"app_1",
            "applicationName":"App"},{"projectId":"../x"},{"projectId":"proj_2","projectName":null}]}"#;
        let projects: Vec<Project> = messages::projects(body)
            .unwrap()
            .into_iter()
            .map(Project::from)
            .collect();
        assert_eq!(projects.len(), 2);
        assert_eq!(
            format!("{:?}", projects[0]),
            r#"Project { id: "proj_1", name: "One", application_id: "app_1", application_name: "App" }"#
        );
        assert_eq!(
            (projects[1].id.as_str(), projects[1].name.as_str()),
            ("proj_2", "")
        );
        assert!(messages::projects(br#"{"secrets":[]}"#).is_err());
    }

    #[test]
    fn debug_shows_names_that_are_fit_to_be_shown() {
        let hostile = "a\u{1b}[2J\r\n\u{202e}b";
        let item = SecretDetails {
            id: "sk_a".into(),
            name: hostile.into(),
            field_names: Some((0..40_000).map(|n| format!("f{n}")).collect()),
            project_id: Some(hostile.into()),
            project_name: Some(hostile.into()),
            application_id: Some(hostile.into()),
            application_name: None,
            kind: SecretKind::Canary,
        };
        let shown = format!("{item:?}");
        assert!(!shown.contains(char::is_control), "{shown}");
        assert!(!shown.contains('\u{202e}') && shown.len() < 700, "{shown}");
        assert!(shown.ends_with("application_name: None, kind: Canary }"));
    }
}
