//! The lines of the program: what each event looks like to a person, to a program, and on a terminal.

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::Client;
use support::program::{Folder, Running};

const FILE: &str = "
[sk_a]
value = 'the-first-value'
policy = { rotate_after_reads = 2 }
[sk_b]
value = 'the-other-value'
denied = true
[sk_trap]
value = 'nobody-needs-this'
kind = 'canary'
";

/// Reads, polls, refusals and edits, in this order.
fn play(folder: &Folder, client: &Client) {
    client.value("sk_a");
    client.poll(&["sk_a"]);
    client.value("sk_a");
    client.poll(&["sk_a", "sk_b"]);
    client.get("/v1/secrets").expect(200);
    client.get("/v1/cli/projects").expect(200);
    client
        .post("/v1/secrets/export", r#"{"projectId":"none"}"#)
        .expect(200);
    client.get("/v1/secret/sk_b").expect(403);
    client.get("/v1/secret/sk_\u{202e}x").expect(404);
    client.value("sk_trap");
    folder.edit("sk_a = 'a-newer-value'\n");
}

/// A run, and a client of it.
fn start(folder: &Folder, arguments: &[&str]) -> (Running, Client) {
    let mut running = folder.run(arguments, &[]);
    let identity = if arguments.contains(&"--json") {
        let started: Value = serde_json::from_str(&running.line()).unwrap();
        assert_eq!(started["event"], "started");
        assert_eq!(started["secrets"], 3);
        assert!(
            started["url"]
                .as_str()
                .unwrap()
                .starts_with("http://localhost:")
        );
        started["environment"]["SIKKERKEY_IDENTITY"]
            .as_str()
            .unwrap()
            .to_owned()
    } else {
        running.export("SIKKERKEY_IDENTITY")
    };
    let client = Client::at(Path::new(&identity));
    (running, client)
}

#[test]
fn each_event_is_one_plain_line_in_a_pipe() {
    let folder = Folder::new(FILE);
    let (mut running, client) = start(&folder, &[]);
    running.skip_notes();
    play(&folder, &client);
    let expected = [
        "read     sk_a",
        "poll     nothing new",
        "read     sk_a",
        "poll     sk_a changed, sk_b access_denied",
        "list     secrets",
        "list     projects",
        "export   of what this machine may read",
        "refused  403 GET /v1/secret/sk_b: Access denied",
        r"refused  404 GET /v1/secret/sk_\u{202e}x: Secret not found",
        "read     sk_trap",
        "alarm    sk_trap is a canary, and was read",
        "rotated  sk_a by its policy",
    ];
    // Events of the file and of a policy are found between requests.
    let mut lines = running.notes(expected.len());
    let at = |lines: &[String], line: &str| lines.iter().position(|found| found == line).unwrap();
    let rotated = lines.remove(at(&lines, expected[11]));
    let alarm = lines.remove(at(&lines, expected[10]));
    assert_eq!(lines, expected[..10]);
    assert_eq!([alarm, rotated], expected[10..]);
    let mut edits = running.notes(3);
    edits.sort();
    assert_eq!(
        edits,
        ["deleted  sk_b", "deleted  sk_trap", "rotated  sk_a"]
    );
}

#[test]
fn each_event_is_an_object_with_json() {
    let folder = Folder::new(FILE);
    let (mut running, client) = start(&folder, &["--json"]);
    play(&folder, &client);
    let mut events: Vec<Value> = (0..15)
        .map(|_| serde_json::from_str(&running.line()).unwrap())
        .collect();
    let text = serde_json::to_string(&events).unwrap();
    for value in [
        "the-first-value",
        "the-other-value",
        "nobody-needs-this",
        "a-newer-value",
    ] {
        assert!(!text.contains(value));
    }
    let found = |wanted: &Value| events.contains(wanted);
    assert!(found(
        &json!({ "event": "read", "id": "sk_a", "status": 200, "method": "GET", "path": "/v1/secret/sk_a", "machine": client.machine })
    ));
    assert!(found(
        &json!({ "event": "poll", "changes": { "sk_a": "changed", "sk_b": "access_denied" }, "status": 200, "method": "POST", "path": "/v1/secrets/poll", "machine": client.machine })
    ));
    assert!(found(
        &json!({ "event": "refused", "id": "sk_b", "status": 403, "method": "GET", "path": "/v1/secret/sk_b", "machine": client.machine, "reason": "Access denied" })
    ));
    assert!(found(&json!({ "event": "alarm", "id": "sk_trap" })));
    assert!(found(
        &json!({ "event": "rotated", "id": "sk_a", "by": "policy" })
    ));
    assert!(found(&json!({ "event": "rotated", "id": "sk_a" })));
    assert!(found(&json!({ "event": "deleted", "id": "sk_b" })));

    folder.edit("sk_a = 'one'\nsk_b = canary\n");
    events = vec![serde_json::from_str(&running.line()).unwrap()];
    assert_eq!(
        events[0],
        json!({ "event": "broken", "file": folder.file(), "line": 2, "column": 8,
            "reason": "not TOML: string values must be quoted, expected literal string" })
    );
}

#[test]
fn quiet_prints_what_to_export_and_errors() {
    let folder = Folder::new(FILE);
    let mut running = folder.run(&["--quiet"], &[]);
    let first = running.line();
    assert!(first.contains("SIKKERKEY_IDENTITY"), "{first}");
    let identity = folder.path("home/vaults/vault_emulator/identity.json");
    play(&folder, &Client::at(&identity));
    folder.edit("sk_a = canary");
    assert!(running.error().ends_with("expected literal string"));
    running.stop();
    assert_eq!(running.rest(), "");
}

#[test]
fn another_machine_is_named() {
    let folder = Folder::new(FILE);
    let mut running = folder.run(&["--enroll"], &[]);
    let identity = running.export("SIKKERKEY_IDENTITY");
    let own = Client::at(Path::new(&identity));
    running.export("SIKKERKEY_API_URL");
    running.export("SIKKERKEY_VAULT_ID");
    let token = running.export("SIKKERKEY_ENROLLMENT_TOKEN");
    running.skip_notes();
    let more = json!({ "name": "web\u{1b}[31m-1" });
    let (response, key) = support::enroll_at(own.port, "vault_emulator", &token, more);
    let machine = response.expect(201)["machineId"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(running.line(), "enroll   a new machine");
    let other = Client {
        machine,
        key,
        ..own.clone()
    };
    other.value("sk_a");
    assert_eq!(running.line(), r"read     sk_a by web\u{1b}[31m-1");
    let (response, _) = support::enroll_at(own.port, "vault_emulator", "no-such-token", json!({}));
    assert_eq!(response.status, 401);
    let refused = running.line();
    assert!(
        refused.starts_with("refused  401 POST /v1/vault_emulator/enroll/register: "),
        "{refused}"
    );
}

#[test]
fn colors_are_printed_where_they_are_asked_for() {
    let folder = Folder::new(FILE);
    let (mut running, client) = start(&folder, &[]);
    running.notes(5);
    client.value("sk_a");
    assert_eq!(running.line(), "read     sk_a", "a pipe has none");
    drop(running);

    let mut running = folder.run(&["--color", "always"], &[("NO_COLOR", "1")]);
    assert!(running.line().starts_with("\x1b[2m# 3 secrets of "));
    running.notes(7);
    let client = Client::at(&folder.path("home/vaults/vault_emulator/identity.json"));
    client.value("sk_a");
    client.poll(&["sk_a"]);
    client.get("/v1/secret/sk_b").expect(403);
    folder.edit("");
    let lines = running.notes(4);
    assert_eq!(lines[0], "\x1b[32mread     sk_a\x1b[0m");
    assert_eq!(lines[1], "\x1b[2mpoll     nothing new\x1b[0m");
    assert_eq!(
        lines[2],
        "\x1b[31mrefused  403 GET /v1/secret/sk_b: Access denied\x1b[0m"
    );
    assert_eq!(lines[3], "\x1b[33mdeleted  sk_a\x1b[0m");
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_has_colors_unless_the_environment_says_no() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use std::fs::{File, OpenOptions};
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;

    let folder = Folder::new(FILE);
    for (variables, colors) in [
        (&[("TERM", "xterm")][..], true),
        (&[("TERM", "xterm"), ("NO_COLOR", "")], true),
        (&[("TERM", "xterm"), ("NO_COLOR", "1")], false),
        (&[("TERM", "dumb")], false),
    ] {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let terminal = OpenOptions::new()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let mut command = support::program::program();
        command
            .arg(folder.file())
            .arg("--home")
            .arg(folder.path("home"));
        command.envs(variables.iter().copied());
        command.stdout(Stdio::from(terminal));
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let read = BufReader::new(File::from(controller)).read_line(&mut line);
        child.kill().unwrap();
        child.wait().unwrap();
        read.unwrap();
        assert!(line.contains("# 3 secrets of "), "{line:?}");
        assert_eq!(line.starts_with("\x1b["), colors, "{variables:?}");
    }
}
