use std::fs;

use super::*;
use crate::error::ErrorKind;

/// The example key of RFC 8410.
const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                   -----END PRIVATE KEY-----\n";

struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Machine {
            folder: tempfile::tempdir().unwrap(),
        };
        machine.write("private.pem", PEM);
        machine.write("identity.json", &json("private.pem"));
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        self.chmod(name, 0o600);
    }

    #[cfg(unix)]
    fn chmod(&self, name: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    #[cfg(not(unix))]
    fn chmod(&self, _: &str, _: u32) {}

    fn load(&self) -> Result<Identity, Error> {
        self.load_with(&TrustRules::default())
    }

    fn load_with(&self, rules: &TrustRules) -> Result<Identity, Error> {
        self.file(None).read(rules, None)
    }

    fn file(&self, vault: Option<&str>) -> IdentityFile {
        IdentityFile {
            path: self.path("identity.json"),
            top: self.folder.path().to_owned(),
            vault: vault.map(str::to_owned),
        }
    }

    #[cfg(unix)]
    fn load_strictly(&self) -> Result<Identity, Error> {
        self.load_with(&TrustRules {
            refuse_shared_key: true,
            ..TrustRules::default()
        })
    }

    #[track_caller]
    fn refused(&self, says: &str) {
        let error = self.load().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        let text = error.to_string();
        assert!(text.contains(says), "{text}");
        let folder = self.folder.path().display().to_string();
        assert!(text.contains(&folder), "the path is missing: {text}");
    }
}

fn json(key_path: &str) -> String {
    format!(
        r#"{{"machineId":"m-1","machineName":"web-1","vaultId":"vault_abc123",
            "apiUrl":"https://api.sikkerkey.com","privateKeyPath":"{key_path}","extra":[1]}}"#
    )
}

#[test]
fn a_whole_identity() {
    let machine = Machine::new();
    let identity = machine.load().unwrap();
    assert_eq!(identity.machine_id, "m-1");
    assert_eq!(identity.machine_name, "web-1");
    assert_eq!(identity.vault_id, "vault_abc123");
    assert_eq!(identity.api_url.as_str(), "https://api.sikkerkey.com");
    let debug = format!("{identity:?}");
    assert!(
        debug.contains("m-1") && !debug.contains("signer"),
        "{debug}"
    );
}

#[test]
fn an_identity_is_of_the_vault_that_was_asked_for() {
    let machine = Machine::new();
    let read = |vault| machine.file(Some(vault)).read(&TrustRules::default(), None);
    read("vault_abc123").unwrap();
    let error = read("vault_other").unwrap_err().to_string();
    assert!(
        error.contains("is for vault_abc123, and vault_other was asked for"),
        "{error}"
    );
}

#[test]
fn a_byte_order_mark_and_odd_optional_keys_do_no_harm() {
    let machine = Machine::new();
    let good = json("private.pem");
    for (text, name) in [
        (format!("\u{feff}{good}"), "web-1"),
        (good.replace("machineName", "x"), ""),
        (good.replace("\"web-1\"", "[7]"), ""),
        (good.replace("web-1", "web\\u001b[2J"), r"web\u{1b}[2J"),
    ] {
        machine.write("identity.json", &text);
        assert_eq!(machine.load().unwrap().machine_name, name, "{text}");
    }
    machine.write("private.pem", &format!("\u{feff}{PEM}"));
    machine.load().unwrap();
}

