//! Each setting of a policy and a lease in a file of secrets, under both answers.

mod support;

use std::time::Duration;

use serde_json::json;
use sikkerkey_emulator::{Emulator, SecretsFile};
use support::{Client, enroll};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A vault from a file in which `sk_a` has these settings, half a minute into a day, and a client with its clock.
fn serve(settings: &str) -> (Emulator, Client) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.toml");
    std::fs::write(&path, format!("[sk_a]\nvalue = 'of-a-file'\n{settings}\n")).unwrap();
    let file = SecretsFile::open(&path).unwrap();
    let vault = Emulator::builder()
        .lock_out(false)
        .machine_lifetime(None)
        .file(&file)
        .start()
        .unwrap();
    // 1 January 2026, 00:00:30 UTC, a Thursday.
    let offset = 1_767_225_630 - support::now();
    vault.set_clock_offset(offset);
    let client = Client::of(&vault).ahead(offset);
    (vault, client)
}

fn pass(vault: &Emulator, client: &mut Client, time: Duration) {
    vault.advance(time);
    client.ahead += time.as_secs() as i64;
}

/// Another machine of the same vault.
fn second(vault: &Emulator, client: &Client) -> Client {
    let token = vault.enrollment_token(1, DAY);
    let (response, key) = enroll(vault, &token, json!({}));
    let machine = response.expect(201)["machineId"].as_str().unwrap().into();
    Client {
        machine,
        key,
        ..client.clone()
    }
}

fn status(client: &Client) -> u16 {
    client.get("/v1/secret/sk_a").status
}

#[test]
fn a_refusal_has_its_status_and_polls_report_it_or_not() {
    let table = [
        ("window = 'fri 00:00-24:00 UTC'", 403, "sk_a=access_denied"),
        (
            "window = ['fri 00:00-24:00 UTC']",
            403,
            "sk_a=access_denied",
        ),
        ("window = 'daily 00:00-24:00 UTC'", 200, ""),
        ("sources = ['10.0.0.0/8']", 403, "sk_a=access_denied"),
        ("sources = ['127.0.0.1', '::1']", 200, ""),
        ("co_sign = true", 403, "sk_a=access_denied"),
        ("co_sign = false", 200, ""),
        (
            "ttl_expires_at = 2026-01-01T00:00:00Z",
            403,
            "sk_a=access_denied",
        ),
        (
            "ttl_expires_at = 2026-01-01T00:00:00Z, spent_status = 404",
            404,
            "sk_a=deleted",
        ),
        (
            "ttl_expires_at = 2026-01-01T00:00:00Z, spent_status = 410",
            410,
            "sk_a=deleted",
        ),
        ("ttl_expires_at = 2026-01-02T00:00:00Z", 200, ""),
        ("reads_per_minute = 0", 429, ""),
        ("reads_per_minute = 0, cap_status = 403", 403, ""),
        ("reads_per_day = 0, cap_status = 410", 410, ""),
        ("ttl_max_reads = 0", 403, "sk_a=access_denied"),
        ("ttl_max_reads = 0, spent_status = 404", 404, "sk_a=deleted"),
        (
            "ttl_max_reads = 0, spent_status = 429",
            429,
            "sk_a=access_denied",
        ),
    ];
    for (policy, expected, polled) in table {
        for (in_polls, polled) in [(true, polled), (false, "")] {
            let text = format!("policy = {{ {policy}, in_polls = {in_polls} }}");
            let (_vault, client) = serve(&text);
            assert_eq!(status(&client), expected, "{text}");
            assert_eq!(client.poll(&["sk_a"]), polled, "{text}");
        }
    }
}

#[test]
fn reads_are_counted_together_or_for_each_machine() {
    for limit in ["reads_per_minute", "reads_per_day", "ttl_max_reads"] {
        for (per_machine, other) in [(false, 429), (true, 200)] {
            let (vault, client) = serve(&format!(
                "policy = {{ {limit} = 1, count_per_machine = {per_machine}, spent_status = 429 }}"
            ));
            let second = second(&vault, &client);
            assert_eq!([status(&client), status(&client)], [200, 429], "{limit}");
            assert_eq!(status(&second), other, "{limit}, {per_machine}");
        }
    }
}

