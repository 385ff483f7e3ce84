//! Metrics through the [`metrics`](https://docs.rs/metrics) facade, for any recorder that the program installs
//! (feature `metrics`).
//!
//! | metric | type | labels | what it is |
//! | --- | --- | --- | --- |
//! | `sikkerkey_requests_total` | counter | `call`, `status` | requests that were sent, retries included |
//! | `sikkerkey_request_duration_seconds` | histogram | `call` | how long these requests took |
//! | `sikkerkey_retries_total` | counter | `call` | requests that were retries |
//! | `sikkerkey_reads_total` | counter | `secret` | requests that read one secret; the service audits each |
//! | `sikkerkey_fallbacks_total` | counter | `secret` | reads that the fallback cache served |
//! | `sikkerkey_live_generation` | gauge | `config` | the number of the running config: [`LiveStatus::generation`](crate::LiveStatus::generation) |
//! | `sikkerkey_live_state` | gauge | `config`, `state` | 1 for the config's current state (`fresh`, `stale` or `degraded`), 0 for the others |
//! | `sikkerkey_live_age_seconds` | gauge | `config` | how long ago the service last confirmed the secrets |
//! | `sikkerkey_live_failures` | gauge | `config` | how many attempts in a row have failed |
//! | `sikkerkey_live_rotation_lag_seconds` | gauge | `config` | how long the last change took from its discovery to the swap; while one waits, how long it has waited |
//!
//! Counters add up all clients of the process; [`SikkerKey::stats`](crate::SikkerKey::stats) has those of one
//! client. The gauges of a live config are set at its start and after each poll and refresh. Live configs of
//! the same type share their series. Once the last handle is dropped, every `state` is 0. A config that
//! follows no vault (offline, fixed or manual) has no metrics.
//!
//! # Labels
//!
//! Labels come only from this crate and from schemas, so the number of series is bounded:
//!
//! - `call` is `read`, `list`, `export`, `poll`, `enroll`, or `issue` for a certificate.
//! - `status` is the HTTP status, `other` for a non-standard one, `none` without a response.
//! - `secret` is the id of a secret that a config of this client reads, 1,000 at most for one client. Every
//!   other read counts under `other`.
//! - `config` is the name of the config's type.
//!
//! # The recorder
//!
//! Install it before the client is built, which describes the metrics, or call [`describe`] later. A recorder
//! is user code, like a logger: it never runs under a lock of the client, its panic is contained, and
//! requests that it makes itself are not counted. With the `metrics-exporter-prometheus` crate,
//! `PrometheusBuilder::new().install_recorder()` returns the handle whose `render()` is the body of
//! `/metrics`.
//!
//! # Alerts
//!
//! Page on `sikkerkey_live_state{state="stale"} == 1`: the service could not be reached for longer than
//! `max_stale`, so the secrets may have changed. Warn on `state="degraded"`, and if
//! `sikkerkey_live_rotation_lag_seconds` exceeds a few minutes: a rotation went wrong, and the program still
//! uses the last good config.

use std::borrow::Cow;
use std::cell::Cell;
use std::time::Duration;

#[cfg(feature = "live")]
use ::metrics::gauge;
use ::metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, histogram};
use http::StatusCode;

use crate::log::{defer, is_held, outermost};

thread_local! {
    static IN_RECORDER: Cell<bool> = const { Cell::new(false) };
}

const REQUESTS: &str = "sikkerkey_requests_total";
const DURATION: &str = "sikkerkey_request_duration_seconds";
const RETRIES: &str = "sikkerkey_retries_total";
const READS: &str = "sikkerkey_reads_total";
const FALLBACKS: &str = "sikkerkey_fallbacks_total";
const GENERATION: &str = "sikkerkey_live_generation";
const STATE: &str = "sikkerkey_live_state";
const AGE: &str = "sikkerkey_live_age_seconds";
const FAILURES: &str = "sikkerkey_live_failures";
const ROTATION_LAG: &str = "sikkerkey_live_rotation_lag_seconds";

