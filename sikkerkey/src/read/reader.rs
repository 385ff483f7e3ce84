use std::collections::{BTreeMap, BTreeSet};

use super::options::LoadOptions;
use super::resolve::{self, Resolved};
use crate::client::SikkerKey;
use crate::config::check::CheckReport;
use crate::config::requirement::SecretRef;
use crate::config::schema::Schema;
use crate::config::snapshot::{ReadOutcome, Snapshot};
use crate::error::Error;
use crate::parallel;
#[cfg(feature = "live")]
use crate::watch::PartyId;

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
    pub fn new(client: &SikkerKey) -> Self {
        Fetch {
            client: client.clone(),
            options: LoadOptions::new(),
        }
    }

    /// Finds and reads the secrets as these options say.
    pub fn options(mut self, options: LoadOptions) -> Self {
        self.options = options;
        self
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
        self.first_reads(schema).snapshot
    }

    /// A snapshot, and which of its values the fallback cache served.
    pub(crate) fn first_reads(&self, schema: &Schema) -> FirstReads {
        let resolved = self.resolve(schema);
        let budget = || self.client.inner().settings().budget();
        let reads = self.read_all(&resolved.ids, |id| {
            self.client.inner().read_secret_by(id, None, budget())
        });
        let mut cached = BTreeMap::new();
        let mut outcomes = Vec::new();
        for (id, read) in reads {
            if let Some(cached_at) = read.as_ref().ok().and_then(|read| read.cached_at) {
                cached.insert(id.clone(), cached_at);
            }
            outcomes.push((id, ReadOutcome::of(read.map(|read| read.value))));
        }
        let snapshot = Snapshot::default().with(outcomes);
        FirstReads {
            snapshot: snapshot.with_links(resolved.links),
            cached,
        }
    }

    /// Where the schema's secrets are.
    pub(crate) fn resolve(&self, schema: &Schema) -> Resolved {
        resolve::resolve(schema, self.options.alias_map(), || {
            resolve::list(&self.client, self.options.project_name())
        })
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

    /// Reads secrets by their real ids, all within one deadline, for the party that follows them.
    /// The fallback cache serves none of them.
    #[cfg(feature = "live")]
    pub(crate) fn outcomes(
        &self,
        ids: &BTreeSet<String>,
        party: PartyId,
    ) -> Vec<(String, ReadOutcome)> {
        let budget = self.client.inner().settings().budget();
        let read = |id: &String| {
            let read = self.client.inner().read_secret_by(id, Some(party), budget);
            read.map(|read| read.value)
        };
        let reads = self.read_all(ids, read).into_iter();
        reads
            .map(|(id, read)| (id, ReadOutcome::of(read)))
            .collect()
    }

    fn read_all<R: Send + Sync>(
        &self,
        ids: &BTreeSet<String>,
        read: impl Fn(&String) -> Result<R, Error> + Sync,
    ) -> Vec<(String, Result<R, Error>)> {
        let ids: Vec<&String> = ids.iter().collect();
        let reads = parallel::read_all(&ids, self.options.reads_at_once(), |id| read(id));
        ids.into_iter().cloned().zip(reads).collect()
    }
}

/// What a live config begins with.
pub(crate) struct FirstReads {
    pub(crate) snapshot: Snapshot,
    /// When the service sent the values that the fallback cache served, in seconds since 1970.
    #[cfg_attr(not(feature = "live"), allow(dead_code))]
    pub(crate) cached: BTreeMap<String, i64>,
}
