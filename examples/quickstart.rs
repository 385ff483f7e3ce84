//! The whole idea in one run: a config struct is filled by signed reads, merged with a file, and
//! kept current while its secrets rotate.
//!
//! `cargo run --example quickstart` runs on the emulator, inside this process.
//! `-- --vault vault_x` or `-- --identity PATH` reads a real vault instead.
#![allow(clippy::print_stdout, clippy::print_stderr)] // It is read in a terminal.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use figment::Figment;
use figment::providers::{Format, Toml};
use serde::Deserialize;
use sikkerkey::{Freshness, Live, SecretString, SikkerKey, SikkerKeyConfig};
use sikkerkey_emulator::Emulator;
use sikkerkey_figment::Secrets;

#[allow(dead_code, reason = "what is not used here is shown by Debug")]
#[derive(Debug, SikkerKeyConfig)]
struct AppConfig {
    /// Charges cards
    #[sikkerkey(secret = "sk_stripe_key")]
    stripe: SecretString,
    #[sikkerkey(nested)]
    db: Database,
}

#[allow(dead_code, reason = "what is not used here is shown by Debug")]
#[derive(Debug, SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db_prod")]
struct Database {
    host: String,
    #[sikkerkey(default = 5432)]
    port: u16,
    #[sikkerkey(field = "username")]
    user: String,
    password: SecretString,
}

/// The settings of a service: some from its file, some from SikkerKey.
#[allow(dead_code, reason = "what is not used here is shown by Debug")]
#[derive(Debug, Deserialize)]
struct Settings {
    workers: usize,
    stripe: SecretString,
    db: DatabaseSettings,
}

#[derive(Debug, Deserialize)]
struct DatabaseSettings {
    host: String,
    port: u16,
    pool: u32,
}

const FILE: &str = "
    workers = 4
    [db]
    pool = 16
    host = 'localhost'   # the secret overrides it
    port = 5432          # the secret has none, so this stays
";

/// Long enough for a busy machine. A change is found within one poll of 50 ms.
const PATIENCE: Duration = Duration::from_secs(20);

type ReadOutcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let outcome = match Arguments::parse() {
        Ok(Arguments::Emulator) => on_the_emulator(),
        Ok(Arguments::Service { builder, aliases }) => on_the_service(*builder, &aliases),
        Err(usage) => Err(usage.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nquickstart: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  caused by: {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn on_the_emulator() -> ReadOutcome {
    let vault = Emulator::builder()
        .secret("sk_stripe_key", "sk-live-1")
        .structured(
            "sk_db_prod",
            [
                ("host", "db.example.com"),
                ("username", "app"),
                ("password", "hunter2"),
            ],
        )
        .start()?;
    step(1, "A vault, on this machine");
    println!("  {} serves sk_stripe_key and sk_db_prod", vault.url());

    let sk = SikkerKey::builder()
        .identity_file(vault.identity_path())
        .poll_interval(Duration::from_millis(50))
        .build()?;

    step(2, "What the struct asks for, before anything is read");
    print!("{}", indented(AppConfig::schema()));
    let report = AppConfig::check(&sk)?;
    ensure(report.is_ok(), "the pre-flight check finds every secret")?;
    let reads = |vault: &Emulator| {
        let requests = vault.requests();
        let read = |path: &str| path.starts_with("/v1/secret/");
        requests.iter().filter(|r| read(&r.path)).count()
    };
    ensure(reads(&vault) == 0, "and it reads no value")?;

    step(3, "Loaded, and printed: a secret never shows");
    let live = AppConfig::live(&sk)?;
    println!("  {:?}", *live.load());
    ensure(reads(&vault) == 2, "two secrets, two signed reads")?;
    ensure(
        live.load().db.port == 5432,
        "the default holds for the port",
    )?;

    step(4, "The same secrets as one more layer of figment");
    let figment = Figment::new()
        .merge(Toml::string(FILE))
        .merge(Secrets::of::<AppConfig>(&sk));
    let settings: Settings = figment.extract()?;
    println!("  {settings:?}");
    let DatabaseSettings { host, port, pool } = &settings.db;
    let merged = (host.as_str(), *port, *pool) == ("db.example.com", 5432, 16);
    ensure(
        merged && settings.workers == 4,
        "file and secrets in one struct",
    )?;

    step(5, "Two secrets rotate at once: the config swaps once");
    let mut changes = live.subscribe();
    vault.put_all([
        ("sk_stripe_key", "sk-live-2".to_owned()),
        ("sk_db_prod", database(Some("5433"), "correct horse")),
    ]);
    let change = changes.recv_timeout(PATIENCE)?;
    println!("  changed: {}", change.paths().join(", "));
    let touched = ["stripe", "db.port", "db.password"].map(|path| change.touches(path));
    ensure(touched == [true; 3], "all three keys in one change")?;
    ensure(!change.touches("db.host"), "and nothing else")?;
    two_polls(&vault)?;
    ensure(live.status().generation() == 2, "exactly one swap")?;
    ensure(live.load().db.port == 5433, "readers see the new port")?;

    step(
        6,
        "A port that is not a number: refused, and the service goes on",
    );
    vault.put("sk_db_prod", database(Some("54x3"), "battery staple"));
    match changes.recv_timeout(PATIENCE) {
        Err(refused) => print!("{}", indented(source_of(&refused))),
        Ok(_) => return Err("a config with a broken port was swapped in".into()),
    }
    println!("  {}", live.status());
    ensure(
        live.status().freshness() == Freshness::Degraded,
        "status() says degraded",
    )?;
    ensure(live.load().db.port == 5433, "the last good config runs")?;

    step(7, "Repaired");
    vault.put("sk_db_prod", database(Some("5434"), "battery staple"));
    let change = changes.recv_timeout(PATIENCE)?;
    println!("  changed: {}", change.paths().join(", "));
    println!("  {}", live.status());
    ensure(live.load().db.port == 5434, "the repaired config runs")?;
    ensure(
        live.status().freshness() == Freshness::Fresh,
        "status() says fresh",
    )?;

    println!("\nEvery step happened. Next: README.md, and the other programs beside this one.");
    Ok(())
}

/// The value of `sk_db_prod`: a structured secret is a JSON object.
fn database(port: Option<&str>, password: &str) -> String {
    let port = port.map_or(String::new(), |port| format!(r#""port":"{port}","#));
    format!(r#"{{"host":"db.example.com",{port}"username":"app","password":"{password}"}}"#)
}

/// Waits for two more polls, which would have found another change.
fn two_polls(vault: &Emulator) -> ReadOutcome {
    let polls = |requests: &[sikkerkey_emulator::Recorded]| {
        let poll = |path: &str| path == "/v1/secrets/poll";
        requests.iter().filter(|r| poll(&r.path)).count()
    };
    let before = polls(&vault.requests());
    let polled = vault.wait_for(PATIENCE, |requests| polls(requests) >= before + 2);
    ensure(polled, "the poller goes on")
}

fn on_the_service(
    builder: sikkerkey::SikkerKeyBuilder,
    aliases: &[(String, String)],
) -> ReadOutcome {
    let explain = |error: Box<dyn Error>| -> Box<dyn Error> {
        eprintln!(
            "quickstart reads two secrets of your vault, and the machine needs a grant for each:"
        );
        eprint!("{}", indented(AppConfig::schema()));
        eprintln!(
            "  Yours have other ids? Add: --alias sk_db_prod=sk_… --alias sk_stripe_key=sk_…"
        );
        error
    };
    let sk = builder.build().map_err(|error| explain(error.into()))?;
    println!(
        "{} in {} at {}",
        sk.machine_name(),
        sk.vault_id(),
        sk.api_url()
    );
    let mut loader = AppConfig::loader(&sk);
    for (named, actual) in aliases {
        loader = loader.alias(named, actual);
    }
    let live: Live<AppConfig> = loader.live().map_err(|error| explain(error.into()))?;
    println!("{:?}", *live.load());
    println!("Rotate one of them in the dashboard (Ctrl-C ends this):");
    let mut changes = live.subscribe();
    loop {
        match changes.recv() {
            Ok(change) => println!("changed: {}; {}", change.paths().join(", "), live.status()),
            Err(refused) => print!("{}", indented(source_of(&refused))),
        }
    }
}

enum Arguments {
    Emulator,
    Service {
        builder: Box<sikkerkey::SikkerKeyBuilder>,
        aliases: Vec<(String, String)>,
    },
}

impl Arguments {
    fn parse() -> Result<Self, String> {
        const USAGE: &str =
            "usage: quickstart [--vault vault_x | --identity PATH] [--alias sk_db_prod=sk_…]…";
        let mut service = None;
        let mut aliases = Vec::new();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            if !matches!(word.as_str(), "--vault" | "--identity" | "--alias") {
                return Err(USAGE.to_owned());
            }
            let value = words
                .next()
                .ok_or_else(|| format!("{word} needs a value\n{USAGE}"))?;
            match word.as_str() {
                "--vault" => service = Some(SikkerKey::builder().vault(&value)),
                "--identity" => service = Some(SikkerKey::builder().identity_file(&value)),
                _ => {
                    let (named, actual) = value.split_once('=').ok_or(USAGE)?;
                    aliases.push((named.to_owned(), actual.to_owned()));
                }
            }
        }
        Ok(match service {
            Some(builder) => Arguments::Service {
                builder: Box::new(builder),
                aliases,
            },
            None => Arguments::Emulator,
        })
    }
}

fn step(number: u32, title: &str) {
    println!("\n{number}  {title}");
}

/// Prints what was shown, or ends the program if it is false.
fn ensure(holds: bool, claim: &str) -> ReadOutcome {
    if !holds {
        return Err(format!("this did not happen: {claim}").into());
    }
    println!("  ✓ {claim}");
    Ok(())
}

fn indented(text: impl ToString) -> String {
    let text = text.to_string();
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn source_of(error: &dyn Error) -> String {
    error.source().unwrap_or(error).to_string()
}
