//! One call of the service: signed, sent, and retried if a retry may help.

use std::sync::Arc;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::error_text::{Purpose, is_from_service, locked_out, no_response, out_of_time, refused};
use super::lockout::Permit;
use super::retry::RetryPolicy;
use super::session::Session;
use super::stats::Counters;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::log::log;
use crate::protocol::messages::{Malformed, VALUE_LIMIT};
use crate::protocol::signing::NONCE_BYTES;
use crate::protocol::skew::{self, ClockJudgment, Skew};
use crate::random::Randomness;
use crate::span::{EnteredSpan, span};
use crate::transport::{self, Body, Connection, Request, Response, TransportError};

/// The longest body of a read. JSON writes any character of text in at most three times its own
/// bytes (`\u00fc` for the two of `ü`); control characters other than line breaks and tabs, which
/// need six, are not in texts.
pub(crate) const READ_LIMIT: usize = 3 * VALUE_LIMIT + 4096;

/// The longest body of a list or an export, in bytes.
pub(crate) const LIST_LIMIT: usize = 64 * 1024 * 1024;

/// The longest body of a poll about these secrets: it holds one entry for each.
pub(crate) fn poll_limit(ids: &[Arc<str>]) -> usize {
    const ELSE: usize = 64 * 1024;
    const WORD: usize = 256;
    let words: usize = ids.iter().map(|id| id.len() + WORD).sum();
    (ELSE + words).min(LIST_LIMIT)
}

/// A request that can be signed any number of times.
pub(crate) struct Call<'a> {
    pub(crate) purpose: Purpose<'a>,
    pub(crate) method: &'static str,
    pub(crate) path: String,
    /// Headers beside those that every request has. They are not signed.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: Option<Zeroizing<Vec<u8>>>,
    pub(crate) limit: usize,
}

impl Call<'_> {
    /// The span of the call and of the handling of its response. Polls are frequent, so their span is one
    /// level lower.
    pub(crate) fn span(&self) -> EnteredSpan {
        let (method, path) = (self.method, self.path.as_str());
        match self.purpose {
            Purpose::Poll => span!(DEBUG, "call", method, path),
            _ => span!(INFO, "call", method, path),
        }
    }
}

/// The time limits of one call, retries included.
#[derive(Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) started: Duration,
    pub(crate) deadline: Duration,
    /// The longest time of one attempt.
    pub(crate) timeout: Duration,
}

impl Budget {
    /// The time that the next attempt may take; `None` once the deadline has passed.
    pub(crate) fn attempt(&self, clock: &dyn Clock) -> Option<Duration> {
        let left = self.left(clock).min(self.timeout);
        (!left.is_zero()).then_some(left)
    }

    /// The time that is left of the call.
    pub(crate) fn left(&self, clock: &dyn Clock) -> Duration {
        let spent = clock.monotonic().saturating_sub(self.started);
        self.deadline.saturating_sub(spent)
    }

    /// Whether a delay would end before the deadline.
    pub(crate) fn allows(&self, delay: Duration, clock: &dyn Clock) -> bool {
        let spent = clock.monotonic().saturating_sub(self.started);
        spent
            .checked_add(delay)
            .is_some_and(|end| end < self.deadline)
    }
}

/// The body of a 2xx response.
pub(crate) struct Success {
    bytes: Zeroizing<Vec<u8>>,
    /// Whether the headers said where the body ends.
    framed: bool,
    status: u16,
    /// Whether the request was sent before, on a connection that turned out to be dead.
    pub(crate) repeated: bool,
}

impl Success {
    pub(crate) fn decode<T>(
        &self,
        purpose: Purpose<'_>,
        parse: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<T, Error> {
        parse(&self.bytes).map_err(|malformed| match malformed {
            // The body ended only with the connection, so it may have been cut off.
            Malformed::Short if !self.framed => Error::new(
                ErrorKind::Network,
                format!("the response was cut off while {purpose}"),
            )
            .sent(),
            Malformed::Short | Malformed::NotJson => self.wrong(purpose, "is not JSON"),
            Malformed::Shape => {
                self.wrong(purpose, "lacks what it must have or has it in another form")
            }
            Malformed::LongValue => self.wrong(purpose, "has a value of more than 1 MiB"),
            Malformed::OutOfTime => out_of_time(purpose),
        })
    }

    fn wrong(&self, purpose: Purpose<'_>, problem: &str) -> Error {
        Error::new(
            ErrorKind::Decode,
            format!("the response {problem} while {purpose}: is this the API URL of the service?"),
        )
        .with_status(self.status)
    }
}

/// The attempts of one call with one identity.
pub(crate) struct Attempts<'a> {
    call: &'a Call<'a>,
    session: &'a Session,
    policy: &'a RetryPolicy,
    budget: Budget,
    clock: &'a dyn Clock,
    random: &'a dyn Randomness,
    skew: &'a Skew,
    counters: &'a Counters,
    /// The refusals of the identity when the call began.
    refusals: u32,
    /// The attempts that the policy counts, and all of them.
    counted: u32,
    made: u32,
    /// A clock correction that the service has not accepted yet.
    trial: Option<i64>,
    /// Whether an idle connection turned out to be dead. From then on this call uses new ones.
    anew: bool,
    permit: Option<Permit<'a>>,
}

