use std::fs;

use super::*;
use crate::error::ErrorKind;

/// RFC 8410's example key.
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
        load(&self.path("identity.json"), false)
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
        (&good.replace("machineName", "x"), "lacks machineName"),
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
fn a_key_that_is_none_is_refused_without_being_quoted() {
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
        let error = load(&machine.path("identity.json"), true).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("mode {mode:04o}")), "{text}");
        assert!(text.contains("chmod 600"), "{text}");
    }
    machine.chmod("private.pem", 0o400);
    machine.chmod("identity.json", 0o644);
    load(&machine.path("identity.json"), true).unwrap();
}

/// Kubernetes mounts a secret as links, themselves 0777, to files of mode 0644.
#[cfg(unix)]
#[test]
fn a_link_counts_by_its_target() {
    let machine = Machine::new();
    fs::rename(machine.path("private.pem"), machine.path("real.pem")).unwrap();
    std::os::unix::fs::symlink(machine.path("real.pem"), machine.path("private.pem")).unwrap();
    load(&machine.path("identity.json"), true).unwrap();
    machine.chmod("real.pem", 0o622);
    machine.refused("can be changed by other users");
}
