//! One call of the service: signed, attempted, repeated where that may help, and turned into an
//! answer or an error that says what to do.

use std::fmt;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::error::clean_server_text;
use crate::session::Session;
use crate::signing::NONCE_BYTES;
use crate::transport::skew::{self, Skew, Verdict};
use crate::transport::{self, Body, Line, NoAnswer, Outgoing, Reply};
use crate::wire::{self, Malformed};
use crate::{Error, ErrorKind, RetryPolicy};

/// The longest value of a secret.
pub(crate) const VALUE_LIMIT: usize = 1024 * 1024;

/// The longest body of a read. JSON writes any character of text in at most three times its own
/// bytes (`\u00fc` for the two of `ü`); control characters other than line breaks and tabs, which
/// need six, are not in texts.
pub(crate) const READ_LIMIT: usize = 3 * VALUE_LIMIT + 4096;

/// The longest body of a list, an export or a poll.
pub(crate) const LIST_LIMIT: usize = 64 * 1024 * 1024;

/// A request that can be signed any number of times.
pub(crate) struct Call<'a> {
    pub(crate) purpose: Purpose<'a>,
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) body: Option<Zeroizing<Vec<u8>>>,
    pub(crate) limit: usize,
}

/// What a call is for, as errors tell it.
#[derive(Clone, Copy)]
pub(crate) enum Purpose<'a> {
    Read(&'a str),
    List,
    ListProject(&'a str),
    Export,
    ExportProject(&'a str),
    Poll,
    Enrol(&'a str),
}

impl fmt::Display for Purpose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Purpose::Read(id) => write!(f, "reading secret {id}"),
            Purpose::List => f.write_str("listing secrets"),
            Purpose::ListProject(project) => write!(f, "listing the secrets of project {project}"),
            Purpose::Export => f.write_str("exporting secrets"),
            Purpose::ExportProject(project) => {
                write!(f, "exporting the secrets of project {project}")
            }
            Purpose::Poll => f.write_str("asking for changed secrets"),
            Purpose::Enrol(vault) => write!(f, "enrolling a machine in {vault}"),
        }
    }
}

/// The time that one call has, whatever it does.
#[derive(Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) started: Duration,
    pub(crate) deadline: Duration,
    /// The longest time of one attempt.
    pub(crate) timeout: Duration,
}

impl Budget {
    /// The time that the next attempt may take; `None` when none is left.
    pub(crate) fn attempt(&self, clock: &dyn Clock) -> Option<Duration> {
        let spent = clock.monotonic().saturating_sub(self.started);
        let left = self.deadline.saturating_sub(spent).min(self.timeout);
        (!left.is_zero()).then_some(left)
    }

    /// Whether a delay would end before the deadline does.
    pub(crate) fn allows(&self, delay: Duration, clock: &dyn Clock) -> bool {
        let spent = clock.monotonic().saturating_sub(self.started);
        spent
            .checked_add(delay)
            .is_some_and(|end| end < self.deadline)
    }
}

/// The body of a 2xx answer.
pub(crate) struct Answer {
    bytes: Zeroizing<Vec<u8>>,
    /// Whether the headers told where it ends.
    framed: bool,
    status: u16,
}

impl Answer {
    pub(crate) fn decode<T: DeserializeOwned>(&self, purpose: Purpose<'_>) -> Result<T, Error> {
        wire::decode(&self.bytes).map_err(|malformed| match malformed {
            // Only the end of the connection said that this was all.
            Malformed::Short if !self.framed => Error::new(
                ErrorKind::Network,
                format!("the answer was cut off while {purpose}"),
            ),
            Malformed::Short | Malformed::NotJson => self.wrong(purpose, "is not JSON"),
            Malformed::Shape => {
                self.wrong(purpose, "lacks what it must have or has it in another form")
            }
        })
    }

    pub(crate) fn wrong(&self, purpose: Purpose<'_>, problem: &str) -> Error {
        Error::new(
            ErrorKind::Decode,
            format!("the answer {problem} while {purpose}: is this the API URL of the service?"),
        )
        .with_status(self.status)
    }
}

