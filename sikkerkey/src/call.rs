//! One call of the service: signed, attempted, and repeated where that may help.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::refusal::{Purpose, barred, no_answer, out_of_time, refused};
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
            Err(failure) => (
                no_answer(call.purpose, session.transport.url(), failure),
                None,
            ),
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
        Body::CutOff(failure) => Err(no_answer(purpose, session.transport.url(), failure)),
        Body::TooLarge => Err(Error::new(
            ErrorKind::Decode,
            format!("the answer is larger than this client takes while {purpose}"),
        )
        .with_status(status)),
    }
}