/// Why an attempt failed, and whether another one follows.
enum Failure {
    /// Another attempt cannot help.
    Final(Error),
    /// The clock was off: the next attempt follows at once, with the right time.
    ClockCorrected,
    /// The connection was dead when it was reused: the next attempt follows at once, on a new one.
    StaleConnection,
    /// The service may have recovered after the policy's delay, or after the one it asks for.
    Transient(Error, Option<Duration>),
}

/// Why a request got no response.
enum Unsent {
    /// The request was not sent, for a reason on this machine.
    Local(Error),
    Transport(TransportError),
}

impl From<TransportError> for Unsent {
    fn from(error: TransportError) -> Self {
        Unsent::Transport(error)
    }
}

impl<'a> Attempts<'a> {
    #[allow(clippy::too_many_arguments, reason = "one place makes it")]
    pub(crate) fn new(
        call: &'a Call<'a>,
        session: &'a Session,
        policy: &'a RetryPolicy,
        budget: Budget,
        clock: &'a dyn Clock,
        random: &'a dyn Randomness,
        skew: &'a Skew,
        counters: &'a Counters,
    ) -> Self {
        Attempts {
            call,
            session,
            policy,
            budget,
            clock,
            random,
            skew,
            counters,
            refusals: session.lockout.refusals(),
            counted: 0,
            made: 0,
            trial: None,
            anew: false,
            permit: None,
        }
    }

