//! Identities through the public door: files that an emulator wrote, and what becomes of them.

mod common;

use std::fs;
use std::path::Path;

use common::{builder, chain, emulator};
use sikkerkey::{ErrorKind, SikkerKey};
use sikkerkey_emulator::Emulator;

fn vault() -> Emulator {
    emulator().secret("sk_key", "sk-live-1").start().unwrap()
}

#[test]
fn a_path_may_be_text_or_a_path() {
    let vault = vault();
    let path: &Path = vault.identity_path();
    SikkerKey::new(path).unwrap().get_secret("sk_key").unwrap();
    SikkerKey::new(path.to_str().unwrap()).unwrap();
    SikkerKey::new(path.display().to_string()).unwrap();
    SikkerKey::builder().identity_file(path).build().unwrap();
    SikkerKey::builder().vault(path).build().unwrap();
}

#[test]
fn what_is_missing_is_named_with_what_to_do() {
    for name in ["/nowhere/identity.json", "nowhere/identity.json"] {
        let error = SikkerKey::new(name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        let text = error.to_string();
        let path = std::path::absolute(name).unwrap().display().to_string();
        assert!(text.contains(&path) && text.contains("enroll"), "{text}");
    }
    let error = SikkerKey::new("a b/c").unwrap_err();
    assert!(
        error.to_string().contains("is neither a vault id"),
        "{error}"
    );
}

#[test]
fn a_key_that_is_damaged_is_not_quoted() {
    let vault = vault();
    let key = vault.identity_path().with_file_name("private.pem");
    let pem = fs::read_to_string(&key).unwrap();
    let body = pem.lines().nth(1).unwrap().to_owned();
    fs::write(&key, pem.replace("PRIVATE", "PUBLIC")).unwrap();
    let text = chain(&builder(&vault).build().unwrap_err());
    assert!(
        text.contains("holds a public key") && !text.contains(&body[20..]),
        "{text}"
    );
}

#[cfg(unix)]
#[test]
fn a_folder_that_was_mounted_as_kubernetes_does_works() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let vault = vault();
    let mount = tempfile::tempdir().unwrap();
    let data = mount.path().join("..data");
    fs::create_dir(&data).unwrap();
    for name in ["identity.json", "private.pem"] {
        fs::copy(vault.identity_path().with_file_name(name), data.join(name)).unwrap();
        fs::set_permissions(data.join(name), fs::Permissions::from_mode(0o644)).unwrap();
        symlink(data.join(name), mount.path().join(name)).unwrap();
    }
    // The path in the identity is the enrolling machine's; here it is gone.
    let path = mount.path().join("identity.json");
    let json = fs::read_to_string(&path).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&json).unwrap();
    json["privateKeyPath"] = "/root/.sikkerkey/gone.pem".into();
    fs::write(data.join("identity.json"), json.to_string()).unwrap();

    SikkerKey::new(&path).unwrap().get_secret("sk_key").unwrap();
    let strict = SikkerKey::builder()
        .identity_file(&path)
        .refuse_shared_key_file(true);
    let error = strict.build().unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");
}
