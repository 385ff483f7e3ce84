//! Serves a file of secrets as the SikkerKey service does; edits of the file are rotations.
// What a server, a file or a user sent is never unwrapped.
#![warn(clippy::unwrap_used)]

mod arguments;
mod event;
mod init;
mod output;
mod start;

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use arguments::{Command, Options};
use event::Event;
use output::Output;
use sikkerkey_emulator::{Emulator, FileError, SecretsFile};

/// How often the file is checked for edits.
const LOOK: Duration = Duration::from_millis(200);
/// The limit for requests that wait to be shown; older ones are dropped.
const KEPT: usize = 1_000;

fn main() -> ExitCode {
    let words: Result<Vec<String>, _> = std::env::args_os()
        .skip(1)
        .map(OsString::into_string)
        .collect();
    let command = words
        .map_err(|_| "an argument is not UTF-8".to_owned())
        .and_then(|words| arguments::parse(words.into_iter()));
    let done = match command {
        Ok(Command::Print(text)) => io::stdout().write_all(text.as_bytes()).map_err(Into::into),
        Ok(Command::Init(file)) => init::write(&file).map_err(Into::into).and_then(|()| {
            let file = file.display();
            writeln!(
                io::stdout(),
                "wrote {file}; serve it with: sikkerkey-emulator {file}"
            )
            .map_err(Into::into)
        }),
        Ok(Command::Serve(options)) => serve(*options),
        Err(why) => Err(format!("{why}; see --help").into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of the output has closed its end, as `head` does.
        Err(e) if is_broken_pipe(&*e) => ExitCode::SUCCESS,
        Err(e) => {
            let text = match e.downcast_ref::<FileError>() {
                Some(e) => explained(e),
                None => format!("error: {}", chain(&*e)),
            };
            let _ = writeln!(io::stderr(), "{text}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

fn serve(options: Options) -> Result<(), Box<dyn Error>> {
    let mut file = SecretsFile::open(&options.file)?;
    let output = Output::new(&options);
    let vault = start::start(&file, &options, &output)?;
    let mut shown = Shown::default();
    let mut looked = Instant::now();
    loop {
        for event in shown.new_events(&vault) {
            output.event(event)?;
        }
        // Requests must not shorten this: a half-written edit has this long to become complete.
        if looked.elapsed() < LOOK {
            continue;
        }
        looked = Instant::now();
        match file.reload(&vault) {
            Ok(None) => {}
            Ok(Some(edit)) => Event::edit(&edit).try_for_each(|event| output.event(event))?,
            Err(e) => output.event(Event::broken(&e))?,
        }
    }
}

/// How much of each record has been printed.
#[derive(Default)]
struct Shown {
    request: u64,
    alarms: usize,
    rotations: usize,
    delivery: u64,
}

impl Shown {
    /// The events since the last call; waits up to [`LOOK`] for a request.
    fn new_events(&mut self, vault: &Emulator) -> Vec<Event> {
        let mut requests = Vec::new();
        // A request without its response yet holds later ones back, so that they are printed in order.
        vault.wait_for(LOOK, |recorded| {
            let new = recorded.iter().filter(|r| r.number > self.request);
            requests.extend(new.take_while(|r| r.status > 0).cloned());
            !requests.is_empty()
        });
        self.request = requests.last().map_or(self.request, |r| r.number);
        let mut events: Vec<_> = requests.iter().map(|r| Event::of(r, vault)).collect();
        let alarms = vault.alarms();
        events.extend(alarms.iter().skip(self.alarms).map(|id| Event::alarm(id)));
        let rotations = vault.rotations();
        let new = rotations.iter().skip(self.rotations);
        events.extend(new.map(|id| Event::rotation(id)));
        let deliveries = vault.webhook_deliveries();
        let new = deliveries.iter().filter(|d| d.number > self.delivery);
        events.extend(new.map(Event::delivery));
        self.alarms = alarms.len();
        self.rotations = rotations.len();
        self.delivery = deliveries.last().map_or(self.delivery, |d| d.number);
        events
    }
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

/// An error of the file, with the excerpt of its line.
fn explained(error: &FileError) -> String {
    let mut text = format!("error: {}", chain(error));
    if let FileError::Content { excerpt, .. } = error {
        text.push('\n');
        text.push_str(excerpt);
    }
    text
}
