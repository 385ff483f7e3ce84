use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::builder::LiveOptions;
use super::fingerprint::Fingerprint;
use super::inbox::Inbox;
use super::job::Jobs;
use super::reading::{names, state_of};
use super::resync_plan::ResyncPlan;
use super::source::ConfigSource;
use super::state::{LiveBegin, LiveState, SecretRecord};
use super::status::SecretState;
use super::worker::{Worker, build_and_probe, followed};
use super::{Live, Owner};
use crate::config::error::{ConfigError, Problem};
use crate::config::schema::Schema;
use crate::config::snapshot::Snapshot;
use crate::read::reader::{Fetch, FirstReads};
use crate::span::span;
use crate::sync::lock;
use crate::watch::Follower;

/// Loads a config from its source, and starts to follow its secrets.
pub(crate) fn start<T: Send + Sync + 'static>(
    source: Box<dyn ConfigSource<T>>,
    fetch: Fetch,
    options: LiveOptions<T>,
) -> Result<Live<T>, ConfigError> {
    let name = source.name();
    let _span = span!(INFO, "load", config = name);
    let client = fetch.client.clone();
    let clock = Arc::clone(&client.inner().settings().clock);
    let inbox = Arc::new(Inbox::new(Arc::clone(&clock)));
    let mut source = source;
    let schema = source.schema()?;
    let places = source.places();
    let mut jobs = Jobs::new(
        source,
        Arc::clone(&clock),
        Arc::clone(&inbox),
        options.probe_timeout,
    );

    let FirstReads { snapshot, cached } = fetch.first_reads(&schema);
    let (begin, plan) = first_config(&mut jobs, &schema, &snapshot, &options)?;
    let (first, fingerprint) = begin;

    let oldest = cached.values().min();
    if let Some(cached_at) = oldest {
        let age = clock.unix_now().saturating_sub(*cached_at);
        inbox.confirmed_before(Duration::from_secs(u64::try_from(age).unwrap_or(0)));
    }
    let secrets: BTreeMap<_, _> = snapshot
        .iter()
        .map(|(id, outcome)| {
            let state = match cached.contains_key(id) {
                true => SecretState::Cached,
                false => state_of(outcome, false),
            };
            (id.to_owned(), SecretRecord::new(state))
        })
        .collect();
    let core = Arc::new(LiveState::new(LiveBegin {
        name,
        first,
        fingerprint,
        places,
        secrets,
        names: names(&schema, &snapshot),
        clock,
        inbox: Arc::clone(&inbox),
        counters: Arc::clone(client.inner().counters()),
        callbacks: Arc::clone(client.inner().poller().callbacks()),
        max_stale: options.max_stale,
        grace: options.grace,
        refresh_gap: options.refresh_gap,
        fail_closed: options.fail_closed.clone(),
        overridden: options.overridden.clone(),
    }));
    core.measure();
    let following = Arc::new(Mutex::new(None));
    let owner = Arc::new(Owner {
        inbox: Arc::clone(&inbox),
        close: Box::new({
            let core = Arc::clone(&core);
            move || core.close()
        }),
        following: Arc::clone(&following),
        deadline: client.inner().settings().deadline,
    });

    // From here on the secrets are followed. The first poll is made at once, and reports what changed since
    // the read.
    let follower: Arc<dyn Follower> = Arc::<Inbox>::clone(&inbox);
    let secrets = followed(&snapshot, &plan, |id| cached.contains_key(id));
    *lock(&following) = Some(client.follow(&secrets, follower));

    let worker = Worker {
        core: Arc::clone(&core),
        inbox,
        following,
        jobs,
        fetch,
        options,
        schema: Arc::new(schema),
        plan,
        running: snapshot,
        candidate: None,
        refreshed: None,
        unread: BTreeSet::new(),
        unfinished: false,
        forced: false,
        held_since: None,
        unlisted: false,
    };
    thread::Builder::new()
        .name("sikkerkey-live".to_owned())
        .spawn(move || worker.run())
        .map_err(|_| {
            let text = "the operating system gives no thread for the live config";
            ConfigError::new(name, vec![Problem::probe(text)])
        })?;
    Ok(Live { core, owner })
}

/// Builds, validates and probes the config of the first snapshot. Also returns how often its secrets are read
/// again.
pub(super) fn first_config<T: Send + Sync + 'static>(
    jobs: &mut Jobs<T>,
    schema: &Schema,
    snapshot: &Snapshot,
    options: &LiveOptions<T>,
) -> Result<((Arc<T>, Fingerprint), ResyncPlan), ConfigError> {
    let (plan, mut problems) = ResyncPlan::new(schema, snapshot, options);
    problems.extend(options.mistakes());
    // On a thread of its own, as later builds: an async probe blocks its thread, and tokio does not allow its
    // own threads to block.
    match build_and_probe(jobs, options, snapshot, None) {
        Ok(first) if problems.is_empty() => return Ok((first, plan)),
        Ok(_) => {}
        Err(error) => problems.extend(error.problems().iter().cloned()),
    }
    Err(ConfigError::new(jobs.name(), problems))
}