#[test]
fn a_cap_ends_with_its_minute_or_day_and_a_life_does_not() {
    for (limit, after_a_minute, after_a_day) in [
        ("reads_per_minute", 200, 200),
        ("reads_per_day", 429, 200),
        ("ttl_max_reads", 429, 429),
    ] {
        let (vault, mut client) = serve(&format!("policy = {{ {limit} = 1, spent_status = 429 }}"));
        assert_eq!([status(&client), status(&client)], [200, 429], "{limit}");
        pass(&vault, &mut client, Duration::from_secs(60));
        assert_eq!(status(&client), after_a_minute, "{limit}");
        pass(&vault, &mut client, DAY);
        assert_eq!(status(&client), after_a_day, "{limit}");
    }
}

#[test]
fn a_rotation_follows_the_reads_that_the_file_says() {
    for (policy, rotated) in [("rotate_after_reads = 2", true), ("", false)] {
        let (_vault, client) = serve(&format!("policy = {{ {policy} }}"));
        let values = [(); 3].map(|()| client.value("sk_a"));
        assert_eq!(values[..2], ["of-a-file"; 2]);
        assert_eq!(values[2] != "of-a-file", rotated);
        let polled = if rotated { "sk_a=changed" } else { "" };
        client.value("sk_a");
        assert_eq!(client.poll(&["sk_a"]), polled);
    }
}

#[test]
fn a_lease_follows_its_terms() {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    // Whether the second read, six minutes on, gets the first login; whether that login still lasts after twelve.
    for (terms, same, lasts) in [
        ("", true, false),
        ("renew_on_read = true", true, true),
        ("renew_on_read = false", true, false),
        ("renew_on_read = true, max_life = '11m'", true, false),
        ("renew_on_read = true, max_life = '1h'", true, true),
        ("mint_on_every_read = true", false, false),
        ("mint_on_every_read = false", true, false),
    ] {
        let (vault, mut client) = serve(&format!("lease = {{ ttl = '10m', {terms} }}"));
        let first = client.value("sk_a");
        pass(&vault, &mut client, minutes(6));
        assert_eq!(client.value("sk_a") == first, same, "{terms}");
        pass(&vault, &mut client, minutes(6));
        assert_eq!(accepts(&vault, &first), lasts, "{terms}");
    }
    for (disabled, lasts) in [(true, false), (false, true)] {
        let (vault, client) = serve(&format!(
            "lease = {{ ttl = '10m', revoke_on_disable = {disabled} }}"
        ));
        let login = client.value("sk_a");
        vault.disable_machines();
        assert_eq!(accepts(&vault, &login), lasts);
    }
    for (in_polls, polled) in [(true, "sk_a=changed"), (false, "")] {
        let (vault, mut client) =
            serve(&format!("lease = {{ ttl = '10m', in_polls = {in_polls} }}"));
        client.value("sk_a");
        pass(&vault, &mut client, minutes(10));
        assert_eq!(client.poll(&["sk_a"]), polled);
    }
}

/// Whether the database would take a login that a read handed out.
fn accepts(vault: &Emulator, login: &str) -> bool {
    let login: serde_json::Value = serde_json::from_str(login).unwrap();
    let field = |name: &str| login[name].as_str().unwrap().to_owned();
    vault.accepts_login("sk_a", field("username"), field("password"))
}

#[test]
fn projects_applications_and_kinds_come_from_the_file() {
    let kinds = [
        "secret",
        "structured",
        "managed",
        "leased-secret",
        "certificate",
        "canary",
    ];
    for kind in kinds {
        let (vault, client) = serve(&format!("kind = '{kind}'"));
        let list = client.get("/v1/cli/secrets").expect(200);
        assert_eq!(list["secrets"][0]["type"], kind);
        client.value("sk_a");
        let alarms = if kind == "canary" { &["sk_a"][..] } else { &[] };
        assert_eq!(vault.alarms(), alarms);
    }
    let (_vault, client) = serve(
        "project = 'proj_x'\nproject_name = 'X'\napplication = 'app_y'\napplication_name = 'Y'",
    );
    let projects = client.get("/v1/cli/projects").expect(200);
    assert_eq!(
        projects["projects"][0],
        json!({ "projectId": "proj_x", "projectName": "X", "applicationId": "app_y", "applicationName": "Y" })
    );
    for (body, found) in [
        (r#"{"projectId":"proj_x"}"#, 1),
        (r#"{"applicationId":"app_y"}"#, 1),
        (r#"{"applicationId":"app_z"}"#, 0),
    ] {
        let export = client.post("/v1/secrets/export", body).expect(200);
        assert_eq!(export["secrets"].as_array().unwrap().len(), found, "{body}");
    }
}
