//! Typed, live configuration from SikkerKey.

mod error;

pub use error::{Error, ErrorKind};
