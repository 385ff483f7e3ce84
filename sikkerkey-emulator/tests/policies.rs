//! Policies: when a secret may be read, how often, and what reading it sets off. The service's clock makes the time.

mod support;

use std::time::{Duration, SystemTime};

use serde_json::json;
use sikkerkey_emulator::{Emulator, Policy};
use support::{Client, enroll};

const HOUR: Duration = Duration::from_secs(3600);
/// Thursday, 1 January 2026, 00:00 UTC.
const NEW_YEAR: i64 = 1_767_225_600;

/// A vault whose clock stands at the beginning of 2026, where `sk_a` has this policy, and a client with that clock.
fn start(policy: Policy) -> (Emulator, Client) {
    let vault = Emulator::builder()
        .lock_out(false)
        .secret("sk_a", "the-value")
        .secret("sk_b", "other")
        .policy("sk_a", policy)
        .start()
        .unwrap();
    // Half a minute in, so that what a test takes does not reach into the next minute.
    vault.set_clock_offset(NEW_YEAR + 30 - support::now());
    let client = Client::of(&vault).ahead(NEW_YEAR + 30 - support::now());
    (vault, client)
}

/// Lets time pass, for the service and for the client.
fn pass(vault: &Emulator, client: &mut Client, time: Duration) {
    vault.advance(time);
    client.ahead += time.as_secs() as i64;
}

#[track_caller]
fn statuses<const N: usize>(client: &Client) -> [u16; N] {
    [(); N].map(|()| client.get("/v1/secret/sk_a").status)
}

/// Another machine with the same clock.
fn second(vault: &Emulator, ahead: i64) -> Client {
    let token = vault.enrollment_token(1, Duration::from_secs(1_000_000));
    let (response, key) = enroll(vault, &token, json!({}));
    let machine = response.expect(201)["machineId"].as_str().unwrap().into();
    Client {
        machine,
        key,
        port: vault.port(),
        ahead,
    }
}

