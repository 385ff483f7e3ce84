//! What is there once an emulator has started, and why one does not.

mod support;

use sikkerkey_emulator::{Emulator, Error};
use support::Client;

#[test]
fn the_identity_is_as_the_service_leaves_it() {
    let vault = Emulator::builder()
        .vault("vault_x")
        .machine_name("api-1")
        .start()
        .unwrap();
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(vault.identity_path()).unwrap()).unwrap();
    assert_eq!(json["machineId"], vault.machine_id());
    assert_eq!(
        (&json["machineName"], &json["vaultId"]),
        (&"api-1".into(), &"vault_x".into())
    );
    assert_eq!(json["apiUrl"], format!("http://localhost:{}", vault.port()));
    assert_eq!(
        vault.identity_path(),
        vault.home().join("vaults/vault_x/identity.json")
    );
    let key = vault.home().join("vaults/vault_x/private.pem");
    assert_eq!(json["privateKeyPath"], key.to_str().unwrap());
    assert_eq!(
        vault.machine_name(vault.machine_id()).as_deref(),
        Some("api-1")
    );
}

#[test]
fn a_given_home_stays_and_keeps_its_machines() {
    let home = tempfile::tempdir().unwrap();
    let start = |vault: &str| {
        Emulator::builder()
            .home(home.path())
            .vault(vault)
            .secret("sk_a", vault)
            .start()
            .unwrap()
    };
    let (one, two) = (start("vault_one"), start("vault_two"));
    assert_eq!(Client::of(&one).value("sk_a"), "vault_one");
    assert_eq!(Client::of(&two).value("sk_a"), "vault_two");
    let machine = one.machine_id().to_owned();
    drop(one);
    let again = start("vault_one");
    assert_eq!(again.machine_id(), machine);
    assert_eq!(Client::of(&again).value("sk_a"), "vault_one");
}

#[test]
fn errors_of_starting_name_their_cause() {
    let vault = Emulator::builder().start().unwrap();
    let taken = Emulator::builder().port(vault.port()).start().unwrap_err();
    assert_eq!(
        taken.to_string(),
        format!("cannot listen on localhost, port {}", vault.port())
    );
    for id in ["", "a/b", "..", "a b"] {
        assert!(
            matches!(
                Emulator::builder().vault(id).start(),
                Err(Error::VaultId { .. })
            ),
            "{id}"
        );
    }
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("vaults"), "").unwrap();
    assert!(matches!(
        Emulator::builder().home(home.path()).start(),
        Err(Error::Identity { .. })
    ));
}

#[test]
fn debug_shows_no_value() {
    let builder = Emulator::builder()
        .secret("sk_a", "canary")
        .structured("sk_b", [("f", "canary")]);
    assert!(!format!("{builder:?}").contains("canary"));
    let vault = builder.start().unwrap();
    Client::of(&vault).value("sk_a");
    assert!(!format!("{vault:?} {:?}", vault.requests()).contains("canary"));
}

#[test]
fn an_emulator_goes_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Emulator>();
    fn sent<T: Send>() {}
    sent::<sikkerkey_emulator::EmulatorBuilder>();
}

#[cfg(unix)]
#[test]
fn a_temporary_home_is_private_to_its_owner() {
    use std::os::unix::fs::PermissionsExt as _;
    let vault = Emulator::builder().start().unwrap();
    let mode = std::fs::metadata(vault.home())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}
