//! TLS identities and roots in a live config, and certificates that the service issues, on the emulator.
#![cfg(all(feature = "rustls", feature = "live", feature = "derive"))]
#![allow(missing_docs, reason = "a test that cannot go on fails")]

#[path = "../common/authority.rs"]
mod authority;
#[path = "../common/mod.rs"]
mod common;
mod handshake;
mod identities;
mod issued;
mod roots;
mod values;
