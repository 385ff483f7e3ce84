//! The six calls, and what changes in the vault does to their answers.

mod support;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sikkerkey_emulator::{Emulator, Token};
use support::{Client, enroll, post_unsigned};

fn vault() -> Emulator {
    Emulator::builder()
        .secret("sk_single", "one")
        .structured("sk_db", [("host", json!("db")), ("port", json!(5432))])
        .name("sk_db", "DB creds")
        .project("sk_db", "proj_a")
        .application("sk_single", "app_a")
        .denied("sk_denied", "no")
        .start()
        .unwrap()
}

#[test]
fn a_read_gives_the_value() {
    let vault = vault();
    let client = Client::of(&vault);
    assert_eq!(client.value("sk_single"), "one");
    assert_eq!(client.value("sk_db"), r#"{"host": "db", "port": 5432}"#);
    let recorded = vault.requests();
    assert_eq!(
        (recorded[0].method.as_str(), recorded[0].path.as_str()),
        ("GET", "/v1/secret/sk_single")
    );
    assert_eq!((recorded[0].status, recorded[0].handled), (200, true));
    assert_eq!(recorded[0].machine_id.as_deref(), Some(vault.machine_id()));
}

#[test]
fn an_unreadable_secret_says_why() {
    let vault = vault();
    let client = Client::of(&vault);
    assert_eq!(
        client.get("/v1/secret/sk_none").expect(404)["error"],
        "Secret not found"
    );
    assert_eq!(
        client.get("/v1/secret/sk_denied").expect(403)["error"],
        "Access denied"
    );
    assert_eq!(client.get("/v1/other").expect(404)["error"], "Not found");
    assert_eq!(client.get("/v1/secret/").expect(404)["error"], "Not found");
    assert_eq!(
        client.get("/v1/secret/a/b").expect(404)["error"],
        "Not found"
    );
    let wrong = client.post("/v1/secret/sk_single", "");
    assert_eq!(wrong.header("Allow"), Some("GET"));
    wrong.expect(405);
    assert_eq!(client.get("/v1/secrets/poll").status, 405);
}

#[test]
fn lists_show_what_may_be_read() {
    let vault = vault();
    let client = Client::of(&vault);
    assert_eq!(
        client.get("/v1/secrets").expect(200),
        json!({ "secrets": [
            { "id": "sk_single", "name": "sk_single", "fieldNames": null, "projectId": null },
            { "id": "sk_db", "name": "DB creds", "fieldNames": "host,port", "projectId": "proj_a" },
        ]})
    );
    let project = client
        .post("/v1/secrets/list", r#"{"projectId":"proj_a"}"#)
        .expect(200);
    assert_eq!(project["secrets"].as_array().unwrap().len(), 1);
    let none = client
        .post("/v1/secrets/list", r#"{"projectId":"proj_none"}"#)
        .expect(200);
    assert_eq!(none, json!({ "secrets": [] }));
    client.post("/v1/secrets/list", "{}").expect(400);
    client.post("/v1/secrets/list", "not json").expect(400);

    vault.rename("sk_single", "API key");
    vault.move_to("sk_single", Some("proj_a"));
    vault.move_to("sk_db", None);
    let project = client
        .post("/v1/secrets/list", r#"{"projectId":"proj_a"}"#)
        .expect(200);
    assert_eq!(project["secrets"][0]["name"], "API key");
}

#[test]
fn an_export_reads_everything_in_scope() {
    let vault = vault();
    let client = Client::of(&vault);
    assert_eq!(
        client.post("/v1/secrets/export", "").expect(200),
        json!({ "secrets": [
            { "id": "sk_single", "name": "sk_single", "value": "one", "fieldNames": null },
            { "id": "sk_db", "name": "DB creds", "value": "{\"host\": \"db\", \"port\": 5432}", "fieldNames": "host,port" },
        ]})
    );
    let ids = |body: &str| -> Vec<_> {
        let response = client.post("/v1/secrets/export", body).expect(200);
        response["secrets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(r#"{"projectId":"proj_a"}"#), ["sk_db"]);
    assert_eq!(ids(r#"{"applicationId":"app_a"}"#), ["sk_single"]);
    assert_eq!(ids("{}"), ["sk_single", "sk_db"]);
    client.post("/v1/secrets/export", "[").expect(400);

    vault.put("sk_single", "two");
    assert_eq!(client.poll(&["sk_single"]), "sk_single=changed");
    ids("{}");
    assert_eq!(client.poll(&["sk_single"]), "");
}

#[test]
fn changed_means_since_this_machine_read_it() {
    let vault = vault();
    let one = Client::of(&vault);
    let token = vault.enrollment_token(1, Duration::from_secs(60));
    let (response, key) = enroll(&vault, &token, json!({}));
    let other = Client {
        machine: response.json()["machineId"].as_str().unwrap().into(),
        key,
        port: vault.port(),
        ahead: 0,
    };

    one.value("sk_single");
    other.value("sk_single");
    assert_eq!(one.poll(&["sk_single", "sk_db"]), "");
    vault.put("sk_single", "two");
    assert_eq!(one.poll(&["sk_single", "sk_db"]), "sk_single=changed");
    assert_eq!(one.poll(&["sk_single"]), "sk_single=changed");
    assert_eq!(one.value("sk_single"), "two");
    assert_eq!(one.poll(&["sk_single"]), "");
    assert_eq!(other.poll(&["sk_single"]), "sk_single=changed");
    // The same value again is a change, too.
    vault.put("sk_single", "two");
    assert_eq!(one.poll(&["sk_single"]), "sk_single=changed");
}

#[test]
fn a_secret_goes_and_comes_back() {
    let vault = vault();
    let client = Client::of(&vault);
    client.value("sk_single");
    client.value("sk_db");
    vault.delete("sk_single");
    vault.deny("sk_db");
    assert_eq!(
        client.poll(&["sk_single", "sk_db", "sk_none"]),
        "sk_db=access_denied sk_none=deleted sk_single=deleted"
    );
    assert_eq!(client.get("/v1/secret/sk_single").status, 404);
    assert_eq!(client.get("/v1/secret/sk_db").status, 403);
    assert_eq!(
        client.get("/v1/secrets").expect(200),
        json!({ "secrets": [] })
    );
    vault.put_all([("sk_single", "back"), ("sk_db", r#"{"host":"db2"}"#)]);
    vault.allow("sk_db");
    assert_eq!(
        client.poll(&["sk_single", "sk_db"]),
        "sk_db=changed sk_single=changed"
    );
    assert_eq!(client.value("sk_single"), "back");
    let list = client.get("/v1/secrets").expect(200);
    assert_eq!(list["secrets"][1]["name"], "DB creds");
}

#[test]
fn a_poll_asks_for_a_list() {
    let vault = vault();
    let client = Client::of(&vault);
    for body in [
        "",
        "{}",
        "[]",
        r#"{"watch":"sk_single"}"#,
        r#"{"watch":[1]}"#,
    ] {
        client.post("/v1/secrets/poll", body).expect(400);
    }
    assert_eq!(client.poll(&[]), "");
}

#[test]
fn an_enrolled_machine_reads() {
    let vault = vault();
    let token = vault.enrollment_token(2, Duration::from_secs(60));
    let (response, key) = enroll(&vault, &token, json!({ "name": "worker" }));
    assert_eq!(response.status, 201);
    let response = response.json();
    assert_eq!(
        (&response["machineName"], &response["vaultId"]),
        (&json!("worker"), &json!("vault_emulator"))
    );
    assert_eq!(response["apiUrl"], vault.url());
    let left = response["expiresAt"].as_i64().unwrap() - support::now();
    assert!((3590..=3600).contains(&left));
    let machine = response["machineId"].as_str().unwrap().to_owned();
    assert_eq!(vault.machine_name(&machine).as_deref(), Some("worker"));
    assert_eq!(vault.machine_ids().len(), 2);
    let client = Client {
        machine,
        key,
        port: vault.port(),
        ahead: 0,
    };
    assert_eq!(client.value("sk_single"), "one");
    vault.advance(Duration::from_secs(3601));
    let ahead =
        |r: &mut support::Request<'_>| r.timestamp = Some((support::now() + 3601).to_string());
    let expired = client.request("GET", "/v1/secrets", "").with(ahead).send();
    assert_eq!(expired.expect(401)["error"], "Machine expired");
}

#[test]
fn a_token_has_its_limits() {
    let vault = Emulator::builder()
        .lock_out(false)
        .secret("sk_a", "a")
        .secret("sk_b", "b")
        .start()
        .unwrap();
    let error = |token: &str, more| {
        enroll(&vault, token, more).0.expect(401)["error"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(error("nonsense", json!({})), "Unknown enrollment token");
    let once = vault.enrollment_token(1, Duration::from_secs(60));
    for bad in [
        json!({ "publicKey": "AAAA" }),
        json!({ "publicKey": null }),
        json!({ "hostname": " " }),
    ] {
        assert_eq!(enroll(&vault, &once, bad).0.status, 400);
    }
    assert_eq!(enroll(&vault, &once, json!({})).0.status, 201);
    assert_eq!(error(&once, json!({})), "Enrollment token has no uses left");
    let late = vault.enrollment_token(1, Duration::from_secs(60));
    vault.advance(Duration::from_secs(61));
    assert_eq!(error(&late, json!({})), "Enrollment token expired");

    let policy = Token::new(9, Duration::from_secs(60))
        .name_pattern("w-{uuid8}")
        .secrets(["sk_a"])
        .machine_lifetime(None);
    let token = vault.issue(policy);
    let (response, key) = enroll(&vault, &token, json!({ "name": "ignored" }));
    let response = response.expect(201);
    let name = response["machineName"].as_str().unwrap();
    assert!(name.len() == 10 && name.starts_with("w-"), "{name}");
    assert!(response.get("expiresAt").is_none());
    let client = Client {
        machine: response["machineId"].as_str().unwrap().into(),
        key,
        port: vault.port(),
        ahead: 0,
    };
    assert_eq!(client.value("sk_a"), "a");
    assert_eq!(client.get("/v1/secret/sk_b").status, 403);

    let again = json!({ "publicKey": STANDARD.encode(client.key.verifying_key().to_bytes()) });
    assert_eq!(
        enroll(&vault, &token, again).0.expect(409)["error"],
        "This key is already enrolled"
    );
    assert_eq!(
        post_unsigned(&vault, "/v1/vault_other/enroll/register", "{}").status,
        404
    );
    assert_eq!(
        post_unsigned(&vault, "/v1/vault_emulator/enroll/register", "{\"token\":").status,
        400
    );
}

#[test]
fn machines_expire_and_are_disabled() {
    let vault = vault();
    let client = Client::of(&vault);
    vault.disable_machines();
    assert_eq!(client.get("/v1/secrets").status, 403);
    vault.enable_machines();
    assert_eq!(client.get("/v1/secrets").status, 200);
    vault.expire_machines();
    assert_eq!(client.get("/v1/secrets").status, 401);
    let token = vault.enrollment_token(1, Duration::from_secs(60));
    assert_eq!(enroll(&vault, &token, json!({})).0.status, 201);
}