/// Makes a signed call with one identity: attempts, delays, and the one more attempt that a clock
/// which is off deserves.
pub(crate) fn make(
    call: &Call<'_>,
    session: &Session,
    policy: &RetryPolicy,
    budget: Budget,
    clock: &dyn Clock,
    skew: &Skew,
) -> Result<Answer, Error> {
    let seen = session.refusals();
    let mut made = 0;
    let mut sent = 0;
    // A correction that has not yet proved itself, and the turn in which it does.
    let mut trial = None;
    let mut turn = None;
    let mut last = None;
    loop {
        let Some(timeout) = budget.attempt(clock) else {
            return Err(last.unwrap_or_else(|| out_of_time(call.purpose)));
        };
        made += 1;
        sent += 1;
        let start = clock.monotonic();
        let until = transport::end_of(timeout);
        let mut signed_at = 0;
        let reply = match session.transport.connect(until) {
            Err(failure) => Err(failure),
            Ok(line) => {
                // Connections are made side by side; only then does each wait for its turn.
                if turn.is_none() {
                    turn = Some(
                        session
                            .turn(until)
                            .ok_or_else(|| out_of_time(call.purpose))?,
                    );
                    if session.is_barred(seen) {
                        session.transport.keep(line);
                        return Err(barred(call.purpose));
                    }
                }
                signed_at = clock
                    .unix_now()
                    .saturating_add(trial.unwrap_or(skew.correction()));
                exchange(call, session, line, signed_at, until, clock)?
            }
        };
        let elapsed = clock.monotonic().saturating_sub(start);
        log_attempt(call.method, &call.path, sent, &reply, elapsed);
        let own = clock.unix_now();
        let (error, retry_after) = match reply {
            Err(failure) => (no_answer(call.purpose, session, failure), None),
            Ok(reply) if reply.status == 401 => {
                let ahead = match skew::judge(signed_at, own, reply.date) {
                    Verdict::Retry { correction } if trial.is_none() => {
                        trial = Some(correction);
                        // The clock's fault, not the service's: it is no attempt of the policy's.
                        made -= 1;
                        continue;
                    }
                    Verdict::Retry { .. } => None,
                    Verdict::Final { ahead } => ahead,
                };
                if trial == Some(0) {
                    skew.keep(0);
                }
                // While the turn is still this call's.
                session.refuse();
                return Err(refused(call.purpose, &reply, ahead));
            }
            Ok(reply) => {
                settle(&reply, session, trial, own, skew);
                let retry_after = reply.retry_after_from(own);
                match take_body(call.purpose, session, reply) {
                    Ok(answer) => return Ok(answer),
                    Err(error) => (error.with_retry_after(retry_after), retry_after),
                }
            }
        };
        let delay = match error.is_retryable() {
            true => policy.delay(made, retry_after, clock.fraction()),
            false => None,
        };
        // Others go on while this call waits.
        turn = None;
        match delay {
            Some(delay) if budget.allows(delay, clock) => clock.sleep(delay),
            _ => return Err(error),
        }
        last = Some(error);
    }
}

/// Signs the request anew and sends it once. The outer error is one of this machine.
fn exchange(
    call: &Call<'_>,
    session: &Session,
    line: Line,
    signed_at: i64,
    until: Instant,
    clock: &dyn Clock,
) -> Result<Result<Reply, NoAnswer>, Error> {
    let identity = &session.identity;
    let body = call.body.as_ref().map(|body| body.as_slice());
    let mut nonce = [0; NONCE_BYTES];
    clock.random(&mut nonce)?;
    let signed = identity.signer.sign(
        call.method,
        &call.path,
        signed_at,
        &nonce,
        body.unwrap_or_default(),
    );
    let request = Outgoing {
        method: call.method,
        path: &call.path,
        headers: &[
            ("X-Machine-Id", &identity.machine_id),
            ("X-Timestamp", &signed.timestamp),
            ("X-Nonce", &signed.nonce),
            ("X-Signature", &signed.signature),
        ],
        body,
        limit: call.limit,
    };
    Ok(session.transport.exchange(line, &request, until))
}

/// For a call that waited while the service refused this identity.
fn barred(purpose: Purpose<'_>) -> Error {
    Error::new(
        ErrorKind::Authentication,
        format!(
            "authentication failed for another call, so nothing was sent while {purpose}: the \
             service locks an address out after three failures"
        ),
    )
}

pub(crate) fn log_attempt(
    method: &str,
    path: &str,
    number: u32,
    reply: &Result<Reply, NoAnswer>,
    elapsed: Duration,
) {
    let ms = elapsed.as_millis();
    match reply {
        Ok(Reply {
            status,
            body: Body::CutOff(failure),
            ..
        }) => log::debug!(
            target: "sikkerkey",
            "{method} {path}: attempt {number}: {status}, cut off ({failure}) in {ms} ms"
        ),
        Ok(reply) => log::debug!(
            target: "sikkerkey",
            "{method} {path}: attempt {number}: {} in {ms} ms", reply.status
        ),
        Err(failure) => log::debug!(
            target: "sikkerkey",
            "{method} {path}: attempt {number}: no answer ({failure}) in {ms} ms"
        ),
    }
}

/// Notes what an answer other than 401 tells about the machine and the clock.
fn settle(reply: &Reply, session: &Session, trial: Option<i64>, own: i64, skew: &Skew) {
    // Only the service itself answers so; a proxy's 5xx knows nothing of the signature.
    if !matches!(reply.status, 200..=299 | 403 | 404 | 409) {
        return;
    }
    match trial {
        Some(correction) => {
            if skew.keep(correction) && correction != 0 {
                log::warn!(
                    target: "sikkerkey",
                    "{}; requests are signed with the corrected time: set this machine's clock",
                    skew::describe(-correction)
                );
            }
        }
        None => skew.review(own, reply.date),
    }
    // Last: it lets others go on, and they are to find the clock corrected.
    session.accept();
}

