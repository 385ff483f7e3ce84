//! The start of the service, and its notes: what to export, and what to try.

use std::env::VarError;
use std::error::Error;
use std::time::Duration;

use serde_json::{Map, Value, json};
use sikkerkey_emulator::{Emulator, SecretsFile, Webhook};

use crate::KEPT;
use crate::arguments::Options;
use crate::output::Output;

const WEBHOOK_SECRET: &str = "SIKKERKEY_WEBHOOK_SECRET";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

type Exports = Vec<(&'static str, String)>;

/// Starts serving the file, and prints the notes.
pub(crate) fn start(
    file: &SecretsFile,
    options: &Options,
    output: &Output,
) -> Result<Emulator, Box<dyn Error>> {
    let mut builder = Emulator::builder()
        .file(file)
        .port(options.port)
        .cli_calls(!options.older_service)
        .poll_minimum(options.poll_minimum)
        .record_limit(KEPT);
    if let Some(home) = &options.home {
        builder = builder.home(home);
    }
    if let Some(vault) = &options.vault {
        builder = builder.vault(vault);
    }
    let mut exports = Vec::new();
    if let Some(url) = &options.webhook {
        let secret = match std::env::var(WEBHOOK_SECRET) {
            Ok(secret) => secret,
            Err(VarError::NotUnicode(_)) => {
                return Err(format!("{WEBHOOK_SECRET} is not UTF-8").into());
            }
            Err(VarError::NotPresent) => {
                let secret = Webhook::new_secret();
                exports.push((WEBHOOK_SECRET, secret.clone()));
                secret
            }
        };
        builder = builder.webhook(Webhook::new(url, secret)?);
    }
    let vault = builder.start()?;
    exports.extend(identity(&vault, options)?);

    let noun = if file.len() == 1 { "secret" } else { "secrets" };
    let before = [
        format!(
            "{} {noun} of {} at {}",
            file.len(),
            file.path().display(),
            vault.url()
        ),
        "For a client, in another terminal:".to_owned(),
    ];
    output.start(
        &before,
        &exports,
        &suggestions(file),
        facts(file, &vault, &exports),
    )?;
    Ok(vault)
}

/// The identity, as environment variables for a client.
fn identity(vault: &Emulator, options: &Options) -> Result<Exports, Box<dyn Error>> {
    let file = vault.identity_path();
    let mut exports = Vec::new();
    if !options.print_identity {
        exports.push(("SIKKERKEY_IDENTITY", file.display().to_string()));
    }
    if options.print_identity || options.enroll {
        exports.push(("SIKKERKEY_API_URL", vault.url().to_owned()));
        exports.push(("SIKKERKEY_VAULT_ID", vault.vault_id().to_owned()));
    }
    if options.print_identity {
        let key = std::fs::read_to_string(file.with_file_name("private.pem"))?;
        exports.push(("SIKKERKEY_MACHINE_ID", vault.machine_id().to_owned()));
        exports.push(("SIKKERKEY_PRIVATE_KEY", key));
    }
    if options.enroll {
        let token = vault.enrollment_token(1000, DAY);
        exports.push(("SIKKERKEY_ENROLLMENT_TOKEN", token));
    }
    Ok(exports)
}

/// Suggestions for what to try next, as notes.
fn suggestions(file: &SecretsFile) -> Vec<String> {
    let name = file.path().display();
    let first = match file.ids().next() {
        Some(id) => (
            format!("SikkerKey::from_env()?.get_secret(\"{id}\")?"),
            "a read, from your program".to_owned(),
        ),
        None => (
            "sk_first = \"a value\"".to_owned(),
            format!("a first secret, in {name}"),
        ),
    };
    let rows = [
        first,
        (
            format!("change a value in {name} and save it"),
            "a rotation, for every watcher".to_owned(),
        ),
        (
            "denied = true".to_owned(),
            "in a secret's table: a withdrawn grant, 403".to_owned(),
        ),
        (
            "policy = { reads_per_minute = 1 }".to_owned(),
            "in a secret's table: the second read is a 429".to_owned(),
        ),
    ];
    let width = rows.iter().map(|(what, _)| what.chars().count()).max();
    let width = width.unwrap_or_default();
    let rows = rows
        .iter()
        .map(|(what, effect)| format!("  {what:<width$}  {effect}"));
    let title = "To try (Ctrl-C ends):".to_owned();
    std::iter::once(title).chain(rows).collect()
}

/// The start as JSON, for a program that reads the output.
fn facts(
    file: &SecretsFile,
    vault: &Emulator,
    exports: &[(&'static str, String)],
) -> Map<String, Value> {
    let exports = exports
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)));
    Map::from_iter([
        ("url".to_owned(), json!(vault.url())),
        ("vault".to_owned(), json!(vault.vault_id())),
        ("file".to_owned(), json!(file.path())),
        ("secrets".to_owned(), json!(file.len())),
        ("environment".to_owned(), Value::Object(exports.collect())),
    ])
}
