//! Serves a file of secrets as the SikkerKey service would, and takes its edits as rotations.
// What a server, a file or a user sent is never unwrapped.
#![warn(clippy::unwrap_used)]

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use sikkerkey_emulator::{Edit, Emulator, SecretsFile, Webhook};

const HELP: &str = "\
The SikkerKey service on this machine, for trying and developing: not for production.

Usage: sikkerkey-emulator <SECRETS.toml> [options]

Serves the secrets of a TOML file, writes an identity, and prints the line to export for a
client. Every edit of the file is a rotation; a secret that is taken out of it is deleted; a
broken edit is reported and changes nothing. Ctrl-C ends it.

Options:
  --port <N>      The port on localhost; any free one by default
  --home <DIR>    Where to write the identity (as SIKKERKEY_HOME); it stays, and is used again by
                  the next run. By default a new private folder for temporary files, which is
                  left behind on Ctrl-C
  --vault <ID>    The vault's id; vault_emulator by default
  --print-identity
                  Print the identity as values instead: SIKKERKEY_VAULT_ID, SIKKERKEY_MACHINE_ID,
                  SIKKERKEY_PRIVATE_KEY (a private key, in the clear) and SIKKERKEY_API_URL
  --enroll        Print an enrollment token, good for 1,000 machines and a day
  --webhook <URL> Tell this receiver, http on localhost, of every rotation and deletion. The signing
                  secret is SIKKERKEY_WEBHOOK_SECRET; without it, a new one that is printed
  --older-service Be a service without the calls /v1/cli/secrets and /v1/cli/projects
  --log           Print each request: method, path, status
  --help          This text
  --version       The version

The file:
  sk_stripe_key = \"sk-live-1\"

  [sk_db_prod]
  name = \"DB creds\"                       # the display name; optional
  project = \"proj_x\"                      # optional; so are project_name, application and
                                          # application_name
  fields = { host = \"db.example\", port = 5432, password = \"hunter2\" }
                                          # or value = \"…\", or json = '…'
  denied = false                          # true: it exists, and no machine may read it
  kind = \"managed\"                        # secret, structured, managed, leased-secret, certificate
                                          # or canary; by what it holds without this
  policy = { window = \"mon-fri 08:00-18:00 Europe/Oslo\", reads_per_minute = 10 }
  lease = { ttl = \"1h\" }                  # a read adds a username and a password for this machine

  certificate = { common_name = \"api\" }    # a read sends a key and gets a certificate for it

  A policy has window (one text, or a list), reads_per_minute, reads_per_day, ttl_max_reads,
  ttl_expires_at (2027-01-01T00:00:00Z) and rotate_after_reads; and, where the service's answer is
  not published: count_per_machine, cap_status (429), spent_status (403) and in_polls.
  A lease has ttl, renew_on_read, mint_on_every_read, max_life, revoke_on_disable and in_polls.
  A certificate has common_name, names, max_validity, chain, ssh and for_other_key; its authority is
  the chain of each answer.
  Policies, leases and authorities begin anew when an edit changes them.

  [[webhook]]                             # as --webhook; there may be several
  url = \"http://localhost:8080/hook\"
  secret = \"whsec_1\"
  signature_prefix = false                # true: sha256= in front of the signature
";

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(200);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Default)]
struct Options {
    file: Option<String>,
    port: u16,
    home: Option<String>,
    vault: Option<String>,
    print_identity: bool,
    enroll: bool,
    older_service: bool,
    webhook: Option<String>,
    log: bool,
}

fn main() -> ExitCode {
    let failed = match parse(std::env::args().skip(1)) {
        Ok(None) => return ExitCode::SUCCESS,
        Ok(Some(options)) => match run(options) {
            Ok(()) => return ExitCode::SUCCESS,
            // Whoever read the output has gone.
            Err(e)
                if e.downcast_ref::<io::Error>()
                    .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) =>
            {
                return ExitCode::SUCCESS;
            }
            Err(e) => e,
        },
        Err(why) => format!("{why}; see --help").into(),
    };
    let _ = writeln!(io::stderr(), "error: {}", chain(&*failed));
    ExitCode::FAILURE
}

/// What was asked for; none where the response is already printed.
fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--help" | "-h" => return print(HELP),
            "--version" => {
                return print(concat!(
                    "sikkerkey-emulator ",
                    env!("CARGO_PKG_VERSION"),
                    "\n"
                ));
            }
            "--port" => {
                options.port = value()?
                    .parse()
                    .map_err(|_| "--port needs a number up to 65535")?
            }
            "--home" => options.home = Some(value()?),
            "--vault" => options.vault = Some(value()?),
            "--print-identity" => options.print_identity = true,
            "--enroll" => options.enroll = true,
            "--webhook" => options.webhook = Some(value()?),
            "--older-service" => options.older_service = true,
            "--log" => options.log = true,
            unknown if unknown.starts_with('-') => return Err(format!("unknown option {unknown}")),
            _ if options.file.is_some() => {
                return Err("only one file of secrets can be served".into());
            }
            _ => options.file = Some(argument),
        }
    }
    if options.file.is_none() {
        return Err("a file of secrets is missing".into());
    }
    Ok(Some(options))
}

