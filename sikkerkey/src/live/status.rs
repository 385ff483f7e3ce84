use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use super::resource::{ResourceState, ResourceStatus};
use crate::config::error::ConfigError;

/// How current the running config is; from [`LiveStatus::freshness`].
///
/// ```
/// use sikkerkey::{Freshness, Live};
///
/// let (live, control) = Live::manual(1);
/// assert_eq!(live.status().freshness(), Freshness::Fresh);
/// control.stale();
/// assert_eq!(live.status().freshness().to_string(), "stale");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Freshness {
    /// Every secret was confirmed within `max_stale`, and nothing is refused.
    Fresh,
    /// The service has not confirmed the secrets for longer than `max_stale`: it cannot be reached. The last
    /// good config stays.
    Stale,
    /// The service responds, but the update cannot be used: a secret is deleted or denied, or the new values
    /// do not make a valid config. The last good config stays.
    Degraded,
}

impl Freshness {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Freshness::Fresh => "fresh",
            Freshness::Stale => "stale",
            Freshness::Degraded => "degraded",
        }
    }
}

impl fmt::Display for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The state of one secret that a live config follows; from [`SecretStatus::state`].
///
/// ```
/// use sikkerkey::Live;
/// use sikkerkey::live::{SecretState, SecretStatus};
///
/// /// The alerts that a person has to act on; everything else settles by itself.
/// fn alerts<T>(live: &Live<T>) -> Vec<String> {
///     let status = live.status();
///     let alert = |secret: &SecretStatus| match secret.state() {
///         SecretState::Deleted => Some(format!("{} was deleted", secret.id())),
///         SecretState::Denied => Some(format!("grant {} to this machine again", secret.id())),
///         _ => None,
///     };
///     status.secrets().filter_map(alert).collect()
/// }
/// assert!(alerts(&Live::fixed(1)).is_empty());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SecretState {
    /// The config holds the value that the service last reported.
    Current,
    /// The secret changed, and its new value could not be read yet; it is read again at each poll.
    Pending,
    /// The secret was deleted; the config keeps its last value.
    Deleted,
    /// The machine may no longer read the secret; the config keeps its last value.
    Denied,
    /// An optional secret that does not exist.
    Absent,
    /// The service could not be reached at the start, and the fallback cache served the value. It is
    /// read at the first poll that the service answers.
    Cached,
    /// The config holds an [override](crate::Loader::overrides) of the secret, or of some of its
    /// fields.
    Overridden,
    /// The config holds a value of a snapshot, which never changes: see
    /// [`offline`](crate::SikkerKeyConfig::offline).
    Offline,
}

impl SecretState {
    /// Whether this alone makes the config [`Freshness::Degraded`].
    pub(super) fn degrades(self) -> bool {
        matches!(self, SecretState::Deleted | SecretState::Denied)
    }
}

impl fmt::Display for SecretState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SecretState::Current => "current",
            SecretState::Pending => "pending",
            SecretState::Deleted => "deleted",
            SecretState::Denied => "denied",
            SecretState::Absent => "absent",
            SecretState::Cached => "cached",
            SecretState::Overridden => "overridden",
            SecretState::Offline => "offline",
        })
    }
}

/// One secret that a live config follows, from [`LiveStatus::secrets`].
///
/// ```
/// use sikkerkey::Live;
///
/// fn print<T>(live: &Live<T>) {
///     for secret in live.status().secrets() {
///         println!("{}: {}, read {} times", secret.id(), secret.state(), secret.reads());
///     }
/// }
/// # print(&Live::fixed(1));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SecretStatus {
    pub(super) id: String,
    pub(super) state: SecretState,
    pub(super) reads: u64,
    #[serde(serialize_with = "seconds_since_1970_or_none")]
    pub(super) last_change: Option<SystemTime>,
}

impl SecretStatus {
    /// The secret's id; aliases and display names are resolved.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The state of the secret: current, pending, deleted and so on.
    pub fn state(&self) -> SecretState {
        self.state
    }

    /// How often this client has read it, for any purpose. The service audits each read, and policies count
    /// it.
    pub fn reads(&self) -> u64 {
        self.reads
    }

    /// When its value last changed, as far as this client read it; `None` if it has not changed since the
    /// start.
    pub fn last_change(&self) -> Option<SystemTime> {
        self.last_change
    }
}

