//! Machines that live in memory: enrolled with a token, and again when they expire, if asked for.

use std::env;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::api_url::ApiUrl;
use crate::call::{self, Budget, Purpose};
use crate::error::clean_server_text;
use crate::identity::{Identity, Origin, normal_vault_id};
use crate::session::Session;
use crate::settings::{Settings, setters};
use crate::shared::Shared;
use crate::signing::Signer;
use crate::transport::{self, Body, Outgoing, Reply, Transport};
use crate::wire::{self, EnrolAnswer, EnrolRequest};
use crate::{Error, ErrorKind, SikkerKey};

/// Where machines are enrolled unless the environment or the builder says otherwise.
const SERVICE: &str = "https://api.sikkerkey.com";

/// The longest answer to an enrolment.
const ANSWER_LIMIT: usize = 64 * 1024;

/// How long a failed enrolment that may succeed later is not tried again: each try can use up one
/// of the token's uses.
const PAUSE: Duration = Duration::from_secs(30);

/// Settings of a client whose machine is enrolled in memory; made by
/// [`SikkerKey::bootstrap_in_memory`].
///
/// Requests go to `https://api.sikkerkey.com`, or to where the environment variable
/// `SIKKERKEY_API_URL` says; once enrolled, to where the service says.
#[must_use = "no machine is enrolled until enroll() is called"]
pub struct Bootstrap {
    vault: String,
    token: SecretString,
    hostname: Option<String>,
    name: Option<String>,
    api_url: Option<String>,
    reenroll: bool,
    settings: Settings,
}

impl Bootstrap {
    pub(crate) fn new(vault: &str, token: &str) -> Self {
        Bootstrap {
            vault: vault.to_owned(),
            // A token that was read from a file ends with a line break.
            token: token.trim().into(),
            hostname: None,
            name: None,
            api_url: None,
            reenroll: false,
            settings: Settings::default(),
        }
    }

    /// The host's name as the machine list shows it; else `$HOSTNAME`, else `serverless`.
    pub fn hostname(mut self, hostname: impl Into<String>) -> Self {
        self.hostname = Some(hostname.into());
        self
    }

    /// The machine's name. A name pattern of the token takes its place.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Enrols a new machine, with the same token, when the service no longer knows this one. Off
    /// by default.
    ///
    /// Each time takes one of the token's uses. However many calls fail together, one machine is
    /// enrolled, and each of the calls is made once more with it. A token that is spent or refused
    /// ends in one error, with which every later call fails at once.
    ///
    /// Such a client has at most two requests on their way at once: the service locks an address
    /// out after three failed authentications, and a machine that expires makes every request
    /// fail that is on its way.
    pub fn reenroll_when_expired(mut self, reenroll: bool) -> Self {
        self.reenroll = reenroll;
        self
    }

    /// Where the machine is enrolled, instead of `SIKKERKEY_API_URL` and the service's own
    /// address.
    pub fn api_url(mut self, url: impl Into<String>) -> Self {
        self.api_url = Some(url.into());
        self
    }

    setters!();

    /// Makes a key, enrols a machine with it, and returns its client. The key never leaves memory.
    ///
    /// Only a request that certainly reached nobody, or that was answered with 429, is repeated:
    /// an answer that is lost may have taken one of the token's uses.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] for a setting, the vault's id or an empty token;
    /// [`ErrorKind::Authentication`] or [`ErrorKind::AccessDenied`] where the service does not take
    /// the token; any of the others that a request can end with. None of them holds the token.
    pub fn enroll(self) -> Result<SikkerKey, Error> {
        let connections = self.settings.transport()?;
        let base = match self.api_url {
            Some(url) => url,
            None => env::var("SIKKERKEY_API_URL")
                .ok()
                .filter(|url| !url.is_empty())
                .unwrap_or_else(|| SERVICE.to_owned()),
        };
        let base = ApiUrl::parse(&base).map_err(|problem| {
            Error::configuration(format!("the API URL for enrolment {problem}"))
        })?;
        if self.token.expose_secret().is_empty() {
            return Err(Error::configuration(
                "the enrolment token is empty: is the variable that should hold it set?",
            ));
        }
        let recipe = Recipe {
            vault: normal_vault_id(&self.vault)?,
            token: self.token,
            hostname: self
                .hostname
                .or_else(|| env::var("HOSTNAME").ok().filter(|name| !name.is_empty()))
                .unwrap_or_else(|| "serverless".to_owned()),
            name: self.name,
            transport: Transport::new(&base, &connections)?,
            connections,
            replaceable: self.reenroll,
        };
        let clock = &*self.settings.clock;
        let budget = Budget {
            started: clock.monotonic(),
            deadline: self.settings.deadline,
            timeout: self.settings.timeout,
        };
        let session = recipe.enrol(&self.settings, budget)?;
        let reenrolment = self.reenroll.then(|| Reenrolment {
            recipe,
            state: Mutex::default(),
        });
        Ok(SikkerKey::from_shared(Shared::new(
            session,
            self.settings,
            reenrolment,
        )))
    }
}

impl fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bootstrap")
            .field("vault", &self.vault)
            .field("hostname", &self.hostname)
            .field("name", &self.name)
            .field("reenroll", &self.reenroll)
            .finish_non_exhaustive()
    }
}

/// Everything that enrolling a machine takes.
struct Recipe {
    vault: String,
    token: SecretString,
    hostname: String,
    name: Option<String>,
    transport: Transport,
    connections: transport::Settings,
    /// Whether it is used again when its machine expires.
    replaceable: bool,
}

