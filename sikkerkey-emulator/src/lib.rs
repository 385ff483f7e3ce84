#![doc = include_str!("../README.md")]
//!
//! [`Emulator::requests`] lists the requests so far, and [`Emulator::wait_for`] waits for one:
//!
//! ```
//! # use sikkerkey_emulator::Emulator;
//! # let vault = Emulator::builder().start()?;
//! for request in vault.requests() {
//!     println!("{} {} {}", request.method, request.path, request.status);
//! }
//! # Ok::<(), sikkerkey_emulator::Error>(())
//! ```
//!
//! # Map
//!
//! - [`Emulator`]: the running service. One for each test; dropping it stops it, closes every connection and joins
//!   every thread.
//! - [`EmulatorBuilder`]: the content of the vault, its address and its behavior. Where the service's behavior is not
//!   published, a switch chooses it.
//! - [`Fault`] and [`Reply`]: failures on purpose, before or after the service acts; [`Hold`]: a request that waits
//!   until the test releases it.
//! - [`Recorded`]: a request that arrived, and its response's status.
//! - [`Policy`]: limits on the reads of a secret, in a [`Window`] of the week for instance, and the rotation that reads
//!   trigger.
//! - [`Lease`]: logins that are made for the reader and expire. [`Kind`]: the type of a secret, such as a canary (a
//!   trap: reading it raises an alarm).
//! - [`Webhook`]: a receiver of rotation and deletion events; [`WebhookDelivery`]: one delivery and its outcome.
//! - [`Token`]: the policy of an enrollment token.
//! - [`CertificateProfile`]: the certificates that a secret issues.
//! - [`Certificate`]: the emulator's own TLS certificate, valid or wrong on purpose.
//! - [`SecretsFile`]: a TOML file of secrets whose edits are rotations; the program serves one.
//!
//! # For reviewers: searching output for secrets
//!
//! If `SIKKERKEY_EMULATOR_CANARIES` names a file, every emulator appends its secrets to it: values, enrollment tokens,
//! minted logins, webhook secrets and machine keys, each as a JSON string on a line of its own. Only the owner can read
//! the file. Run a test suite at its most verbose log level, and search its output for these lines:
//!
//! ```sh
//! export SIKKERKEY_EMULATOR_CANARIES=$PWD/canaries
//! RUST_LOG=trace cargo test -- --nocapture > output 2>&1
//! jq -r . canaries | grep -E '.{8}' | grep -F -f - output && echo "a secret is in the output"
//! ```
// What a server, a file or a user sent is never unwrapped.
#![warn(clippy::unwrap_used)]

mod audit;
mod builder;
mod canaries;
mod changes;
mod clock;
mod contents;
mod emulator;
mod error;
mod fault;
mod file;
mod gate;
mod http;
mod identity;
mod origin;
mod random;
mod recorded;
mod server;
mod service;
mod signature;
mod switches;
mod tls;
mod vault;
mod webhook;

pub use builder::EmulatorBuilder;
pub use emulator::Emulator;
pub use error::Error;
pub use fault::{Fault, Hold, Reply};
pub use file::{Edit, FileError, SecretsFile};
pub use recorded::Recorded;
pub use switches::TypeField;
pub use tls::Certificate;
pub use vault::{CertificateProfile, Kind, Lease, Policy, Token, UnknownKind, Window, WindowError};
pub use webhook::{Webhook, WebhookDelivery, WebhookError};
