use std::collections::{BTreeMap, BTreeSet};

use super::resolve;
use crate::client::SikkerKey;
use crate::config::check::CheckReport;
use crate::config::requirement::SecretRef;
use crate::config::schema::Schema;
use crate::config::snapshot::{ReadOutcome, Snapshot};
use crate::error::Error;
use crate::parallel;

/// How many reads are on their way at once, unless the loader says otherwise.
const CONCURRENCY: usize = 8;

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
    project: Option<String>,
    aliases: BTreeMap<String, String>,
    concurrency: usize,
}

impl Fetch {
    /// Reads with a client; names are looked up among all secrets that the machine sees.
    pub fn new(client: &SikkerKey) -> Self {
        Fetch {
            client: client.clone(),
            project: None,
            aliases: BTreeMap::new(),
            concurrency: CONCURRENCY,
        }
    }

    /// Looks display names up in one project only. Ids are read as they are.
    pub fn project(mut self, project: impl Into<String>) -> Self {
        self.project = Some(project.into());
        self
    }

    /// Reads the secret with the id `to` wherever the schema says `from`, which is an id or a
    /// display name.
    pub fn alias(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.aliases.insert(from.into(), to.into());
        self
    }

    /// Has at most `reads` reads on their way at once; 8 unless this is called, and at least one.
    pub fn concurrency(mut self, reads: usize) -> Self {
        self.concurrency = reads;
        self
    }

    /// Reads every secret of the schema once. What could not be read is in the snapshot as such.
    ///
    /// Where the service does not know this machine (401), no further read is begun: it locks an
    /// address out after a few of these.
    pub fn snapshot(&self, schema: &Schema) -> Snapshot {
        let resolved = resolve::resolve(schema, &self.aliases, || {
            resolve::list(&self.client, self.project.as_deref())
        });
        let outcomes = self.outcomes(&resolved.ids);
        Snapshot::default()
            .with(outcomes)
            .with_links(resolved.links)
    }

    /// Compares the schema with what this machine sees, without reading a value: by one list
    /// call, or two where the schema has names and a project was set.
    ///
    /// # Errors
    /// Any error of the list calls.
    pub fn check(&self, schema: &Schema) -> Result<CheckReport, Error> {
        let is_name = |secret: &&SecretRef| {
            matches!(secret, SecretRef::Name(_)) && !self.aliases.contains_key(secret.as_str())
        };
        let secrets = schema.secrets();
        let names = secrets.iter().any(is_name);
        let ids = secrets.iter().any(|secret| !is_name(secret));
        // Without a project, one list serves both.
        let project = self.project.as_deref();
        let named = match project {
            Some(_) if names => resolve::list(&self.client, project)?,
            _ => Vec::new(),
        };
        let all = match ids || (names && project.is_none()) {
            true => resolve::list(&self.client, None)?,
            false => Vec::new(),
        };
        let names_in = if project.is_some() { &named } else { &all };
        let links = resolve::resolve(schema, &self.aliases, || Ok(names_in.clone())).links;
        let listed = all.iter().chain(&named);
        Ok(CheckReport::new(schema, &links, listed))
    }

    /// Reads secrets by their real ids.
    pub(crate) fn outcomes(&self, ids: &BTreeSet<String>) -> Vec<(String, ReadOutcome)> {
        let ids: Vec<&String> = ids.iter().collect();
        let read = |id: &&String| self.client.get_secret(id);
        let values = parallel::read_all(&ids, self.concurrency, read);
        let outcomes = values.into_iter().map(ReadOutcome::of);
        ids.into_iter().cloned().zip(outcomes).collect()
    }
}
