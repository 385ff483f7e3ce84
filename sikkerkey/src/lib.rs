//! Typed, live configuration from SikkerKey.

#[doc(hidden)]
pub mod __private;
mod api_url;
#[cfg(feature = "tokio")]
mod asynchronous;
mod builder;
#[cfg(feature = "cache")]
mod cache;
mod call;
mod client;
mod clock;
mod config;
mod enrolment;
mod error;
mod export;
mod fields;
mod identity;
mod refusal;
mod session;
mod settings;
mod shared;
mod signing;
mod transport;
mod watch;
mod wire;

#[cfg(feature = "tokio")]
pub use asynchronous::AsyncSikkerKey;
pub use builder::SikkerKeyBuilder;
#[cfg(feature = "cache")]
pub use cache::CacheOptions;
pub use client::{SecretListItem, SikkerKey};
pub use config::{
    Check, CheckReport, CheckStatus, ConfigError, Fetch, FromSecret, Kind, Loader, Necessity,
    Outcome, Problem, ProblemKind, Requirement, Schema, SecretRef, SikkerKeyConfig, Snapshot,
    ValueError,
};
pub use enrolment::Bootstrap;
pub use error::{Error, ErrorKind};
pub use export::{Collision, Export};
pub use fields::Fields;
pub use secrecy::{ExposeSecret, SecretBox, SecretString};
#[cfg(feature = "derive")]
pub use sikkerkey_derive::SikkerKeyConfig;
pub use transport::retry::RetryPolicy;
pub use watch::{Watch, WatchEvent, WatchKind};
