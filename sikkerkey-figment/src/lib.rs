#![doc = include_str!("../README.md")]
//!
//! # Map
//!
//! | item | what it adds | what it reads |
//! | --- | --- | --- |
//! | [`Secrets`] | the keys of a struct that derives `SikkerKeyConfig`, typed by its fields | the secrets that the struct names |
//! | [`References`] | in place of each string such as `sikkerkey://sk_db_prod/password`, in any layer, its secret | the secrets whose references take effect in the selected profile |
//! | [`Exported`] | every name of an export as a key, with `split`, `map` and `only` as in figment's `Env` | everything that the machine may read |
//! | [`LiveFigment`] | a config that follows rotations: the layers are put together again after each change | the secrets that changed |
//! | [`FigmentExt`], [`redact()`] | errors without values | nothing |
//! | [`wide_integer()`] | a `u128` or `i128`, which figment itself refuses | nothing |
//!
//! Each of the first four takes [`LoadOptions`](sikkerkey::LoadOptions), by `options`. All but `Exported` also have a
//! loader's setters, such as `project` and `alias`.
//!
//! Use the re-exported [`sikkerkey_figment::figment`](figment), because types of two versions of figment do not mix.
//! The features `toml`, `json`, `yaml` and `env` turn on figment's own providers.
//!
//! # For authors of Rocket services
//!
//! Rocket's configuration is a figment, so `Rocket.toml` can name a secret:
//!
//! ```toml
//! [release]
//! secret_key = "sikkerkey://sk_rocket_key"
//! ```
//!
//! Resolve the references, [vet](FigmentExt::vetted) the figment, and give it to `rocket::custom`. Rocket prints values
//! that do not fit their type; a vetted figment has an error without the value instead. Do this before the runtime
//! starts, because reading secrets waits for the network.
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
//! Rocket reads its own part once. The service's own config can follow rotations: manage the `Live<AppConfig>` of a
//! [`LiveFigment`] as Rocket's state, and take the config from a request guard, so that it stays the same for the whole
//! request. The guard is a few lines in the example `rocket_service` (`examples/services/rocket-service/service.rs`).
//!
//! # For reviewers of errors and logs
//!
//! If a value does not fit its type, figment's error quotes it: `found string "hunter2"`. Errors of this crate never
//! contain a value, and [`FigmentExt::extract_secret`] removes SikkerKey's values from figment's errors, in `Display`
//! and in `Debug`: found values, texts of a program's own types, and the keys inside a JSON secret. Kind, key,
//! reference, vault and file stay. These can still print a value or a part of it:
//!
//! - figment's own `extract`, `extract_inner` and their relatives, unless [`redact()`] follows;
//! - code that extracts by itself and prints the error, as Rocket does at launch and in
//!   `AdHoc::config`, unless the figment was [vetted](FigmentExt::vetted) for that type;
//! - `{:?}` of a `Figment`, of a figment `Value`, and of a config that keeps a secret in a `String`: use
//!   `SecretString`.
//!
//! An error always shows the key, and the type of the value that was found.
//!
//! A figment holds values as plain strings, which are not wiped. Drop the figment once the config is extracted.
// What a server, a file or a user sent is never unwrapped.
#![warn(clippy::unwrap_used)]
// The large error is figment's own type, which its users expect.
#![allow(clippy::result_large_err)]

mod exported;
mod ext;
// Only the fuzz targets use it, so it is in their folder.
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
