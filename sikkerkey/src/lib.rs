#![doc = include_str!("../README.md")]
// An example shows a struct that it need not use.
#![doc(test(attr(deny(warnings), allow(dead_code))))]

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
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz;
mod identity;
#[cfg(feature = "live")]
pub mod live;
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
#[cfg(feature = "live")]
pub use live::{
    Change, Listener, Live, LiveResource, Loaded, PartChange, RecvError, SecretState, Select,
    State, Status, Subscription,
};
pub use secrecy::{ExposeSecret, SecretBox, SecretString};
#[cfg(feature = "derive")]
#[doc = include_str!("config/derive.md")]
pub use sikkerkey_derive::SikkerKeyConfig;
pub use transport::retry::RetryPolicy;
pub use watch::{Watch, WatchEvent, WatchKind};
