use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;

use super::builder::LiveOptions;
use super::inbox::Inbox;
use super::source::ConfigSource;
use super::state::LiveState;
use super::status::SecretState;
use super::worker::{Worker, checked, known};
use super::{Live, Owner};
use crate::config::error::{ConfigError, Problem};
use crate::config::snapshot::{ReadOutcome, Snapshot};
use crate::read::reader::Fetch;
use crate::sync::lock;
use crate::watch::Follower;

/// Loads a config from its source, and starts to follow its secrets.
pub(crate) fn start<T: Send + Sync + 'static>(
    mut source: Box<dyn ConfigSource<T>>,
    fetch: Fetch,
    options: LiveOptions<T>,
) -> Result<Live<T>, ConfigError> {
    let name = source.name();
    let schema = source.schema()?;
    let snapshot = fetch.snapshot(&schema);
    let first = checked(&mut *source, &options, &snapshot)?;

    let paths = schema.iter().map(|r| r.path().to_owned()).collect();
    let client = fetch.client.clone();
    let core = LiveState::new(
        name,
        first,
        paths,
        first_states(&snapshot),
        Arc::clone(&client.inner().settings().clock),
        Arc::clone(client.inner().poller().callbacks()),
        options.max_stale,
        options.grace,
    );
    let core = Arc::new(core.overridden(source.overridden(&snapshot)));
    let inbox = Arc::new(Inbox::default());
    let following = Arc::new(Mutex::new(None));
    let owner = Arc::new(Owner {
        inbox: Arc::clone(&inbox),
        close: Box::new({
            let core = Arc::clone(&core);
            move || core.close()
        }),
        following: Arc::clone(&following),
    });

    // Followed from here on: what changed since it was read is told by the first poll, which is
    // made at once.
    let follower: Arc<dyn Follower> = Arc::<Inbox>::clone(&inbox);
    let follow = client.follow(&known(&snapshot), follower, options.resync);
    *lock(&following) = Some(follow);

    let worker = Worker {
        core: Arc::clone(&core),
        inbox,
        following,
        source,
        fetch,
        options,
        running: snapshot,
        candidate: None,
        refreshed: None,
        held_since: None,
        overlapping: false,
    };
    thread::Builder::new()
        .name("sikkerkey-live".to_owned())
        .spawn(move || worker.run())
        .map_err(|_| refused(name, "the system gives no thread for the live config"))?;
    Ok(Live { core, owner })
}

fn refused(config: &'static str, text: &'static str) -> ConfigError {
    ConfigError::new(config, vec![Problem::probe(text)])
}

/// The state of each secret of a first snapshot, which made a valid config.
fn first_states(snapshot: &Snapshot) -> BTreeMap<String, SecretState> {
    snapshot
        .iter()
        .map(|(id, outcome)| {
            let state = match outcome {
                ReadOutcome::Value(_) => SecretState::Current,
                ReadOutcome::Missing => SecretState::Absent,
                ReadOutcome::Denied => SecretState::Denied,
                ReadOutcome::Unavailable(_) => SecretState::Pending,
            };
            (id.to_owned(), state)
        })
        .collect()
}
