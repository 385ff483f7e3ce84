//! Secrets in a TOML file. What is right and wrong in one, the emulator's parser decides too, by the
//! same files.

#![cfg(all(feature = "derive", feature = "toml"))]

use std::fs;
use std::path::{Path, PathBuf};

use sikkerkey::{
    ErrorKind, ExposeSecret as _, ProblemKind, ReadOutcome, SecretRef, SecretString,
    SikkerKeyConfig, Snapshot,
};

/// The emulator's files with that ending.
fn fixtures(ending: &str) -> Vec<PathBuf> {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../sikkerkey-emulator/tests/fixtures"
    );
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect()
}

/// A copy that nobody else can change, whatever the checkout made of it.
fn copied(folder: &Path, fixture: &Path) -> PathBuf {
    let copy = folder.join("secrets.toml");
    let text = fs::read(fixture.with_extension("toml")).unwrap();
    write(&copy, text)
}

fn write(path: &Path, text: impl AsRef<[u8]>) -> PathBuf {
    fs::write(path, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    path.to_owned()
}

#[test]
fn the_right_fixtures_are_read() {
    let fixtures = fixtures("json");
    assert!(fixtures.len() >= 3);
    let folder = tempfile::tempdir().unwrap();
    for fixture in fixtures {
        let snapshot = Snapshot::from_toml_file(copied(folder.path(), &fixture)).unwrap();
        let expected = fs::read(&fixture).unwrap();
        let expected: serde_json::Value = serde_json::from_slice(&expected).unwrap();
        let expected = expected.as_array().unwrap();
        assert_eq!(snapshot.iter().count(), expected.len(), "{fixture:?}");
        for secret in expected {
            let id = secret["id"].as_str().unwrap();
            let found = snapshot.get(id).unwrap();
            if let Some(name) = secret["name"].as_str() {
                let name = SecretRef::Name(name.to_owned());
                assert_eq!(snapshot.id_of(&name), Some(id));
            }
            if secret["denied"] == true {
                assert_eq!(*found, ReadOutcome::Denied, "{id}");
                continue;
            }
            let value = found.value().map(SecretString::expose_secret);
            assert_eq!(value, secret["value"].as_str(), "{id}");
        }
    }
}

#[test]
fn the_wrong_fixtures_are_refused_at_their_line() {
    let fixtures = fixtures("mistake");
    assert!(fixtures.len() >= 13);
    let folder = tempfile::tempdir().unwrap();
    for fixture in fixtures {
        let line = fs::read_to_string(&fixture).unwrap();
        let path = copied(folder.path(), &fixture);
        let error = Snapshot::from_toml_file(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        let place = format!("{}:{}:", path.display(), line.trim());
        assert!(
            error.to_string().starts_with(&place),
            "{fixture:?}: {error}"
        );
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
}

#[derive(Debug, SikkerKeyConfig)]
struct Config {
    #[sikkerkey(name = "DB creds", field = "port")]
    port: u16,
    #[sikkerkey(secret = "sk_token")]
    token: SecretString,
}

#[test]
fn a_config_is_built_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.dev.toml");
    let load = |text: &str| {
        let secrets = Snapshot::from_toml_file(write(&path, text)).unwrap();
        Config::offline(secrets).load()
    };
    let token = "sk_token = 'tok-in-a-file'\n";
    let db = |port: &str| {
        format!("{token}[sk_db]\nname = 'DB creds'\nfields = {{ host = 'db', port = {port} }}")
    };
    let config = load(&db("5433")).unwrap();
    assert_eq!(config.port, 5433);
    assert_eq!(config.token.expose_secret(), "tok-in-a-file");

    // A value of the wrong type is the config's to tell.
    for port in ["'high'", "true", "65536", "1.5"] {
        let error = load(&db(port)).unwrap_err();
        assert_eq!(error.problems().len(), 1);
        assert_eq!(error.problems()[0].kind(), ProblemKind::Invalid);
        assert!(!error.to_string().contains("high"), "{error}");
    }
    let error = load(&format!("{token}denied = 'x'")).unwrap_err();
    assert_eq!(error.problems()[0].kind(), ProblemKind::Missing);
    let error = load("[sk_token]\nvalue = 'x'\ndenied = true").unwrap_err();
    let kinds: Vec<_> = error.problems().iter().map(|p| p.kind()).collect();
    assert_eq!(kinds, [ProblemKind::Missing, ProblemKind::Denied]);
    // Two secrets of one name.
    let other = format!("{}\n[sk_db2]\nname = 'DB creds'\nvalue = '1'", db("1"));
    let error = load(&other).unwrap_err();
    assert_eq!(error.problems()[0].kind(), ProblemKind::Ambiguous);
    // As overrides, too, that is the only problem: the config may read either of them.
    let overrides = Snapshot::from_toml_file(write(&path, other)).unwrap();
    let error = Config::offline(Snapshot::default())
        .overrides(overrides)
        .load()
        .unwrap_err();
    let kinds: Vec<_> = error.problems().iter().map(|p| p.kind()).collect();
    assert_eq!(kinds, [ProblemKind::Ambiguous], "{error}");
}
