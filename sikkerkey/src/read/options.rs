use std::collections::BTreeMap;

/// How many reads are under way at once, unless the options say otherwise.
const CONCURRENCY: usize = 8;

/// How a config's secrets are found and read; taken by [`Loader::options`](crate::Loader::options),
/// [`Fetch::options`](crate::Fetch::options) and every provider of `sikkerkey-figment`.
///
/// ```
/// use sikkerkey::LoadOptions;
///
/// let staging = LoadOptions::new()
///     .project("proj_staging")
///     .alias("sk_db", "sk_db_stg")
///     .concurrency(4);
/// # let _ = staging;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "options do nothing until a loader is given them"]
pub struct LoadOptions {
    project: Option<String>,
    aliases: BTreeMap<String, String>,
    concurrency: usize,
}

impl LoadOptions {
    /// Display names are looked up among all secrets that the machine sees, no secret has an alias,
    /// and 8 reads are under way at once.
    pub fn new() -> Self {
        LoadOptions {
            project: None,
            aliases: BTreeMap::new(),
            concurrency: CONCURRENCY,
        }
    }

    /// Looks display names up in one project. Ids are read as they are. Defaults to all projects.
    pub fn project(mut self, project: impl Into<String>) -> Self {
        self.project = Some(project.into());
        self
    }

    /// Reads the secret with the id `to` wherever the config names `from`, which is an id or a
    /// display name. Defaults to no alias.
    pub fn alias(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.aliases.insert(from.into(), to.into());
        self
    }

    /// Limits how many reads are under way at once, at least one. Defaults to 8.
    pub fn concurrency(mut self, reads: usize) -> Self {
        self.concurrency = reads;
        self
    }

    #[doc(hidden)]
    pub fn project_name(&self) -> Option<&str> {
        self.project.as_deref()
    }

    /// From what the config names to the id that is read.
    #[doc(hidden)]
    pub fn alias_map(&self) -> &BTreeMap<String, String> {
        &self.aliases
    }

    pub(crate) fn reads_at_once(&self) -> usize {
        self.concurrency
    }
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self::new()
    }
}
