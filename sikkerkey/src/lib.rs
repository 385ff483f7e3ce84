//! Typed, live configuration from SikkerKey.

#[doc(hidden)]
pub mod __private;
mod api_url;
mod builder;
mod call;
mod client;
mod clock;
mod enrolment;
mod error;
mod export;
mod fields;
mod identity;
mod session;
mod settings;
mod shared;
mod signing;
mod transport;
mod wire;

pub use builder::SikkerKeyBuilder;
pub use client::{SecretListItem, SikkerKey};
pub use enrolment::Bootstrap;
pub use error::{Error, ErrorKind};
pub use export::{Collision, Export};
pub use fields::Fields;
pub use secrecy::{ExposeSecret, SecretBox, SecretString};
pub use transport::retry::RetryPolicy;
