//! The rich list, projects and applications, and the record of what was read.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde_json::{Value, json};
use sikkerkey_emulator::{Emulator, EmulatorBuilder, Kind, Lease, TypeField};
use support::Client;

fn builder() -> EmulatorBuilder {
    Emulator::builder()
        .secret("sk_a", "1")
        .structured("sk_b", [("user", "u"), ("password", "p")])
        .structured("sk_pg", [("host", "db")])
        .lease("sk_pg", Lease::new(Duration::from_secs(60)))
        .secret("sk_managed", "1")
        .kind("sk_managed", Kind::Managed)
        .secret("sk_trap", "canary")
        .kind("sk_trap", Kind::Canary)
        .secret("sk_cert", "{}")
        .kind("sk_cert", Kind::Certificate)
        .project("sk_a", "proj_x")
        .project("sk_b", "proj_y")
        .project("sk_pg", "proj_x")
        .project_name("proj_x", "X")
        .project_application("proj_x", "app_1")
        .application("sk_b", "app_2")
        .application_name("app_1", "One")
}

fn start(setting: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder) -> (Emulator, Client) {
    let vault = setting(builder()).start().unwrap();
    let client = Client::of(&vault);
    (vault, client)
}

fn rich(client: &Client) -> Vec<Value> {
    let list = client.get("/v1/cli/secrets").expect(200);
    list["secrets"].as_array().unwrap().clone()
}

#[test]
fn the_rich_list_names_projects_applications_and_kinds() {
    let (vault, client) = start(|b| b);
    let list = rich(&client);
    assert_eq!(
        list[0],
        json!({
            "id": "sk_a", "name": "sk_a", "fieldNames": null, "projectId": "proj_x", "projectName": "X",
            "applicationId": "app_1", "applicationName": "One", "type": "secret",
        })
    );
    assert_eq!(
        list[1],
        json!({
            "id": "sk_b", "name": "sk_b", "fieldNames": "user,password", "projectId": "proj_y",
            "projectName": "proj_y", "applicationId": "app_2", "applicationName": "app_2",
            "type": "structured",
        })
    );
    let kinds: Vec<_> = list
        .iter()
        .map(|item| item["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "secret",
            "structured",
            "leased-secret",
            "managed",
            "canary",
            "certificate"
        ]
    );
    vault.deny("sk_a");
    assert_eq!(rich(&client).len(), 5);
    assert!(vault.read_counts().is_empty(), "a list reads nothing");

    let (_vault, client) = start(|b| b.null_fields(false));
    assert_eq!(
        rich(&client)[3],
        json!({ "id": "sk_managed", "name": "sk_managed", "type": "managed" })
    );
}

#[test]
fn the_projects_are_those_with_a_grant() {
    let (vault, client) = start(|b| b);
    let projects = || client.get("/v1/cli/projects").expect(200);
    let x = json!({
        "projectId": "proj_x", "projectName": "X", "applicationId": "app_1", "applicationName": "One",
    });
    let y = json!({
        "projectId": "proj_y", "projectName": "proj_y", "applicationId": "app_2",
        "applicationName": "app_2",
    });
    assert_eq!(projects(), json!({ "projects": [x, y] }));
    vault.deny("sk_b");
    vault.deny("sk_a");
    assert_eq!(
        projects(),
        json!({ "projects": [x] }),
        "sk_pg is left in it"
    );
    vault.move_to("sk_pg", None);
    assert_eq!(projects(), json!({ "projects": [] }));
}

