//! Checks before a deploy whether this machine may read everything that a config needs.
//!
//! ```text
//! cargo run --example check                          # on an emulator with two mistakes in it
//! cargo run --example check -- --env                  # what a pipeline runs: the environment's identity
//! cargo run --example check -- --identity /etc/sikkerkey/identity.json --project proj_x
//! cargo run --example check -- --vault vault_abc123 --strict --least-privilege   # a vault on this machine
//! ```
//!
//! No value is read: the list of secrets is enough. `SIKKERKEY_ALIASES` names the secrets of this
//! environment: `sk_db_prod=sk_db_stg,sk_stripe_key=sk_stripe_stg`. The exit code is
//!
//! - 0 if the config would load,
//! - 1 if something is missing, or a canary would raise an alarm,
//! - 1 with `--strict` also if the list cannot tell: a secret that the config can do without is not
//!   listed. If it is missing, that is fine; if it is denied, the start fails. Also if
//!   `--least-privilege` finds a grant that the config does not need,
//! - 2 if the check itself failed.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program")]
#![allow(dead_code, reason = "the config is checked here and used elsewhere")]

use std::process::ExitCode;

use sikkerkey::{CheckReport, LoadOptions, SecretString, SikkerKey, SikkerKeyConfig};
use sikkerkey_emulator::Emulator;

/// The config of the service. In a real project, import it from there.
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
    let checked = Arguments::read().and_then(|arguments| {
        let report = check(&arguments)?;
        let ok = match arguments.strict {
            true => report.is_strictly_ok(),
            false => report.is_ok(),
        };
        Ok((report, ok))
    });
    match checked {
        Ok((report, ok)) => {
            println!(
                "{report}\n{} of {} would fail, {} uncertain",
                report.problems().count(),
                report.iter().count(),
                report.uncertain().count()
            );
            if !report.refusals().is_empty() {
                println!("an alias is wrong, so a load would read nothing");
            }
            match ok {
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
    let vault;
    let sk = match &arguments.identity {
        Some(Identity::Environment) => SikkerKey::from_env()?,
        Some(Identity::Named(identity)) => SikkerKey::new(identity)?,
        None => {
            vault = demo()?;
            SikkerKey::new(vault.identity_path())?
        }
    };
    let mut options = LoadOptions::new().aliases_from_env("SIKKERKEY_ALIASES");
    if let Some(project) = &arguments.project {
        options = options.project(project);
    }
    if let Some(application) = &arguments.application {
        options = options.application(application);
    }
    if arguments.least_privilege {
        options = options.least_privilege();
    }
    Ok(AppConfig::loader(&sk).options(options).check()?)
}

/// Starts a vault in which one grant and one field are missing.
fn demo() -> Anyhow<Emulator> {
    println!("No --env, --vault or --identity: this is an emulator with two mistakes in it.\n");
    Ok(Emulator::builder()
        .denied("sk_stripe_key", "sk-live-1")
        .structured(
            "sk_db_prod",
            [("host", "db"), ("user_name", "app"), ("password", "p")],
        )
        .start()?)
}

enum Identity {
    /// The one that the environment variables lead to.
    Environment,
    /// A vault's id or the path of an `identity.json`.
    Named(String),
}

#[derive(Default)]
struct Arguments {
    identity: Option<Identity>,
    project: Option<String>,
    application: Option<String>,
    strict: bool,
    least_privilege: bool,
}

impl Arguments {
    fn read() -> Anyhow<Self> {
        let mut arguments = Arguments::default();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} wants a value"));
            match word.as_str() {
                "--env" => arguments.identity = Some(Identity::Environment),
                "--vault" | "--identity" => arguments.identity = Some(Identity::Named(value()?)),
                "--project" => arguments.project = Some(value()?),
                "--application" => arguments.application = Some(value()?),
                "--strict" => arguments.strict = true,
                "--least-privilege" => arguments.least_privilege = true,
                _ => return Err(format!("unknown argument {word}").into()),
            }
        }
        Ok(arguments)
    }
}
