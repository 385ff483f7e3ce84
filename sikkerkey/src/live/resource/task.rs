use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::task::AbortHandle;

use super::LiveResource;
use super::basis::Basis;
use super::built::Built;
use super::record::ResourceRecord;
use crate::contain::{Panicked, contain, contain_drop};
use crate::live::Live;
use crate::live::state::LiveState;

/// Builds a resource now, and again in a task of this runtime after each change of the part of the config
/// whose keys `spanned` returns.
pub(in crate::live) async fn build_async<T, R, E, F>(
    live: &Live<T>,
    spanned: impl Fn(&LiveState<T>, &T) -> Option<BTreeSet<String>> + Send + Sync + 'static,
    build: impl Fn(Arc<T>) -> F + Send + Sync + 'static,
) -> Result<LiveResource<R>, E>
where
    T: Send + Sync + 'static,
    R: Send + Sync + 'static,
    E: Send + 'static,
    F: Future<Output = Result<R, E>> + Send + 'static,
{
    let core = Arc::clone(&live.core);
    let place = core.place();
    let mut from = Basis::new(&place, spanned(&core, &place.config));
    let built = Built::new(&core, build(place.config).await?);
    let written = Arc::clone(&built);
    let ends = TellsItsEnd(Arc::clone(&built.record));
    let task = tokio::spawn(async move {
        let _ends = ends;
        let mut seen_attempts = None;
        while !core.is_closed() {
            // Listen before checking, so an event in between wakes the task.
            let tick = core.ticked.listen();
            let place = core.place();
            let is_new = seen_attempts.replace(place.attempts) != Some(place.attempts);
            // The function that selects the part is user code, too.
            let basis =
                is_new.then(|| contain(|| Basis::new(&place, spanned(&core, &place.config))));
            let changed = match basis {
                None => None,
                Some(Err(panicked)) => {
                    written.end::<E>(Err(panicked));
                    None
                }
                Some(Ok(basis)) if !from.differs(&basis) => {
                    written.record.succeed();
                    from = basis;
                    None
                }
                Some(Ok(basis)) => Some(basis),
            };
            match changed {
                // The task keeps no config while it waits: it might be the last to drop it, which is user code.
                None => contain_drop(place),
                Some(basis) => {
                    written.record.begin();
                    let outcome = match contain(|| build(place.config)) {
                        Ok(building) => contained(building).await,
                        Err(panicked) => Err(panicked),
                    };
                    if written.end(outcome) {
                        from = basis;
                    }
                }
            }
            tick.await;
        }
    });
    let task = AbortOnDrop(task.abort_handle());
    Ok(LiveResource::from_parts(built, (task, live.clone())))
}

/// Runs a build in a task of its own, so its panic ends only that task.
async fn contained<F>(building: F) -> Result<F::Output, Panicked>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let task = tokio::spawn(building);
    let _abort = AbortOnDrop(task.abort_handle());
    task.await.map_err(|error| {
        contain_drop(error);
        Panicked
    })
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Reports in the status that nothing builds the resource any more, after its task was dropped with its
/// runtime.
struct TellsItsEnd(Arc<ResourceRecord>);

impl Drop for TellsItsEnd {
    fn drop(&mut self) {
        self.0
            .fail("the tokio runtime that builds it has ended".into());
    }
}
