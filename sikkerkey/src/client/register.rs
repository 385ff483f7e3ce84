//! Enrollment of one machine with a token.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::attempts;
use super::attempts::Budget;
use super::error_text::{Purpose, no_response, out_of_time, refused_with};
use super::session::Session;
use super::settings::Settings;
use crate::error::{Error, ErrorKind};
use crate::identity::{Claims, Expected, Identity, Origin};
use crate::log::log;
use crate::protocol::messages;
use crate::protocol::messages::EnrollRequest;
use crate::protocol::signing::Signer;
use crate::span::span;
use crate::text;
use crate::transport;
use crate::transport::{Body, Request, Response, Transport};

/// The longest response to an enrollment, in bytes.
const RESPONSE_LIMIT: usize = 64 * 1024;

/// All that is needed to enroll a machine.
pub(crate) struct MachineRegistration {
    pub(super) vault: String,
    pub(super) token: SecretString,
    pub(super) hostname: String,
    pub(super) name: Option<String>,
    pub(super) transport: Transport,
    pub(super) connections: transport::ConnectionSettings,
    /// Whether the token is used again when its machine expires.
    pub(super) replaceable: bool,
}

impl MachineRegistration {
    pub(crate) fn enroll(&self, settings: &Settings, budget: Budget) -> Result<Session, Error> {
        let clock = &*settings.clock;
        let path = self.path();
        let _span = span!(INFO, "call", method = "POST", path = path.as_str());
        let mut seed = Zeroizing::new([0; 32]);
        settings.random.fill(&mut *seed)?;
        let signer = Signer::from_seed(&seed);
        let reply = self.register(&signer, settings, budget)?;
        let purpose = Purpose::Enroll(&self.vault);
        let malformed = |problem: &str| {
            Error::new(
                ErrorKind::Decode,
                format!(
                    "the response {problem} while {purpose}: is this the API URL of the service?"
                ),
            )
            .with_status(reply.status)
        };
        let answer = match &reply.body {
            _ if reply.coding.is_some() => {
                return Err(malformed("has a content coding, which was not asked for,"));
            }
            Body::Whole(bytes) | Body::UntilClose(bytes) => messages::enrollment(bytes)
                .map_err(|_| malformed("lacks what it must have or is not JSON"))?,
            Body::TooLarge => return Err(malformed("is larger than this client takes")),
            Body::CutOff(_) => {
                return Err(Error::new(
                    ErrorKind::Network,
                    format!(
                        "the response was cut off while {purpose}: a use of the token is spent"
                    ),
                ));
            }
        };
        let stated = answer.api_url.as_deref().filter(|url| !url.is_empty());
        let claims = Claims {
            vault_id: &answer.vault_id,
            machine_id: &answer.machine_id,
            machine_name: answer.machine_name.as_str(),
            api_url: stated.unwrap_or(self.transport.url().as_str()),
        };
        let expected = Expected {
            vault: Some(&self.vault),
            answered_by: Some(self.transport.url()),
        };
        let checked = claims.check(expected).map_err(|problem| {
            malformed(&format!("{problem}, so the machine it names is not used;"))
        })?;
        settings.check_api_url(&checked.api_url)?;
        let transport = match checked.api_url == *self.transport.url() {
            true => self.transport.clone(),
            false => Transport::new(&checked.api_url, &self.connections)?,
        };
        let expires_at = answer.expires_at.as_f64().and_then(unix_seconds);
        if expires_at.is_none() && !answer.expires_at.is_null() {
            log!(
                warn,
                "the service gave this machine a lifetime that this version does not understand"
            );
        }
        let lifetime = expires_at
            .map(|end| end.saturating_sub(reply.date.unwrap_or_else(|| clock.unix_now())))
            .and_then(|seconds| u64::try_from(seconds).ok());
        let origin = Origin::Memory {
            expires_at,
            expires_monotonic: lifetime
                .and_then(|left| clock.monotonic().checked_add(Duration::from_secs(left))),
        };
        let identity = Identity::new(checked, signer, origin);
        Ok(Session::new(identity, transport, self.replaceable))
    }

    fn path(&self) -> String {
        format!("/v1/{}/enroll/register", self.vault)
    }

    /// Sends the request until there is a response, or until it may have reached the service. Uses new
    /// connections only: if a reused one dies while the request is sent, a use of the token may be spent.
    fn register(
        &self,
        signer: &Signer,
        settings: &Settings,
        budget: Budget,
    ) -> Result<Response, Error> {
        let clock = &*settings.clock;
        let purpose = Purpose::Enroll(&self.vault);
        let path = self.path();
        let body = messages::encode(&EnrollRequest {
            token: self.token.expose_secret(),
            public_key: &signer.public_key_base64(),
            hostname: &self.hostname,
            name: self.name.as_deref(),
        });
        let request = Request {
            method: "POST",
            path: &path,
            headers: &[],
            body: Some(&body),
            limit: RESPONSE_LIMIT,
        };
        let mut made = 0;
        loop {
            let timeout = budget.attempt(clock).ok_or_else(|| out_of_time(purpose))?;
            made += 1;
            let start = clock.monotonic();
            let reply = self.transport.send(&request, timeout);
            let elapsed = clock.monotonic().saturating_sub(start);
            attempts::log_attempt("POST", &path, made, reply.as_ref(), elapsed);
            #[cfg(feature = "metrics")]
            {
                let status = reply.as_ref().ok().map(|reply| reply.status);
                crate::metrics::request(purpose.label(), status, made > 1, elapsed);
            }
            let (error, retry_after) = match reply {
                Ok(reply) if (200..300).contains(&reply.status) => return Ok(reply),
                Ok(reply) => {
                    let retry_after = reply.retry_after_from(clock.unix_now());
                    let error = refused_with(purpose, &reply, None, |text| self.scrub(text));
                    match error.kind() {
                        ErrorKind::RateLimited => (error, retry_after),
                        _ => return Err(error),
                    }
                }
                Err(failure) => {
                    let sent = failure.sent;
                    let error = no_response(purpose, self.transport.url(), failure);
                    match sent || !error.is_retryable() {
                        true => return Err(error),
                        false => (error, None),
                    }
                }
            };
            match settings
                .retry
                .delay(made, retry_after, settings.random.fraction())
            {
                Some(delay) if budget.allows(delay, clock) => clock.sleep(delay),
                _ => return Err(error),
            }
        }
    }

    /// Removes the token from a server's text, in case the server repeats it.
    fn scrub(&self, text: &str) -> String {
        text::message(&text.replace(self.token.expose_secret(), "[token]"))
    }
}

/// Converts `expiresAt` to seconds. The service sends seconds or milliseconds; the size of the number tells
/// which.
fn unix_seconds(number: f64) -> Option<i64> {
    let seconds = if number > 1e12 {
        number / 1000.0
    } else {
        number
    };
    (seconds.is_finite() && seconds > 0.0 && seconds < 1e12).then_some(seconds as i64)
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
}
