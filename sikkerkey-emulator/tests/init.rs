//! `init`: an example that is right as it is, and with each of its commented settings.

mod support;

use std::fs;
use std::path::Path;

use support::Client;
use support::program::{Folder, Running, program};

/// Runs `init` in this folder.
fn init(folder: &Path, arguments: &[&str]) -> std::process::Output {
    let mut command = program();
    command.current_dir(folder).arg("init").args(arguments);
    command.output().unwrap()
}

#[test]
fn the_example_is_written_once_and_served() {
    let folder = tempfile::tempdir().unwrap();
    let output = init(folder.path(), &[]);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap().trim_end(),
        "wrote secrets.toml; serve it with: sikkerkey-emulator secrets.toml"
    );
    let file = folder.path().join("secrets.toml");
    let written = fs::read_to_string(&file).unwrap();
    assert!(written.lines().filter(|line| line.starts_with('#')).count() > 10);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    fs::write(&file, "sk_mine = 'kept'\n").unwrap();
    let output = init(folder.path(), &[]);
    assert!(!output.status.success());
    assert_eq!(
        String::from_utf8(output.stderr).unwrap().trim_end(),
        "error: secrets.toml exists already; nothing was written"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "sk_mine = 'kept'\n");
    assert!(init(folder.path(), &["other.toml"]).status.success());
    assert_eq!(
        fs::read_to_string(folder.path().join("other.toml")).unwrap(),
        written
    );
    assert!(
        !init(folder.path(), &["no/such/folder.toml"])
            .status
            .success()
    );
}

#[test]
fn the_example_serves_each_kind_of_secret() {
    let folder = tempfile::tempdir().unwrap();
    assert!(init(folder.path(), &[]).status.success());
    let mut command = program();
    command.current_dir(folder.path()).arg("secrets.toml");
    command.arg("--home").arg(folder.path());
    let mut running = Running::start(command);
    let identity = running.export("SIKKERKEY_IDENTITY");
    let client = Client::at(Path::new(&identity));
    let list = client.get("/v1/cli/secrets").expect(200);
    let kinds: Vec<_> = list["secrets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["secret", "structured", "secret", "leased-secret", "canary"]
    );
    assert_eq!(client.value("sk_stripe_key"), "sk-example-51Hx");
    assert!(
        client
            .value("sk_reports_db")
            .contains("\"username\": \"lease_")
    );
}

#[test]
fn each_commented_setting_is_right() {
    let folder = tempfile::tempdir().unwrap();
    assert!(init(folder.path(), &[]).status.success());
    let example = fs::read_to_string(folder.path().join("secrets.toml")).unwrap();
    // A setting follows its # at once, and prose follows a space.
    let setting = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line.len() > 1;
    let table = |line: &str| {
        line.starts_with("#[[") || line.starts_with("#url") || line.starts_with("#secret")
    };
    let lines: Vec<_> = example.lines().collect();
    let settings = lines.iter().filter(|line| setting(line) && !table(line));
    let mut tried = 0;
    for chosen in settings {
        let key = chosen[1..].split('=').next().unwrap();
        let mut header = "";
        let mut of = "";
        for line in &lines {
            if line.starts_with('[') {
                header = line;
            }
            if line == chosen {
                of = header;
            }
        }
        // It takes the place of the setting of the same key in its table.
        let mut header = "";
        let mut text = String::new();
        for line in &lines {
            if line.starts_with('[') {
                header = line;
            }
            if line == chosen {
                text += &line[1..];
            } else if header != of || !line.starts_with(key) {
                text += line;
            }
            text.push('\n');
        }
        sikkerkey_emulator::SecretsFile::open(Folder::new(&text).file()).unwrap();
        tried += 1;
    }
    assert_eq!(tried, 4);
    let webhook: Vec<_> = lines
        .iter()
        .map(|line| if table(line) { &line[1..] } else { line })
        .collect();
    sikkerkey_emulator::SecretsFile::open(Folder::new(&webhook.join("\n")).file()).unwrap();
}
