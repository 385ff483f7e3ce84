use std::collections::BTreeSet;

use super::listing::{self, Listing};
use super::options::LoadOptions;
use super::resolve::{self, Resolved};
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
    /// Nothing is read where an alias or another option is wrong for this schema;
    /// [`Snapshot::refusals`] says what. Where the service does not know this machine (401), no
    /// further read is begun: it locks an address out after a few of these.
    pub fn snapshot(&self, schema: &Schema) -> Snapshot {
        let refusals = self.options.problems(schema);
        if !refusals.is_empty() {
            return Snapshot::refused(refusals);
        }
        if self.options.refuses_canaries() && !schema.is_empty() {
            return self.without_canaries(schema);
        }
        let names = || listing::named(&self.client, &self.options);
        let resolved = resolve::resolve(schema, self.options.alias_map(), names);
        self.read(resolved)
    }

    fn without_canaries(&self, schema: &Schema) -> Snapshot {
        let aliases = self.options.alias_map();
        match Listing::read(&self.client, &self.options) {
            Ok(listing) => {
                let canaries = listing.canaries();
                let mut resolved = resolve::resolve(schema, aliases, || Ok(listing.named.clone()));
                resolved.refuse(schema, &canaries);
                self.read(resolved)
            }
            Err(error) => {
                let resolved = resolve::resolve(schema, aliases, || Err(error.clone()));
                let unread = |id| (id, ReadOutcome::Unavailable(error.clone()));
                Snapshot::default()
                    .with(resolved.ids.into_iter().map(unread))
                    .with_links(resolved.links)
            }
        }
    }

    fn read(&self, resolved: Resolved) -> Snapshot {
        Snapshot::default()
            .with(self.outcomes(&resolved.ids))
            .with_links(resolved.links)
    }

    /// Compares the schema with what this machine sees, without reading a value: by one list
    /// call, or two or three where the service is too old to say what kind a secret is.
    ///
    /// # Errors
    /// Any error of the list calls.
    pub fn check(&self, schema: &Schema) -> Result<CheckReport, Error> {
        self.check_with(schema, |_, _| false)
    }

    /// The same, where `has_resync` knows secrets, with their ids, for which a resync was chosen
    /// outside the schema.
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
        let report = CheckReport::new(schema, &links, all.iter().chain(named), has_resync)
            .with_refusals(self.options.problems(schema));
        Ok(match self.options.names_unneeded() {
            true => report.with_unneeded(&links, all),
            false => report,
        })
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
