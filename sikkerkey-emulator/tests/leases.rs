//! Leased secrets: logins that are made by a read and end by themselves.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use sikkerkey_emulator::{Emulator, Lease, Policy};
use support::{Client, enroll};

const MINUTE: Duration = Duration::from_secs(60);

fn start(lease: Lease) -> (Emulator, Client) {
    let vault = Emulator::builder()
        .machine_lifetime(None)
        .structured("sk_pg", [("host", json!("db")), ("port", json!(5432))])
        .lease("sk_pg", lease)
        .start()
        .unwrap();
    let client = Client::of(&vault);
    (vault, client)
}

fn pass(vault: &Emulator, client: &mut Client, time: Duration) {
    vault.advance(time);
    client.ahead += time.as_secs() as i64;
}

/// What a read hands out.
#[track_caller]
fn login(client: &Client) -> Value {
    serde_json::from_str(&client.value("sk_pg")).unwrap()
}

fn good(vault: &Emulator, login: &Value) -> bool {
    let field = |name: &str| login[name].as_str().unwrap().to_owned();
    vault.accepts_login("sk_pg", field("username"), field("password"))
}

#[test]
fn a_login_is_made_at_the_first_read_and_ends() {
    let (vault, mut client) = start(Lease::new(10 * MINUTE));
    assert_eq!(vault.minted("sk_pg"), 0);
    let first = login(&client);
    assert_eq!(
        (&first["host"], &first["port"]),
        (&json!("db"), &json!(5432))
    );
    assert!(good(&vault, &first));
    pass(&vault, &mut client, 9 * MINUTE);
    assert_eq!(login(&client), first, "the same while it lasts");
    pass(&vault, &mut client, MINUTE);
    assert!(!good(&vault, &first), "reading did not extend it");
    let second = login(&client);
    assert_ne!(second["username"], first["username"]);
    assert_ne!(second["password"], first["password"]);
    assert!(good(&vault, &second) && !good(&vault, &first));
    assert_eq!(vault.minted("sk_pg"), 2);
    assert!(!vault.accepts_login("sk_pg", second["username"].as_str().unwrap(), "other"));
    assert!(!vault.accepts_login("sk_none", "a", "b"));

    let list = client.get("/v1/secrets").expect(200);
    assert_eq!(
        list["secrets"][0]["fieldNames"],
        "host,port,username,password"
    );
    assert_eq!(vault.minted("sk_pg"), 2, "a list mints none");
}

#[test]
fn reading_extends_a_lease_up_to_its_hard_end() {
    let terms = Lease::new(10 * MINUTE).renew_on_read(true);
    for (terms, kept) in [(terms.clone(), true), (terms.max_life(25 * MINUTE), false)] {
        let (vault, mut client) = start(terms);
        let first = login(&client);
        for _ in 0..2 {
            pass(&vault, &mut client, 9 * MINUTE);
            assert_eq!(login(&client), first);
        }
        pass(&vault, &mut client, 8 * MINUTE);
        assert_eq!(good(&vault, &first), kept, "26 minutes after it was made");
        assert_eq!(login(&client) == first, kept);
    }
}

#[test]
fn every_read_may_make_a_login() {
    let (vault, mut client) = start(Lease::new(10 * MINUTE).mint_on_every_read(true));
    let first = login(&client);
    pass(&vault, &mut client, 5 * MINUTE);
    let second = login(&client);
    assert_ne!(first, second);
    assert!(good(&vault, &first) && good(&vault, &second));
    pass(&vault, &mut client, 5 * MINUTE);
    assert!(!good(&vault, &first) && good(&vault, &second));
    assert_eq!(vault.minted("sk_pg"), 2);
}

#[test]
fn a_policy_limits_a_lease_and_does_not_rotate_it() {
    let (vault, client) = start(Lease::new(10 * MINUTE));
    vault.set_policy(
        "sk_pg",
        Policy::new().rotate_after_reads(1).ttl_max_reads(2),
    );
    let first = login(&client);
    assert_eq!(login(&client), first);
    assert_eq!(client.get("/v1/secret/sk_pg").status, 403);
    assert!(good(&vault, &first), "the login itself lasts");
}

#[test]
fn each_machine_has_its_own_login() {
    let (vault, client) = start(Lease::new(10 * MINUTE));
    let token = vault.enrollment_token(1, MINUTE);
    let (response, key) = enroll(&vault, &token, json!({}));
    let machine = response.expect(201)["machineId"].as_str().unwrap().into();
    let other = Client {
        machine,
        key,
        ..client.clone()
    };
    assert_ne!(login(&client), login(&other));
    assert_eq!(login(&client), login(&client));
}

#[test]
fn logins_end_with_the_grant_of_their_machine() {
    for (revoked, lasts) in [(false, true), (true, false)] {
        let (vault, client) = start(Lease::new(10 * MINUTE).revoke_on_disable(revoked));
        let first = login(&client);
        vault.disable_machines();
        assert_eq!(good(&vault, &first), lasts);
        vault.enable_machines();
        assert_eq!(login(&client) == first, lasts);
    }
    let (vault, client) = start(Lease::new(10 * MINUTE));
    let first = login(&client);
    vault.end_leases("sk_pg");
    assert!(!good(&vault, &first));
    let second = login(&client);
    vault.delete("sk_pg");
    assert!(!good(&vault, &second));
    assert_eq!(client.get("/v1/secret/sk_pg").status, 404);
}

#[test]
fn polls_report_a_lease_that_has_ended_or_nothing() {
    for (in_polls, ended, gone) in [(false, "", ""), (true, "sk_pg=changed", "sk_pg=deleted")] {
        let (vault, mut client) = start(Lease::new(10 * MINUTE).in_polls(in_polls));
        assert_eq!(client.poll(&["sk_pg"]), "", "never read");
        login(&client);
        assert_eq!(client.poll(&["sk_pg"]), "");
        pass(&vault, &mut client, 10 * MINUTE);
        assert_eq!(client.poll(&["sk_pg"]), ended);
        assert_eq!(client.poll(&["sk_pg"]), ended, "until it is read");
        login(&client);
        assert_eq!(client.poll(&["sk_pg"]), "");
        vault.put_structured("sk_pg", [("host", "db2")]);
        assert_eq!(client.poll(&["sk_pg"]), ended, "another address");
        assert_eq!(login(&client)["host"], "db2");
        vault.delete("sk_pg");
        assert_eq!(client.poll(&["sk_pg"]), gone);
    }
}
