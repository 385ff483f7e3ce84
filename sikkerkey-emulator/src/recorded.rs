//! The record of requests, for tests to inspect and to wait for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::http::{Request, Response};

/// One request as it arrived, and its outcome.
///
/// `Debug` omits all headers, and the body of an enrollment, which holds the token.
///
/// ```
/// use sikkerkey_emulator::Emulator;
///
/// let vault = Emulator::builder().secret("sk_a", "1").start()?;
/// # let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
/// let url = format!("{}/v1/secret/sk_a", vault.url());
/// agent.get(&url).header("X-Nonce", "n").call()?; // any HTTP client; this one does not sign
/// let request = &vault.requests()[0];
/// assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/v1/secret/sk_a"));
/// assert_eq!((request.status, request.nonce()), (401, Some("n")));
/// assert!(request.error.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// Its number among all requests of this emulator, from 1.
    pub number: u64,
    /// The method: `GET` or `POST`.
    pub method: String,
    /// The target as it arrived: the path with its query.
    pub path: String,
    /// The status of the response; 0 if none was sent, or not yet.
    pub status: u16,
    /// Whether the service acted on the request; false if a fault came first, or if it was refused unread.
    pub handled: bool,
    /// The error message of a refusal by the service; `None` if it did not refuse, or if a fault came first.
    pub error: Option<String>,
    /// The report of a poll: `changed`, `deleted` or `access_denied`, by secret. Empty for other requests.
    pub changes: BTreeMap<String, String>,
    /// `X-Machine-Id` as it was sent, verified or not.
    pub machine_id: Option<String>,
    /// The body's bytes.
    pub body: Vec<u8>,
    /// The headers in order, names as they were written.
    pub headers: Vec<(String, String)>,
    /// When its last byte arrived.
    pub at: Instant,
    /// The number of its connection, from 1. Requests with the same number shared a connection.
    pub connection: u64,
}

impl Recorded {
    /// Returns the first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Returns the header `X-Nonce`, the request's random number.
    pub fn nonce(&self) -> Option<&str> {
        self.header("X-Nonce")
    }

    /// Returns the header `X-Timestamp` as a number, in Unix seconds.
    pub fn timestamp(&self) -> Option<i64> {
        self.header("X-Timestamp")?.parse().ok()
    }

    /// Returns the body as text; empty if it is not UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_default()
    }
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let enrollment = self.path.ends_with("/enroll/register");
        let body = if enrollment {
            "<redacted>"
        } else {
            self.text()
        };
        f.debug_struct("Recorded")
            .field("number", &self.number)
            .field("request", &format_args!("{} {}", self.method, self.path))
            .field("status", &self.status)
            .field("handled", &self.handled)
            .field("machine_id", &self.machine_id)
            .field("body", &format_args!("{body}"))
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

/// The part of a response's body that is recorded.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Said {
    error: Option<String>,
    changes: BTreeMap<String, Change>,
}

