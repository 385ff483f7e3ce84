//! What all handles on one client share.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use secrecy::SecretString;

use super::attempts::{Attempts, Budget, Call, LIST_LIMIT, READ_LIMIT, Success};
#[cfg(feature = "tokio")]
use super::call_threads::CallThreads;
use super::error_text::Purpose;
use super::process::{Process, Processes};
use super::reenrollment::Reenrollment;
use super::reload::Reload;
use super::retry::RetryPolicy;
use super::session::Session;
use super::settings::Settings;
#[cfg(feature = "cache")]
use crate::cache::{Cache, CachedRead};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::id::SecretId;
use crate::log::log;
use crate::protocol::messages;
use crate::protocol::messages::{PollRequest, PollStatus};
use crate::protocol::skew::Skew;
use crate::text;
use crate::watch::{Poller, SecretChange, Upstream};

/// What follows when the service no longer takes an identity.
pub(crate) enum Renewal {
    None,
    /// Its files are read again.
    Disk(Reload),
    /// Another machine is enrolled.
    Enrollment(Reenrollment),
}

pub(crate) struct ClientInner {
    /// Of the first identity; a later one is of the same vault.
    vault_id: String,
    processes: Processes,
    settings: Settings,
    skew: Skew,
    renewal: Renewal,
}

impl ClientInner {
    pub(crate) fn new(
        session: Session,
        settings: Settings,
        renewal: Renewal,
        #[cfg(feature = "cache")] cache: Option<Cache>,
    ) -> Self {
        let skew = Skew::new(settings.clock_correction);
        ClientInner {
            vault_id: session.identity.vault_id.clone(),
            processes: Processes::new(Process::new(
                session,
                &settings,
                #[cfg(feature = "cache")]
                cache,
            )),
            settings,
            skew,
            renewal,
        }
    }

    /// The connections and threads of the calling process.
    fn process(&self) -> &Process {
        self.processes.current(&self.settings)
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

    /// The service's time in seconds since 1970, as far as this client knows it.
    #[cfg(all(feature = "rustls", feature = "live"))]
    pub(crate) fn service_now(&self) -> i64 {
        self.clock()
            .unix_now()
            .saturating_add(self.skew.correction())
    }

    /// The identity that is in use, with its connections.
    pub(crate) fn session(&self) -> Arc<Session> {
        self.process().session.get()
    }

    /// Where blocking calls of async callers run.
    #[cfg(feature = "tokio")]
    pub(crate) fn call_threads(&self) -> &Arc<CallThreads> {
        &self.process().call_threads
    }

    pub(crate) fn poller(&self) -> &Arc<Poller> {
        &self.process().poller
    }

    #[cfg(feature = "cache")]
    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.process().cache.as_ref()
    }

    /// The one place where a user's read of a secret passes: retries, then what depends on how it
    /// ended.
    pub(crate) fn read_secret(&self, id: &str) -> Result<SecretString, Error> {
        let id = &SecretId::new(id)?;
        let ask = || self.read_with(id, &self.settings.retry);
        #[cfg(feature = "cache")]
        let read = match self.cache() {
            Some(cache) => match cache.read(id, self.clock(), ask) {
                Ok(CachedRead::Cached(value)) => {
                    self.poller().note_cached(id, &value);
                    return Ok(value);
                }
                Ok(CachedRead::Live(value)) => Ok(value),
                Err(error) => Err(error),
            },
            None => ask(),
        };
        #[cfg(not(feature = "cache"))]
        let read = ask();
        match read {
            Ok(value) => {
                self.note_read(id, &value);
                Ok(value)
            }
            Err(error) => {
                self.poller().note_failure(id, &error);
                Err(error)
            }
        }
    }

    /// Reads a secret in one attempt: for the poller, whose next cycle is its repetition. Tells
    /// nobody, and is never served from the cache.
    pub(crate) fn read_once(&self, id: &str) -> Result<SecretString, Error> {
        let id = &SecretId::new(id)?;
        let ask = || self.read_with(id, &RetryPolicy::none());
        #[cfg(feature = "cache")]
        if let Some(cache) = self.cache() {
            return cache.read_live(id, self.clock(), ask);
        }
        ask()
    }

    /// Asks in one attempt which of these secrets changed.
    pub(crate) fn poll_once(
        &self,
        ids: &[Arc<str>],
    ) -> Result<BTreeMap<String, PollStatus>, Error> {
        let call = Call {
            purpose: Purpose::Poll,
            method: "POST",
            path: "/v1/secrets/poll".to_owned(),
            headers: &[],
            body: Some(messages::encode(&PollRequest {
                watch: ids.iter().map(|id| &**id).collect(),
            })),
            limit: LIST_LIMIT,
        };
        self.call(&call, &RetryPolicy::none())?
            .decode(call.purpose, messages::changes)
    }