    /// Attempts the call until it succeeds, fails for good, or runs out of time.
    pub(crate) fn run(mut self) -> Result<Success, Error> {
        let mut last = None;
        loop {
            let Some(timeout) = self.budget.attempt(self.clock) else {
                return Err(last.unwrap_or_else(|| out_of_time(self.call.purpose)));
            };
            match self.once(timeout) {
                Ok(success) => return Ok(success),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::ClockCorrected | Failure::StaleConnection) => {}
                Err(Failure::Transient(error, retry_after)) => {
                    // Other calls may continue while this one waits.
                    self.permit = None;
                    last = Some(self.pause(error, retry_after)?);
                }
            }
        }
    }

    /// Waits until the next attempt and returns the error, or fails with it if no further attempt is made.
    fn pause(&self, error: Error, retry_after: Option<Duration>) -> Result<Error, Error> {
        let fraction = self.random.fraction();
        match self.policy.delay(self.counted, retry_after, fraction) {
            Some(delay) if self.budget.allows(delay, self.clock) => {
                self.clock.sleep(delay);
                Ok(error)
            }
            _ => Err(error),
        }
    }

    /// Makes one attempt.
    fn once(&mut self, timeout: Duration) -> Result<Success, Failure> {
        self.counted += 1;
        self.made += 1;
        self.counters.attempt(self.call.purpose, self.made > 1);
        let start = self.clock.monotonic();
        let sent = self.send(transport::deadline_after(timeout));
        let elapsed = self.clock.monotonic().saturating_sub(start);
        let sent = match sent {
            Ok(sent) => Ok(sent),
            Err(Unsent::Transport(error)) => Err(error),
            Err(Unsent::Local(error)) => return Err(Failure::Final(error)),
        };
        log_attempt(
            self.call.method,
            &self.call.path,
            self.made,
            sent.as_ref().map(|(_, response)| response),
            elapsed,
        );
        #[cfg(feature = "metrics")]
        {
            let status = sent.as_ref().ok().map(|(_, response)| response.status);
            let purpose = self.call.purpose;
            self.counters.sent(purpose, status, self.made > 1, elapsed);
        }
        let (signed_at, response) = match sent {
            Ok(sent) => sent,
            Err(error) => {
                if error.stale && !self.anew {
                    // The service did not fail when a connection died while idle, so the retry policy
                    // does not count it.
                    self.anew = true;
                    self.counted -= 1;
                    return Err(Failure::StaleConnection);
                }
                let url = self.session.transport.url();
                return Err(failure(no_response(self.call.purpose, url, error), None));
            }
        };
        let own = self.clock.unix_now();
        if response.status == 401 {
            return Err(self.unauthorized(signed_at, own, &response));
        }
        self.note_acceptance(&response, own);
        let retry_after = response.retry_after_from(own);
        self.body(response)
            .map_err(|error| failure(error.with_retry_after(retry_after), retry_after))
    }

    /// Signs the request and sends it once. Returns the response, and the time that was signed.
    fn send(&mut self, deadline: Instant) -> Result<(i64, Response), Unsent> {
        let mut deadline = deadline;
        let mut connection = self.connect(deadline)?;
        // Connections are made in parallel; only the requests wait for permits.
        if self.permit.is_none() {
            let lockout = &self.session.lockout;
            let is_ending = self.session.is_ending(self.clock.monotonic());
            self.permit = lockout.try_permit(is_ending);
            if self.permit.is_none() {
                let since = Instant::now();
                self.permit = Some(self.wait_for_permit(is_ending)?);
                let timeout = self.budget.attempt(self.clock);
                deadline = transport::deadline_after(timeout.ok_or_else(|| self.late())?);
                // The server may have closed it meanwhile.
                connection = match self.session.transport.after_wait(connection, since) {
                    Some(connection) => connection,
                    None => self.connect(deadline)?,
                };
            }
            if lockout.is_locked_out(self.refusals) {
                self.session.transport.keep(connection);
                return Err(Unsent::Local(locked_out(self.call.purpose)));
            }
        }
        let correction = self.trial.unwrap_or(self.skew.correction());
        let signed_at = self.clock.unix_now().saturating_add(correction);
        let response = self.exchange(connection, signed_at, deadline)?;
        Ok((signed_at, response))
    }

    fn connect(&self, deadline: Instant) -> Result<Connection, TransportError> {
        match self.anew {
            true => self.session.transport.connect_anew(deadline),
            false => self.session.transport.connect(deadline),
        }
    }

    /// Waits for a permit, until the call's deadline. The timeout of an attempt starts only afterwards.
    fn wait_for_permit(&self, is_ending: bool) -> Result<Permit<'a>, Unsent> {
        let left = self.budget.left(self.clock);
        let deadline = transport::deadline_after(left);
        let permit = self.session.lockout.permit(is_ending, deadline);
        permit.ok_or_else(|| self.late())
    }

    fn late(&self) -> Unsent {
        Unsent::Local(out_of_time(self.call.purpose))
    }

    fn exchange(
        &self,
        connection: Connection,
        signed_at: i64,
        deadline: Instant,
    ) -> Result<Response, Unsent> {
        let call = self.call;
        let identity = &self.session.identity;
        let body = call.body.as_ref().map(|body| body.as_slice());
        let mut nonce = [0; NONCE_BYTES];
        self.random.fill(&mut nonce).map_err(Unsent::Local)?;
        let signed = identity.signer.sign(
            call.method,
            &call.path,
            signed_at,
            &nonce,
            body.unwrap_or_default(),
        );
        let signed = signed.map_err(Unsent::Local)?;
        let mut headers = vec![
            ("X-Machine-Id", &*identity.machine_id),
            ("X-Timestamp", &*signed.timestamp),
            ("X-Nonce", &*signed.nonce),
            ("X-Signature", &*signed.signature),
        ];
        headers.extend_from_slice(call.headers);
        let request = Request {
            method: call.method,
            path: &call.path,
            headers: &headers,
            body,
            limit: call.limit,
        };
        let transport = &self.session.transport;
        Ok(transport.exchange(connection, &request, deadline)?)
    }

    /// Handles a 401. If the clock is off, one more attempt is made, which the retry policy does not count,
    /// because the service did not fail.
    fn unauthorized(&mut self, signed_at: i64, own: i64, response: &Response) -> Failure {
        let ahead = match self.skew.judge(signed_at, own, response.date) {
            ClockJudgment::Retry { correction } if self.trial.is_none() => {
                self.trial = Some(correction);
                self.counted -= 1;
                return Failure::ClockCorrected;
            }
            ClockJudgment::Retry { .. } => None,
            ClockJudgment::Final { ahead } => ahead,
        };
        if self.trial == Some(0) {
            self.skew.keep(0);
        }
        // Before this call gives its permit back.
        self.session.lockout.refuse(is_from_service(response));
        Failure::Final(refused(self.call.purpose, response, ahead))
    }

    /// Records what a response other than 401 says about the identity and the clock: both were accepted.
    fn note_acceptance(&self, response: &Response, own: i64) {
        // Only a response of the service itself counts: a proxy's page does not depend on the signature.
        let by_service = match response.status {
            200..=299 | 409 => true,
            403 | 404 => is_from_service(response),
            _ => false,
        };
        if !by_service {
            return;
        }
        match self.trial {
            Some(correction) => {
                if self.skew.keep(correction) && correction != 0 {
                    log!(
                        warn,
                        "{}; requests are signed with the corrected time: set this machine's clock",
                        skew::describe(-correction)
                    );
                }
            }
            None => self.skew.review(own, response.date),
        }
        // Last, because it releases other calls, and they must use the corrected clock.
        self.session.lockout.accept();
    }

    fn body(&self, response: Response) -> Result<Success, Error> {
        let purpose = self.call.purpose;
        let status = response.status;
        if !(200..300).contains(&status) {
            return Err(refused(purpose, &response, None));
        }
        if let Some(coding) = &response.coding {
            return Err(Error::new(
                ErrorKind::Decode,
                format!(
                    "the response has the content coding {coding}, which was not asked for, while {purpose}"
                ),
            )
            .with_status(status));
        }
        let (bytes, framed) = match response.body {
            Body::Whole(bytes) => (bytes, true),
            Body::UntilClose(bytes) => (bytes, false),
            Body::CutOff(error) => {
                return Err(no_response(purpose, self.session.transport.url(), error));
            }
            Body::TooLarge => {
                return Err(Error::new(
                    ErrorKind::Decode,
                    format!("the response is larger than this client takes while {purpose}"),
                )
                .with_status(status));
            }
        };
        Ok(Success {
            bytes,
            framed,
            status,
            repeated: self.anew,
        })
    }
}