fn print(text: &str) -> Result<Option<Options>, String> {
    let _ = io::stdout().write_all(text.as_bytes());
    Ok(None)
}

fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let mut file = SecretsFile::open(options.file.unwrap_or_default())?;
    let mut builder = Emulator::builder()
        .file(&file)
        .port(options.port)
        .cli_calls(!options.older_service)
        .record(options.log);
    if let Some(home) = options.home {
        builder = builder.home(home);
    }
    if let Some(vault) = options.vault {
        builder = builder.vault(vault);
    }
    let mut new_secret = None;
    if let Some(url) = options.webhook {
        let secret = std::env::var("SIKKERKEY_WEBHOOK_SECRET").unwrap_or_else(|_| {
            let secret = Webhook::new_secret();
            new_secret = Some(secret.clone());
            secret
        });
        builder = builder.webhook(Webhook::new(url, secret)?);
    }
    let vault = builder.start()?;

    let mut out = io::stdout();
    let noun = if file.len() == 1 { "secret" } else { "secrets" };
    writeln!(
        out,
        "# {} {noun} of {} at {}",
        file.len(),
        file.path().display(),
        vault.url()
    )?;
    writeln!(
        out,
        "# Edit the file to rotate; Ctrl-C ends. For a client, in another terminal:"
    )?;
    if let Some(secret) = new_secret {
        writeln!(out, "export SIKKERKEY_WEBHOOK_SECRET={}", quoted(&secret))?;
    }
    for (name, value) in exports(&vault, options.print_identity, options.enroll)? {
        writeln!(out, "export {name}={}", quoted(&value))?;
    }
    let (mut shown, mut looked) = (0, Instant::now());
    loop {
        out.flush()?;
        let mut lines = String::new();
        // Between two looks at the file, requests are waited for, so that they show at once. One that has no response
        // yet holds those after it back: they show in order.
        vault.wait_for(LOOK, |requests| {
            for request in requests
                .iter()
                .filter(|r| r.number > shown)
                .take_while(|r| r.status > 0)
            {
                lines.push_str(&format!(
                    "{} {} {}\n",
                    request.status, request.method, request.path
                ));
            }
            !lines.is_empty()
        });
        shown += lines.lines().count() as u64;
        out.write_all(lines.as_bytes())?;
        // Requests must not shorten this: an edit that is still being written has this long to become whole.
        if looked.elapsed() < LOOK {
            continue;
        }
        looked = Instant::now();
        match file.reload(&vault) {
            Ok(None) => {}
            Ok(Some(edit)) => report(&mut out, &edit)?,
            Err(e) => writeln!(
                io::stderr(),
                "error: {}\nthe last good content stays",
                chain(&e)
            )?,
        }
    }
}

/// What a client needs to know, as variables of its environment.
fn exports(
    vault: &Emulator,
    identity_as_values: bool,
    enroll: bool,
) -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
    let file = vault.identity_path();
    let mut exports = Vec::new();
    if identity_as_values || enroll {
        exports.push(("SIKKERKEY_API_URL", vault.url().to_owned()));
        exports.push(("SIKKERKEY_VAULT_ID", vault.vault_id().to_owned()));
    }
    if identity_as_values {
        let key = std::fs::read_to_string(file.with_file_name("private.pem"))?;
        exports.push(("SIKKERKEY_MACHINE_ID", vault.machine_id().to_owned()));
        exports.push(("SIKKERKEY_PRIVATE_KEY", key));
    } else {
        exports.insert(0, ("SIKKERKEY_IDENTITY", file.display().to_string()));
    }
    if enroll {
        let token = vault.enrollment_token(1000, DAY);
        exports.push(("SIKKERKEY_ENROLLMENT_TOKEN", token));
    }
    Ok(exports)
}

fn report(out: &mut impl io::Write, edit: &Edit) -> io::Result<()> {
    let did = [
        ("rotated", &edit.rotated),
        ("added", &edit.added),
        ("changed otherwise", &edit.described),
        ("deleted", &edit.deleted),
    ];
    for (what, ids) in did {
        if !ids.is_empty() {
            writeln!(out, "{what}: {}", ids.join(", "))?;
        }
    }
    Ok(())
}

/// An error and its causes, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// A word of a shell, whatever is in it.
fn quoted(text: &impl Display) -> String {
    format!("'{}'", text.to_string().replace('\'', r"'\''"))
}
