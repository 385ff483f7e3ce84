//! How a client finds its identity, and what it does without one.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::play::Side;
use crate::scenario::Scenario;

pub(crate) fn scenarios() -> Vec<Scenario> {
    vec![
        by_argument(),
        by_environment(),
        only_one(),
        several(),
        none(),
        broken(),
    ]
}

fn by_argument() -> Scenario {
    Scenario::plain("identity by argument")
        .call(json!({"op": "open", "vault": "vault_abc123"}))
        .call(json!({"op": "open", "vault": "abc123"}))
        .call(json!({"op": "open", "vault": "$IDENTITY"}))
        .call(json!({"op": "list_vaults"}))
        .call(json!({"op": "open", "vault": "vault_other"}))
        .call(json!({"op": "open", "vault": "/nowhere/identity.json"}))
        .call(json!({"op": "open", "vault": "nowhere/identity.json"}))
}

fn by_environment() -> Scenario {
    Scenario::plain("identity by environment")
        .prepare(|side| {
            let identity = side.vault.identity_path().display().to_string();
            side.env.insert("SIKKERKEY_IDENTITY", identity);
            side.home = side.folder.path().to_owned();
        })
        .call(json!({"op": "open"}))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
        .call(json!({"op": "open", "vault": "vault_abc123"})) // an argument goes first
        .call(json!({"op": "list_vaults"}))
}

fn only_one() -> Scenario {
    Scenario::plain("the only identity")
        .prepare(|side| {
            side.env.insert("SIKKERKEY_IDENTITY", String::new());
            // Neither counts: no identity in the one, and the other is no folder.
            let vaults = side.home.join("vaults");
            fs::create_dir(vaults.join("vault_empty")).unwrap();
            fs::write(vaults.join("vault_file"), "").unwrap();
        })
        .call(json!({"op": "open"}))
        .call(json!({"op": "list_vaults"}))
}

fn several() -> Scenario {
    Scenario::plain("several identities")
        .prepare(|side| {
            for vault in ["vault_zz", "vault_aa"] {
                copy(side, vault, |_| ());
            }
        })
        .call(json!({"op": "list_vaults"}))
        .call(json!({"op": "open"}))
        .call(json!({"op": "open", "vault": "zz"}))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
}

fn none() -> Scenario {
    Scenario::plain("no identity")
        .prepare(|side| side.home = side.folder.path().join("missing"))
        .call(json!({"op": "list_vaults"}))
        .call(json!({"op": "open"}))
        .call(json!({"op": "open", "vault": "vault_abc123"}))
}

/// Identities that no client must take.
fn broken() -> Scenario {
    Scenario::plain("broken identities")
        .prepare(|side| {
            copy(side, "vault_plain_http", |identity| {
                identity["apiUrl"] = json!("http://api.example.com");
            });
            copy(side, "vault_ftp", |identity| {
                identity["apiUrl"] = json!("ftp://localhost");
            });
            copy(side, "vault_no_url", |identity| {
                identity.as_object_mut().unwrap().remove("apiUrl");
            });
            copy(side, "vault_no_key", |identity| {
                identity.as_object_mut().unwrap().remove("privateKeyPath");
            });
            copy(side, "vault_extra", |identity| {
                identity["fromTheFuture"] = json!({"a": [1, 2]});
            });
            copy(side, "vault_like_localhost", |identity| {
                identity["apiUrl"] = json!("http://localhost.evil.example");
            });
            let folder = copy(side, "vault_not_json", |_| ());
            fs::write(folder.join("identity.json"), "not json").unwrap();
            let folder = copy(side, "vault_not_a_key", |_| ());
            fs::write(folder.join("private.pem"), "not a key").unwrap();
            // An X25519 key: PKCS#8, 32 bytes, and another algorithm.
            let folder = copy(side, "vault_x25519", |_| ());
            let key = "-----BEGIN PRIVATE KEY-----\n\
                       MC4CAQAwBQYDK2VuBCIEIHcHbQpzGKV9PBbBclGyZkXfTC+H68CZKrF3+6UduSwq\n\
                       -----END PRIVATE KEY-----\n";
            fs::write(folder.join("private.pem"), key).unwrap();
        })
        .call(json!({"op": "open", "vault": "vault_plain_http"}))
        .call(json!({"op": "open", "vault": "vault_ftp"}))
        .call(json!({"op": "open", "vault": "vault_no_url"}))
        .call(json!({"op": "open", "vault": "vault_no_key"}))
        .call(json!({"op": "open", "vault": "vault_not_json"}))
        .call(json!({"op": "open", "vault": "vault_not_a_key"}))
        .call(json!({"op": "open", "vault": "vault_x25519"}))
        .call(json!({"op": "open", "vault": "vault_extra"}))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
        .differs(
            json!({"op": "open", "vault": "vault_like_localhost"}),
            "the URL is parsed: a host that begins with localhost is not this machine",
            json!({"error": "Configuration", "status": null}),
        )
}

/// The emulator's identity again, as that of another vault, with its own key file.
fn copy(side: &Side, vault: &str, change: fn(&mut Value)) -> std::path::PathBuf {
    let own = side.vault.identity_path();
    let folder = side.home.join("vaults").join(vault);
    fs::create_dir(&folder).unwrap();
    let mut identity: Value = serde_json::from_str(&fs::read_to_string(own).unwrap()).unwrap();
    let key = Path::new(identity["privateKeyPath"].as_str().unwrap());
    fs::copy(key, folder.join("private.pem")).unwrap();
    identity["privateKeyPath"] = json!(folder.join("private.pem"));
    identity["vaultId"] = json!(vault);
    change(&mut identity);
    // `copy` keeps the mode, which both clients want to be private.
    fs::copy(own, folder.join("identity.json")).unwrap();
    fs::write(folder.join("identity.json"), identity.to_string()).unwrap();
    folder
}
