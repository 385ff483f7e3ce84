//! What the service refuses, and answers that are none.

use std::fs;

use serde_json::{Value, json};
use sikkerkey_emulator::{Fault, Reply};

use crate::scenario::{Scenario, usual};

pub(crate) fn scenarios() -> Vec<Scenario> {
    vec![
        refused(),
        bad_signature(),
        old_timestamp(),
        corrected_clock(),
        repeated_nonce(),
        expired(),
        nonsense(),
    ]
}

fn refused() -> Scenario {
    Scenario::plain("refused")
        .call(json!({"op": "open", "vault": "vault_abc123"}))
        .call(json!({"op": "get_secret", "id": "sk_denied"}))
        .call(json!({"op": "get_fields", "id": "sk_denied"}))
        .call(json!({"op": "get_field", "id": "sk_denied", "field": "a"}))
        .call(json!({"op": "get_secret", "id": "sk_missing"}))
        .then(|side| side.vault.deny("sk_stripe_key"))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
        .call(json!({"op": "export"}))
        .then(|side| side.vault.delete("sk_db_prod"))
        .call(json!({"op": "get_fields", "id": "sk_db_prod"}))
        .call(json!({"op": "list_secrets"}))
        .then(|side| side.vault.disable_machines())
        .call(json!({"op": "get_secret", "id": "sk_text"}))
        .call(json!({"op": "list_secrets"}))
        .call(json!({"op": "export"}))
        .then(|side| side.vault.enable_machines())
        .call(json!({"op": "get_secret", "id": "sk_text"}))
        .differs(
            json!({"op": "get_secret", "id": "../secrets"}),
            "an id that could be another path is refused before anything is sent",
            json!({"error": "InvalidId", "status": null}),
        )
        .differs(
            json!({"op": "get_secret", "id": "sk_text?x=1"}),
            "an id that could be another path is refused before anything is sent",
            json!({"error": "InvalidId", "status": null}),
        )
}

/// A key that is not the machine's; after three failures the address is locked out.
fn bad_signature() -> Scenario {
    Scenario::plain("bad signature")
        .prepare(|side| {
            let identity = fs::read_to_string(side.vault.identity_path()).unwrap();
            let identity: Value = serde_json::from_str(&identity).unwrap();
            let key = "-----BEGIN PRIVATE KEY-----\n\
                       MC4CAQAwBQYDK2VwBCIEIHcHbQpzGKV9PBbBclGyZkXfTC+H68CZKrF3+6UduSwq\n\
                       -----END PRIVATE KEY-----\n";
            fs::write(identity["privateKeyPath"].as_str().unwrap(), key).unwrap();
        })
        .call(json!({"op": "open", "vault": "vault_abc123"}))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
        .call(json!({"op": "list_secrets"}))
        .call(json!({"op": "export"}))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
        .call(json!({"op": "delays"}))
        .then(|side| side.vault.unlock())
        .call(json!({"op": "list_secrets_by_project", "project": "proj_production"}))
}

/// A proxy's `Age` header makes the `Date` worthless, so nobody can tell how late it is.
fn old_timestamp() -> Scenario {
    Scenario::new("old timestamp", || usual().header("Age", "1"))
        .call(json!({"op": "open", "vault": "vault_abc123"}))
        .call(json!({"op": "clock_ahead", "seconds": -240}))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
        .call(json!({"op": "clock_ahead", "seconds": 240}))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
        .call(json!({"op": "clock_ahead", "seconds": -360}))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
        .call(json!({"op": "clock_ahead", "seconds": 360}))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
}

fn corrected_clock() -> Scenario {
    Scenario::plain("a clock that is off")
        .call(json!({"op": "open", "vault": "vault_abc123"}))
        .call(json!({"op": "clock_ahead", "seconds": -3600}))
        .differs(
            json!({"op": "get_secret", "id": "sk_stripe_key"}),
            "the service's Date shows that the clock is off, so the call is signed once more",
            json!({"ok": "sk-live-1"}),
        )
}

fn repeated_nonce() -> Scenario {
    Scenario::plain("repeated nonce")
        .call(json!({"op": "open", "vault": "vault_abc123"}))
        .call(json!({"op": "fix_nonce", "seed": 1}))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
        .call(json!({"op": "list_secrets"}))
        .call(json!({"op": "free_nonce"}))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
}

fn expired() -> Scenario {
    Scenario::plain("expired machine")
        .call(json!({"op": "open", "vault": "vault_abc123"}))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
        .then(|side| side.vault.expire_machines())
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
        .call(json!({"op": "list_secrets"}))
        .call(json!({"op": "delays"}))
}

/// Where the official client lets an exception of Python through, this one has an error.
fn nonsense() -> Scenario {
    let decode = || json!({"error": "Decode", "status": 200});
    let none = || json!({"error": "Network", "status": null});
    let html = || {
        Reply::new(404)
            .header("Content-Type", "text/html")
            .body("<html>nothing</html>")
    };
    Scenario::plain("nonsense")
        .call(json!({"op": "open", "vault": "vault_abc123"}))
        .then(move |side| side.vault.fail_next(html()))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
        .then(|side| side.vault.fail_next(Fault::InvalidJson))
        .differs(
            json!({"op": "get_secret", "id": "sk_stripe_key"}),
            "an error of its own",
            decode(),
        )
        .then(|side| side.vault.fail_next(Fault::EmptyObject))
        .differs(
            json!({"op": "get_secret", "id": "sk_stripe_key"}),
            "an error of its own",
            decode(),
        )
        .then(|side| side.vault.fail_next(Fault::InvalidUtf8))
        .differs(
            json!({"op": "get_secret", "id": "sk_stripe_key"}),
            "an error of its own",
            decode(),
        )
        .then(|side| side.vault.fail_always(Fault::Truncated))
        .differs(
            json!({"op": "get_secret", "id": "sk_stripe_key"}),
            "an answer that is cut off is no answer, and is asked for again",
            none(),
        )
        .then(|side| side.vault.clear_faults())
        .then(|side| side.vault.fail_always(Fault::Close))
        .differs(
            json!({"op": "get_secret", "id": "sk_stripe_key"}),
            "a connection that closes is no answer, and is asked for again",
            none(),
        )
        .then(|side| side.vault.clear_faults())
        .then(|side| {
            let elsewhere = format!("{}/v1/secret/sk_text", side.vault.url());
            side.vault.fail_next(Fault::Redirect(elsewhere));
        })
        .differs(
            json!({"op": "get_secret", "id": "sk_stripe_key"}),
            "a redirect is never followed",
            json!({"error": "Api", "status": 302}),
        )
}
