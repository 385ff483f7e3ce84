//! What the benchmarks and the process that they start have in common.

use sikkerkey::{SecretString, SikkerKeyConfig};

/// Five secrets, as a small service has them.
#[derive(Debug, SikkerKeyConfig)]
#[allow(missing_docs, reason = "the names say it")]
#[allow(clippy::exhaustive_structs, reason = "nobody depends on the benches")]
pub struct Config {
    #[sikkerkey(secret = "sk_0")]
    pub a: SecretString,
    #[sikkerkey(secret = "sk_1")]
    pub b: SecretString,
    #[sikkerkey(secret = "sk_2")]
    pub c: SecretString,
    #[sikkerkey(secret = "sk_3")]
    pub d: SecretString,
    #[sikkerkey(secret = "sk_4", field = "port")]
    pub port: u16,
}
