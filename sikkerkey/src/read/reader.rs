use std::collections::BTreeSet;

use super::options::LoadOptions;
use super::resolve;
use crate::client::SikkerKey;
use crate::config::check::CheckReport;
use crate::config::requirement::SecretRef;
use crate::config::schema::Schema;
use crate::config::snapshot::{ReadOutcome, Snapshot};
use crate::error::Error;
use crate::parallel;

/// Reads the secrets of a [`Schema`]: what a [`Loader`](crate::Loader) does, without a struct.
///
/// k distinct secrets are k reads, however many requirements they serve, and no secret is read
/// that the schema does not name.
///
/// ```
/// # let vault = sikkerkey_emulator::Emulator::builder().secret("sk_stripe_key", "sk-live-1").start()?;
/// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
/// use sikkerkey::{ExposeSecret, Fetch, Requirement, Schema, SecretRef};
///
/// let key = Requirement::new("stripe", SecretRef::Id("sk_stripe_key".into()));
/// let schema = Schema::from_iter([key.clone()]);
/// let snapshot = Fetch::new(&sk).snapshot(&schema);
/// assert_eq!(snapshot.text(&key)?.expose_secret(), "sk-live-1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is read until a snapshot is asked for"]
pub struct Fetch {
    pub(crate) client: SikkerKey,
    options: LoadOptions,
}

impl Fetch {
    /// Reads with a client, and the [`LoadOptions`] of the default.
    pub fn new(client: impl AsRef<SikkerKey>) -> Self {
        Fetch {
            client: client.as_ref().clone(),
            options: LoadOptions::new(),
        }
    }

    /// Finds and reads the secrets as these options say.
    pub fn options(mut self, options: LoadOptions) -> Self {
        self.options = options;
        self
    }

    pub(super) fn load_options(&self) -> &LoadOptions {
        &self.options
    }

    /// Changes the options that are set.
    pub(crate) fn change(mut self, change: impl FnOnce(LoadOptions) -> LoadOptions) -> Self {
        self.options = change(self.options);
        self
    }

    /// Reads every secret of the schema once. What could not be read is in the snapshot as such.
    ///
    /// Where the service does not know this machine (401), no further read is begun: it locks an
    /// address out after a few of these.
    pub fn snapshot(&self, schema: &Schema) -> Snapshot {
        let resolved = resolve::resolve(schema, self.options.alias_map(), || {
            resolve::list(&self.client, self.options.project_name())
        });
        let outcomes = self.outcomes(&resolved.ids);
        Snapshot::default()
            .with(outcomes)
            .with_links(resolved.links)
    }

    /// [`snapshot`](Self::snapshot) as a future, on any async runtime: a thread of the client reads.
    pub fn snapshot_async(&self, schema: &Schema) -> impl Future<Output = Snapshot> + Send + use<> {
        let (fetch, schema) = (self.clone(), schema.clone());
        async move {
            let call = {
                let (fetch, schema) = (fetch.clone(), schema.clone());
                move || fetch.snapshot(&schema)
            };
            let snapshot = fetch.client.run(call).await;
            snapshot.unwrap_or_else(|error| Snapshot::unavailable(schema.secrets(), &error))
        }
    }

    /// Compares the schema with what this machine sees, without reading a value: by one list
    /// call, or two where the schema has names and a project was set.
    ///
    /// # Errors
    /// Any error of the list calls.
    pub fn check(&self, schema: &Schema) -> Result<CheckReport, Error> {
        let is_name = |secret: &&SecretRef| {
            matches!(secret, SecretRef::Name(_))
                && !self.options.alias_map().contains_key(secret.as_str())
        };
        let secrets = schema.secrets();
        let names = secrets.iter().any(is_name);
        let ids = secrets.iter().any(|secret| !is_name(secret));
        // Without a project, one list serves both.
        let project = self.options.project_name();
        let named = match project {
            Some(_) if names => resolve::list(&self.client, project)?,
            _ => Vec::new(),
        };
        let all = match ids || (names && project.is_none()) {
            true => resolve::list(&self.client, None)?,
            false => Vec::new(),
        };
        let names_in = if project.is_some() { &named } else { &all };
        let links =
            resolve::resolve(schema, self.options.alias_map(), || Ok(names_in.clone())).links;
        let listed = all.iter().chain(&named);
        Ok(CheckReport::new(schema, &links, listed))
    }

    /// [`check`](Self::check) as a future, on any async runtime.
    ///
    /// # Errors
    /// As `check`.
    pub fn check_async(
        &self,
        schema: &Schema,
    ) -> impl Future<Output = Result<CheckReport, Error>> + Send + use<> {
        let (fetch, schema) = (self.clone(), schema.clone());
        let client = self.client.clone();
        async move { client.run(move || fetch.check(&schema)).await? }
    }

    /// Reads secrets by their real ids.
    pub(crate) fn outcomes(&self, ids: &BTreeSet<String>) -> Vec<(String, ReadOutcome)> {
        let ids: Vec<&String> = ids.iter().collect();
        let read = |id: &&String| self.client.get_secret(id);
        let values = parallel::read_all(&ids, self.options.reads_at_once(), read);
        let outcomes = values.into_iter().map(ReadOutcome::of);
        ids.into_iter().cloned().zip(outcomes).collect()
    }
}
