//! A live config that follows no vault.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::builder::LiveOptions;
use super::inbox::Inbox;
use super::source::ConfigSource;
use super::state::LiveState;
use super::status::SecretState;
use super::worker::checked;
use super::{Live, Owner};
use crate::clock::SystemClock;
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
    let schema = source.schema()?;
    let snapshot = secrets(&schema);
    let config = checked(&mut *source, options, &snapshot)?;
    let paths = schema.iter().map(|r| r.path().to_owned()).collect();
    let clock = Arc::new(SystemClock::new());
    let callbacks = Callbacks::new(clock.clone());
    let core = LiveState::new(
        source.name(),
        config,
        paths,
        states(&snapshot),
        clock,
        callbacks,
        Duration::MAX,
        Duration::ZERO,
    );
    let core = core.overridden(source.overridden(&snapshot)).offline();
    let core = Arc::new(core);
    let inbox = Arc::new(Inbox::default());
    // A refresh has nothing to wait for.
    inbox.close();
    let owner = Arc::new(Owner {
        inbox,
        close: Box::new({
            let core = Arc::clone(&core);
            move || core.close()
        }),
        following: Arc::default(),
    });
    Ok(Live { core, owner })
}

fn states(snapshot: &Snapshot) -> BTreeMap<String, SecretState> {
    let state = |outcome: &ReadOutcome| match outcome.value() {
        Some(_) => SecretState::Offline,
        None => SecretState::Absent,
    };
    let secrets = snapshot.iter();
    secrets
        .map(|(id, outcome)| (id.to_owned(), state(outcome)))
        .collect()
}
