//! The fallback cache: when it serves, and files that cross from one client to the other.

use std::ffi::OsStr;

use serde_json::json;
use sikkerkey_emulator::Fault;

use crate::play::{Player, Side};
use crate::scenario::{Scenario, usual};

pub(crate) fn scenarios() -> Vec<Scenario> {
    vec![serves(), counts()]
}

/// Every status, with a value in the cache: who serves it?
fn serves() -> Scenario {
    let start = Scenario::plain("cache: what it serves for")
        .call(json!({"op": "open", "vault": "vault_abc123"}))
        .call(json!({"op": "enable_cache"}))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
        .call(json!({"op": "get_secret", "id": "sk_db_prod"}))
        .call(json!({"op": "get_secret", "id": "sk_text"}));
    // 403 and 404 come last: they take the entry out of this cache, and not out of the official one.
    let statuses = [
        502, 503, 504, 519, 520, 521, 522, 523, 524, 525, 526, 527, 528, 529, 530, 531, 400, 401,
        409, 429, 500, 501, 505, 418,
    ];
    statuses
        .into_iter()
        .fold(start, |scenario, status| {
            scenario
                .then(move |side| {
                    side.vault.clear_faults();
                    side.vault.fail_always(Fault::Status(status));
                })
                .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
                .call(json!({"op": "get_field", "id": "sk_db_prod", "field": "password"}))
                .call(json!({"op": "get_secret", "id": "sk_empty"})) // never read, so not there
                .call(json!({"op": "list_secrets"}))
        })
        .call(json!({"op": "fallbacks_told"}))
        .then(|side| {
            side.vault.clear_faults();
            side.vault.deny("sk_text");
        })
        .call(json!({"op": "get_secret", "id": "sk_text"}))
        .then(|side| side.vault.fail_always(Fault::Status(502)))
        .differs(
            json!({"op": "get_secret", "id": "sk_text"}),
            "a value that was refused to this machine is taken out of the cache",
            json!({"error": "Api", "status": 502}),
        )
}

fn counts() -> Scenario {
    Scenario::plain("cache: count and clear")
        .call(json!({"op": "open", "vault": "vault_abc123"}))
        .call(json!({"op": "enable_cache", "max_age": 3600}))
        .call(json!({"op": "cached_count"}))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
        .call(json!({"op": "get_fields", "id": "sk_db_prod"}))
        .call(json!({"op": "get_secret", "id": "sk_empty"}))
        .call(json!({"op": "cached_count"}))
        .then(|side| side.vault.fail_always(Fault::Status(502)))
        .call(json!({"op": "get_secret", "id": "sk_empty"}))
        .call(json!({"op": "clear_cache"}))
        .call(json!({"op": "cached_count"}))
        .call(json!({"op": "get_secret", "id": "sk_stripe_key"}))
}

/// What one client puts into the folder, the other serves from it; and a file that was put there for another secret
/// is served by neither. Returns how many values crossed.
pub(crate) fn cross(python: &OsStr) -> usize {
    let ids = [
        "sk_stripe_key",
        "sk_db_prod",
        "sk_limits",
        "sk_text",
        "sk_empty",
        "sk_array",
    ];
    let mut crossed = 0;
    for official_writes in [true, false] {
        let side = Side::new(usual().start().unwrap());
        let mut writer = if official_writes {
            Player::official(python)
        } else {
            Player::ours()
        }
        .start(&side);
        let mut reader = if official_writes {
            Player::ours()
        } else {
            Player::official(python)
        }
        .start(&side);
        for client in [&mut writer, &mut reader] {
            client.ask(&json!({"op": "open", "vault": "vault_abc123"}));
            client.ask(&json!({"op": "enable_cache"}));
        }
        let read: Vec<_> = ids
            .iter()
            .map(|id| writer.ask(&json!({"op": "get_secret", "id": id})))
            .collect();
        // Ours counts what is written once everything is.
        for client in [&mut writer, &mut reader] {
            assert_eq!(
                client.ask(&json!({"op": "cached_count"})),
                json!({"ok": ids.len()})
            );
        }

        side.vault.fail_always(Fault::Status(502));
        for (id, value) in ids.iter().zip(&read) {
            assert!(value.get("ok").is_some(), "{id}: {value}");
            assert_eq!(
                reader.ask(&json!({"op": "get_secret", "id": id})),
                *value,
                "{id}"
            );
            crossed += 1;
        }
        let folder = side.home.join("vaults/vault_abc123/cache");
        std::fs::copy(folder.join("sk_text.skc"), folder.join("sk_empty.skc")).unwrap();
        for client in [&mut writer, &mut reader] {
            let answer = client.ask(&json!({"op": "get_secret", "id": "sk_empty"}));
            assert_eq!(answer, json!({"error": "Api", "status": 502}));
        }
        assert_eq!(
            reader.ask(&json!({"op": "clear_cache"})),
            json!({"ok": null})
        );
        assert_eq!(writer.ask(&json!({"op": "cached_count"})), json!({"ok": 0}));
    }
    crossed
}