impl Recipe {
    fn enrol(&self, settings: &Settings, budget: Budget) -> Result<Session, Error> {
        let clock = &*settings.clock;
        let mut seed = Zeroizing::new([0; 32]);
        clock.random(&mut *seed)?;
        let signer = Signer::from_seed(&seed);
        let reply = self.register(&signer, settings, budget)?;
        let purpose = Purpose::Enrol(&self.vault);
        let malformed = |problem: &str| {
            Error::new(
                ErrorKind::Decode,
                format!(
                    "the answer {problem} while {purpose}: is this the API URL of the service?"
                ),
            )
            .with_status(reply.status)
        };
        let answer: EnrolAnswer = match &reply.body {
            Body::Whole(bytes) | Body::UntilClose(bytes) => wire::decode(bytes)
                .map_err(|_| malformed("lacks what it must have or is not JSON"))?,
            Body::TooLarge => return Err(malformed("is larger than this client takes")),
            Body::CutOff(_) => {
                return Err(Error::new(
                    ErrorKind::Network,
                    format!("the answer was cut off while {purpose}: a use of the token is spent"),
                ));
            }
        };
        if http::HeaderValue::from_str(&answer.machine_id).is_err() {
            return Err(malformed("has a machineId with characters that no id has"));
        }
        let api_url = match answer.api_url.filter(|url| !url.is_empty()) {
            Some(url) => ApiUrl::parse(&url)
                .map_err(|problem| malformed(&format!("has an apiUrl that {problem},")))?,
            None => self.transport.url().clone(),
        };
        let transport = match api_url == *self.transport.url() {
            true => self.transport.clone(),
            false => Transport::new(&api_url, &self.connections)?,
        };
        let expires_at = answer.expires_at.and_then(unix_seconds);
        let lifetime = expires_at
            .map(|end| end.saturating_sub(reply.date.unwrap_or_else(|| clock.unix_now())))
            .and_then(|seconds| u64::try_from(seconds).ok());
        let identity = Identity {
            vault_id: answer.vault_id,
            machine_id: answer.machine_id,
            machine_name: answer.machine_name,
            api_url,
            signer,
            origin: Origin::Memory {
                expires_at,
                expires_monotonic: lifetime
                    .and_then(|left| clock.monotonic().checked_add(Duration::from_secs(left))),
            },
        };
        Ok(Session::new(identity, transport, self.replaceable))
    }

    /// Sends the request until it was answered, or may have been taken by somebody.
    fn register(
        &self,
        signer: &Signer,
        settings: &Settings,
        budget: Budget,
    ) -> Result<Reply, Error> {
        let clock = &*settings.clock;
        let purpose = Purpose::Enrol(&self.vault);
        let path = format!("/v1/{}/enroll/register", self.vault);
        let body = wire::encode(&EnrolRequest {
            token: self.token.expose_secret(),
            public_key: &signer.public_key_base64(),
            hostname: &self.hostname,
            name: self.name.as_deref(),
        });
        let request = Outgoing {
            method: "POST",
            path: &path,
            headers: &[],
            body: Some(&body),
            limit: ANSWER_LIMIT,
        };
        let mut made = 0;
        loop {
            let timeout = budget
                .attempt(clock)
                .ok_or_else(|| call::out_of_time(purpose))?;
            made += 1;
            let start = clock.monotonic();
            let reply = self.transport.send(&request, timeout);
            let elapsed = clock.monotonic().saturating_sub(start);
            call::log_attempt("POST", &path, made, &reply, elapsed);
            let (error, retry_after) = match reply {
                Ok(reply) if (200..300).contains(&reply.status) => return Ok(reply),
                Ok(reply) => {
                    let retry_after = reply.retry_after_from(clock.unix_now());
                    let error = call::refused_with(purpose, &reply, None, |text| self.scrub(text));
                    match error.kind() {
                        ErrorKind::RateLimited => (error, retry_after),
                        _ => return Err(error),
                    }
                }
                Err(failure) => {
                    let sent = failure.sent;
                    let url = self.transport.url().as_str();
                    let error = call::no_answer_from(purpose, url, failure);
                    match sent || !error.is_retryable() {
                        true => return Err(error),
                        false => (error, None),
                    }
                }
            };
            match settings.retry.delay(made, retry_after, clock.fraction()) {
                Some(delay) if budget.allows(delay, clock) => clock.sleep(delay),
                _ => return Err(error),
            }
        }
    }

    /// A server's text without the token, should the server repeat it.
    fn scrub(&self, text: &str) -> String {
        clean_server_text(&text.replace(self.token.expose_secret(), "[token]"))
    }
}

/// `expiresAt` is in seconds or in milliseconds, told apart by its size.
fn unix_seconds(number: f64) -> Option<i64> {
    let seconds = if number > 1e12 {
        number / 1000.0
    } else {
        number
    };
    (seconds.is_finite() && seconds > 0.0 && seconds < 1e12).then_some(seconds as i64)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_in_seconds_and_milliseconds() {
        for (number, seconds) in [
            (1_800_000_000.0, Some(1_800_000_000)),
            (1_800_000_000_123.0, Some(1_800_000_000)),
            (1.5, Some(1)),
            (0.0, None),
            (-1.0, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
            (1e300, None),
        ] {
            assert_eq!(unix_seconds(number), seconds, "{number}");
        }
    }

    #[test]
    fn debug_hides_the_token() {
        let bootstrap = Bootstrap::new("vault_abc123", "hunter2").hostname("h");
        assert!(!format!("{bootstrap:?}").contains("hunter2"));
    }
}
