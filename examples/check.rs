//! Whether this machine would find all that a config needs, before anything is deployed.
//!
//! ```text
//! cargo run --example check                          # on an emulator with two mistakes in it
//! cargo run --example check -- --vault vault_abc123   # what a pipeline runs
//! cargo run --example check -- --identity /etc/sikkerkey/identity.json --project proj_x
//! ```
//!
//! No value is read: the list of secrets tells enough. The exit code is 0 where the config would
//! load, 1 where something is missing, and 2 where that could not be found out.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program")]
#![allow(dead_code, reason = "the config is checked here and used elsewhere")]

use std::process::ExitCode;

use sikkerkey::{CheckReport, SecretString, SikkerKey, SikkerKeyConfig};
use sikkerkey_emulator::Emulator;

/// What the service to be deployed reads. In a real project this is its own config, imported.
#[derive(SikkerKeyConfig)]
struct AppConfig {
    #[sikkerkey(secret = "sk_stripe_key")]
    stripe: SecretString,
    #[sikkerkey(nested)]
    db: Database,
    #[sikkerkey(nested, secret = "sk_db_replica")]
    replica: Option<Database>,
    #[sikkerkey(name = "SENTRY_DSN")]
    sentry: Option<String>,
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db_prod")]
struct Database {
    host: String,
    #[sikkerkey(default = 5432)]
    port: u16,
    #[sikkerkey(field = "username")]
    user: String,
    password: SecretString,
}

type Anyhow<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    match Arguments::read().and_then(|arguments| check(&arguments)) {
        Ok(report) => {
            let problems = report.problems().count();
            println!(
                "{report}\n{problems} of {} would fail",
                report.iter().count()
            );
            match report.is_ok() {
                true => ExitCode::SUCCESS,
                false => ExitCode::from(1),
            }
        }
        Err(error) => {
            eprintln!("cannot check: {error}");
            ExitCode::from(2)
        }
    }
}

fn check(arguments: &Arguments) -> Anyhow<CheckReport> {
    let Some(identity) = &arguments.identity else {
        let vault = demo()?;
        return Ok(AppConfig::check(&SikkerKey::new(vault.identity_path())?)?);
    };
    let sk = SikkerKey::new(identity)?;
    let loader = AppConfig::loader(&sk);
    let loader = match &arguments.project {
        Some(project) => loader.project(project),
        None => loader,
    };
    Ok(loader.check()?)
}

/// A vault in which one grant and one field were forgotten.
fn demo() -> Anyhow<Emulator> {
    println!("No --vault and no --identity: this is an emulator with two mistakes in it.\n");
    Ok(Emulator::builder()
        .denied("sk_stripe_key", "sk-live-1")
        .structured(
            "sk_db_prod",
            [("host", "db"), ("user_name", "app"), ("password", "p")],
        )
        .start()?)
}

#[derive(Default)]
struct Arguments {
    /// A vault's id or the path of an `identity.json`.
    identity: Option<String>,
    project: Option<String>,
}

impl Arguments {
    fn read() -> Anyhow<Self> {
        let mut arguments = Arguments::default();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} wants a value"));
            match word.as_str() {
                "--vault" | "--identity" => arguments.identity = Some(value()?),
                "--project" => arguments.project = Some(value()?),
                _ => return Err(format!("unknown argument {word}").into()),
            }
        }
        Ok(arguments)
    }
}
