//! SikkerKey secrets as one more layer of [figment] and Rocket configuration.
//!
//! [`Secrets`] fills the keys of a config struct, [`References`] resolves `sikkerkey://…` in files
//! and variables, [`Exported`] takes all that one call exports. [`redact`](redact()) and
//! [`FigmentExt`] keep values out of figment's errors.

// The error is figment's own, and its users expect it as it is.
#![allow(clippy::result_large_err)]

mod exported;
mod ext;
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

pub use figment;

pub use exported::Exported;
pub use ext::FigmentExt;
pub use live::LiveFigment;
pub use redact::redact;
pub use reference::{MalformedReference, Reference};
pub use references::References;
pub use secrets::Secrets;
