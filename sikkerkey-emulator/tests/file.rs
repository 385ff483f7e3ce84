//! A file of secrets whose edits are rotations.

mod support;

use std::fs;
use std::path::PathBuf;

use sikkerkey_emulator::{Edit, Emulator, FileError, SecretsFile};
use support::Client;

struct Served {
    _folder: tempfile::TempDir,
    path: PathBuf,
    file: SecretsFile,
    vault: Emulator,
    client: Client,
}

fn serve(text: &str) -> Served {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.toml");
    fs::write(&path, text).unwrap();
    let file = SecretsFile::open(&path).unwrap();
    let vault = Emulator::builder().file(&file).start().unwrap();
    let client = Client::of(&vault);
    Served {
        _folder: folder,
        path,
        file,
        vault,
        client,
    }
}

impl Served {
    /// What an edit does once its content has settled.
    fn edit(&mut self, text: &str) -> Result<Option<Edit>, FileError> {
        fs::write(&self.path, text).unwrap();
        self.settle()
    }

    fn settle(&mut self) -> Result<Option<Edit>, FileError> {
        assert!(
            self.file.reload(&self.vault).unwrap().is_none(),
            "seen once is not settled"
        );
        self.file.reload(&self.vault)
    }
}

#[test]
fn an_edit_is_a_rotation() {
    let mut served = serve("sk_a = '1'\nsk_b = '1'\nsk_c = '1'\n[sk_d]\nfields = { x = '1' }");
    assert_eq!(served.file.len(), 4);
    assert_eq!(served.client.value("sk_d"), r#"{"x": "1"}"#);
    for id in ["sk_a", "sk_b", "sk_c"] {
        served.client.value(id);
    }
    let edit = served
        .edit("sk_a = '2'\nsk_b = '1'\nsk_new = '1'\n[sk_d]\nname = 'D'\nfields = { x = '1' }")
        .unwrap()
        .unwrap();
    assert_eq!(edit.rotated, ["sk_a"]);
    assert_eq!(edit.added, ["sk_new"]);
    assert_eq!(edit.described, ["sk_d"]);
    assert_eq!(edit.deleted, ["sk_c"]);
    assert_eq!(
        served.client.poll(&["sk_a", "sk_b", "sk_c", "sk_d"]),
        "sk_a=changed sk_c=deleted"
    );
    assert_eq!(served.client.value("sk_a"), "2");
    assert_eq!(
        served.client.get("/v1/secrets").expect(200)["secrets"][2]["name"],
        "D"
    );
    assert!(served.file.reload(&served.vault).unwrap().is_none());
}

#[test]
fn a_grant_can_be_withdrawn_and_given_back() {
    let mut served = serve("sk_a = '1'");
    let edit = served
        .edit("[sk_a]\nvalue = '1'\ndenied = true")
        .unwrap()
        .unwrap();
    assert_eq!(edit.described, ["sk_a"]);
    assert_eq!(served.client.get("/v1/secret/sk_a").status, 403);
    served.edit("sk_a = '1'").unwrap().unwrap();
    assert_eq!(served.client.value("sk_a"), "1");
}

#[test]
fn a_broken_edit_is_reported_once_and_changes_nothing() {
    let mut served = serve("sk_a = '1'");
    let error = served
        .edit("sk_a = '2'\nsk_b = canary")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("secrets.toml:2:8: ") && !error.contains("canary"),
        "{error}"
    );
    assert!(served.file.reload(&served.vault).unwrap().is_none());
    assert_eq!(served.client.value("sk_a"), "1");
    fs::remove_file(&served.path).unwrap();
    assert!(matches!(served.settle(), Err(FileError::Read { .. })));
    assert!(served.file.reload(&served.vault).unwrap().is_none());
    assert_eq!(served.client.value("sk_a"), "1");
    assert_eq!(
        served.edit("sk_a = '2'").unwrap().unwrap().rotated,
        ["sk_a"]
    );
}

#[test]
fn a_half_written_file_is_not_served() {
    let mut served = serve("sk_a = '1'\nsk_b = '1'");
    fs::write(&served.path, "sk_a = '2'\n").unwrap();
    assert!(served.file.reload(&served.vault).unwrap().is_none());
    let edit = served.edit("sk_a = '2'\nsk_b = '2'").unwrap().unwrap();
    assert_eq!((edit.rotated.len(), edit.deleted.len()), (2, 0));
}

#[test]
fn a_comment_is_not_an_edit() {
    let mut served = serve("sk_a = '1'");
    assert!(served.edit("# why\nsk_a = '1'").unwrap().is_none());
    assert_eq!(served.client.poll(&["sk_a"]), "");
}

