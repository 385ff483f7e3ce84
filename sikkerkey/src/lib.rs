#![doc = include_str!("../README.md")]
// What a server, a file or a user sent is never unwrapped.
#![warn(clippy::unwrap_used)]
// An example shows a struct that it need not use.
#![doc(test(attr(deny(warnings), allow(dead_code))))]

#[doc(hidden)]
pub mod __private;
#[cfg(feature = "cache")]
mod cache;
mod client;
mod clock;
mod config;
mod contain;
mod error;
// Only the fuzz targets see it, so it stands with them.
#[cfg(fuzzing)]
#[doc(hidden)]
#[path = "../../fuzz/seams/client.rs"]
pub mod fuzz;
mod id;
mod identity;
#[cfg(feature = "live")]
pub mod live;
mod loader;
mod log;
mod parallel;
mod pem;
mod protocol;
mod random;
mod read;
mod resync;
mod sync;
mod text;
#[cfg(feature = "rustls")]
pub mod tls;
mod transport;
mod validity;
mod watch;
#[cfg(feature = "webhook")]
pub mod webhook;
#[cfg(feature = "rustls")]
mod x509;

#[cfg(feature = "cache")]
pub use cache::CacheOptions;
pub use client::SikkerKey;
pub use client::asynchronous::AsyncSikkerKey;
pub use client::bootstrap::Bootstrap;
pub use client::builder::SikkerKeyBuilder;
pub use client::machine::Machine;
pub use client::retry::RetryPolicy;
pub use client::stats::Stats;
pub use config::check::{Check, CheckReport, CheckStatus};
pub use config::error::{ConfigError, Problem, ProblemKind};
pub use config::from_secret::{FromSecret, ValueError};
pub use config::requirement::{Necessity, Requirement, SecretRef, ValueKind};
pub use config::schema::Schema;
pub use config::snapshot::{ReadOutcome, Snapshot};
pub use error::{Error, ErrorKind};
#[cfg(feature = "live")]
pub use live::{Change, Freshness, Live, LiveResource, LiveStatus};
pub use loader::{Loader, SikkerKeyConfig};
pub use protocol::details::{Project, SecretDetails, SecretKind};
pub use protocol::export::{Collision, Export};
pub use protocol::fields::Fields;
pub use protocol::listing::SecretListItem;
pub use protocol::signing::{RequestSigner, SignError};
pub use read::options::LoadOptions;
pub use read::reader::Fetch;
pub use resync::Resync;
#[cfg(feature = "rustls")]
pub use rustls;
pub use secrecy::{ExposeSecret, SecretBox, SecretString};
#[cfg(feature = "derive")]
#[doc = include_str!("config/derive.md")]
pub use sikkerkey_derive::SikkerKeyConfig;
pub use watch::{Watch, WatchEvent, WatchKind};