#[test]
fn an_application_is_exported_alone() {
    let (_vault, client) = start(|b| b);
    let ids = |body: &str| -> Vec<_> {
        let export = client.post("/v1/secrets/export", body).expect(200);
        let secrets = export["secrets"].as_array().unwrap().clone();
        secrets
            .iter()
            .map(|s| s["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(r#"{"applicationId":"app_1"}"#), ["sk_a", "sk_pg"]);
    assert_eq!(ids(r#"{"applicationId":"app_2"}"#), ["sk_b"]);
    assert_eq!(ids(r#"{"applicationId":"app_none"}"#), [""; 0]);
    let both = r#"{"projectId":"proj_y","applicationId":"app_1"}"#;
    assert_eq!(ids(both), ["sk_b"], "the project goes first");
}

#[test]
fn an_older_service_knows_less() {
    let (_vault, client) = start(|b| b.cli_calls(false));
    for path in ["/v1/cli/secrets", "/v1/cli/projects"] {
        assert_eq!(client.get(path).expect(404)["error"], "Not found");
    }
    for (shown, expected) in [
        (TypeField::Shown, json!("secret")),
        (TypeField::Empty, json!("")),
        (TypeField::LeftOut, Value::Null),
    ] {
        let (_vault, client) = start(|b| b.type_field(shown));
        let list = rich(&client);
        assert_eq!(list[0]["type"], expected);
        assert_eq!(list[0].get("type").is_some(), shown != TypeField::LeftOut);
    }
}

#[test]
fn the_calls_of_the_rich_list_are_signed_gets_without_a_query() {
    let (_vault, client) = start(|b| b.lock_out(false));
    for path in ["/v1/cli/secrets", "/v1/cli/projects"] {
        assert_eq!(client.post(path, "").status, 405);
        assert_eq!(client.get(&format!("{path}?type=canary")).status, 400);
        let forged = client
            .request("GET", path, "")
            .with(|r| r.signature = Some("AAAA".into()));
        assert_eq!(forged.send().status, 401);
    }
}

#[test]
fn reads_are_counted_by_secret() {
    let (vault, client) = start(|b| b.record_limit(0));
    client.value("sk_a");
    client.value("sk_a");
    client.get("/v1/secrets").expect(200);
    client.poll(&["sk_b", "sk_trap"]);
    client
        .post("/v1/secrets/export", r#"{"projectId":"proj_y"}"#)
        .expect(200);
    assert_eq!(
        (
            vault.reads("sk_a"),
            vault.reads("sk_b"),
            vault.reads("sk_trap")
        ),
        (2, 1, 0)
    );
    let counts: Vec<_> = vault.read_counts().into_iter().collect();
    assert_eq!(counts, [("sk_a".into(), 2), ("sk_b".into(), 1)]);
    vault.assert_reads_only(["sk_a", "sk_b", "sk_pg"]);
    vault.assert_reads_only(&["sk_a".to_owned(), "sk_b".to_owned()]);
    assert!(vault.alarms().is_empty() && vault.rotations().is_empty());
    vault.clear_reads();
    vault.assert_reads_only([""; 0]);
    assert_eq!(vault.reads("sk_a"), 0);
}

#[test]
fn a_display_name_allows_its_secret() {
    let (vault, client) = start(|b| b.name("sk_a", "The First"));
    client.value("sk_a");
    client.value("sk_b");
    vault.assert_reads_only(["The First", "sk_b"]);
    let outside = catch_unwind(AssertUnwindSafe(|| vault.assert_reads_only(["The First"])));
    let text = outside.unwrap_err();
    let text = text.downcast_ref::<String>().unwrap();
    assert!(text.ends_with(": sk_b"), "{text}");
}

#[test]
fn a_read_outside_the_set_is_named_without_its_value() {
    let (vault, client) = start(|b| b);
    client.value("sk_a");
    client.value("sk_trap");
    vault.deny("sk_b");
    client.get("/v1/secret/sk_b").expect(403);
    client.get("/v1/secret/sk_none").expect(404);
    assert_eq!(vault.alarms(), ["sk_trap"]);
    let panic = catch_unwind(AssertUnwindSafe(|| vault.assert_reads_only(["sk_a"]))).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert_eq!(
        text,
        "secrets outside the given set were read: sk_b, sk_none, sk_trap"
    );
}
