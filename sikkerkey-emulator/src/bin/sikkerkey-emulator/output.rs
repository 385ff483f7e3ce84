//! The output: streams, colors and forms of lines.

use std::env;
use std::io::{self, IsTerminal as _, Write as _};

use serde_json::{Map, Value};

use crate::arguments::{Color, Options};
use crate::event::{Event, Tone};

/// Prints the lines of a run.
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    colors: bool,
}

const RESET: &str = "\x1b[0m";
const FAINT: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";

impl Output {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            json: options.json,
            quiet: options.quiet,
            colors: colors(options.color),
        }
    }

    /// Prints the start: notes, and between them the lines to export.
    pub(crate) fn start(
        &self,
        before: &[String],
        exports: &[(&'static str, String)],
        after: &[String],
        facts: Map<String, Value>,
    ) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            return Self::object(&mut out, "started", facts);
        }
        let note = |note: &String| self.painted(FAINT, &format!("# {note}"));
        let notes = |notes: &[String]| match self.quiet {
            true => Vec::new(),
            false => notes.iter().map(note).collect(),
        };
        let lines = [
            notes(before),
            exports
                .iter()
                .map(|(name, value)| self.painted(BOLD, &assignment(name, value)))
                .collect(),
            notes(after),
        ];
        for line in lines.iter().flatten() {
            writeln!(out, "{line}")?;
        }
        out.flush()
    }

    /// Prints an event as one line.
    pub(crate) fn event(&self, event: Event) -> io::Result<()> {
        let broken = event.name == "broken";
        if self.quiet && !broken {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        if self.json {
            return Self::object(&mut out, event.name, event.facts);
        }
        if broken {
            out.flush()?;
            return writeln!(io::stderr(), "{}\nthe last good content stays", event.text);
        }
        let color = match event.tone {
            Tone::Faint => FAINT,
            Tone::Good => "\x1b[32m",
            Tone::News => "\x1b[33m",
            Tone::Bad => "\x1b[31m",
        };
        let line = format!("{:<8} {}", event.name, event.text);
        writeln!(out, "{}", self.painted(color, line.trim_end()))?;
        out.flush()
    }

    fn object(out: &mut impl io::Write, name: &str, facts: Map<String, Value>) -> io::Result<()> {
        let mut object = Map::from_iter([("event".to_owned(), name.into())]);
        object.extend(facts);
        writeln!(out, "{}", Value::Object(object))?;
        out.flush()
    }

    fn painted(&self, color: &str, line: &str) -> String {
        if self.colors {
            format!("{color}{line}{RESET}")
        } else {
            line.to_owned()
        }
    }
}

/// Whether to print in colors.
fn colors(wanted: Color) -> bool {
    let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    match wanted {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            io::stdout().is_terminal()
                && !set("NO_COLOR")
                && env::var_os("TERM").is_none_or(|term| term != "dumb")
                // Older consoles of Windows print the codes instead of colors.
                && (cfg!(not(windows)) || set("WT_SESSION") || set("TERM"))
        }
    }
}

/// The shell's line that sets a variable; in PowerShell's form on Windows.
fn assignment(name: &str, value: &str) -> String {
    if cfg!(windows) {
        format!("$env:{name} = '{}'", value.replace('\'', "''"))
    } else {
        format!("export {name}='{}'", value.replace('\'', r"'\''"))
    }
}