impl Said {
    /// Reads the body of a refusal or of a poll's response; other bodies hold values and are not recorded.
    pub(crate) fn of(path: &str, response: &Response) -> Self {
        let told = response.status >= 400 || path == "/v1/secrets/poll";
        let said = told.then(|| serde_json::from_slice(&response.body).ok());
        said.flatten().unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct Change {
    status: String,
}

/// The newest requests, at most `limit`, and the number of all.
pub(crate) struct Log {
    limit: usize,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    kept: Vec<Recorded>,
    count: u64,
}

impl Log {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            inner: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Records a request that has arrived, and returns its number.
    pub(crate) fn arrived(&self, request: &Request, connection: u64) -> u64 {
        let mut inner = self.lock();
        inner.count += 1;
        let number = inner.count;
        if self.limit > 0 {
            // Dropping old ones only at twice the limit costs little for each request.
            if inner.kept.len() >= self.limit.saturating_mul(2) {
                let surplus = inner.kept.len() - self.limit;
                inner.kept.drain(..surplus);
            }
            inner.kept.push(Recorded {
                number,
                method: request.method.clone(),
                path: request.target.clone(),
                status: 0,
                handled: false,
                error: None,
                changes: BTreeMap::new(),
                machine_id: request.header("X-Machine-Id").map(str::to_owned),
                body: request.body.clone(),
                headers: request.headers.clone(),
                at: Instant::now(),
                connection,
            });
        }
        drop(inner);
        self.changed.notify_all();
        number
    }

    /// Records the outcome of a request, just before its response is sent.
    pub(crate) fn answered(&self, number: u64, status: u16, handled: bool, said: Said) {
        let mut inner = self.lock();
        if let Some(found) = inner.kept.iter_mut().rev().find(|r| r.number == number) {
            (found.status, found.handled) = (status, handled);
            found.error = said.error;
            let changes = said.changes.into_iter();
            found.changes = changes.map(|(id, change)| (id, change.status)).collect();
        }
        drop(inner);
        self.changed.notify_all();
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        let inner = self.lock();
        newest(&inner.kept, self.limit).to_vec()
    }

    pub(crate) fn count(&self) -> u64 {
        self.lock().count
    }

    pub(crate) fn clear(&self) {
        self.lock().kept.clear();
    }

    /// Waits until `holds` returns true for the record; false after `timeout`.
    pub(crate) fn wait_for(
        &self,
        timeout: Duration,
        mut holds: impl FnMut(&[Recorded]) -> bool,
    ) -> bool {
        let until = Instant::now() + timeout;
        let mut inner = self.lock();
        loop {
            if holds(newest(&inner.kept, self.limit)) {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            inner = self
                .changed
                .wait_timeout(inner, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn newest(kept: &[Recorded], limit: usize) -> &[Recorded] {
    &kept[kept.len().saturating_sub(limit)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str, body: &str) -> Request {
        let headers = vec![
            ("x-nonce".into(), "n".into()),
            ("X-Timestamp".into(), "12".into()),
        ];
        Request {
            method: "POST".into(),
            target: path.into(),
            headers,
            body: body.into(),
            keep_alive: true,
        }
    }

    #[test]
    fn the_newest_are_kept_and_all_are_counted() {
        let log = Log::new(3);
        for n in 0..100 {
            log.arrived(&request(&format!("/{n}"), ""), 1);
            assert!(log.lock().kept.len() <= 6);
        }
        let paths: Vec<_> = log.requests().into_iter().map(|r| r.path).collect();
        assert_eq!(paths, ["/97", "/98", "/99"]);
        assert_eq!(log.count(), 100);
        let off = Log::new(0);
        off.arrived(&request("/", ""), 1);
        assert_eq!((off.count(), off.requests().len()), (1, 0));
    }

    #[test]
    fn the_outcome_of_a_request_is_recorded() {
        let log = Log::new(10);
        let number = log.arrived(&request("/a", "{}"), 4);
        let ok = Response::json(200, &serde_json::json!({ "value": "canary" }));
        log.answered(number, 200, true, Said::of("/a", &ok));
        log.answered(99, 500, true, Said::default());
        let found = log.requests().remove(0);
        assert_eq!(
            (found.status, found.handled, found.connection),
            (200, true, 4)
        );
        assert_eq!(
            (found.nonce(), found.timestamp(), found.text()),
            (Some("n"), Some(12), "{}")
        );
        assert_eq!(found.error, None);
    }

    #[test]
    fn a_refusal_and_a_polls_report_are_recorded() {
        let log = Log::new(10);
        let polled = log.arrived(&request("/v1/secrets/poll", ""), 1);
        let report = serde_json::json!({ "changes": { "sk_a": { "status": "changed" } } });
        let response = Response::json(200, &report);
        log.answered(polled, 200, true, Said::of("/v1/secrets/poll", &response));
        let refused = log.arrived(&request("/v1/secret/sk_a", ""), 1);
        let response = Response::error(403, "Access denied");
        log.answered(refused, 403, true, Said::of("/v1/secret/sk_a", &response));
        let [polled, refused] = log.requests().try_into().unwrap();
        assert_eq!(polled.changes["sk_a"], "changed");
        assert_eq!(refused.error.as_deref(), Some("Access denied"));
    }

    #[test]
    fn debug_shows_no_token() {
        let log = Log::new(10);
        log.arrived(
            &request("/v1/vault_x/enroll/register", "{\"token\":\"canary\"}"),
            1,
        );
        let shown = format!("{:?}", log.requests());
        assert!(shown.contains("<redacted>") && !shown.contains("canary"));
    }

    #[test]
    fn waiting_ends_with_the_request_or_the_time() {
        let log = Log::new(10);
        assert!(!log.wait_for(Duration::ZERO, |r| !r.is_empty()));
        std::thread::scope(|s| {
            let waiting = s.spawn(|| {
                log.wait_for(Duration::from_secs(60), |r| {
                    r.iter().any(|r| r.status == 200)
                })
            });
            let number = log.arrived(&request("/", ""), 1);
            log.answered(number, 200, true, Said::default());
            assert!(waiting.join().is_ok_and(|found| found));
        });
    }
}
