#![doc = include_str!("../README.md")]
//!
//! # Map
//!
//! | item | what it adds | what it reads |
//! | --- | --- | --- |
//! | [`Secrets`] | the keys of a struct that derives `SikkerKeyConfig`, typed by its fields | the secrets that the struct names |
//! | [`References`] | the secret in the place of a string `sikkerkey://sk_db_prod/password`, in any layer | the secrets that hold in the selected profile |
//! | [`Exported`] | every name of an export as a key, with `split`, `map` and `only` as figment's `Env` has them | everything that the machine may read |
//! | [`LiveFigment`] | the first two, again after each change | what changed |
//! | [`FigmentExt`], [`redact()`] | errors without values | nothing |
//! | [`wide_integer()`] | a `u128` or `i128`, which figment itself refuses | nothing |
//!
//! Each reader takes the same [`LoadOptions`](sikkerkey::LoadOptions), by `options`; all but
//! `Exported` also have the setters of a loader, such as `project` and `alias`.
//!
//! The figment to use is [`sikkerkey_figment::figment`](figment): two versions of it do not know
//! each other's types. The features `toml`, `json`, `yaml` and `env` are figment's own providers.
//!
//! # For authors of Rocket services
//!
//! Rocket's configuration is a figment, so a secret may stand in `Rocket.toml`:
//!
//! ```toml
//! [release]
//! secret_key = "sikkerkey://sk_rocket_key"
//! ```
//!
//! Resolve the references, let the figment be [vetted](FigmentExt::vetted) so that Rocket has no
//! value to print if one does not fit, and give it to `rocket::custom`. Do that before the runtime
//! starts: reading secrets waits for the network.
//!
//! ```no_run
//! # use sikkerkey_figment::figment;
//! # mod rocket {
//! #     #[derive(serde::Deserialize)]
//! #     pub struct Config {}
//! #     impl Config { pub fn figment() -> sikkerkey_figment::figment::Figment { Default::default() } }
//! #     pub fn custom(_: sikkerkey_figment::figment::Figment) {}
//! # }
//! # fn launch(sk: &sikkerkey::SikkerKey) -> figment::error::Result<()> {
//! use sikkerkey_figment::{FigmentExt, References};
//!
//! let figment = References::new(sk).resolve(rocket::Config::figment())?;
//! let rocket = rocket::custom(figment.vetted::<rocket::Config>());
//! # Ok(())
//! # }
//! ```
//!
//! Rocket reads its own part once. What the service reads for itself can follow rotations: manage a
//! `Live<AppConfig>` of a [`LiveFigment`] as Rocket's state, and take the config from a request
//! guard, so that it stays the same for the whole request. The guard is a few lines in the example
//! `rocket_service` (`examples/services/rocket-service/service.rs`).
//!
//! # For reviewers of what is printed
//!
//! figment prints the value that it found where a type does not fit: `found string "hunter2"`. What
//! this crate says itself never holds a value, and [`FigmentExt::extract_secret`] takes the values
//! of SikkerKey out of what figment says: found values, texts of a program's own types, and the
//! keys inside a JSON secret, in `Display` and in `Debug`. Kind, key, reference, vault and file
//! stay. These still print:
//!
//! - figment's own `extract`, `extract_inner` and their relatives, unless [`redact()`] follows;
//! - code that extracts by itself and prints the error, as Rocket does at launch and in
//!   `AdHoc::config`, unless the figment was [vetted](FigmentExt::vetted) for that type;
//! - `{:?}` of a `Figment`, of a figment `Value`, and of a config that keeps a secret in a `String`:
//!   take `SecretString`;
//! - the type of what was found, and the key.
//!
//! The values are in a figment as plain strings, which are not wiped. Let the figment go once the
//! config is extracted.
// What a server, a file or a user sent is never unwrapped.
#![warn(clippy::unwrap_used)]
// The error is figment's own, and its users expect it as it is.
#![allow(clippy::result_large_err)]

mod exported;
mod ext;
// Only the fuzz targets see it, so it stands with them.
#[cfg(fuzzing)]
#[doc(hidden)]
#[path = "../../fuzz/seams/figment.rs"]
pub mod fuzz;
mod keys;
mod live;
mod nest;
mod origin;
mod redact;
mod reference;
mod references;
mod secrets;
mod source;
mod typed;
mod wide_integer;

pub use figment;

pub use exported::Exported;
pub use ext::FigmentExt;
pub use live::LiveFigment;
pub use redact::redact;
pub use reference::{MalformedReference, Reference};
pub use references::References;
pub use secrets::Secrets;
pub use wide_integer::{WideInteger, wide_integer};
