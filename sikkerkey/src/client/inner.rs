//! The state that all handles of a client share.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use secrecy::SecretString;

use super::attempts::{Attempts, Budget, Call, READ_LIMIT, Success, poll_limit};
use super::call_threads::CallThreads;
use super::error_text::Purpose;
use super::process::{Process, Processes};
use super::reenrollment::Reenrollment;
use super::reload::Reload;
use super::retry::RetryPolicy;
use super::session::Session;
use super::settings::Settings;
use super::stats::Counters;
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
use crate::watch::{PartyId, PollAnswer, Poller, SecretChange, Upstream};

/// What to do when the service no longer accepts an identity.
pub(crate) enum Renewal {
    None,
    /// Read its files again.
    Disk(Reload),
    /// Enroll another machine.
    Enrollment(Reenrollment),
}

/// A value, and whether the cache served it.
pub(crate) struct SecretRead {
    pub(crate) value: SecretString,
    /// When the service sent it, in seconds since 1970, if the fallback cache served it.
    #[cfg_attr(not(feature = "live"), allow(dead_code))]
    pub(crate) cached_at: Option<i64>,
}

pub(crate) struct ClientInner {
    /// The vault's id. It never changes: a later identity is of the same vault.
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
        #[cfg(feature = "metrics")]
        crate::metrics::describe();
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

    /// Returns the connections and threads of the calling process.
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

    /// The threads on which blocking calls of async callers run.
    pub(crate) fn call_threads(&self) -> &Arc<CallThreads> {
        &self.process().call_threads
    }

    pub(crate) fn poller(&self) -> &Arc<Poller> {
        &self.process().poller
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.process().counters
    }

    #[cfg(feature = "cache")]
    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.process().cache.as_ref()
    }

    /// Reads a secret for the user.
    pub(crate) fn read_secret(&self, id: &str) -> Result<SecretString, Error> {
        let read = self.read_secret_by(id, None, self.settings.budget())?;
        Ok(read.value)
    }

    /// The single path for reads of a secret by the user, and by a party that follows it. Retries within
    /// `budget`, then handles the outcome. A party is never served from the cache, because it already has the
    /// last value.
    pub(crate) fn read_secret_by(
        &self,
        id: &str,
        party: Option<PartyId>,
        budget: Budget,
    ) -> Result<SecretRead, Error> {
        let id = &SecretId::new(id)?;
        let call = reading(id);
        let _span = call.span();
        let _under_way = self.poller().reading(id);
        let ask = || self.read_with(&call, &self.settings.retry, budget);
        #[cfg(feature = "cache")]
        let read = match self.cache() {
            Some(cache) if party.is_some() => cache.read_live(id, self.clock(), ask),
            Some(cache) => match cache.read(id, self.clock(), ask) {
                Ok(CachedRead::Cached(value, cached_at)) => {
                    self.counters().fallback(id);
                    self.poller().note_cached(id, &value);
                    return Ok(SecretRead {
                        value,
                        cached_at: Some(cached_at),
                    });
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
                self.poller().note(id, &value, party);
                Ok(SecretRead {
                    value,
                    cached_at: None,
                })
            }
            Err(error) => {
                self.poller().note_failure(id, &error);
                Err(error)
            }
        }
    }

    /// Reads a secret in one attempt, for the poller, whose next cycle is the retry. It notifies no watch,
    /// and is never served from the cache.
    pub(crate) fn read_once(&self, id: &str) -> Result<SecretString, Error> {
        let id = &SecretId::new(id)?;
        let call = reading(id);
        let _span = call.span();
        let ask = || self.read_with(&call, &RetryPolicy::none(), self.settings.budget());
        #[cfg(feature = "cache")]
        if let Some(cache) = self.cache() {
            return cache.read_live(id, self.clock(), ask);
        }
        ask()
    }

    /// Asks in one attempt which of these secrets changed. Also returns whether the request was sent twice.
    pub(crate) fn poll_once(
        &self,
        ids: &[Arc<str>],
    ) -> Result<(BTreeMap<String, PollStatus>, bool), Error> {
        let call = Call {
            purpose: Purpose::Poll,
            method: "POST",
            path: "/v1/secrets/poll".to_owned(),
            headers: &[],
            body: Some(messages::encode(&PollRequest {
                watch: ids.iter().map(|id| &**id).collect(),
            })),
            limit: poll_limit(ids),
        };
        let _span = call.span();
        let response = self.call(&call, &RetryPolicy::none())?;
        let changes = response.decode(call.purpose, messages::changes)?;
        Ok((changes, response.repeated))
    }

    /// Records each value that a user's call read. So a watch does not report a value as new that this
    /// process already knows, and does report a change whose notice another read consumed.
    pub(crate) fn note_read(&self, id: &str, value: &SecretString) {
        self.poller().note(id, value, None);
    }

    fn read_with(
        &self,
        call: &Call<'_>,
        policy: &RetryPolicy,
        budget: Budget,
    ) -> Result<SecretString, Error> {
        let response = self.call_within(call, policy, budget)?;
        response.decode(call.purpose, messages::value)
    }

    /// Makes a call with the identity in use. If the service no longer knows that identity, and re-enrollment
    /// is on, enrolls another machine and repeats the call.
    pub(crate) fn call(&self, call: &Call<'_>, policy: &RetryPolicy) -> Result<Success, Error> {
        self.call_within(call, policy, self.settings.budget())
    }

    fn call_within(
        &self,
        call: &Call<'_>,
        policy: &RetryPolicy,
        budget: Budget,
    ) -> Result<Success, Error> {
        let clock = self.clock();
        let random = &*self.settings.random;
        let counters = self.counters();
        let mut session = self.session();
        if let Renewal::Enrollment(reenrollment) = &self.renewal
            && session.lockout.was_accepted()
            && session.has_expired(clock.monotonic())
        {
            session = self.replace(reenrollment, &session, budget)?;
        }
        let attempt = |session: &Session| {
            // The poller has growing gaps of its own, which are short with an emulator.
            let paced =
                matches!(call.purpose, Purpose::Poll) && session.transport.url().is_loopback();
            let turn = session.refusals.turn(clock.monotonic(), paced)?;
            let skew = &self.skew;
            let attempts =
                Attempts::new(call, session, policy, budget, clock, random, skew, counters);
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
            Renewal::Enrollment(reenrollment) if expired || session.lockout.has_ended() => {
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

    /// Switches to another identity from disk. For it, the service may report changes from the beginning.
    fn adopt(&self, session: &Session) {
        #[cfg(feature = "cache")]
        if let Some(cache) = self.cache() {
            cache.adopt(&session.identity);
        }
        #[cfg(not(feature = "cache"))]
        let _ = session;
        self.poller().suspect_all();
    }

    /// Returns the session of the next machine. For it, the service reports changes from the beginning.
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

/// The call that reads a secret.
fn reading(id: &SecretId) -> Call<'_> {
    Call {
        purpose: Purpose::Read(id),
        method: "GET",
        path: format!("/v1/secret/{id}"),
        headers: &[],
        body: None,
        limit: READ_LIMIT,
    }
}

impl Upstream for ClientInner {
    fn poll(&self, ids: &[Arc<str>]) -> Result<PollAnswer, Error> {
        let (changes, repeated) = self.poll_once(ids)?;
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
        Ok(PollAnswer {
            changes: changes.collect(),
            repeated,
        })
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

/// State shared by the user's handles only. While the poller waits for a response it keeps [`ClientInner`]
/// alive, but must not keep the watches alive.
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
