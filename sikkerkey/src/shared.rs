//! What all handles on one client share.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use crate::call::{self, Answer, Budget, Call, LIST_LIMIT, Purpose, READ_LIMIT, VALUE_LIMIT};
use crate::clock::Clock;
use crate::enrolment::Reenrolment;
use crate::session::Session;
use crate::settings::Settings;
use crate::transport::skew::Skew;
use crate::wire::{self, PollAnswer, PollRequest, ReadAnswer};
use crate::{Error, ErrorKind, RetryPolicy};

pub(crate) struct Shared {
    /// Of the first identity; a later one is of the same vault.
    vault_id: String,
    session: RwLock<Arc<Session>>,
    settings: Settings,
    skew: Skew,
    reenrolment: Option<Reenrolment>,
}

impl Shared {
    pub(crate) fn new(
        session: Session,
        settings: Settings,
        reenrolment: Option<Reenrolment>,
    ) -> Self {
        Shared {
            vault_id: session.identity.vault_id.clone(),
            session: RwLock::new(Arc::new(session)),
            settings,
            skew: Skew::default(),
            reenrolment,
        }
    }

    pub(crate) fn vault_id(&self) -> &str {
        &self.vault_id
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.settings.clock
    }

    /// The identity that is in use, with its connections.
    pub(crate) fn session(&self) -> Arc<Session> {
        self.session
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn replace_session(&self, session: Arc<Session>) {
        *self.session.write().unwrap_or_else(PoisonError::into_inner) = session;
    }

    /// The one place where a user's read of a secret passes: retries, then what depends on how it
    /// ended.
    pub(crate) fn read_secret(&self, id: &str) -> Result<SecretString, Error> {
        let value = self.read_with(id, &self.settings.retry)?;
        self.note_read(id, &value);
        Ok(value)
    }

    /// Reads a secret in one attempt: for the poller, whose next cycle is its repetition. Tells
    /// nobody.
    #[allow(dead_code, reason = "the poller's")]
    pub(crate) fn read_once(&self, id: &str) -> Result<SecretString, Error> {
        self.read_with(id, &RetryPolicy::none())
    }

    /// Asks in one attempt which of these secrets changed.
    #[allow(dead_code, reason = "the poller's")]
    pub(crate) fn poll_once(&self, ids: &[Arc<str>]) -> Result<PollAnswer, Error> {
        let call = Call {
            purpose: Purpose::Poll,
            method: "POST",
            path: "/v1/secrets/poll".to_owned(),
            body: Some(wire::encode(&PollRequest {
                watch: ids.iter().map(|id| &**id).collect(),
            })),
            limit: LIST_LIMIT,
        };
        self.call(&call, &RetryPolicy::none())?.decode(call.purpose)
    }

    /// Told of every value that a user's call read, so that a watch does not report as new what
    /// this process already knows, and does report what another read swallowed.
    pub(crate) fn note_read(&self, _id: &str, _value: &SecretString) {}

    /// The interval as the service allows it: not below 10 s, except on this machine.
    #[allow(dead_code, reason = "the poller's")]
    pub(crate) fn allowed_interval(&self, wanted: Duration) -> Duration {
        let least = match self.session().transport.url().is_loopback() {
            true => Duration::from_millis(1),
            false => Duration::from_secs(10),
        };
        wanted.max(least)
    }

    fn read_with(&self, id: &str, policy: &RetryPolicy) -> Result<SecretString, Error> {
        check_id(id)?;
        let call = Call {
            purpose: Purpose::Read(id),
            method: "GET",
            path: format!("/v1/secret/{id}"),
            body: None,
            limit: READ_LIMIT,
        };
        let answer = self.call(&call, policy)?;
        let ReadAnswer { value } = answer.decode(call.purpose)?;
        if value.expose_secret().len() > VALUE_LIMIT {
            return Err(answer.wrong(call.purpose, "has a value of more than 1 MiB"));
        }
        Ok(value)
    }

    /// Makes a call with the identity in use; enrols again where that was asked for and the
    /// service no longer knows this one.
    pub(crate) fn call(&self, call: &Call<'_>, policy: &RetryPolicy) -> Result<Answer, Error> {
        let clock = self.clock();
        let budget = Budget {
            started: clock.monotonic(),
            deadline: self.settings.deadline,
            timeout: self.settings.timeout,
        };
        let mut session = self.session();
        if let Some(reenrolment) = &self.reenrolment
            && session.was_accepted()
            && session.has_expired(clock.monotonic())
        {
            session = reenrolment.replace(self, &session, budget)?;
        }
        let made = call::make(call, &session, policy, budget, clock, &self.skew);
        match (made, &self.reenrolment) {
            (Err(error), Some(reenrolment)) if error.kind() == ErrorKind::Authentication => {
                if !session.was_accepted() && !session.has_expired(clock.monotonic()) {
                    return Err(error);
                }
                let session = reenrolment.replace(self, &session, budget)?;
                call::make(call, &session, policy, budget, clock, &self.skew)
            }
            (made, _) => made,
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let session = self.session();
        f.debug_struct("SikkerKey")
            .field("vault_id", &self.vault_id)
            .field("machine_id", &session.identity.machine_id)
            .field("api_url", &session.transport.url().as_str())
            .finish_non_exhaustive()
    }
}

/// Refuses what cannot be an id before it becomes part of a path.
pub(crate) fn check_id(id: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !id.is_empty() && id.len() <= 200 && id.chars().all(plain) {
        return Ok(());
    }
    // Escaped and cut, for it may be anything, and be anything but an id.
    let shown: String = id.chars().take(40).collect();
    let more = if shown.len() < id.len() { "…" } else { "" };
    Err(Error::new(
        ErrorKind::InvalidId,
        format!("{shown:?}{more} is not an id: ids have 1 to 200 letters, digits, _ and - only"),
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

    use super::*;

    #[test]
    fn ids() {
        for id in ["sk_1b13qr1sb2", "sk_db_prod", "A-9", &"x".repeat(200)] {
            check_id(id).unwrap();
        }
        for id in [
            "",
            "a/b",
            "a?b",
            "a#b",
            "a%2fb",
            "..",
            ".",
            "a b",
            "a\n",
            "\0",
            "é",
            "a\\b",
            "a:b",
            "a\u{202e}b",
            &"x".repeat(201),
        ] {
            let error = check_id(id).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidId);
            assert!(
                error.to_string().chars().all(|c| !c.is_control()),
                "{error}"
            );
            assert!(error.to_string().len() < 200, "{error}");
        }
    }
}
