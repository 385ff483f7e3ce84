//! The program: what it prints, what it serves, and how it fails.

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::Client;
use support::program::{Folder, program};

#[test]
fn a_file_is_served_and_its_edits_are_rotations() {
    let folder = Folder::new("sk_a = 'first'\n");
    let canaries = folder.path("canaries");
    let mut running = folder.run(
        &[
            "--home",
            folder.path("it's home").to_str().unwrap(),
            "--enroll",
        ],
        &[("SIKKERKEY_EMULATOR_CANARIES", canaries.to_str().unwrap())],
    );
    let identity = running.export("SIKKERKEY_IDENTITY");
    assert!(
        running
            .export("SIKKERKEY_API_URL")
            .starts_with("http://localhost:")
    );
    assert_eq!(running.export("SIKKERKEY_VAULT_ID"), "vault_emulator");
    let token = running.export("SIKKERKEY_ENROLLMENT_TOKEN");
    assert!(!token.is_empty());
    running.skip_notes();

    let client = Client::at(Path::new(&identity));
    assert_eq!(client.value("sk_a"), "first");
    assert_eq!(running.line(), "read     sk_a");
    folder.edit("sk_a = 'second'\nsk_b = 'new'\n");
    assert_eq!(running.line(), "rotated  sk_a");
    assert_eq!(running.line(), "added    sk_b");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(&canaries).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let noted = fs::read_to_string(&canaries).unwrap();
    let noted: Vec<String> = noted
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for secret in ["first", "second", "new", &token, &client.seed()] {
        assert!(noted.iter().any(|line| line == secret), "one is missing");
    }
    assert_eq!(client.value("sk_a"), "second");
}

#[test]
fn a_broken_edit_is_shown_with_a_caret_and_changes_nothing() {
    let folder = Folder::new("sk_a = 'first'\n");
    let mut running = folder.run(&[], &[]);
    let identity = running.export("SIKKERKEY_IDENTITY");
    let client = Client::at(Path::new(&identity));
    for (text, expected) in [
        (
            "sk_a = 'second'\n[sk_b]\nvalue = canary\n",
            [
                "3:9: not TOML: string values must be quoted, expected literal string",
                "3 | value = ******",
                "  |         ^",
            ],
        ),
        (
            "sk_a = 'third'\nsk_b = 123456",
            [
                "2:8: sk_b: a secret is a string or a table; put the value in quotes",
                "2 | sk_b = ******",
                "  |        ^",
            ],
        ),
        (
            "[sk_a]\nvalue = '''\ncanary = 1'''\npolicy = { reads_per_day = -1 }",
            [
                "4:28: sk_a: reads_per_day must be a whole number, 0 or more",
                "4 | policy = { reads_per_day = -1 }",
                "  |                            ^",
            ],
        ),
    ] {
        folder.edit(text);
        let error = running.error();
        assert!(
            error.starts_with("error: ") && error.ends_with(expected[0]),
            "{error}"
        );
        assert_eq!([running.error(), running.error()], expected[1..]);
        assert_eq!(running.error(), "the last good content stays");
        assert_eq!(client.value("sk_a"), "first");
    }
    folder.edit("sk_a = 'fourth'\n");
    running.skip_to("rotated  sk_a");
    assert_eq!(client.value("sk_a"), "fourth");

    let broken = Folder::new("sk_a = canary");
    let output = program().arg(broken.file()).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.ends_with("literal string\n1 | sk_a = ******\n  |        ^\n"),
        "{error}"
    );
}

/// The first lines that the program prints, as far as `last`.
fn printed(arguments: &[&str], last: &str) -> String {
    let folder = Folder::new("sk_a = 'a'\n");
    let mut running = folder.run(arguments, &[]);
    let mut text = String::new();
    while !text.contains(last) {
        text += &running.line();
        text.push('\n');
    }
    text
}

