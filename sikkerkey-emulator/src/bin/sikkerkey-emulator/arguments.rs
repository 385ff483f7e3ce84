//! The command line.

use std::path::PathBuf;
use std::time::Duration;

/// The command to run.
pub(crate) enum Command {
    /// Serve a file.
    Serve(Box<Options>),
    /// Write an example to this file.
    Init(PathBuf),
    /// Print this text.
    Print(&'static str),
}

/// The options of serving a file.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) file: PathBuf,
    pub(crate) port: u16,
    pub(crate) home: Option<String>,
    pub(crate) vault: Option<String>,
    pub(crate) print_identity: bool,
    pub(crate) enroll: bool,
    pub(crate) older_service: bool,
    pub(crate) poll_minimum: Option<Duration>,
    pub(crate) webhook: Option<String>,
    pub(crate) quiet: bool,
    pub(crate) json: bool,
    pub(crate) color: Color,
}

/// The choice of `--color`.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    Always,
    Never,
}

const HELP: &str = include_str!("help.txt");
const VERSION: &str = concat!("sikkerkey-emulator ", env!("CARGO_PKG_VERSION"), "\n");

/// Parses the arguments; the error says what is wrong with them.
pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut options = Options::default();
    let mut words = Vec::new();
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        let (name, mut given) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (argument.as_str(), None),
        };
        let mut value = || {
            let value = given.take();
            let value = value.or_else(|| arguments.next_if(|next| !next.starts_with('-')));
            let value = value.filter(|value| !value.is_empty());
            value.ok_or(format!("{name} needs a value"))
        };
        match name {
            "--help" | "-h" => return Ok(Command::Print(HELP)),
            "--version" | "-V" => return Ok(Command::Print(VERSION)),
            "--port" => {
                options.port = value()?
                    .parse()
                    .map_err(|_| "--port needs a number up to 65535")?
            }
            "--home" => options.home = Some(value()?),
            "--vault" => options.vault = Some(value()?),
            "--print-identity" => options.print_identity = true,
            "--enroll" => options.enroll = true,
            "--poll-minimum" => {
                let seconds = value()?.parse().map(Duration::from_secs);
                let wrong = |_| "--poll-minimum needs a number of seconds";
                options.poll_minimum = Some(seconds.map_err(wrong)?);
            }
            "--webhook" => options.webhook = Some(value()?),
            "--older-service" => options.older_service = true,
            "--quiet" | "-q" => options.quiet = true,
            "--json" => options.json = true,
            "--color" => {
                options.color = match value()?.as_str() {
                    "auto" => Color::Auto,
                    "always" => Color::Always,
                    "never" => Color::Never,
                    _ => return Err("--color needs always, never or auto".into()),
                }
            }
            unknown if unknown.starts_with('-') => return Err(format!("unknown option {unknown}")),
            _ => words.push(argument.clone()),
        }
        if given.is_some() {
            return Err(format!("{name} takes no value"));
        }
    }
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Err("a file of secrets is missing; sikkerkey-emulator init writes an example".into()),
        ["init"] => Ok(Command::Init("secrets.toml".into())),
        ["init", file] => Ok(Command::Init(file.into())),
        ["init", ..] => Err("init writes only one file".into()),
        [file] => {
            options.file = file.into();
            Ok(Command::Serve(options.into()))
        }
        _ => Err("only one file of secrets can be served".into()),
    }
}
