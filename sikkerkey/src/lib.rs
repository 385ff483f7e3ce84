// In rustdoc, a link of the README leads to its page of the guide: of two definitions, Markdown takes the first.
#![cfg_attr(all(doc, not(doctest)), doc = include_str!("../docs/rustdoc-links.txt"))]
#![cfg_attr(all(doc, not(doctest)), doc = include_str!("../docs/rustdoc-pictures.txt"))]
#![doc = include_str!("../README.md")]
//!
//! # Map
//!
//! | you want to | start at |
//! | --- | --- |
//! | describe a config | the derive [`SikkerKeyConfig`](derive@SikkerKeyConfig); [`FromSecret`] lists the types of fields |
//! | load, check or follow it | [`SikkerKeyConfig`]; [`Loader`] and [`LoadOptions`] for settings |
//! | use a config that follows its secrets | [`Live`] and its module [`live`]: status, resources, subscriptions |
//! | make a client | [`SikkerKey::from_env`]; [`SikkerKeyBuilder`] for settings, [`Bootstrap`] to enroll in memory, [`Machine`] and [`RequestSigner`] for an identity without files |
//! | read, list, export or watch without a struct | [`SikkerKey`], `AsyncSikkerKey`; [`Fields`], [`SecretDetails`], [`Export`], [`Watch`] |
//! | handle an error | [`Error`] of the client, [`ConfigError`] of a config: each has a kind |
//! | test without a service | [`Snapshot`], [`SikkerKeyConfig::offline`]; the crate `sikkerkey-emulator` |
//! | serve TLS from secrets | the module `tls` (feature `rustls`) |
//! | handle notifications of rotations | the module `webhook` (feature `webhook`) |
//! | collect metrics | the module `metrics` (feature `metrics`) |
//! | see what a config reads | [`Schema`] and its [`Requirement`]s; [`CheckReport`] |
//! | learn it page by page | [`guide`] |
#![cfg_attr(docsrs, feature(doc_cfg))]
// Data from a server, a file or a user is never unwrapped.
#![warn(clippy::unwrap_used)]
// An example may define a struct without using all of it.
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
// Only the fuzz targets use it, so its file is in their folder.
#[cfg(fuzzing)]
#[doc(hidden)]
#[path = "../../fuzz/seams/client.rs"]
pub mod fuzz;
#[cfg(all(doc, not(doctest)))]
pub mod guide;
mod id;
mod identity;
#[cfg(feature = "live")]
pub mod live;
mod loader;
mod log;
#[cfg(feature = "metrics")]
pub mod metrics;
mod parallel;
mod pem;
mod protocol;
mod random;
mod read;
mod resync;
mod span;
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