#[cfg(unix)]
#[test]
fn a_private_key_is_printed_only_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    for more in [&[][..], &["--json"], &["--quiet"]] {
        let text = printed(
            &[&["--home", home, "--enroll"], more].concat(),
            "SIKKERKEY_ENROLLMENT_TOKEN",
        );
        let pem =
            fs::read_to_string(folder.path().join("vaults/vault_emulator/private.pem")).unwrap();
        let key = pem.lines().nth(1).unwrap();
        assert!(!text.contains(key) && !text.contains("PRIVATE"));
    }
    let pem = fs::read_to_string(folder.path().join("vaults/vault_emulator/private.pem")).unwrap();
    let text = printed(
        &["--home", home, "--print-identity"],
        "-----END PRIVATE KEY-----\n'\n",
    );
    assert!(!text.contains("SIKKERKEY_IDENTITY"));
    let quoted = format!("export SIKKERKEY_PRIVATE_KEY='{pem}'\n");
    assert!(text.contains(&quoted), "the key is not as it is on disk");
    for name in [
        "SIKKERKEY_API_URL='http://localhost:",
        "SIKKERKEY_VAULT_ID='vault_emulator'\n",
        "SIKKERKEY_MACHINE_ID='",
    ] {
        assert!(text.contains(&format!("\nexport {name}")), "{name}");
    }
    let text = printed(&["--home", home, "--print-identity", "--json"], "started");
    let started: Value = serde_json::from_str(&text).unwrap();
    assert!(started["environment"]["SIKKERKEY_PRIVATE_KEY"] == pem);
}

#[test]
fn the_start_says_what_to_export_and_what_to_try() {
    let folder = Folder::new("sk_first = 'a'\nsk_second = 'b'\n");
    let mut running = folder.run(&["--port", "0"], &[]);
    let head = running.line();
    assert!(head.starts_with("# 2 secrets of "), "{head}");
    assert!(head.contains("secrets.toml at http://localhost:"), "{head}");
    assert_eq!(running.line(), "# For a client, in another terminal:");
    assert!(Path::new(&running.export("SIKKERKEY_IDENTITY")).exists());
    let notes = running.notes(5);
    assert!(notes[1].contains("get_secret(\"sk_first\")"), "{notes:?}");
    // All but the exports are comments of a shell: the output can be sourced.
    assert!(notes.iter().all(|line| line.starts_with("# ")), "{notes:?}");

    let empty = Folder::new("");
    let mut running = empty.run(&[], &[]);
    assert!(running.line().starts_with("# 0 secrets of "));
    running.export("SIKKERKEY_IDENTITY");
    assert!(running.notes(5)[1].contains("sk_first = \"a value\""));
}

#[test]
fn a_webhook_secret_is_printed_and_a_foreign_url_refused() {
    let url = "http://localhost:9/hook";
    let folder = Folder::new("sk_a = 'a'\n");
    let mut running = folder.run(&["--webhook", url], &[]);
    assert!(
        running
            .export("SIKKERKEY_WEBHOOK_SECRET")
            .starts_with("whsec_")
    );
    folder.edit("sk_a = 'b'\n");
    running.skip_to("rotated  sk_a");
    let delivered = running.line();
    assert_eq!(
        delivered,
        format!("webhook  secret_rotate sk_a to {url}: no response")
    );
    let output = program()
        .args(["--webhook", "http://example.com/"])
        .arg(folder.file())
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("a webhook goes to this machine"), "{error}");
}

#[test]
fn polls_are_limited_on_request() {
    for (arguments, status) in [(&["--poll-minimum=60"][..], 429), (&[], 200)] {
        let folder = Folder::new("sk_a = 'a'\n");
        let mut running = folder.run(arguments, &[]);
        let identity = running.export("SIKKERKEY_IDENTITY");
        let client = Client::at(Path::new(&identity));
        let poll = || {
            client
                .post("/v1/secrets/poll", r#"{"watch":["sk_a"]}"#)
                .status
        };
        assert_eq!((poll(), poll()), (200, status));
    }
}

#[test]
fn an_older_service_has_no_rich_list() {
    for (arguments, status) in [(&["--older-service"][..], 404), (&[], 200)] {
        let folder = Folder::new("sk_a = 'a'\n");
        let mut running = folder.run(arguments, &[]);
        let identity = running.export("SIKKERKEY_IDENTITY");
        let client = Client::at(Path::new(&identity));
        assert_eq!(client.get("/v1/cli/secrets").status, status);
    }
}

#[test]
fn an_unusable_signing_secret_is_an_error() {
    let folder = Folder::new("sk_a = 'a'\n");
    let mut secrets: Vec<std::ffi::OsString> = vec!["".into()];
    #[cfg(unix)]
    secrets.push(std::os::unix::ffi::OsStringExt::from_vec(vec![0xff]));
    for secret in secrets {
        let output = program()
            .args(["--webhook", "http://localhost:9/hook"])
            .arg(folder.file())
            .env("SIKKERKEY_WEBHOOK_SECRET", secret)
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains("secret is not empty") || error.contains("SECRET is not UTF-8"));
        assert!(output.stdout.is_empty() && error.lines().count() == 1);
    }
}

