use std::collections::{BTreeMap, BTreeSet};

use super::listing::{self, Listing};
use super::options::LoadOptions;
use super::resolve::{self, Resolved};
use crate::client::SikkerKey;
use crate::config::check::CheckReport;
use crate::config::error::Problem;
use crate::config::requirement::SecretRef;
use crate::config::schema::Schema;
use crate::config::snapshot::{ReadOutcome, Snapshot};
use crate::error::Error;
use crate::parallel;
#[cfg(feature = "live")]
use crate::watch::PartyId;

/// A reader of the secrets of a [`Schema`]: a [`Loader`](crate::Loader) without a struct.
///
/// Each distinct secret is read once, even if several requirements need it. Secrets that the schema does not
/// name are never read.
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
    /// Makes a reader with a client and the default [`LoadOptions`].
    pub fn new(client: impl AsRef<SikkerKey>) -> Self {
        Fetch {
            client: client.as_ref().clone(),
            options: LoadOptions::new(),
        }
    }

    /// Replaces all options of finding and reading secrets. Defaults to [`LoadOptions::new`].
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

    /// Reads every secret of the schema once. A failed read is an outcome of the snapshot.
    ///
    /// If an alias or another option is wrong for this schema, nothing is read, and [`Snapshot::refusals`]
    /// says why. After a 401 no further read is begun, because the service locks an address out after three
    /// of them.
    pub fn snapshot(&self, schema: &Schema) -> Snapshot {
        self.first_reads(schema).snapshot
    }

    /// Makes a [`snapshot`](Self::snapshot) as a future, on any async runtime: a thread of the client reads.
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

    /// Reads a snapshot. Also returns which of its values the fallback cache served.
    pub(crate) fn first_reads(&self, schema: &Schema) -> FirstReads {
        let refusals = self.refusals(schema);
        if !refusals.is_empty() {
            return FirstReads {
                snapshot: Snapshot::refused(refusals),
                cached: BTreeMap::new(),
            };
        }
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
        if let Some(error) = &resolved.unlisted {
            let unread = |id| (id, ReadOutcome::Unavailable(error.clone()));
            outcomes.extend(resolved.unread.into_iter().map(unread));
        }
        let snapshot = Snapshot::default().with(outcomes);
        FirstReads {
            snapshot: snapshot.with_links(resolved.links),
            cached,
        }
    }

    /// Returns the problems of the options for this schema. If there are any, nothing is read.
    pub(crate) fn refusals(&self, schema: &Schema) -> Vec<Problem> {
        self.options.problems(schema)
    }

    /// Resolves the schema's secrets to ids, and says which of them may be read.
    pub(crate) fn resolve(&self, schema: &Schema) -> Resolved {
        let resolved = self.resolve_all(schema);
        #[cfg(feature = "metrics")]
        self.client.inner().counters().name(&resolved.ids);
        resolved
    }

    fn resolve_all(&self, schema: &Schema) -> Resolved {
        let aliases = self.options.alias_map();
        if !self.options.refuses_canaries() || schema.is_empty() {
            let names = || listing::named(&self.client, &self.options);
            return resolve::resolve(schema, aliases, names);
        }
        match Listing::read(&self.client, &self.options) {
            Ok(listing) => resolve::resolve(schema, aliases, || Ok(listing.named.clone()))
                .refuse(schema, &listing.canaries()),
            Err(error) => resolve::resolve(schema, aliases, || Err(error.clone())).unread(error),
        }
    }

    /// Compares the schema with what this machine sees, without reading a value: by one list call, or two or
    /// three if the service is too old to report kinds.
    ///
    /// # Errors
    /// Any error of the list calls.
    pub fn check(&self, schema: &Schema) -> Result<CheckReport, Error> {
        self.check_with(schema, |_, _| false)
    }

    /// Makes a [`check`](Self::check) as a future, on any async runtime.
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

    /// Does a `check`. `has_resync` returns whether a resync was set for a secret and its id outside the
    /// schema and the client.
    pub(crate) fn check_with(
        &self,
        schema: &Schema,
        has_resync: impl Fn(&SecretRef, &str) -> bool,
    ) -> Result<CheckReport, Error> {
        let listing = match schema.is_empty() && !self.options.names_unneeded() {
            true => Listing::default(),
            false => Listing::read(&self.client, &self.options)?,
        };
        let Listing { all, named } = &listing;
        let links = resolve::resolve(schema, self.options.alias_map(), || Ok(named.clone())).links;
        let of_client = &self.client.inner().settings().resync_secrets;
        let has_resync =
            |secret: &SecretRef, id: &str| of_client.contains_key(id) || has_resync(secret, id);
        let report = CheckReport::new(schema, &links, all.iter().chain(named), has_resync)
            .with_refusals(self.refusals(schema));
        Ok(match self.options.names_unneeded() {
            true => report.with_unneeded(&links, all),
            false => report,
        })
    }

    /// Reads secrets by their real ids, all within one deadline, for the party that follows them. The
    /// fallback cache is not used.
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

/// The first reads of a live config.
pub(crate) struct FirstReads {
    pub(crate) snapshot: Snapshot,
    /// When the service sent the values that the fallback cache served, in seconds since 1970.
    #[cfg_attr(not(feature = "live"), allow(dead_code))]
    pub(crate) cached: BTreeMap<String, i64>,
}