fn failure(error: Error, retry_after: Option<Duration>) -> Failure {
    match error.is_retryable() {
        true => Failure::Transient(error, retry_after),
        false => Failure::Final(error),
    }
}

/// One line for each attempt, at `debug`.
pub(crate) fn log_attempt(
    method: &str,
    path: &str,
    number: u32,
    response: Result<&Response, &TransportError>,
    elapsed: Duration,
) {
    let ms = elapsed.as_millis();
    match response {
        Ok(Response {
            status,
            body: Body::CutOff(error),
            ..
        }) => log!(
            debug,
            "{method} {path}: attempt {number}: {status}, cut off ({error}) in {ms} ms"
        ),
        Ok(response) => log!(
            debug,
            "{method} {path}: attempt {number}: {} in {ms} ms",
            response.status
        ),
        Err(error) => log!(
            debug,
            "{method} {path}: attempt {number}: no response ({error}) in {ms} ms"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::virtual_clock::VirtualClock;

    #[test]
    fn bodies_have_limits() {
        assert_eq!(READ_LIMIT, 3 * 1_048_576 + 4_096);
        assert_eq!(LIST_LIMIT, 67_108_864);
        let ids = |number| vec![Arc::from("sk_a"); number];
        assert_eq!(poll_limit(&ids(0)), 65_536);
        assert_eq!(poll_limit(&ids(2)), 65_536 + 2 * (4 + 256));
        assert_eq!(poll_limit(&ids(1_000_000)), LIST_LIMIT);
    }

    #[test]
    fn a_budget_ends_with_the_deadline() {
        let clock = VirtualClock::new();
        let second = Duration::from_secs(1);
        let budget = Budget {
            started: clock.monotonic(),
            deadline: 10 * second,
            timeout: 4 * second,
        };
        for (passed, attempt, left, longest) in [(0, 4, 10, 9), (7, 3, 3, 2), (2, 1, 1, 0)] {
            clock.advance(passed * second);
            assert_eq!(budget.attempt(&*clock), Some(attempt * second));
            assert_eq!(budget.left(&*clock), left * second);
            assert!(budget.allows(longest * second, &*clock));
            assert!(!budget.allows((longest + 1) * second, &*clock));
        }
        assert!(!budget.allows(Duration::MAX, &*clock));
        clock.advance(second);
        assert_eq!(budget.attempt(&*clock), None);
        assert!(!budget.allows(Duration::ZERO, &*clock));
    }

    #[test]
    fn a_body_without_an_end_may_have_been_cut_off() {
        let error = |framed, malformed| {
            let bytes = Zeroizing::new(b"{".to_vec());
            let success = Success {
                bytes,
                framed,
                status: 200,
                repeated: false,
            };
            let refused: Result<(), Error> = success.decode(Purpose::List, |_| Err(malformed));
            refused.unwrap_err().kind()
        };
        assert_eq!(error(false, Malformed::Short), ErrorKind::Network);
        assert_eq!(error(true, Malformed::Short), ErrorKind::Decode);
        assert_eq!(error(false, Malformed::NotJson), ErrorKind::Decode);
    }
}
