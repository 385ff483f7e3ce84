//! Metrics through the [`metrics`](https://docs.rs/metrics) facade, for any recorder that the program installs
//! (feature `metrics`).
//!
//! | metric | type | labels | what it is |
//! | --- | --- | --- | --- |
//! | `sikkerkey_requests_total` | counter | `call`, `status` | requests that were sent, repetitions included |
//! | `sikkerkey_request_duration_seconds` | histogram | `call` | how long they took |
//! | `sikkerkey_retries_total` | counter | `call` | those among them that repeated one before |
//! | `sikkerkey_reads_total` | counter | `secret` | requests that read one secret, which the service audits |
//! | `sikkerkey_fallbacks_total` | counter | `secret` | reads that the fallback cache served |
//! | `sikkerkey_live_generation` | gauge | `config` | the number of the running config: [`LiveStatus::generation`](crate::LiveStatus::generation) |
//! | `sikkerkey_live_state` | gauge | `config`, `state` | 1 for what the config is, `fresh`, `stale` or `degraded`, and 0 for the others |
//! | `sikkerkey_live_age_seconds` | gauge | `config` | how long ago the service last confirmed the secrets |
//! | `sikkerkey_live_failures` | gauge | `config` | how many attempts in a row have failed |
//! | `sikkerkey_live_rotation_lag_seconds` | gauge | `config` | how long the last change took from its discovery to the swap; while one waits, how long it has waited |
//!
//! Counters are those of all clients of the process together; [`SikkerKey::stats`](crate::SikkerKey::stats)
//! has those of one. The gauges of a live config are set at its start and after each poll and refresh.
//! Live configs of the same type share their series. Once the last handle is dropped, every `state` is 0.
//!
//! # Labels
//!
//! They come from this crate and from schemas, so that there are few series:
//!
//! - `call` is `read`, `list`, `export`, `poll` or `enroll`.
//! - `status` is the HTTP status, `other` for one that no standard names, `none` for no response.
//! - `secret` is the id of a secret that a config of this client reads, 1,000 at most for one client. Every
//!   other read counts under `other`.
//! - `config` is the name of the config's type.
//!
//! # The recorder
//!
//! Install it before the client is built, which describes the metrics, or call [`describe`] later. It is
//! user code, as a logger is: it never runs under a lock of the client, its panic is contained, and what
//! it causes itself is not counted. With the `metrics-exporter-prometheus` crate, `PrometheusBuilder::new()
//! .install_recorder()` returns the handle whose `render()` is the body of `/metrics`.
//!
//! # Alerts
//!
//! Page on `sikkerkey_live_state{state="stale"} == 1`: nobody knows what the secrets are now. Warn on
//! `state="degraded"`, and where `sikkerkey_live_rotation_lag_seconds` is above minutes: a rotation went
//! wrong, and the service runs on what it had.

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

/// The label of what no schema or standard names.
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

/// A request was sent; `status` is `None` where no response came.
pub(crate) fn request(call: &'static str, status: Option<u16>, repeated: bool, took: Duration) {
    record(move || {
        counter!(REQUESTS, "call" => call, "status" => status_label(status)).increment(1);
        histogram!(DURATION, "call" => call).record(took);
        if repeated {
            counter!(RETRIES, "call" => call).increment(1);
        }
    });
}

/// A request was sent that reads a secret.
pub(crate) fn read(secret: Cow<'static, str>) {
    record(move || counter!(READS, "secret" => secret).increment(1));
}

/// The fallback cache served a read.
#[cfg(feature = "cache")]
pub(crate) fn fallback(secret: Cow<'static, str>) {
    record(move || counter!(FALLBACKS, "secret" => secret).increment(1));
}

/// What is known of a live config.
#[cfg(feature = "live")]
pub(crate) struct LiveFigures {
    pub(crate) generation: u64,
    /// Each state, and whether it is the config's.
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

/// Runs code of the recorder: now, or once nobody waits for this thread.
fn record(record: impl FnOnce() + 'static) {
    let record = move || {
        let _ = outermost(&IN_RECORDER, record);
    };
    match is_held() {
        true => defer(record),
        false => record(),
    }
}

fn status_label(status: Option<u16>) -> Cow<'static, str> {
    let Some(status) = status else {
        return "none".into();
    };
    // A hostile service could answer with hundreds of others.
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