    /// Told of every value that a user's call read, so that a watch does not report as new what
    /// this process already knows, and does report what another read swallowed.
    pub(crate) fn note_read(&self, id: &str, value: &SecretString) {
        self.poller().note(id, value);
    }

    fn read_with(&self, id: &SecretId, policy: &RetryPolicy) -> Result<SecretString, Error> {
        let call = Call {
            purpose: Purpose::Read(id),
            method: "GET",
            path: format!("/v1/secret/{id}"),
            headers: &[],
            body: None,
            limit: READ_LIMIT,
        };
        let response = self.call(&call, policy)?;
        response.decode(call.purpose, messages::value)
    }

    /// Makes a call with the identity in use; enrolls again where that was asked for and the
    /// service no longer knows this one.
    pub(crate) fn call(&self, call: &Call<'_>, policy: &RetryPolicy) -> Result<Success, Error> {
        let clock = self.clock();
        let random = &*self.settings.random;
        let budget = self.settings.budget();
        let mut session = self.session();
        if let Renewal::Enrollment(reenrollment) = &self.renewal
            && session.lockout.was_accepted()
            && session.has_expired(clock.monotonic())
        {
            session = self.replace(reenrollment, &session, budget)?;
        }
        let attempt = |session: &Session| {
            // The poller has growing gaps of its own; those of an emulator's are short ones.
            let paced =
                matches!(call.purpose, Purpose::Poll) && session.transport.url().is_loopback();
            let turn = session.refusals.turn(clock.monotonic(), paced)?;
            let attempts = Attempts::new(call, session, policy, budget, clock, random, &self.skew);
            let result = attempts.run();
            turn.ended(result.as_ref().err(), clock.monotonic());
            result
        };
        let error = match attempt(&session) {
            Err(error) if error.kind() == ErrorKind::Authentication => error,
            result => return result,
        };
        let expired = session.has_expired(clock.monotonic());
        match &self.renewal {
            Renewal::Enrollment(reenrollment) if expired || session.lockout.was_accepted() => {
                attempt(&*self.replace(reenrollment, &session, budget)?)
            }
            Renewal::Disk(reload) => {
                match reload.renew(&session, &self.process().session, &self.settings) {
                    Some(renewed) => {
                        self.adopt(&renewed);
                        attempt(&renewed)
                    }
                    None => Err(error),
                }
            }
            Renewal::None if expired => Err(error.prefixed(
                "the lifetime of this enrolled machine is over (reenroll_when_expired would \
                 enroll another)",
            )),
            _ => Err(error),
        }
    }

    /// Goes on with another identity from disk. The service may count changes anew for it.
    fn adopt(&self, session: &Session) {
        #[cfg(feature = "cache")]
        if let Some(cache) = self.cache() {
            cache.adopt(&session.identity);
        }
        #[cfg(not(feature = "cache"))]
        let _ = session;
        self.poller().suspect_all();
    }

    /// The session of the next machine, for which the service counts changes anew.
    fn replace(
        &self,
        reenrollment: &Reenrollment,
        expired: &Arc<Session>,
        budget: Budget,
    ) -> Result<Arc<Session>, Error> {
        let session =
            reenrollment.replace(expired, &self.process().session, &self.settings, budget)?;
        self.poller().suspect_all();
        Ok(session)
    }
}

impl Upstream for ClientInner {
    fn poll(&self, ids: &[Arc<str>]) -> Result<Vec<(String, SecretChange)>, Error> {
        let changes = self.poll_once(ids)?;
        let changes = changes.into_iter().filter_map(|(id, status)| {
            let status = match status {
                PollStatus::Changed => SecretChange::Changed,
                PollStatus::Deleted => SecretChange::Deleted,
                PollStatus::AccessDenied => SecretChange::Denied,
                PollStatus::Unknown => {
                    log!(
                        warn,
                        "a poll says of {} what this version does not know",
                        text::quoted(&id)
                    );
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
        if let Some(cache) = self.cache()
            && let Ok(id) = SecretId::new(id)
        {
            cache.forget(&id);
        }
        #[cfg(not(feature = "cache"))]
        let _ = id;
    }
}

/// What the user's handles share, and nobody else: the poller keeps [`ClientInner`] alive while it
/// waits for an answer, and must not keep the watches alive with it.
pub(crate) struct Handle(Arc<ClientInner>);

impl Handle {
    pub(crate) fn new(shared: ClientInner) -> Self {
        Handle(Arc::new(shared))
    }
}

impl Deref for Handle {
    type Target = Arc<ClientInner>;

    fn deref(&self) -> &Arc<ClientInner> {
        &self.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.processes.end();
    }
}

impl fmt::Debug for ClientInner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let session = self.session();
        f.debug_struct("SikkerKey")
            .field("vault_id", &self.vault_id)
            .field("machine_id", &session.identity.machine_id)
            .field("api_url", &session.transport.url().as_str())
            .finish_non_exhaustive()
    }
}