/// The label of ids and statuses that no schema or standard names.
pub(crate) const OTHER: &str = "other";

/// Describes each metric to the recorder. Building a client does it, too; call it only for a recorder that is
/// installed later.
pub fn describe() {
    record(|| {
        describe_counter!(REQUESTS, "Requests to SikkerKey, repetitions included.");
        describe_histogram!(DURATION, Unit::Seconds, "How long requests took.");
        describe_counter!(RETRIES, "Requests that repeated one before.");
        describe_counter!(READS, "Requests that read one secret.");
        describe_counter!(FALLBACKS, "Reads that the fallback cache served.");
        describe_gauge!(GENERATION, "The number of the running config.");
        describe_gauge!(STATE, "1 for the state of the config, 0 for the others.");
        describe_gauge!(
            AGE,
            Unit::Seconds,
            "How long ago the service last confirmed the secrets."
        );
        describe_gauge!(FAILURES, "How many attempts in a row have failed.");
        describe_gauge!(
            ROTATION_LAG,
            Unit::Seconds,
            "How long the last change took from its discovery to the swap."
        );
    });
}

/// Counts a request that was sent; `status` is `None` without a response.
pub(crate) fn request(call: &'static str, status: Option<u16>, repeated: bool, took: Duration) {
    record(move || {
        counter!(REQUESTS, "call" => call, "status" => status_label(status)).increment(1);
        histogram!(DURATION, "call" => call).record(took);
        if repeated {
            counter!(RETRIES, "call" => call).increment(1);
        }
    });
}

/// Counts a request that reads a secret.
pub(crate) fn read(secret: Cow<'static, str>) {
    record(move || counter!(READS, "secret" => secret).increment(1));
}

/// Counts a read that the fallback cache served.
#[cfg(feature = "cache")]
pub(crate) fn fallback(secret: Cow<'static, str>) {
    record(move || counter!(FALLBACKS, "secret" => secret).increment(1));
}

/// The figures of a live config.
#[cfg(feature = "live")]
pub(crate) struct LiveFigures {
    pub(crate) generation: u64,
    /// Each state, and whether the config is in it.
    pub(crate) states: [(&'static str, bool); 3],
    pub(crate) age: Duration,
    pub(crate) failures: u32,
    pub(crate) rotation_lag: Option<Duration>,
}

#[cfg(feature = "live")]
pub(crate) fn live(config: &'static str, figures: LiveFigures) {
    record(move || {
        // Exact below 2^53.
        gauge!(GENERATION, "config" => config).set(figures.generation as f64);
        for (state, is) in figures.states {
            gauge!(STATE, "config" => config, "state" => state).set(f64::from(u8::from(is)));
        }
        gauge!(AGE, "config" => config).set(figures.age);
        gauge!(FAILURES, "config" => config).set(figures.failures);
        if let Some(lag) = figures.rotation_lag {
            gauge!(ROTATION_LAG, "config" => config).set(lag);
        }
    });
}

/// Runs code of the recorder: now, or after the current hold, when no call waits for this thread.
fn record(record: impl FnOnce() + 'static) {
    let record = move || {
        let _ = outermost(&IN_RECORDER, record);
    };
    match is_held() {
        true => defer(Box::new(record)),
        false => record(),
    }
}

fn status_label(status: Option<u16>) -> Cow<'static, str> {
    let Some(status) = status else {
        return "none".into();
    };
    // A hostile service could use hundreds of other statuses.
    let is_known = |status: &StatusCode| status.canonical_reason().is_some();
    match StatusCode::from_u16(status).ok().filter(is_known) {
        Some(status) => status.as_u16().to_string().into(),
        None => OTHER.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_that_no_standard_names_share_a_label() {
        for (status, label) in [
            (None, "none"),
            (Some(200), "200"),
            (Some(503), "503"),
            (Some(299), "other"),
            (Some(999), "other"),
            (Some(0), "other"),
        ] {
            assert_eq!(status_label(status), label);
        }
    }
}
