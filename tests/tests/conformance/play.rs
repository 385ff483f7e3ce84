//! A client in a process of its own, an emulator for it alone, and what they say to each other.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sikkerkey_emulator::{Emulator, Recorded};

use crate::scenario::{Scenario, Step};

/// One call: what came back, and what went over the wire for it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) call: Value,
    pub(crate) answer: Value,
    pub(crate) requests: Value,
}

/// A client program.
pub(crate) struct Player(Command);

/// What a scenario can reach while it is played with one client.
pub(crate) struct Side {
    pub(crate) vault: Emulator,
    /// `SIKKERKEY_HOME`; a scenario may put another one here before the client starts.
    pub(crate) home: PathBuf,
    pub(crate) env: BTreeMap<&'static str, String>,
    /// `$NAME` in a call's text is this.
    pub(crate) words: BTreeMap<&'static str, String>,
    /// For files of the scenario.
    pub(crate) folder: tempfile::TempDir,
}

impl Player {
    pub(crate) fn ours() -> Self {
        Player(Command::new(env!("CARGO_BIN_EXE_conformance-client")))
    }

    pub(crate) fn official(python: &OsStr) -> Self {
        let mut command = Command::new(python);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/official.py"));
        Player(command)
    }

    pub(crate) fn play(self, scenario: &Scenario) -> Vec<Record> {
        let mut side = Side::new((scenario.vault)().start().unwrap());
        (scenario.prepare)(&mut side);
        let mut talk = self.start(&side);
        let mut records = Vec::new();
        for step in &scenario.steps {
            match step {
                Step::Do(act) => act(&mut side),
                Step::Call {
                    call,
                    requests_differ,
                    ..
                } => {
                    side.vault.clear_requests();
                    let answer = talk.ask(&side.spelled(call));
                    let requests = match requests_differ {
                        true => Value::Null,
                        false => side
                            .vault
                            .requests()
                            .iter()
                            .map(|r| side.request(r))
                            .collect(),
                    };
                    let answer = side.neutral(&answer);
                    records.push(Record {
                        call: call.clone(),
                        answer,
                        requests,
                    });
                }
            }
        }
        records
    }
}

impl Player {
    /// Starts the client program as the side's environment says.
    pub(crate) fn start(mut self, side: &Side) -> Talk {
        for name in [
            "SIKKERKEY_IDENTITY",
            "HOSTNAME",
            "http_proxy",
            "HTTP_PROXY",
            "all_proxy",
        ] {
            self.0.env_remove(name);
        }
        self.0.env("SIKKERKEY_HOME", &side.home).envs(&side.env);
        Talk::start(&mut self.0)
    }
}

impl Side {
    pub(crate) fn new(vault: Emulator) -> Self {
        let identity = vault.identity_path().display().to_string();
        Side {
            home: vault.home().to_owned(),
            env: BTreeMap::from([("SIKKERKEY_API_URL", vault.url().to_owned())]),
            words: BTreeMap::from([("$IDENTITY", identity)]),
            folder: tempfile::tempdir().unwrap(),
            vault,
        }
    }

    /// A call with its words filled in.
    fn spelled(&self, call: &Value) -> Value {
        let mut text = call.to_string();
        for (word, meaning) in &self.words {
            text = text.replace(word, meaning);
        }
        serde_json::from_str(&text).unwrap()
    }

    /// An answer without what differs from one emulator to the next.
    fn neutral(&self, answer: &Value) -> Value {
        let mut text = answer.to_string().replace(self.vault.url(), "<url>");
        for id in self.vault.machine_ids() {
            text = text.replace(&id, "<machine>");
        }
        serde_json::from_str(&text).unwrap()
    }

    fn request(&self, request: &Recorded) -> Value {
        let mut body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        for key in ["publicKey", "token"] {
            if let Some(value) = body.get_mut(key) {
                *value = json!(format!("<{} characters>", value.as_str().unwrap().len()));
            }
        }
        let mut headers: Vec<_> = request
            .headers
            .iter()
            .map(|(name, _)| name.to_ascii_lowercase())
            .filter(|name| name.starts_with("x-"))
            .collect();
        headers.sort();
        json!({
            "request": format!("{} {}", request.method, request.path),
            "status": request.status,
            "body": body,
            "content_type": request.header("Content-Type").filter(|_| !request.body.is_empty()),
            "headers": headers,
            "own_machine": request.machine_id.as_deref().map(|id| self.vault.machine_ids().iter().any(|m| m == id)),
        })
    }
}

/// A running client program.
pub(crate) struct Talk {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Talk {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let to = child.stdin.take().unwrap();
        let from = BufReader::new(child.stdout.take().unwrap());
        Talk { child, to, from }
    }

    pub(crate) fn ask(&mut self, call: &Value) -> Value {
        writeln!(self.to, "{call}").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{call}: the client ended"))
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // A client that is still there when a scenario ends, well or not, has nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
