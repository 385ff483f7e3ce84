//! The program: what it prints, what it serves, and how it fails.

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::Client;

/// Ends with the test, however that goes.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sikkerkey-emulator"))
}

#[test]
fn a_file_is_served_and_its_edits_are_rotations() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secrets.toml");
    fs::write(&file, "sk_a = 'first'\n").unwrap();
    let canaries = folder.path().join("canaries");
    let mut command = program();
    command.env("SIKKERKEY_EMULATOR_CANARIES", &canaries);
    command.arg(&file).args([
        "--home".as_ref(),
        folder.path().join("it's home").as_os_str(),
    ]);
    command
        .args(["--enroll", "--log"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut running = Running(command.spawn().unwrap());
    let mut out = BufReader::new(running.0.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let mut errors = BufReader::new(running.0.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let mut export = |name: &str| {
        let line = out.find(|line| line.starts_with("export ")).unwrap();
        line.strip_prefix(&format!("export {name}="))
            .unwrap()
            .replace(r"'\''", "'")
            .trim_matches('\'')
            .to_owned()
    };
    let identity = export("SIKKERKEY_IDENTITY");
    assert!(export("SIKKERKEY_API_URL").starts_with("http://localhost:"));
    assert_eq!(export("SIKKERKEY_VAULT_ID"), "vault_emulator");
    let token = export("SIKKERKEY_ENROLLMENT_TOKEN");
    assert!(!token.is_empty());

    let client = Client::at(Path::new(&identity));
    assert_eq!(client.value("sk_a"), "first");
    assert_eq!(out.next().unwrap(), "200 GET /v1/secret/sk_a");
    fs::write(&file, "sk_a = 'second'\nsk_b = 'new'\n").unwrap();
    assert_eq!(
        [out.next().unwrap(), out.next().unwrap()],
        ["rotated: sk_a", "added: sk_b"]
    );
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
    fs::write(&file, "sk_a = 'third\n").unwrap();
    let error = errors.next().unwrap();
    assert!(
        error.contains("secrets.toml:1:14: ") && !error.contains("third"),
        "{error}"
    );
    assert_eq!(errors.next().unwrap(), "the last good content stays");
    assert_eq!(client.value("sk_a"), "second");
}

/// The first lines that the program prints, as far as `last`.
fn printed(arguments: &[&str], last: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secrets.toml");
    fs::write(&file, "sk_a = 'a'\n").unwrap();
    let mut command = program();
    command.arg(&file).args(arguments).stdout(Stdio::piped());
    let mut running = Running(command.spawn().unwrap());
    let mut out = BufReader::new(running.0.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains(last) {
        assert!(out.read_line(&mut text).unwrap() > 0, "{last} is missing");
    }
    text
}

#[test]
fn a_private_key_is_printed_only_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    let text = printed(&["--home", home, "--enroll"], "SIKKERKEY_ENROLLMENT_TOKEN");
    let pem = fs::read_to_string(folder.path().join("vaults/vault_emulator/private.pem")).unwrap();
    let key = pem.lines().nth(1).unwrap();
    assert!(!text.contains(key) && !text.contains("PRIVATE"));

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
}

#[test]
fn a_webhook_secret_is_printed_and_a_foreign_url_refused() {
    let url = "http://localhost:9/hook";
    let text = printed(&["--webhook", url], "SIKKERKEY_IDENTITY");
    assert!(text.contains("\nexport SIKKERKEY_WEBHOOK_SECRET='whsec_"));
    let output = program()
        .args(["--webhook", "http://example.com/"])
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/values.toml"
        ))
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("a webhook goes to this machine"), "{error}");
}

#[test]
fn an_older_service_has_no_rich_list() {
    for (arguments, status) in [(&["--older-service"][..], 404), (&[], 200)] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secrets.toml");
        fs::write(&file, "sk_a = 'a'\n").unwrap();
        let mut command = program();
        command.arg(&file).arg("--home").arg(folder.path());
        command.args(arguments).stdout(Stdio::piped());
        let mut running = Running(command.spawn().unwrap());
        let mut out = BufReader::new(running.0.stdout.take().unwrap());
        let mut text = String::new();
        while !text.contains("SIKKERKEY_IDENTITY") {
            assert!(out.read_line(&mut text).unwrap() > 0);
        }
        let identity = folder.path().join("vaults/vault_emulator/identity.json");
        assert_eq!(Client::at(&identity).get("/v1/cli/secrets").status, status);
    }
}

#[test]
fn errors_are_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.toml");
    fs::write(&broken, "sk_a = canary").unwrap();
    let table: [(&[&str], &str); 7] = [
        (&[], "error: a file of secrets is missing; see --help"),
        (
            &["a.toml", "b.toml"],
            "error: only one file of secrets can be served; see --help",
        ),
        (
            &["--nonsense"],
            "error: unknown option --nonsense; see --help",
        ),
        (&["--port"], "error: --port needs a value; see --help"),
        (
            &["--port", "99999"],
            "error: --port needs a number up to 65535; see --help",
        ),
        (
            &["/nowhere/s.toml"],
            "error: cannot read /nowhere/s.toml: No such file or directory (os error 2)",
        ),
        (
            &[broken.to_str().unwrap()],
            "broken.toml:1:8: not TOML: string values must be quoted, expected literal string",
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
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secrets.toml");
    fs::write(&file, "sk_a = 'canary'\n").unwrap();
    let victim = folder.path().join("victim");
    fs::write(&victim, "").unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&victim, &link).unwrap();
    let output = program()
        .arg(&file)
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
    for option in [
        "--port",
        "--home",
        "--vault",
        "--print-identity",
        "--enroll",
        "--webhook",
        "--older-service",
        "--log",
        "[[webhook]]",
    ] {
        assert!(help.contains(option), "{option}");
    }
}

#[test]
fn help_and_version_are_printed() {
    for (argument, start) in [
        ("--help", "The SikkerKey service on this machine"),
        ("--version", "sikkerkey-emulator "),
    ] {
        let output = program().arg(argument).output().unwrap();
        assert!(output.status.success() && output.stdout.starts_with(start.as_bytes()));
    }
}
