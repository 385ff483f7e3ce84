use std::fmt;

use super::messages::ListEntry;
use crate::text;

/// A secret that this machine may read, without its value; from
/// [`SikkerKey::list_secrets`](crate::SikkerKey::list_secrets).
///
/// Names are as people entered them and may hold any character; `Debug` escapes what does not belong on a
/// terminal or in a log.
///
/// ```
/// # use sikkerkey_emulator::Emulator;
/// # let vault = Emulator::builder()
/// #     .structured("sk_db_prod", [("host", "db.internal")]).name("sk_db_prod", "Database")
/// #     .start()?;
/// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
/// let secrets = sk.list_secrets()?;
/// let database = secrets.iter().find(|secret| secret.name == "Database").ok_or("not granted")?;
/// assert_eq!(database.id, "sk_db_prod");
/// assert_eq!(database.field_names, Some(vec!["host".to_owned()]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecretListItem {
    /// The secret's id, for reading it.
    pub id: String,
    /// The display name.
    pub name: String,
    /// The names of its fields; `None` for a single value.
    pub field_names: Option<Vec<String>>,
    /// The id of its project, if the service says it.
    pub project_id: Option<String>,
}

impl From<ListEntry> for SecretListItem {
    fn from(entry: ListEntry) -> Self {
        SecretListItem {
            id: entry.id,
            name: entry.name.unwrap_or_default(),
            field_names: field_names(entry.field_names.as_deref()),
            project_id: entry.project_id,
        }
    }
}

/// Splits the service's list of names at its commas; `None` for a single value.
pub(crate) fn field_names(text: Option<&str>) -> Option<Vec<String>> {
    let names: Vec<String> = text?
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    (!names.is_empty()).then_some(names)
}

impl fmt::Debug for SecretListItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.field_names.as_ref().map(text::quoted_names);
        f.debug_struct("SecretListItem")
            .field("id", &self.id)
            .field("name", &format_args!("{}", text::quoted(&self.name)))
            .field(
                "field_names",
                &format_args!("[{}]", names.unwrap_or_default()),
            )
            .field("project_id", &self.project_id.as_deref().map(text::name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_names_are_those_that_are_not_empty() {
        for single in [None, Some(""), Some(" "), Some(","), Some(" , ,")] {
            assert_eq!(field_names(single), None, "{single:?}");
        }
        assert_eq!(field_names(Some("a,,b, ")).unwrap(), ["a", "b"]);
        assert_eq!(field_names(Some(" a b ,c")).unwrap(), ["a b", "c"]);
    }

    #[test]
    fn debug_shows_names_that_are_fit_to_be_shown() {
        let item = SecretListItem::from(ListEntry {
            id: "sk_a".to_owned(),
            name: Some("a\u{1b}[2J\r\n\u{202e}b".to_owned()),
            field_names: Some((0..40_000).map(|n| format!("f{n},")).collect()),
            project_id: Some("p\u{7}".to_owned()),
        });
        let shown = format!("{item:?}");
        assert!(!shown.contains(char::is_control), "{shown}");
        assert!(
            shown.contains("and 39988 more") && shown.len() < 400,
            "{shown}"
        );
    }
}
