//! The program as a child process, read line by line.

use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sikkerkey-emulator"));
    command.env_remove("NO_COLOR");
    command
}

/// A folder with a file of secrets.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new(text: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.edit(text);
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.path("secrets.toml")
    }

    pub(crate) fn edit(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }

    /// The program, serving the file; its home is in this folder unless the arguments name one.
    pub(crate) fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Running {
        let mut command = program();
        command.arg(self.file());
        if !arguments.contains(&"--home") {
            command.arg("--home").arg(self.path("home"));
        }
        command.args(arguments).envs(variables.iter().copied());
        Running::start(command)
    }
}

/// Ends with the test, however that goes.
pub(crate) struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
    errors: BufReader<ChildStderr>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let errors = BufReader::new(child.stderr.take().unwrap());
        Self { child, out, errors }
    }

    /// The next line on stdout.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        next(&mut self.out)
    }

    /// The next line on stderr.
    #[track_caller]
    pub(crate) fn error(&mut self) -> String {
        next(&mut self.errors)
    }

    /// The value of the next variable to export, which is this one.
    #[track_caller]
    pub(crate) fn export(&mut self, name: &str) -> String {
        let (set, equals, quote) = match cfg!(windows) {
            true => ("$env:", " = ", "''"),
            false => ("export ", "=", r"'\''"),
        };
        loop {
            let line = self.line();
            if let Some(rest) = line.strip_prefix(set) {
                let value = rest.strip_prefix(&format!("{name}{equals}"));
                let value = value.unwrap_or_else(|| panic!("{line} is not {name}"));
                return value.replace(quote, "'").trim_matches('\'').to_owned();
            }
        }
    }

    /// Ends the program.
    pub(crate) fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// What is left on stdout of a program that has ended.
    pub(crate) fn rest(&mut self) -> String {
        let mut text = String::new();
        self.out.read_to_string(&mut text).unwrap();
        text
    }

    /// So many lines.
    #[track_caller]
    pub(crate) fn notes(&mut self, lines: usize) -> Vec<String> {
        (0..lines).map(|_| self.line()).collect()
    }

    /// The notes at the end of the start.
    #[track_caller]
    pub(crate) fn skip_notes(&mut self) {
        assert_eq!(self.line(), "# To try (Ctrl-C ends):");
        self.notes(4);
    }

    /// Reads on to this line.
    #[track_caller]
    pub(crate) fn skip_to(&mut self, last: &str) {
        while self.line() != last {}
    }
}

#[track_caller]
fn next(from: &mut BufReader<impl Read>) -> String {
    let mut line = String::new();
    assert!(from.read_line(&mut line).unwrap() > 0, "the program ended");
    line.trim_end().to_owned()
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
