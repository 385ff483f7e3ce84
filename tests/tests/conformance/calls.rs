//! Every call that succeeds.

use std::time::Duration;

use serde_json::json;
use sikkerkey_emulator::{Fault, Token};

use crate::scenario::{Scenario, usual};

pub(crate) fn scenarios() -> Vec<Scenario> {
    vec![
        reads(),
        fields(),
        lists(),
        exports(),
        names(),
        bootstrap(),
        pattern(),
        retries(),
    ]
}

fn reads() -> Scenario {
    Scenario::plain("reads")
        .call(json!({"op": "open", "vault": "vault_abc123"}))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
        .call(json!({"op": "get_secret", "id": "sk_db_prod"}))
        .call(json!({"op": "get_secret", "id": "sk_text"}))
        .call(json!({"op": "get_secret", "id": "sk_empty"}))
        .call(json!({"op": "get_secret", "id": "sk_array"}))
        .call(json!({"op": "get_secret", "id": "sk_1b13qr1sb2"}))
        .then(|side| side.vault.put("sk_stripe_key", "sk-live-2"))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
        .then(|side| side.vault.delete("sk_stripe_key"))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
        .then(|side| side.vault.put("sk_stripe_key", "sk-live-3"))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
}

fn fields() -> Scenario {
    let unstructured = || {
        Scenario::new("fields", || {
            usual()
                .json(
                    "sk_forms",
                    r#"{"yes":true,"none":null,"list":[1,"a"],"object":{"a":1}}"#,
                )
                .json("sk_twice", r#"{"a":"1","a":"2"}"#)
                .secret("sk_no_fields", "{}")
                .secret("sk_null", "null")
                .secret("sk_number", "17")
                .secret("sk_tail", r#"{"a":"1"} x"#)
        })
    };
    unstructured()
        .call(json!({"op": "open", "vault": "abc123"}))
        .call(json!({"op": "get_fields", "id": "sk_db_prod"}))
        .call(json!({"op": "get_fields", "id": "sk_limits"}))
        .call(json!({"op": "get_fields", "id": "sk_twice"}))
        .call(json!({"op": "get_fields", "id": "sk_no_fields"}))
        .call(json!({"op": "get_field", "id": "sk_db_prod", "field": "password"}))
        .call(json!({"op": "get_field", "id": "sk_limits", "field": "port"}))
        .call(json!({"op": "get_field", "id": "sk_db_prod", "field": "user"}))
        .call(json!({"op": "get_field", "id": "sk_db_prod", "field": "Password"}))
        .call(json!({"op": "get_fields", "id": "sk_stripe_key"}))
        .call(json!({"op": "get_fields", "id": "sk_array"}))
        .call(json!({"op": "get_fields", "id": "sk_empty"}))
        .call(json!({"op": "get_fields", "id": "sk_null"}))
        .call(json!({"op": "get_fields", "id": "sk_number"}))
        .call(json!({"op": "get_fields", "id": "sk_tail"}))
        .call(json!({"op": "get_field", "id": "sk_text", "field": "a"}))
        .differs(
            json!({"op": "get_fields", "id": "sk_forms"}),
            "a field that is no string is its JSON text, not Python's",
            json!({"ok": {"yes": "true", "none": "null", "list": "[1,\"a\"]", "object": "{\"a\":1}"}}),
        )
}

fn lists() -> Scenario {
    Scenario::plain("lists")
        .call(json!({"op": "open", "vault": "vault_abc123"}))
        .call(json!({"op": "list_secrets"}))
        .call(json!({"op": "list_secrets_by_project", "project": "proj_production"}))
        .call(json!({"op": "list_secrets_by_project", "project": "proj_none"}))
        .then(|side| side.vault.allow("sk_denied"))
        .call(json!({"op": "list_secrets"}))
}

fn exports() -> Scenario {
    Scenario::plain("exports")
        .call(json!({"op": "open", "vault": "vault_abc123"}))
        .call(json!({"op": "export"}))
        .call(json!({"op": "export", "project": "proj_production"}))
        .call(json!({"op": "export", "project": "proj_none"}))
}

/// Display names become names of an environment in the same way.
fn names() -> Scenario {
    Scenario::new("names", || {
        let names = [
            "a.b-c",
            "  spaces  ",
            "ünïcode",
            "straße",
            "___",
            "A__B",
            "9lives",
            "ǆ",
            "ﬁx",
            "İ",
        ];
        names.iter().enumerate().fold(usual(), |vault, (n, name)| {
            let (one, two) = (format!("sk_n{n:02}"), format!("sk_s{n:02}"));
            vault
                .secret(&one, format!("v{n}"))
                .name(&one, *name)
                .structured(&two, [(*name, "in"), ("plain", "field")])
                .name(&two, format!("S {name}"))
        })
    })
    .call(json!({"op": "open", "vault": "vault_abc123"}))
    .call(json!({"op": "export"}))
}

fn bootstrap() -> Scenario {
    Scenario::plain("bootstrap")
        .prepare(|side| {
            let token = side.vault.enrollment_token(3, Duration::from_secs(600));
            side.words.insert("$TOKEN", token);
            let expired = side.vault.enrollment_token(1, Duration::ZERO);
            side.words.insert("$EXPIRED", expired);
            side.env.insert("HOSTNAME", "from-the-environment".into());
        })
        .call(json!({"op": "bootstrap", "vault": "vault_abc123", "token": "$TOKEN"}))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
        .call(json!({"op": "get_field", "id": "sk_db_prod", "field": "host"}))
        .call(json!({"op": "bootstrap", "vault": "vault_abc123", "token": "$TOKEN",
            "hostname": "worker-1", "name": "batch-runner"}))
        .call(json!({"op": "list_secrets"}))
        .call(json!({"op": "bootstrap", "vault": "vault_abc123", "token": "$TOKEN", "hostname": "worker-1"}))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
        .call(json!({"op": "bootstrap", "vault": "vault_abc123", "token": "$TOKEN"})) // spent
        .then(|side| side.vault.unlock())
        .call(json!({"op": "bootstrap", "vault": "vault_abc123", "token": "$EXPIRED"}))
        .then(|side| side.vault.unlock())
        .call(json!({"op": "bootstrap", "vault": "vault_abc123", "token": "never-issued"}))
        .then(|side| side.vault.unlock())
        .then(|side| side.vault.expire_machines())
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
}

fn pattern() -> Scenario {
    Scenario::plain("bootstrap with a name pattern")
        .prepare(|side| {
            let token = Token::new(1, Duration::from_secs(600)).name_pattern("worker-fixed");
            side.words.insert("$TOKEN", side.vault.issue(token));
        })
        .call(
            json!({"op": "bootstrap", "vault": "vault_abc123", "token": "$TOKEN", "name": "mine"}),
        )
}

/// Which failures are repeated, how often, and after how long.
fn retries() -> Scenario {
    let start = Scenario::plain("retries")
        .call(json!({"op": "open", "vault": "vault_abc123"}))
        .then(|side| {
            side.vault.fail_next(Fault::Status(503));
            side.vault.fail_next(Fault::Status(429));
        })
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
        .call(json!({"op": "delays"}));
    let statuses = [
        400, 402, 409, 410, 418, 429, 500, 501, 502, 503, 504, 520, 530,
    ];
    statuses.into_iter().fold(start, |scenario, status| {
        scenario
            .then(move |side| {
                side.vault.clear_faults();
                side.vault.fail_always(Fault::Status(status));
            })
            .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
            .call(json!({"op": "delays"}))
            .call(json!({"op": "list_secrets"}))
            .call(json!({"op": "export", "project": "proj_production"}))
            .call(json!({"op": "delays"}))
    })
}
