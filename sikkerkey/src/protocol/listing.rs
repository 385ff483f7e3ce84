use super::messages::ListEntry;

/// A secret that this machine may read, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecretListItem {
    /// The id, by which it is read.
    pub id: String,
    /// The name that people gave it.
    pub name: String,
    /// The names of its fields; `None` for a single value.
    pub field_names: Option<Vec<String>>,
    /// The project that it is in, where the service says so.
    pub project_id: Option<String>,
}

impl From<ListEntry> for SecretListItem {
    fn from(entry: ListEntry) -> Self {
        SecretListItem {
            id: entry.id,
            name: entry.name.unwrap_or_default(),
            field_names: entry
                .field_names
                .filter(|names| !names.trim().is_empty())
                .map(|names| {
                    names
                        .split(',')
                        .map(|name| name.trim().to_owned())
                        .collect()
                }),
            project_id: entry.project_id,
        }
    }
}
