//! The protocol between client and service: addresses, signatures, messages, fields.
//!
//! Pure: nothing here opens a file or a socket, or asks for the time.

pub(crate) mod api_url;
#[cfg(all(feature = "rustls", feature = "live"))]
pub(crate) mod certificate;
pub(crate) mod details;
pub(crate) mod export;
pub(crate) mod fields;
pub(crate) mod listing;
pub(crate) mod messages;
pub(crate) mod signing;
pub(crate) mod skew;
pub(crate) mod unescape;