#[test]
fn a_window_opens_and_closes() {
    let office = || Policy::new().window("mon-fri 08:00-18:00 UTC".parse().unwrap());
    for (in_polls, closed) in [(false, ""), (true, "sk_a=access_denied")] {
        let (vault, mut client) = start(office().in_polls(in_polls));
        let refused = client.get("/v1/secret/sk_a").expect(403);
        assert_eq!(refused["error"], "Outside the access window");
        assert_eq!(client.poll(&["sk_a"]), closed);
        // It is still granted, and lists are no reads.
        assert_eq!(
            client.get("/v1/secrets").expect(200)["secrets"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
        pass(&vault, &mut client, 8 * HOUR);
        assert_eq!(client.value("sk_a"), "the-value");
        assert_eq!(client.poll(&["sk_a"]), "");
        pass(&vault, &mut client, 10 * HOUR);
        assert_eq!(client.get("/v1/secret/sk_a").status, 403);
        assert_eq!(client.poll(&["sk_a"]), closed);
        // From Thursday evening to Friday noon: it opened again, with the same value.
        pass(&vault, &mut client, 18 * HOUR);
        let returned = if in_polls { "sk_a=changed" } else { "" };
        assert_eq!(client.poll(&["sk_a"]), returned);
        assert_eq!(client.value("sk_a"), "the-value");
        assert_eq!(client.poll(&["sk_a"]), "");
        pass(&vault, &mut client, 24 * HOUR);
        assert_eq!(client.get("/v1/secret/sk_a").status, 403, "a Saturday");
    }
}

#[test]
fn reads_in_a_minute_and_in_a_day_have_caps() {
    let policy = Policy::new().reads_per_minute(2).reads_per_day(3);
    for status in [429, 403, 404, 410] {
        let (vault, mut client) = start(policy.clone().cap_status(status));
        assert_eq!(statuses(&client), [200, 200, status]);
        let refused = client.get("/v1/secret/sk_a").expect(status);
        assert_eq!(refused["error"], "Read limit reached");
        assert_eq!(client.poll(&["sk_a"]), "", "polls count nothing");
        pass(&vault, &mut client, Duration::from_secs(60));
        assert_eq!(statuses(&client), [200, status]);
        pass(&vault, &mut client, Duration::from_secs(60));
        assert_eq!(statuses(&client), [status]);
        pass(&vault, &mut client, 24 * HOUR);
        assert_eq!(statuses(&client), [200, 200, status]);
        assert_eq!((vault.reads("sk_a"), vault.reads("sk_b")), (5, 0));
        client.value("sk_b");
    }
}

#[test]
fn reads_come_from_an_allowed_network() {
    let policy = |v4: [u8; 4], v6| Policy::new().source(v4, 8).source(v6, 128);
    let here = policy([127, 0, 0, 0], std::net::Ipv6Addr::LOCALHOST);
    let elsewhere = policy([10, 0, 0, 0], std::net::Ipv6Addr::UNSPECIFIED);
    let (_vault, client) = start(here);
    assert_eq!(statuses(&client), [200]);
    for (in_polls, polled) in [(false, ""), (true, "sk_a=access_denied")] {
        let (vault, client) = start(elsewhere.clone().in_polls(in_polls));
        let refused = client.get("/v1/secret/sk_a").expect(403);
        assert_eq!(refused["error"], "Source address is not allowed");
        assert_eq!(client.poll(&["sk_a"]), polled);
        assert_eq!(vault.reads("sk_a"), 0);
    }
}

#[test]
fn a_second_machine_co_signs_for_a_time() {
    for (in_polls, polled) in [(false, ""), (true, "sk_a=access_denied")] {
        let policy = Policy::new().co_sign(true).in_polls(in_polls);
        let (vault, mut client) = start(policy.clone());
        let refused = client.get("/v1/secret/sk_a").expect(403);
        assert_eq!(refused["error"], "A second machine must co-sign");
        assert_eq!(client.poll(&["sk_a"]), polled);
        vault.co_sign("sk_a", HOUR);
        assert_eq!(statuses(&client), [200, 200]);
        pass(&vault, &mut client, HOUR);
        assert_eq!(statuses(&client), [403]);
        assert_eq!(client.poll(&["sk_a"]), polled);
        vault.co_sign("sk_a", HOUR);
        vault.set_policy("sk_a", policy);
        assert_eq!(statuses(&client), [403], "a new policy wants it anew");
    }
    let (_vault, client) = start(Policy::new().co_sign(false));
    assert_eq!(statuses(&client), [200]);
}

#[test]
fn machines_share_a_count_or_have_their_own() {
    let policy = Policy::new().reads_per_day(2);
    for (per_machine, other) in [(false, [429, 429, 429]), (true, [200, 200, 429])] {
        let (vault, client) = start(policy.clone().count_per_machine(per_machine));
        let second = second(&vault, client.ahead);
        assert_eq!(statuses(&client), [200, 200, 429]);
        assert_eq!(statuses(&second), other);
    }
}

#[test]
fn a_secret_is_spent_after_its_reads() {
    for (status, polled) in [
        (403, "sk_a=access_denied"),
        (404, "sk_a=deleted"),
        (410, "sk_a=deleted"),
        (429, "sk_a=access_denied"),
    ] {
        for (in_polls, polled) in [(true, polled), (false, "")] {
            let policy = Policy::new().ttl_max_reads(2).spent_status(status);
            let (vault, mut client) = start(policy.in_polls(in_polls));
            assert_eq!(statuses(&client), [200, 200, status]);
            assert_eq!(client.poll(&["sk_a"]), polled);
            pass(&vault, &mut client, 1000 * HOUR);
            assert_eq!(statuses(&client), [status]);
            // A new policy counts anew.
            vault.set_policy("sk_a", Policy::new().ttl_max_reads(1));
            assert_eq!(statuses(&client), [200, 403]);
            vault.set_policy("sk_a", None);
            assert_eq!(statuses(&client), [200]);
        }
    }
}

#[test]
fn a_secret_ends_at_its_time() {
    let ends = SystemTime::UNIX_EPOCH + Duration::from_secs(NEW_YEAR as u64) + HOUR;
    let policy = Policy::new().ttl_expires_at(ends).spent_status(410);
    let (vault, mut client) = start(policy.in_polls(true));
    assert_eq!(statuses(&client), [200, 200]);
    pass(&vault, &mut client, HOUR);
    assert_eq!(statuses(&client), [410]);
    assert_eq!(client.poll(&["sk_a", "sk_b"]), "sk_a=deleted");
}

#[test]
fn reads_rotate_a_secret() {
    let (vault, client) = start(Policy::new().rotate_after_reads(3));
    let other = second(&vault, client.ahead);
    other.value("sk_a");
    assert_eq!(
        [client.value("sk_a"), client.value("sk_a")],
        ["the-value"; 2]
    );
    for client in [&client, &other] {
        assert_eq!(client.poll(&["sk_a"]), "sk_a=changed");
    }
    assert_eq!(vault.rotations(), ["sk_a"]);
    let rotated = client.value("sk_a");
    assert_ne!(rotated, "the-value");
    assert_eq!(client.value("sk_a"), rotated);
    // A rotation by hand begins the count anew.
    vault.put("sk_a", "by hand");
    let values = [(); 4].map(|()| client.value("sk_a"));
    assert_eq!(values[..3], ["by hand"; 3]);
    assert_ne!(values[3], "by hand");

    let fields = [("user", json!("app")), ("password", json!("old"))];
    vault.put_structured("sk_a", fields);
    for _ in 0..3 {
        client.value("sk_a");
    }
    let value: serde_json::Value = serde_json::from_str(&client.value("sk_a")).unwrap();
    assert_eq!(value["user"], "app");
    assert_ne!(value["password"], "old");
}

#[test]
fn an_export_reads_what_its_policies_allow() {
    let (vault, client) = start(Policy::new().reads_per_minute(1));
    let exported = || {
        let response = client.post("/v1/secrets/export", "").expect(200);
        response["secrets"].as_array().unwrap().len()
    };
    assert_eq!([exported(), exported()], [2, 1]);
    assert_eq!(client.get("/v1/secret/sk_a").status, 429);
    assert_eq!((vault.reads("sk_a"), vault.reads("sk_b")), (1, 2));
}
