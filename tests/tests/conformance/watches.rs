//! Watches: what is told, in which order, and what the polls ask for.

use std::time::Duration;

use serde_json::json;
use sikkerkey_emulator::Fault;

use crate::play::Side;
use crate::scenario::Scenario;

pub(crate) fn scenarios() -> Vec<Scenario> {
    vec![changes(), endings(), failing_read()]
}

/// Waits for a poll that asks for exactly these secrets and was answered.
fn polled(ids: &'static [&'static str]) -> impl Fn(&mut Side) {
    move |side| {
        side.vault.clear_requests();
        let found = side.vault.wait_for(Duration::from_secs(20), |requests| {
            requests.iter().any(|request| {
                let body: serde_json::Value =
                    serde_json::from_slice(&request.body).unwrap_or_default();
                let mut watched: Vec<_> = body["watch"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|id| id.as_str())
                    .collect();
                watched.sort_unstable();
                request.path == "/v1/secrets/poll" && request.status == 200 && watched == ids
            })
        });
        assert!(found, "no poll asked for {ids:?}");
    }
}

fn changes() -> Scenario {
    Scenario::plain("watch: changes")
        .call(json!({"op": "open", "vault": "vault_abc123"}))
        .call(json!({"op": "set_poll_interval", "seconds": 30}))
        .call(json!({"op": "quick_polls"}))
        .call_while_polling(json!({"op": "get_secret", "id": "sk_stripe_key"}))
        .call_while_polling(json!({"op": "watch", "id": "sk_stripe_key"}))
        .then(polled(&["sk_stripe_key"]))
        .then(|side| side.vault.put("sk_stripe_key", "sk-live-2"))
        .call_while_polling(json!({"op": "next_event"}))
        .then(|side| {
            side.vault
                .put("sk_stripe_key", r#"{"now":"in two fields","n":1}"#)
        })
        .call_while_polling(json!({"op": "next_event"}))
        .then(|side| side.vault.put("sk_stripe_key", "grüß 🔑"))
        .call_while_polling(json!({"op": "next_event"}))
        .call_while_polling(json!({"op": "watch", "id": "sk_db_prod"}))
        .then(polled(&["sk_db_prod", "sk_stripe_key"]))
        .then(|side| {
            side.vault
                .put_structured("sk_db_prod", [("host", "db2"), ("password", "hunter3")])
        })
        .call_while_polling(json!({"op": "next_event"}))
        .call_while_polling(json!({"op": "unwatch", "id": "sk_stripe_key"}))
        .then(polled(&["sk_db_prod"]))
        .then(|side| side.vault.put("sk_stripe_key", "not told"))
        .then(|side| side.vault.put_structured("sk_db_prod", [("host", "db3")]))
        .call_while_polling(json!({"op": "next_event"}))
        .call_while_polling(json!({"op": "close"}))
        .call_while_polling(json!({"op": "get_secret", "id": "sk_db_prod"}))
        .call_while_polling(json!({"op": "close"}))
        .call_while_polling(json!({"op": "watch", "id": "sk_text"})) // after close, a new watch polls again
        .then(polled(&["sk_text"]))
        .then(|side| side.vault.put("sk_text", "again"))
        .call_while_polling(json!({"op": "next_event"}))
}

fn endings() -> Scenario {
    Scenario::plain("watch: endings")
        .call(json!({"op": "open", "vault": "vault_abc123"}))
        .call(json!({"op": "quick_polls"}))
        .call_while_polling(json!({"op": "watch", "id": "sk_stripe_key"}))
        .call_while_polling(json!({"op": "watch", "id": "sk_db_prod"}))
        .call_while_polling(json!({"op": "watch", "id": "sk_text"}))
        .then(polled(&["sk_db_prod", "sk_stripe_key", "sk_text"]))
        .then(|side| side.vault.delete("sk_stripe_key"))
        .call_while_polling(json!({"op": "next_event"}))
        .then(polled(&["sk_db_prod", "sk_text"])) // a secret that is gone is not watched any more
        .then(|side| side.vault.deny("sk_db_prod"))
        .call_while_polling(json!({"op": "next_event"}))
        .then(polled(&["sk_text"]))
        .then(|side| side.vault.put("sk_stripe_key", "back"))
        .call_while_polling(json!({"op": "watch", "id": "sk_stripe_key"}))
        .then(polled(&["sk_stripe_key", "sk_text"]))
        .then(|side| side.vault.put("sk_text", "changed"))
}

/// The poll says changed, and the read fails.
fn failing_read() -> Scenario {
    Scenario::plain("watch: a read that fails")
        .call(json!({"op": "open", "vault": "vault_abc123"}))
        .call(json!({"op": "quick_polls"}))
        .call_while_polling(json!({"op": "watch", "id": "sk_text"}))
        .then(polled(&["sk_text"]))
        .then(|side| {
            side.vault
                .fail_next_matching("/v1/secret/", Fault::Status(500));
            side.vault.put("sk_text", "changed");
        })
        .call_while_polling(json!({"op": "next_event"}))
        .differs(
            json!({"op": "next_event"}),
            "the end of an outage is told too; the change follows",
            json!({"ok": {"id": "sk_text", "status": "recovered", "value": null, "fields": null}}),
        )
}