#[cfg(unix)]
#[test]
fn an_argument_that_is_not_utf8_is_an_error() {
    let odd: std::ffi::OsString = std::os::unix::ffi::OsStringExt::from_vec(vec![b'a', 0xff]);
    let output = program().arg(odd).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error, "error: an argument is not UTF-8; see --help\n");
}

#[test]
fn errors_are_one_line() {
    let folder = Folder::new("sk_a = 'a'\n");
    let path = folder.file();
    let file = path.to_str().unwrap();
    let table: [(&[&str], &str); 17] = [
        (
            &[],
            "error: a file of secrets is missing; sikkerkey-emulator init writes an example; see --help",
        ),
        (
            &["a.toml", "b.toml"],
            "error: only one file of secrets can be served; see --help",
        ),
        (
            &["--nonsense"],
            "error: unknown option --nonsense; see --help",
        ),
        (&["--port"], "error: --port needs a value; see --help"),
        (&["--home="], "error: --home needs a value; see --help"),
        (
            &["--home", "--quiet"],
            "error: --home needs a value; see --help",
        ),
        (&["--quiet=1"], "error: --quiet takes no value; see --help"),
        (
            &["--port=99999"],
            "error: --port needs a number up to 65535; see --help",
        ),
        (
            &["--poll-minimum", "1.5"],
            "error: --poll-minimum needs a number of seconds; see --help",
        ),
        (
            &[file, "--webhook", "http://localhost:99999/"],
            "and its signing secret is not empty",
        ),
        (
            &[file, "--home", "/nowhere/at/all", "--vault", ""],
            "error: --vault needs a value; see --help",
        ),
        (
            &["--port", "99999"],
            "error: --port needs a number up to 65535; see --help",
        ),
        (
            &["--color", "red"],
            "error: --color needs always, never or auto; see --help",
        ),
        (
            &["init", "a", "b"],
            "error: init writes only one file; see --help",
        ),
        (
            &["init", file],
            "secrets.toml exists already; nothing was written",
        ),
        (
            &["/nowhere/s.toml"],
            "error: cannot read /nowhere/s.toml: No such file or directory (os error 2)",
        ),
        (
            &[file, "--vault", "a b"],
            "error: \"a b\" cannot be a vault's id: letters, digits, '-' and '_' only",
        ),
    ];
    for (arguments, expected) in table {
        let output = program().args(arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty());
        assert!(error.trim_end().ends_with(expected), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
}

#[cfg(unix)]
#[test]
fn canaries_are_not_written_through_a_link() {
    let folder = Folder::new("sk_a = 'canary'\n");
    let victim = folder.path("victim");
    fs::write(&victim, "").unwrap();
    let link = folder.path("link");
    std::os::unix::fs::symlink(&victim, &link).unwrap();
    let output = program()
        .arg(folder.file())
        .env("SIKKERKEY_EMULATOR_CANARIES", &link)
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("which SIKKERKEY_EMULATOR_CANARIES names"));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "");
}

#[test]
fn help_names_every_option_and_every_key_of_the_file() {
    let output = program().arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.lines().all(|line| line.len() <= 110));
    let everything = include_str!("fixtures/everything.toml");
    let keys = everything.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    let used: Vec<_> = keys
        .filter(|word| word.contains('_') && !word.starts_with("sk_"))
        .collect();
    assert!(used.len() > 20);
    let values = ["proj_x", "app_y", "whsec_"];
    for key in used.into_iter().filter(|key| !values.contains(key)) {
        assert!(help.contains(key), "{key}");
    }
    // Each option that the program knows, as its source has them.
    let source = include_str!("../src/bin/sikkerkey-emulator/arguments.rs");
    let options: Vec<_> = source
        .split('"')
        .filter(|word| word.starts_with("--") && !word.contains(' '))
        .collect();
    assert!(options.len() >= 12);
    for option in options.into_iter().chain(["[[webhook]]", "init [FILE]"]) {
        assert!(help.contains(option), "{option}");
    }
}

#[test]
fn help_and_version_are_printed() {
    for (argument, start) in [
        ("--help", "The SikkerKey service on this machine"),
        ("-h", "The SikkerKey service on this machine"),
        ("--version", "sikkerkey-emulator "),
    ] {
        let output = program().arg(argument).output().unwrap();
        assert!(output.status.success() && output.stdout.starts_with(start.as_bytes()));
    }
}