fn take_body(purpose: Purpose<'_>, session: &Session, reply: Reply) -> Result<Answer, Error> {
    let status = reply.status;
    if !(200..300).contains(&status) {
        return Err(refused(purpose, &reply, None));
    }
    match reply.body {
        Body::Whole(bytes) => Ok(Answer {
            bytes,
            framed: true,
            status,
        }),
        Body::UntilClose(bytes) => Ok(Answer {
            bytes,
            framed: false,
            status,
        }),
        Body::CutOff(failure) => Err(no_answer(purpose, session, failure)),
        Body::TooLarge => Err(Error::new(
            ErrorKind::Decode,
            format!("the answer is larger than this client takes while {purpose}"),
        )
        .with_status(status)),
    }
}

pub(crate) fn out_of_time(purpose: Purpose<'_>) -> Error {
    Error::new(
        ErrorKind::Network,
        format!("no time was left for {purpose}: the deadline is over"),
    )
}

fn no_answer(purpose: Purpose<'_>, session: &Session, failure: NoAnswer) -> Error {
    no_answer_from(purpose, session.transport.url().as_str(), failure)
}

pub(crate) fn no_answer_from(purpose: Purpose<'_>, url: &str, failure: NoAnswer) -> Error {
    let error = Error::new(
        ErrorKind::Network,
        format!("no answer from {url} while {purpose}: {failure}"),
    );
    let error = if failure.is_untrusted() {
        error.untrusted()
    } else {
        error
    };
    match failure.into_cause() {
        Some(cause) => error.with_source(cause),
        None => error,
    }
}

/// The error for a status other than 2xx.
pub(crate) fn refused(purpose: Purpose<'_>, reply: &Reply, ahead: Option<i64>) -> Error {
    refused_with(purpose, reply, ahead, clean_server_text)
}

/// The same, with the server's own text passed through `clean`.
pub(crate) fn refused_with(
    purpose: Purpose<'_>,
    reply: &Reply,
    ahead: Option<i64>,
    clean: impl Fn(&str) -> String,
) -> Error {
    let status = reply.status;
    let (kind, meaning) = meaning(purpose, status);
    let mut text = match kind {
        ErrorKind::Api => format!("{meaning} {status} while {purpose}"),
        _ => format!("{meaning} while {purpose} ({status})"),
    };
    if let Some(advice) = advice(purpose, status) {
        text.push_str(": ");
        text.push_str(advice);
    }
    if let Some(ahead) = ahead {
        text.push_str("; ");
        text.push_str(&skew::describe(ahead));
    }
    match &reply.body {
        Body::Whole(bytes) | Body::UntilClose(bytes) if !bytes.is_empty() => {
            match wire::error_message(bytes) {
                Some(message) => {
                    text.push_str("; the service says: ");
                    text.push_str(&clean(&message));
                }
                None => text.push_str("; its body has no message in JSON"),
            }
        }
        _ => {}
    }
    Error::new(kind, text).with_status(status)
}

fn meaning(purpose: Purpose<'_>, status: u16) -> (ErrorKind, &'static str) {
    match status {
        401 => (ErrorKind::Authentication, "authentication failed"),
        403 => (ErrorKind::AccessDenied, "access was denied"),
        404 => match purpose {
            Purpose::Read(_) => (ErrorKind::NotFound, "no such secret"),
            Purpose::Enrol(_) => (ErrorKind::NotFound, "no such vault"),
            _ => (ErrorKind::NotFound, "nothing was found"),
        },
        409 => (ErrorKind::Conflict, "the service reports a conflict"),
        429 => (ErrorKind::RateLimited, "too many requests"),
        503 => (
            ErrorKind::Unavailable,
            "the service is temporarily unavailable",
        ),
        300..=399 => (ErrorKind::Api, "the service answered with a redirect,"),
        _ => (ErrorKind::Api, "the service answered"),
    }
}

fn advice(purpose: Purpose<'_>, status: u16) -> Option<&'static str> {
    Some(match (purpose, status) {
        (Purpose::Enrol(_), 401 | 403) => {
            "the enrolment token is unknown, spent, expired, or not for this vault or address"
        }
        (_, 401) => {
            "the service does not know this machine, or it has expired, or its key or clock is wrong"
        }
        (Purpose::Read(_), 403) => {
            "this machine is not approved, is disabled, or has no grant for this secret"
        }
        (_, 403) => "this machine is not approved or is disabled",
        (_, 300..=399) => "redirects are never followed; correct the API URL",
        _ => return None,
    })
}