/// A live config's state at one instant, from [`Live::status`](super::Live::status): what a health
/// check and an alert look at. Holds no secret value.
///
/// ```
/// # use sikkerkey::{Live, Freshness};
/// /// The body and the HTTP status of a `/healthz`: a config serves, so the answer is 200.
/// fn health<T>(live: &Live<T>) -> (u16, String) {
///     let status = live.status();
///     let degraded = status.freshness() != Freshness::Fresh;
///     (200, format!(r#"{{"degraded": {degraded}, "status": "{status}"}}"#))
/// }
/// ```
///
/// # As data
///
/// It implements `Serialize`, without a value of a secret. These fields stay as they are; others may
/// be added:
///
/// | field | what it is |
/// | --- | --- |
/// | `freshness` | `"fresh"`, `"stale"` or `"degraded"` |
/// | `generation` | the number of the running config |
/// | `loaded_at` | when it was swapped in, in seconds since 1970 |
/// | `age_seconds` | how long ago the service last confirmed it |
/// | `consecutive_failures` | a number |
/// | `last_error` | a text of one or more lines, or `null` |
/// | `secrets` | a list: for each `id`, `state` (such as `"current"`), `reads`, and `last_change` in seconds since 1970 or `null` |
/// | `resources` | a list: for each `name`, `state`, `consecutive_failures` and `last_error` |
/// | `rotation_lag_seconds` | a number, or `null` |
/// | `identity_shared` | `true` or `false` |
/// | `offline` | `true` or `false` |
///
/// ```
/// # use sikkerkey::Live;
/// let json = serde_json::to_value(Live::fixed(()).status())?;
/// assert_eq!(json["freshness"], "fresh");
/// assert_eq!(json["generation"], 1);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Serialize)]
pub struct LiveStatus {
    pub(super) generation: u64,
    #[serde(serialize_with = "seconds_since_1970")]
    pub(super) loaded_at: SystemTime,
    #[serde(rename = "age_seconds", serialize_with = "seconds")]
    pub(super) age: Duration,
    pub(super) freshness: Freshness,
    #[serde(serialize_with = "text")]
    pub(super) last_error: Option<ConfigError>,
    pub(super) consecutive_failures: u32,
    pub(super) secrets: Vec<SecretStatus>,
    pub(super) resources: Vec<ResourceStatus>,
    #[serde(rename = "rotation_lag_seconds", serialize_with = "seconds_or_none")]
    pub(super) rotation_lag: Option<Duration>,
    pub(super) identity_shared: bool,
    pub(super) offline: bool,
}

impl LiveStatus {
    /// The number of the running config: 1 for the first, one more with each swap.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// When the running config was swapped in.
    pub fn loaded_at(&self) -> SystemTime {
        self.loaded_at
    }

    /// How long ago the service last confirmed that the secrets are as the config has them.
    ///
    /// In a quiet service this stays below the poll interval, however old the config itself is.
    pub fn age(&self) -> Duration {
        self.age
    }

    /// Whether the config is fresh, stale or degraded.
    pub fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// Why the last attempt failed; `None` once an attempt has succeeded.
    pub fn last_error(&self) -> Option<&ConfigError> {
        self.last_error.as_ref()
    }

    /// How many attempts in a row have failed: polls without a response, failed reads, and refused configs; 0
    /// once one succeeds.
    pub fn consecutive_failures(&self) -> u32 {
        self.consecutive_failures
    }

    /// Each secret that the config follows, in the order of the ids.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretStatus> {
        self.secrets.iter()
    }

    /// Each [`LiveResource`](super::LiveResource) that is built from the config and still held, in
    /// the order in which they were first built.
    pub fn resources(&self) -> impl Iterator<Item = &ResourceStatus> {
        self.resources.iter()
    }

    /// How long the last change took from the poll or refresh that found it to the swap; while a
    /// change waits, because a read, a build or the probe fails, how long it has waited so far.
    /// `None` if nothing has changed since the start.
    ///
    /// It does not include the time before the change was found, which the client cannot know: up to one poll
    /// interval for reported changes, up to one [`resync`](crate::Resync) for others.
    pub fn rotation_lag(&self) -> Option<Duration> {
        self.rotation_lag
    }

    /// Whether another process uses this machine's identity, so that reports of changes go to it: two resyncs
    /// found changes that no poll had reported. Adaptive resyncs then run every 5 minutes. Give each process
    /// an identity of its own.
    pub fn identity_shared(&self) -> bool {
        self.identity_shared
    }

    /// Whether the config follows no vault: it is [`offline`](crate::SikkerKeyConfig::offline),
    /// [fixed](super::Live::fixed) or [manual](super::Live::manual), or everything that it reads is
    /// overridden. Such a config never changes and never goes stale by itself.
    pub fn is_offline(&self) -> bool {
        self.offline
    }
}

/// Shows one line: `fresh, generation 3, confirmed 4s ago`.
impl fmt::Display for LiveStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, generation {}", self.freshness, self.generation)?;
        match self.offline {
            true => f.write_str(", offline")?,
            false => write!(f, ", confirmed {}s ago", self.age.as_secs())?,
        }
        match self.consecutive_failures {
            0 => {}
            1 => f.write_str(", 1 failure")?,
            many => write!(f, ", {many} failures in a row")?,
        }
        for secret in &self.secrets {
            if !matches!(
                secret.state,
                SecretState::Current | SecretState::Absent | SecretState::Offline
            ) {
                write!(f, ", {} {}", secret.id, secret.state)?;
            }
        }
        for resource in &self.resources {
            if resource.state() != ResourceState::Current {
                write!(f, ", {} {}", resource.name(), resource.state())?;
            }
        }
        match self.identity_shared {
            true => f.write_str(", identity shared"),
            false => Ok(()),
        }
    }
}

fn seconds_since_1970<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    since_1970(*time).serialize(to)
}

fn seconds_since_1970_or_none<S: Serializer>(
    time: &Option<SystemTime>,
    to: S,
) -> Result<S::Ok, S::Error> {
    time.map(since_1970).serialize(to)
}

fn since_1970(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

fn seconds<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    time.as_secs().serialize(to)
}

fn seconds_or_none<S: Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs()).serialize(to)
}

fn text<S: Serializer>(error: &Option<ConfigError>, to: S) -> Result<S::Ok, S::Error> {
    error.as_ref().map(ConfigError::to_string).serialize(to)
}
