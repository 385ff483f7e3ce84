use std::collections::BTreeMap;

use super::aliases::Aliases;
use crate::config::error::Problem;
use crate::config::schema::Schema;

/// The default limit of concurrent reads.
const CONCURRENCY: usize = 8;

/// Settings of how a config's secrets are found and read; for [`Loader::options`](crate::Loader::options),
/// [`Fetch::options`](crate::Fetch::options) and every provider of `sikkerkey-figment`.
///
/// ```
/// use sikkerkey::LoadOptions;
///
/// let staging = LoadOptions::new()
///     .project("proj_staging")
///     .aliases([("sk_db", "sk_db_stg"), ("sk_flags", "sk_flags_stg")])
///     .strict_aliases()
///     .refuse_canaries()
///     .concurrency(4);
/// # let _ = staging;
/// ```
///
/// # Aliases
///
/// An *alias* names the secret that another environment has instead of one that the config names. It is
/// followed once: the id that it leads to is read as it is. Several secrets may lead to one id. Reports show
/// both ids: `sk_flags -> sk_flags_stg`.
///
/// A wrong alias is a problem of the load, and then nothing is read, so that a typing mistake never makes
/// staging read production. Wrong are an alias that fits no secret of the config (the nearest is named), one
/// that leads to no id, to itself or in a circle, and two for one secret in one text or list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "options do nothing until a loader is given them"]
pub struct LoadOptions {
    project: Option<String>,
    application: Option<String>,
    aliases: Aliases,
    refuse_canaries: bool,
    least_privilege: bool,
    concurrency: usize,
}

impl LoadOptions {
    /// Makes the default options: display names are looked up in all projects, aliases are empty, canaries are
    /// read like other secrets, and up to 8 reads run at once.
    pub fn new() -> Self {
        LoadOptions {
            project: None,
            application: None,
            aliases: Aliases::default(),
            refuse_canaries: false,
            least_privilege: false,
            concurrency: CONCURRENCY,
        }
    }

    /// Looks display names up in one project, by its id. Ids are read as they are. Defaults to all
    /// projects.
    pub fn project(mut self, project: impl Into<String>) -> Self {
        self.project = Some(project.into());
        self
    }

    /// Looks display names up in one application, by its id. Ids are read as they are. Defaults to all
    /// applications; a [`project`](Self::project) takes precedence if both are set.
    ///
    /// A service that is too old for applications is asked for the plain list: then names are looked
    /// up among all secrets that the machine sees, and a warning is logged. A name that several
    /// secrets have is a problem there too.
    pub fn application(mut self, application: impl Into<String>) -> Self {
        self.application = Some(application.into());
        self
    }

    /// Reads the secret with the id `to` wherever the config names `from`, which is an id or a display name.
    /// It replaces an earlier alias of `from`. Defaults to no alias.
    pub fn alias(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.aliases.insert(from.into(), to.into());
        self
    }

    /// Adds several aliases, each as [`alias`](Self::alias) takes it. Defaults to no alias.
    pub fn aliases<F: Into<String>, T: Into<String>>(
        mut self,
        aliases: impl IntoIterator<Item = (F, T)>,
    ) -> Self {
        let aliases = aliases.into_iter();
        let owned = aliases.map(|(from, to)| (from.into(), to.into()));
        self.aliases.extend("the list of aliases", owned);
        self
    }

    /// Adds the aliases that an environment variable holds as text, such as
    /// `sk_db=sk_db_stg,sk_flags=sk_flags_stg`. The variable is read now. If it is unset or empty, no alias
    /// is added; white space around ids is ignored. Defaults to no variable.
    ///
    /// A text that is not such a list is a problem of the load, which names the entry. For a display name
    /// with a comma or an equals sign, use [`alias`](Self::alias).
    pub fn aliases_from_env(mut self, variable: &str) -> Self {
        self.aliases.extend_from_env(variable);
        self
    }

    /// Refuses to read a secret that has no alias, so that this environment never reads a secret of the
    /// environment that the config was written for. Defaults to off.
    ///
    /// Each id that the config names needs an alias, to an id that the config does not name. A display name
    /// needs one too, unless a [`project`](Self::project) or an [`application`](Self::application) says where
    /// it is looked up. Each secret without an alias that it needs is a problem of the load, and then nothing
    /// is read.
    pub fn strict_aliases(mut self) -> Self {
        self.aliases.strict = true;
        self
    }

    /// Refuses the load with a problem for each canary (a secret that raises an alarm when it is read) that
    /// the config names. The list of secrets is requested first, which is one more request, and the canaries
    /// are not read. The other secrets are read, so that every problem is reported together. Defaults to off.
    ///
    /// If the list fails, nothing is read and the load fails. If the service is too old to report kinds, no
    /// canary can be refused, and a warning is logged.
    pub fn refuse_canaries(mut self) -> Self {
        self.refuse_canaries = true;
        self
    }

    /// Has `check` also name the secrets that this machine may read and the config does not need:
    /// [`CheckReport::unneeded`](crate::CheckReport::unneeded). Defaults to off. It changes nothing
    /// about a load.
    pub fn least_privilege(mut self) -> Self {
        self.least_privilege = true;
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

    #[doc(hidden)]
    pub fn application_name(&self) -> Option<&str> {
        self.application.as_deref()
    }

    /// Returns the map from the config's names of secrets to the ids that are read.
    #[doc(hidden)]
    pub fn alias_map(&self) -> &BTreeMap<String, String> {
        self.aliases.map()
    }

    /// Returns the problems of these options for a config of this schema.
    #[doc(hidden)]
    pub fn problems(&self, schema: &Schema) -> Vec<Problem> {
        let names_are_scoped = self.project.is_some() || self.application.is_some();
        self.aliases.problems(schema, names_are_scoped)
    }

    /// Returns the options for a schema whose aliases were followed already.
    #[doc(hidden)]
    pub fn without_aliases(mut self) -> Self {
        self.aliases = Aliases::default();
        self
    }

    /// Returns the options for a part of a schema that has [no problems](Self::problems) as a whole.
    pub(super) fn for_part(mut self, part: &Schema) -> Self {
        self.aliases.keep_those_of(part);
        self
    }

    #[doc(hidden)]
    pub fn refuses_canaries(&self) -> bool {
        self.refuse_canaries
    }

    pub(super) fn names_unneeded(&self) -> bool {
        self.least_privilege
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
