//! Re-enrollment after the machine has expired.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::attempts::Budget;
use super::register::MachineRegistration;
use super::session::{CurrentSession, Session};
use super::settings::Settings;
use crate::error::Error;
use crate::log::{HeldEvents, log};
use crate::sync::lock;

/// The pause after a failed enrollment that may succeed later: each attempt can take one of the token's uses.
const PAUSE: Duration = Duration::from_secs(30);

/// Enrolls the next machine of a client.
pub(crate) struct Reenrollment {
    registration: MachineRegistration,
    /// Locked while a machine is enrolled, so that all calls wait for one enrollment.
    failure: Mutex<Option<FailedEnrollment>>,
}

struct FailedEnrollment {
    error: Error,
    /// When it failed, by the monotonic clock.
    at: Duration,
    /// Whether the service itself refused it, so that a retry cannot help.
    for_good: bool,
}

impl Reenrollment {
    pub(crate) fn new(registration: MachineRegistration) -> Self {
        Reenrollment {
            registration,
            failure: Mutex::default(),
        }
    }

    /// Returns the session that replaces an expired one: one that another call has already made, or a new
    /// one, which becomes the current one.
    pub(crate) fn replace(
        &self,
        expired: &Arc<Session>,
        current: &CurrentSession,
        settings: &Settings,
        budget: Budget,
    ) -> Result<Arc<Session>, Error> {
        let _held = HeldEvents::new();
        let mut failure = lock(&self.failure);
        let newest = current.get();
        if !Arc::ptr_eq(&newest, expired) {
            return Ok(newest);
        }
        let clock = &*settings.clock;
        if let Some(failure) = &*failure
            && (failure.for_good || clock.monotonic().saturating_sub(failure.at) < PAUSE)
        {
            return Err(failure.error.clone());
        }
        match self.registration.enroll(settings, budget) {
            Ok(session) => {
                log!(
                    info,
                    "machine {} has expired; enrolled again as {}",
                    expired.identity.machine_id,
                    session.identity.machine_id
                );
                let session = Arc::new(session);
                current.replace(session.clone());
                *failure = None;
                Ok(session)
            }
            Err(cause) => {
                let error = cause.prefixed("the machine has expired and enrolling again failed");
                *failure = Some(FailedEnrollment {
                    error: error.clone(),
                    at: clock.monotonic(),
                    for_good: is_final(&error),
                });
                Err(error)
            }
        }
    }
}

/// Whether the service itself refused the enrollment: another attempt would only take a use of the token.
fn is_final(error: &Error) -> bool {
    let refuses = |status| (400..500).contains(&status) && !matches!(status, 408 | 425 | 429);
    error.is_from_service() && error.http_status().is_some_and(refuses)
}
