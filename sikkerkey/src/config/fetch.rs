use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use super::check::{self, CheckReport};
use super::resolve;
use super::schema::Schema;
use super::snapshot::{Outcome, Snapshot};
use crate::{Error, ErrorKind, SikkerKey};

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
        check::check(schema, &self.aliases, self.project.as_deref(), |project| {
            resolve::list(&self.client, project)
        })
    }

    /// Reads secrets by their real ids.
    pub(crate) fn outcomes(&self, ids: &BTreeSet<String>) -> Vec<(String, Outcome)> {
        let reads = Reads {
            client: &self.client,
            ids: ids.iter().collect(),
            next: AtomicUsize::new(0),
            refused: Mutex::new(None),
            outcomes: Mutex::new(Vec::with_capacity(ids.len())),
        };
        let workers = self.concurrency.max(1).min(ids.len());
        thread::scope(|scope| {
            // This thread is one of the workers. Where the system gives fewer threads than are
            // wanted, those that there are do the work.
            for _ in 1..workers {
                let name = "sikkerkey-load".to_owned();
                let worker = thread::Builder::new().name(name);
                if worker.spawn_scoped(scope, || reads.work()).is_err() {
                    break;
                }
            }
            reads.work();
        });
        reads
            .outcomes
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reads of one snapshot, shared by the workers.
struct Reads<'a> {
    client: &'a SikkerKey,
    ids: Vec<&'a String>,
    next: AtomicUsize,
    /// The first answer that this machine is not known.
    refused: Mutex<Option<Error>>,
    outcomes: Mutex<Vec<(String, Outcome)>>,
}

impl Reads<'_> {
    fn work(&self) {
        while let Some(id) = self.ids.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let refused = lock(&self.refused).clone();
            let outcome = match refused {
                Some(error) => Outcome::Unavailable(error),
                None => self.read(id),
            };
            lock(&self.outcomes).push(((*id).clone(), outcome));
        }
    }

    fn read(&self, id: &str) -> Outcome {
        let outcome = Outcome::of(self.client.get_secret(id));
        if let Outcome::Unavailable(error) = &outcome
            && error.kind() == ErrorKind::Authentication
        {
            lock(&self.refused).get_or_insert_with(|| error.clone());
        }
        outcome
    }
}

/// A panic of another worker ends the whole load; until then, what is there is as good as ever.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