#[test]
fn a_json_that_is_wrong_says_which_key() {
    let machine = Machine::new();
    let good = json("private.pem");
    for (text, says) in [
        ("", "is not JSON"),
        ("{", "is not JSON (line 1"),
        ("hunter2", "is not JSON"),
        ("[]", "is not a JSON object"),
        ("{}", "lacks vaultId"),
        (&good.replace("machineId", "machineid"), "lacks machineId"),
        (
            &good.replace("\"m-1\"", "17"),
            "has a machineId that is not a string",
        ),
        (
            &good.replace("\"m-1\"", "null"),
            "has a machineId that is not a string",
        ),
        (&good.replace("m-1", ""), "has an empty machineId"),
        (
            &good.replace("m-1", "m\\r\\nX-Evil: 1"),
            "characters that no id has",
        ),
        (&good.replace("privateKeyPath", "x"), "lacks privateKeyPath"),
        (
            &good.replace("https://api.sikkerkey.com", "http://10.0.0.1"),
            "plain http",
        ),
        (
            &good.replace("https://api.sikkerkey.com", "http://localhost@evil.example"),
            "user name",
        ),
    ] {
        machine.write("identity.json", text);
        machine.refused(says);
        let text = machine.load().unwrap_err().to_string();
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_file_that_is_no_text_a_folder_or_huge_is_refused() {
    let machine = Machine::new();
    fs::write(machine.path("identity.json"), [0xff, 0xfe]).unwrap();
    machine.chmod("identity.json", 0o600);
    machine.refused("is not text");
    machine.write("identity.json", &" ".repeat(70_000));
    machine.refused("is larger than");
    fs::remove_file(machine.path("identity.json")).unwrap();
    machine.refused("does not exist");
    fs::create_dir(machine.path("identity.json")).unwrap();
    machine.refused("is not a file");
}

#[test]
fn the_key_is_found_by_its_path_or_beside_the_identity() {
    let machine = Machine::new();
    machine.write("other.pem", PEM);
    let absolute = machine
        .path("other.pem")
        .display()
        .to_string()
        .replace('\\', "/");
    for key_path in [
        "private.pem",
        "other.pem",
        &absolute,
        "/gone/by/now/private.pem",
    ] {
        machine.write("identity.json", &json(key_path));
        machine.load().unwrap();
    }
    fs::remove_file(machine.path("private.pem")).unwrap();
    machine.write("identity.json", &json("/gone/key.pem"));
    machine.refused("/gone/key.pem");
    machine.refused("nor at");
    machine.write("identity.json", &json("private.pem"));
    machine.refused("does not exist");
}

#[test]
fn an_invalid_key_is_refused_without_being_quoted() {
    let machine = Machine::new();
    machine.write("private.pem", "hunter2");
    machine.refused("is not PEM");
    machine.refused("openssl genpkey");
    assert!(!machine.load().unwrap_err().to_string().contains("hunter2"));
}

#[cfg(unix)]
#[test]
fn files_that_others_can_change_are_refused() {
    let machine = Machine::new();
    for name in ["identity.json", "private.pem"] {
        for mode in [0o620, 0o602, 0o666] {
            machine.chmod(name, mode);
            machine.refused(&format!("mode {mode:04o}"));
            machine.refused("chmod 600");
        }
        machine.chmod(name, 0o600);
    }
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_read_works_unless_told_otherwise() {
    let machine = Machine::new();
    for mode in [0o644, 0o640, 0o604, 0o444] {
        machine.chmod("private.pem", mode);
        machine.load().unwrap();
        let error = machine.load_strictly().unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("mode {mode:04o}")), "{text}");
        assert!(text.contains("chmod 600"), "{text}");
    }
    machine.chmod("private.pem", 0o400);
    machine.chmod("identity.json", 0o644);
    machine.load_strictly().unwrap();
}

/// Kubernetes mounts a secret as links, themselves 0777, to files of mode 0644.
#[cfg(unix)]
#[test]
fn a_link_counts_by_its_target() {
    let machine = Machine::new();
    fs::rename(machine.path("private.pem"), machine.path("real.pem")).unwrap();
    std::os::unix::fs::symlink(machine.path("real.pem"), machine.path("private.pem")).unwrap();
    machine.load_strictly().unwrap();
    machine.chmod("real.pem", 0o622);
    machine.refused("can be changed by other users");
}

#[cfg(unix)]
#[test]
fn folders_that_others_can_change_are_refused_up_to_the_base() {
    use std::os::unix::fs::PermissionsExt as _;
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("vaults/vault_abc123");
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in [
        ("private.pem", PEM),
        ("identity.json", &json("private.pem")),
    ] {
        fs::write(folder.join(name), text).unwrap();
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let file = IdentityFile {
        path: folder.join("identity.json"),
        top: base.path().to_owned(),
        vault: None,
    };
    let read = || file.read(&TrustRules::default(), None);
    for place in [folder.as_path(), &base.path().join("vaults"), base.path()] {
        let set = |mode| fs::set_permissions(place, fs::Permissions::from_mode(mode)).unwrap();
        for mode in [0o777, 0o775, 0o722, 0o757] {
            set(mode);
            let error = read().unwrap_err().to_string();
            let says = format!(
                "the folder {} can be changed by other users",
                place.display()
            );
            assert!(
                error.contains(&says) && error.contains("chmod 700"),
                "{error}"
            );
        }
        for mode in [0o755, 0o1777, 0o500, 0o1775] {
            set(mode);
            read().unwrap();
        }
        set(0o700);
    }
}

#[test]
fn a_path_in_an_error_stays_on_its_line() {
    let machine = Machine::new();
    fs::remove_file(machine.path("private.pem")).unwrap();
    let long = "a".repeat(300);
    for name in [
        r"no\u001b[2J\nsuch\u202e",
        r"no\u0000such",
        &format!(r"{long}\t{long}"),
    ] {
        machine.write("identity.json", &json(name));
        let text = machine.load().unwrap_err().to_string();
        assert!(!text.chars().any(text::is_unseen), "{text:?}");
        assert!(text.contains("exists neither"), "{text}");
    }
}
