//! A live config that is loaded from a snapshot and follows no vault.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Live;
use super::builder::LiveOptions;
use super::inbox::Inbox;
use super::job::Jobs;
use super::manual::{ManualClock, unattended};
use super::reading::names;
use super::source::ConfigSource;
use super::start::first_config;
use super::state::{LiveBegin, SecretRecord};
use super::status::SecretState;
use crate::clock::{Clock, SystemClock};
use crate::config::error::ConfigError;
use crate::config::schema::Schema;
use crate::config::snapshot::{ReadOutcome, Snapshot};
use crate::span::span;
use crate::watch::callbacks::Callbacks;

/// Builds and probes a config from the secrets of a snapshot.
pub(crate) fn start<T: Send + Sync + 'static>(
    mut source: Box<dyn ConfigSource<T>>,
    secrets: impl FnOnce(&Schema) -> Snapshot,
    options: &LiveOptions<T>,
) -> Result<Live<T>, ConfigError> {
    let name = source.name();
    let _span = span!(INFO, "load", config = name);
    let places = source.places();
    let schema = source.schema()?;
    let snapshot = secrets(&schema);
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
    let inbox = Arc::new(Inbox::unattended(Arc::clone(&clock)));
    let mut jobs = Jobs::new(
        source,
        Arc::new(SystemClock::new()),
        Arc::clone(&inbox),
        options.probe_timeout,
    );
    let ((first, fingerprint), _) = first_config(&mut jobs, &schema, &snapshot, options)?;
    let (live, _) = unattended(LiveBegin {
        name,
        first,
        fingerprint,
        places,
        secrets: records(&snapshot),
        names: names(&schema, &snapshot),
        inbox,
        clock,
        counters: Arc::default(),
        callbacks: Callbacks::new(Arc::new(SystemClock::new())),
        max_stale: Duration::MAX,
        grace: Duration::ZERO,
        refresh_gap: Duration::ZERO,
        fail_closed: options.fail_closed.clone(),
        overridden: options.overridden.clone(),
    });
    Ok(live)
}

fn records(snapshot: &Snapshot) -> BTreeMap<String, SecretRecord> {
    let state = |outcome: &ReadOutcome| match outcome.value() {
        Some(_) => SecretState::Offline,
        None => SecretState::Absent,
    };
    let secrets = snapshot.iter();
    let record = |(id, outcome): (&str, _)| (id.to_owned(), SecretRecord::new(state(outcome)));
    secrets.map(record).collect()
}