#[test]
fn debug_shows_no_value() {
    let served = serve("sk_a = 'canary'");
    let shown = format!("{:?}", served.file);
    assert!(shown.contains("sk_a") && !shown.contains("canary"));
    assert!(matches!(
        SecretsFile::open("/nowhere/s.toml"),
        Err(FileError::Read { .. })
    ));
}

#[test]
fn policies_leases_and_kinds_come_from_the_file() {
    let file = |value: &str, most: u32| {
        format!(
            "[sk_a]\nvalue = '{value}'\nkind = 'managed'\nproject = 'proj_x'\nproject_name = 'X'\n\
             application = 'app_y'\napplication_name = 'Y'\npolicy = {{ ttl_max_reads = {most} }}\n\
             [sk_pg]\nfields = {{ host = 'db' }}\nlease = {{ ttl = '1h' }}\n"
        )
    };
    let mut served = serve(&file("1", 2));
    let login = served.client.value("sk_pg");
    assert!(login.starts_with(r#"{"host": "db", "username": "lease_"#));
    let list = served.client.get("/v1/cli/secrets").expect(200);
    let item = &list["secrets"][0];
    let names = ["projectName", "applicationId", "applicationName", "type"];
    assert_eq!(
        names.map(|name| item[name].as_str().unwrap()),
        ["X", "app_y", "Y", "managed"]
    );

    assert_eq!(served.client.value("sk_a"), "1");
    // Another value is no other policy: what was counted stays, and so does the lease.
    served.edit(&file("2", 2)).unwrap().unwrap();
    assert_eq!(served.client.value("sk_a"), "2");
    assert_eq!(served.client.get("/v1/secret/sk_a").status, 403);
    assert_eq!(served.client.value("sk_pg"), login);
    let edit = served.edit(&file("2", 1)).unwrap().unwrap();
    assert_eq!(
        (edit.described, edit.rotated),
        (vec!["sk_a".to_owned()], vec![])
    );
    assert_eq!(served.client.value("sk_a"), "2");
    assert_eq!(served.client.get("/v1/secret/sk_a").status, 403);

    // An edit that removes a name takes it from the lists, too.
    let mut unnamed = file("2", 1);
    for name in ["project_name = 'X'\n", "application_name = 'Y'\n"] {
        unnamed = unnamed.replace(name, "");
    }
    served.edit(&unnamed).unwrap().unwrap();
    let list = served.client.get("/v1/cli/secrets").expect(200);
    let item = &list["secrets"][0];
    assert_ne!(item["projectName"], "X");
    assert_ne!(item["applicationName"], "Y");
}

/// The files beside this test with that ending.
fn fixtures(ending: &str) -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect()
}

#[test]
fn the_right_fixtures_are_served() {
    let fixtures = fixtures("json");
    assert!(fixtures.len() >= 3);
    for expected in fixtures {
        let file = SecretsFile::open(expected.with_extension("toml")).unwrap();
        let expected: serde_json::Value =
            serde_json::from_slice(&fs::read(&expected).unwrap()).unwrap();
        let expected = expected.as_array().unwrap();
        assert_eq!(file.len(), expected.len());
        let vault = Emulator::builder()
            .lock_out(false)
            .file(&file)
            .start()
            .unwrap();
        let client = Client::of(&vault);
        let list = client.get("/v1/secrets").expect(200);
        for secret in expected {
            let id = secret["id"].as_str().unwrap();
            let response = client.get(&format!("/v1/secret/{id}"));
            if secret["denied"] == true {
                assert_eq!(response.status, 403, "{id}");
                continue;
            }
            let mut listed = list["secrets"].as_array().unwrap().iter();
            let listed = listed.find(|item| item["id"] == id).unwrap();
            assert_eq!(listed["name"], *secret.get("name").unwrap_or(&secret["id"]));
            // A policy, a lease or a certificate makes another answer of it.
            if file.path().ends_with("values.toml") {
                assert_eq!(response.expect(200)["value"], secret["value"], "{id}");
            }
        }
    }
}

#[test]
fn the_wrong_fixtures_are_refused_at_their_line() {
    let fixtures = fixtures("mistake");
    assert!(fixtures.len() >= 8);
    for expected in fixtures {
        let line: usize = fs::read_to_string(&expected)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let error = SecretsFile::open(expected.with_extension("toml")).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        match error {
            FileError::Content { line: found, .. } => assert_eq!(found, line, "{expected:?}"),
            other => panic!("{other}"),
        }
    }
}
