//! What all handles on one client share.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};

use secrecy::{ExposeSecret as _, SecretString};

#[cfg(feature = "cache")]
use crate::cache::CacheSlot;
use crate::call::{self, Answer, Budget, Call, LIST_LIMIT, READ_LIMIT, VALUE_LIMIT};
use crate::clock::Clock;
use crate::enrolment::Reenrolment;
use crate::refusal::Purpose;
use crate::session::Session;
use crate::settings::Settings;
use crate::transport::skew::Skew;
use crate::watch::{Poller, Source, Status};
use crate::wire::{self, PollAnswer, PollRequest, PollStatus, ReadAnswer};
use crate::{Error, ErrorKind, RetryPolicy};

/// A value that a user's read gives, and where it comes from.
pub(crate) enum Got {
    Live(SecretString),
    #[cfg(feature = "cache")]
    Cached(SecretString),
}

pub(crate) struct Shared {
    /// Of the first identity; a later one is of the same vault.
    vault_id: String,
    session: RwLock<Arc<Session>>,
    settings: Settings,
    skew: Skew,
    reenrolment: Option<Reenrolment>,
    poller: Arc<Poller>,
    #[cfg(feature = "cache")]
    cache: CacheSlot,
}

impl Shared {
    pub(crate) fn new(
        session: Session,
        settings: Settings,
        reenrolment: Option<Reenrolment>,
    ) -> Self {
        let poller = Poller::new(
            settings.clock.clone(),
            settings.poll_interval,
            session.transport.url().is_loopback(),
            settings.resync,
        );
        Shared {
            poller,
            #[cfg(feature = "cache")]
            cache: CacheSlot::default(),
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
        self.poller.suspect_all();
    }

    pub(crate) fn poller(&self) -> &Arc<Poller> {
        &self.poller
    }

    #[cfg(feature = "cache")]
    pub(crate) fn cache(&self) -> &CacheSlot {
        &self.cache
    }

    /// The one place where a user's read of a secret passes: retries, then what depends on how it
    /// ended.
    pub(crate) fn read_secret(&self, id: &str) -> Result<SecretString, Error> {
        let ask = || self.read_with(id, &self.settings.retry);
        #[cfg(not(feature = "cache"))]
        let got = ask().map(Got::Live);
        #[cfg(feature = "cache")]
        let got = self.cache.read(id, self.clock(), ask);
        match got {
            Ok(Got::Live(value)) => {
                self.note_read(id, &value);
                Ok(value)
            }
            #[cfg(feature = "cache")]
            Ok(Got::Cached(value)) => {
                self.poller.note_cached(id, &value);
                Ok(value)
            }
            Err(error) => {
                self.poller.note_failure(id, &error);
                Err(error)
            }
        }
    }

    /// Reads a secret in one attempt: for the poller, whose next cycle is its repetition. Tells
    /// nobody, and is never served from the cache.
    pub(crate) fn read_once(&self, id: &str) -> Result<SecretString, Error> {
        let ask = || self.read_with(id, &RetryPolicy::none());
        #[cfg(feature = "cache")]
        return self.cache.read_live(id, self.clock(), ask);
        #[cfg(not(feature = "cache"))]
        ask()
    }

    /// Asks in one attempt which of these secrets changed.
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
    pub(crate) fn note_read(&self, id: &str, value: &SecretString) {
        self.poller.note(id, value);
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
            (Err(error), None)
                if error.kind() == ErrorKind::Authentication
                    && session.has_expired(clock.monotonic()) =>
            {
                Err(error.prefixed(
                    "the lifetime of this enrolled machine is over \
                     (reenroll_when_expired would enrol another)",
                ))
            }
            (made, _) => made,
        }
    }
}

impl Source for Shared {
    fn poll(&self, ids: &[Arc<str>]) -> Result<Vec<(String, Status)>, Error> {
        let answer = self.poll_once(ids)?;
        let changes = answer.changes.into_iter().filter_map(|(id, change)| {
            let status = match change.status {
                PollStatus::Changed => Status::Changed,
                PollStatus::Deleted => Status::Deleted,
                PollStatus::AccessDenied => Status::Denied,
                PollStatus::Unknown => {
                    log::warn!(target: "sikkerkey", "a poll says of {id:?} what this version does not know");
                    return None;
                }
            };
            Some((id, status))
        });
        Ok(changes.collect())
    }

    fn read(&self, id: &str) -> Result<SecretString, Error> {
        self.read_once(id)
    }

    fn lost(&self, id: &str) {
        #[cfg(feature = "cache")]
        self.cache.forget(id);
        #[cfg(not(feature = "cache"))]
        let _ = id;
    }
}

/// What the user's handles share, and nobody else: the poller keeps [`Shared`] alive while it
/// waits for an answer, and must not keep the watches alive with it.
pub(crate) struct Handle(Arc<Shared>);

impl Handle {
    pub(crate) fn new(shared: Shared) -> Self {
        Handle(Arc::new(shared))
    }
}

impl Deref for Handle {
    type Target = Arc<Shared>;

    fn deref(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.poller.end();
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
