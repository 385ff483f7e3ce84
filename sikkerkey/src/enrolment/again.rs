//! The next machine, once the service no longer knows the last one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::recipe::Recipe;
use crate::Error;
use crate::call::Budget;
use crate::session::Session;
use crate::shared::Shared;

/// How long a failed enrolment that may succeed later is not tried again: each try can use up one
/// of the token's uses.
const PAUSE: Duration = Duration::from_secs(30);

/// How a client gets its next machine.
pub(crate) struct Reenrolment {
    recipe: Recipe,
    /// Locked while a machine is enrolled, so that all who need one wait for the same.
    state: Mutex<State>,
}

#[derive(Default)]
enum State {
    #[default]
    Ready,
    /// It failed at this time of the monotonic clock; for good, or perhaps not.
    Failed {
        error: Error,
        at: Duration,
        for_good: bool,
    },
}

impl Reenrolment {
    pub(super) fn new(recipe: Recipe) -> Self {
        Reenrolment {
            recipe,
            state: Mutex::default(),
        }
    }

    /// The session to use instead of an expired one: the one that another call has already made,
    /// or a new one.
    pub(crate) fn replace(
        &self,
        shared: &Shared,
        expired: &Arc<Session>,
        budget: Budget,
    ) -> Result<Arc<Session>, Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let current = shared.session();
        if !Arc::ptr_eq(&current, expired) {
            return Ok(current);
        }
        let clock = shared.clock();
        if let State::Failed {
            error,
            at,
            for_good,
        } = &*state
            && (*for_good || clock.monotonic().saturating_sub(*at) < PAUSE)
        {
            return Err(error.clone());
        }
        match self.recipe.enrol(shared.settings(), budget) {
            Ok(session) => {
                log::info!(
                    target: "sikkerkey",
                    "machine {} has expired; enrolled again as {}",
                    expired.identity.machine_id,
                    session.identity.machine_id
                );
                let session = Arc::new(session);
                shared.replace_session(session.clone());
                *state = State::Ready;
                Ok(session)
            }
            Err(cause) => {
                let error = cause.prefixed("the machine has expired and enrolling again failed");
                *state = State::Failed {
                    error: error.clone(),
                    at: clock.monotonic(),
                    for_good: error
                        .http_status()
                        .is_some_and(|status| (400..500).contains(&status) && status != 429),
                };
                Err(error)
            }
        }
    }
}
