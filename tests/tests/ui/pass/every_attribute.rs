//! The example of the documentation, whole.
#![deny(warnings)]

use std::time::Instant;

use sikkerkey::{ExposeSecret, SecretString, SikkerKeyConfig, Snapshot};

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db_prod", validate = "Database::validate")]
struct Database {
    host: String,
    #[sikkerkey(default = 5432)]
    port: u16,
    #[sikkerkey(field = "username")]
    user: String,
    password: SecretString,
}

impl Database {
    fn validate(&self) -> Result<(), &'static str> {
        match self.port {
            0 => Err("port 0 is none"),
            _ => Ok(()),
        }
    }
}

#[derive(SikkerKeyConfig)]
struct AppConfig {
    #[sikkerkey(secret = "sk_stripe_key")]
    stripe: SecretString,
    #[sikkerkey(secret = "sk_db_prod", field = "password")]
    admin_password: SecretString,
    #[sikkerkey(nested)]
    db: Database,
    #[sikkerkey(nested, secret = "sk_db_replica")]
    replica: Option<Database>,
    #[sikkerkey(secret = "sk_flags", json)]
    flags: Flags,
    #[sikkerkey(name = "SENTRY_DSN")]
    sentry: Option<String>,
    #[sikkerkey(secret = "sk_hosts", delimiter = ",")]
    hosts: Vec<String>,
    #[sikkerkey(secret = "sk_dsn", from_str)]
    dsn: Dsn,
    #[sikkerkey(secret = "sk_k", with = "parse_key")]
    key: Key,
    #[sikkerkey(skip, default = Instant::now())]
    started: Instant,
}

#[derive(serde::Deserialize)]
struct Flags {
    beta: bool,
}

struct Dsn(usize);

impl std::str::FromStr for Dsn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Dsn(text.len()))
    }
}

struct Key([u8; 2]);

fn parse_key(text: &str) -> Result<Key, &'static str> {
    text.as_bytes().try_into().map(Key).map_err(|_| "two letters are wanted")
}

fn main() {
    let config = AppConfig::from_snapshot(&Snapshot::from_iter([
        ("sk_stripe_key", "sk-live-1"),
        ("sk_db_prod", r#"{"host": "db", "username": "app", "password": "p"}"#),
        ("sk_flags", r#"{"beta": true}"#),
        ("SENTRY_DSN", "https://sentry"),
        ("sk_hosts", "a, b"),
        ("sk_dsn", "12345"),
        ("sk_k", "ab"),
    ]))
    .expect("all is there");
    assert_eq!(config.stripe.expose_secret(), "sk-live-1");
    assert_eq!(config.admin_password.expose_secret(), "p");
    assert_eq!((config.db.host.as_str(), config.db.port, config.db.user.as_str()), ("db", 5432, "app"));
    assert_eq!(config.db.password.expose_secret(), "p");
    assert!(config.replica.is_none() && config.flags.beta);
    assert_eq!(config.sentry.as_deref(), Some("https://sentry"));
    assert_eq!(config.hosts, ["a", "b"]);
    assert_eq!((config.dsn.0, config.key.0), (5, *b"ab"));
    assert!(config.started <= Instant::now());
}
