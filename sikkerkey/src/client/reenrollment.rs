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

/// How long a failed enrollment that may succeed later is not tried again: each attempt can use up
/// one of the token's uses.
const PAUSE: Duration = Duration::from_secs(30);

/// How a client gets its next machine.
pub(crate) struct Reenrollment {
    registration: MachineRegistration,
    /// Locked while a machine is enrolled, so that all calls that need one wait for the same.
    failure: Mutex<Option<FailedEnrollment>>,
}

struct FailedEnrollment {
    error: Error,
    /// By the monotonic clock.
    at: Duration,
    /// Whether the service refused it, so that another attempt cannot help.
    for_good: bool,
}

impl Reenrollment {
    pub(crate) fn new(registration: MachineRegistration) -> Self {
        Reenrollment {
            registration,
            failure: Mutex::default(),
        }
    }

    /// The session that replaces an expired one: the one that another call has already made, or a
    /// new one, which becomes the current one.
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
                    for_good: error
                        .http_status()
                        .is_some_and(|status| (400..500).contains(&status) && status != 429),
                });
                Err(error)
            }
        }
    }
}
