//! The SikkerKey service on one machine: a client that works here works there, because every request
//! is checked here as it is checked there.
//!
//! ```
//! use sikkerkey_emulator::{Emulator, Fault};
//!
//! let vault = Emulator::builder()
//!     .secret("sk_stripe_key", "sk-live-1")
//!     .structured("sk_db_prod", [("host", "db.example"), ("password", "hunter2")])
//!     .start()?;
//!
//! // Give a client this file, or put it into SIKKERKEY_IDENTITY.
//! assert!(vault.identity_path().ends_with("vaults/vault_emulator/identity.json"));
//! assert!(vault.url().starts_with("http://localhost:"));
//!
//! vault.put("sk_stripe_key", "sk-live-2"); // a rotation
//! vault.deny("sk_db_prod"); // a grant withdrawn
//! vault.fail_next(Fault::Status(503)); // the next request fails
//!
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
//! - [`EmulatorBuilder`]: what is in the vault, where it is, how it behaves. Where the service's behaviour is not published, it has
//!   a switch with both answers.
//! - [`Fault`] and [`Reply`]: what goes wrong, before or after the service acts; [`Hold`]: a request that waits for the test.
//! - [`Recorded`]: what was asked, to look at and to wait for.
//! - [`Policy`], [`Lease`] and [`Kind`]: what keeps a secret from being read, what a read sets off, what a secret is.
//! - [`Webhook`]: a receiver that is told of rotations and deletions.
//! - [`Token`]: what an enrollment token allows.
//! - [`CertificateProfile`]: what the certificates say that a secret issues.
//! - [`Certificate`]: TLS, right or wrong.
//! - [`SecretsFile`]: a TOML file of secrets whose edits are rotations; the binary serves one.
//!
//! # For reviewers: nothing shows a secret
//!
//! Where `SIKKERKEY_EMULATOR_CANARIES` names a file, every emulator appends to it each value that it is given, each
//! enrollment token and each machine's key, as a JSON string on a line. Run a test suite with its log at the most
//! talkative level, and search what it printed for them:
//!
//! ```sh
//! export SIKKERKEY_EMULATOR_CANARIES=$PWD/canaries
//! RUST_LOG=trace cargo test -- --nocapture > output 2>&1
//! jq -r . canaries | grep -E '.{8}' | grep -F -f - output && echo "a secret is in the output"
//! ```

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
