//! A live config that follows no vault.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::builder::LiveOptions;
use super::inbox::Inbox;
use super::job::Jobs;
use super::reading::names;
use super::source::ConfigSource;
use super::start::first_config;
use super::state::{LiveBegin, LiveState, SecretRecord};
use super::status::SecretState;
use super::{Live, Owner};
use crate::clock::{Clock, SystemClock};
use crate::config::error::ConfigError;
use crate::config::schema::Schema;
use crate::config::snapshot::{ReadOutcome, Snapshot};
use crate::watch::callbacks::Callbacks;

/// Builds and probes a config from secrets that are at hand; there is nothing to follow.
pub(crate) fn start<T: Send + Sync + 'static>(
    mut source: Box<dyn ConfigSource<T>>,
    secrets: impl FnOnce(&Schema) -> Snapshot,
    options: &LiveOptions<T>,
) -> Result<Live<T>, ConfigError> {
    let name = source.name();
    let schema = source.schema()?;
    let snapshot = secrets(&schema);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let inbox = Arc::new(Inbox::new(Arc::clone(&clock)));
    let mut jobs = Jobs::new(
        source,
        Arc::clone(&clock),
        Arc::clone(&inbox),
        options.probe_timeout,
    );
    let (first, _) = first_config(&mut jobs, &schema, &snapshot, options)?;
    let core = Arc::new(LiveState::new(LiveBegin {
        name,
        first,
        paths: Vec::new(),
        secrets: records(&snapshot),
        names: names(&schema, &snapshot),
        inbox: Arc::clone(&inbox),
        counters: Arc::default(),
        callbacks: Callbacks::new(Arc::clone(&clock)),
        clock,
        max_stale: Duration::MAX,
        grace: Duration::ZERO,
        refresh_gap: Duration::ZERO,
        fail_closed: options.fail_closed.clone(),
        overridden: options.overridden.clone(),
        offline: true,
    }));
    let owner = Arc::new(Owner {
        inbox,
        close: Box::new({
            let core = Arc::clone(&core);
            move || core.close()
        }),
        following: Arc::default(),
        // Nobody waits: a refresh changes nothing.
        deadline: Duration::ZERO,
    });
    Ok(Live { core, owner })
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
