#![doc = include_str!("../README.md")]
//!
//! [`Emulator::requests`] lists what was asked, and [`Emulator::wait_for`] waits for it:
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
//! - [`EmulatorBuilder`]: the content of the vault, its place, its behavior. Where the service's behavior is not published, a
//!   switch chooses.
//! - [`Fault`] and [`Reply`]: what goes wrong, before or after the service acts; [`Hold`]: a request that waits for the test.
//! - [`Recorded`]: a request, to look at or to wait for.
//! - [`Policy`], [`Lease`] and [`Kind`]: limits on reads and their effects, logins that end, the type of a secret.
//! - [`Webhook`]: a receiver of rotation and deletion events.
//! - [`Token`]: the policy of an enrollment token.
//! - [`CertificateProfile`]: the certificates that a secret issues.
//! - [`Certificate`]: the TLS certificate, right or wrong.
//! - [`SecretsFile`]: a TOML file of secrets whose edits are rotations; the binary serves one.
//!
//! # For reviewers: searching output for secrets
//!
//! If `SIKKERKEY_EMULATOR_CANARIES` names a file, every emulator appends to it each value that it is given, each
//! enrollment token, each minted login, each webhook secret and each machine's key, as a JSON string on a line. The file is
//! readable by its owner only. Run a test suite at its most verbose log level and search its output for them:
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
