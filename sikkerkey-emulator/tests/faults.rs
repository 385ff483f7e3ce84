//! Each fault as it shows on the wire, before and after the service acts.

mod support;

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use sikkerkey_emulator::{Emulator, Fault, Hold, Reply};
use support::{Client, connect, exchange};

fn start() -> (Emulator, Client) {
    let vault = Emulator::builder()
        .secret("sk_a", "the-value")
        .start()
        .unwrap();
    let client = Client::of(&vault);
    (vault, client)
}

/// Everything that comes for one read under this fault, and whether the connection was reset.
fn read(vault: &Emulator, client: &Client, fault: impl Into<Fault>) -> (String, bool) {
    vault.fail_next(fault);
    let (bytes, reset) = exchange(vault.port(), &closing(client));
    (String::from_utf8_lossy(&bytes).into_owned(), reset)
}

fn closing(client: &Client) -> Vec<u8> {
    let bytes = client.request("GET", "/v1/secret/sk_a", "").bytes();
    let text = String::from_utf8(bytes).unwrap();
    text.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1)
        .into_bytes()
}

fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").unwrap().1
}

fn promised(response: &str) -> usize {
    let line = response
        .lines()
        .find(|l| l.starts_with("Content-Length: "))
        .unwrap();
    line["Content-Length: ".len()..].parse().unwrap()
}

#[test]
fn statuses_have_their_headers_and_bodies() {
    let (vault, client) = start();
    vault.fail_next(Fault::Status(503));
    let response = client.get("/v1/secret/sk_a");
    assert!(response.header("Date").is_some());
    assert_eq!(response.expect(503)["error"], "emulated fault");
    vault.fail_next(Reply::new(429).header("Retry-After", "7").body("<html>"));
    let response = client.get("/v1/secret/sk_a");
    assert_eq!(
        (
            response.status,
            response.header("Retry-After"),
            &*response.body
        ),
        (429, Some("7"), &b"<html>"[..])
    );
    vault.fail_next(Reply::new(401).header("Date", "Thu, 01 Jan 1970 00:00:00 GMT"));
    assert_eq!(
        client.get("/v1/secrets").header("Date"),
        Some("Thu, 01 Jan 1970 00:00:00 GMT")
    );
    vault.fail_next(Fault::Redirect("http://localhost:1/".into()));
    let response = client.get("/v1/secret/sk_a");
    assert_eq!(
        (response.status, response.header("Location")),
        (302, Some("http://localhost:1/"))
    );
    let found: Vec<_> = vault
        .requests()
        .iter()
        .map(|r| (r.status, r.handled))
        .collect();
    assert_eq!(
        found,
        [(503, false), (429, false), (401, false), (302, false)]
    );
    assert_eq!(client.value("sk_a"), "the-value");
}

#[test]
fn a_connection_ends_without_an_answer() {
    let (vault, client) = start();
    assert_eq!(read(&vault, &client, Fault::Close), (String::new(), false));
    assert_eq!(read(&vault, &client, Fault::Reset), (String::new(), true));
    let (garbage, _) = read(&vault, &client, Fault::Garbage);
    assert!(!garbage.is_empty() && !garbage.contains("HTTP/1.1"));
    assert!(vault.requests().iter().all(|r| r.status == 0 && !r.handled));
}

#[test]
fn bodies_are_cut_off_or_of_another_length() {
    let (vault, client) = start();
    let (cut, _) = read(&vault, &client, Fault::Truncated);
    assert_eq!(
        (promised(&cut), body(&cut)),
        (46, r#"{"value":"stand-in","se"#)
    );
    let (cut, _) = read(&vault, &client, Fault::after(Fault::Truncated));
    assert_eq!((promised(&cut), body(&cut)), (21, r#"{"value":""#));
    let (more, _) = read(&vault, &client, Fault::after(Fault::WrongLength(5)));
    assert_eq!(
        (promised(&more), body(&more)),
        (26, r#"{"value":"the-value"}"#)
    );
    let (less, _) = read(&vault, &client, Fault::after(Fault::WrongLength(-5)));
    assert_eq!(
        (promised(&less), body(&less)),
        (16, r#"{"value":"the-value"}"#)
    );
    let (less, _) = read(&vault, &client, Fault::WrongLength(-500));
    assert_eq!(promised(&less), 0);
}

#[test]
fn malformed_bodies() {
    let (vault, client) = start();
    vault.fail_next(Fault::InvalidUtf8);
    assert!(std::str::from_utf8(&client.get("/v1/secret/sk_a").body).is_err());
    vault.fail_next(Fault::InvalidJson);
    let response = client.get("/v1/secret/sk_a");
    assert!(
        response.status == 200
            && serde_json::from_slice::<serde_json::Value>(&response.body).is_err()
    );
    vault.fail_next(Fault::EmptyObject);
    assert_eq!(client.get("/v1/secret/sk_a").body, b"{}");
}

#[test]
fn a_drip_brings_the_right_answer_slowly() {
    let (vault, client) = start();
    for fault in [
        Fault::Drip(Duration::from_micros(10)),
        Fault::DripAll(Duration::from_micros(10)),
    ] {
        let (response, _) = read(&vault, &client, fault);
        assert_eq!(body(&response), r#"{"value":"the-value"}"#);
    }
}

#[test]
fn a_delay_comes_before_or_after_the_service_acts() {
    let (vault, client) = start();
    let delay = Duration::from_millis(30);
    for (fault, seen) in [
        (Fault::Delay(delay), "2"),
        (Fault::after(Fault::Delay(delay)), "1"),
    ] {
        vault.put("sk_a", "1");
        vault.clear_requests();
        vault.fail_next(fault);
        let start = Instant::now();
        let value = std::thread::scope(|s| {
            let reading = s.spawn(|| client.value("sk_a"));
            let handled = seen == "1";
            assert!(vault.wait_for(Duration::from_secs(60), |r| r.len() == 1
                && r[0].handled == handled));
            vault.put("sk_a", "2");
            reading.join().unwrap()
        });
        assert!(start.elapsed() >= delay);
        assert_eq!(value, seen);
    }
}

#[test]
fn latency_comes_after_the_service_acted() {
    let (vault, client) = start();
    vault.latency(Duration::from_millis(20));
    let start = Instant::now();
    client.value("sk_a");
    assert!(start.elapsed() >= Duration::from_millis(20));
}

#[test]
fn an_answer_can_be_lost_after_the_service_acted() {
    let (vault, client) = start();
    client.value("sk_a");
    vault.put("sk_a", "2");
    read(&vault, &client, Fault::Close);
    assert_eq!(client.poll(&["sk_a"]), "sk_a=changed");
    read(&vault, &client, Fault::after(Fault::Close));
    assert_eq!(client.poll(&["sk_a"]), "", "the service takes it as read");
    assert_eq!(
        vault
            .requests()
            .iter()
            .filter(|r| r.handled && r.status == 0)
            .count(),
        1
    );

    let token = vault.enrollment_token(1, Duration::from_secs(60));
    vault.fail_next(Fault::after(Fault::Status(500)));
    assert_eq!(
        support::enroll(&vault, &token, serde_json::json!({}))
            .0
            .status,
        500
    );
    assert_eq!(
        support::enroll(&vault, &token, serde_json::json!({}))
            .0
            .status,
        401,
        "its use is spent"
    );
}

#[test]
fn bodies_without_end_and_huge_ones() {
    let (vault, client) = start();
    for fault in [
        Fault::Endless,
        Fault::EndlessHead,
        Fault::DripForever(Duration::from_nanos(1)),
    ] {
        vault.fail_next(fault);
        let mut wire = connect(vault.port());
        wire.write_all(&closing(&client)).unwrap();
        // Far more than it should ever be; then this client has had enough.
        let mut read = vec![0; 8 * 1024];
        wire.read_exact(&mut read).unwrap();
        assert!(read.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
    for bytes in [0, 1, 65_536, 3_000_001] {
        let (response, _) = read(&vault, &client, Fault::Huge(bytes));
        let mut rest = body(&response);
        let mut whole = String::new();
        loop {
            let (length, after) = rest.split_once("\r\n").unwrap();
            let length = usize::from_str_radix(length, 16).unwrap();
            whole.push_str(&after[..length]);
            rest = after[length..].strip_prefix("\r\n").unwrap();
            if length == 0 {
                break;
            }
        }
        let json: serde_json::Value = serde_json::from_str(&whole).unwrap();
        assert_eq!(json["value"].as_str().unwrap().len() as u64, bytes);
    }
}

#[test]
fn a_hang_lasts_until_the_client_gives_up() {
    let (vault, client) = start();
    vault.fail_next(Fault::Hang);
    let mut wire = connect(vault.port());
    wire.write_all(&closing(&client)).unwrap();
    assert!(vault.wait_for(Duration::from_secs(60), |r| r.len() == 1));
    assert_eq!(vault.open_connections(), 1);
    drop(wire);
    assert_eq!(client.value("sk_a"), "the-value");
}

#[test]
fn faults_are_chosen_by_path_and_can_be_taken_back() {
    let (vault, client) = start();
    vault.fail_matching("/v1/secret/", Fault::Status(500));
    vault.fail_next_matching("/v1/secrets/poll", Fault::Status(502));
    vault.fail_next_matching("/v1/secrets/poll", Fault::Pass);
    assert_eq!(client.get("/v1/secrets").status, 200);
    assert_eq!(client.get("/v1/secret/sk_a").status, 500);
    assert_eq!(client.get("/v1/secret/sk_a").status, 500);
    let poll = || client.post("/v1/secrets/poll", r#"{"watch":[]}"#).status;
    assert_eq!(
        (poll(), vault.queued_faults(), poll(), vault.queued_faults()),
        (502, 1, 200, 0)
    );
    vault.fail_always(Fault::Status(504));
    assert_eq!(
        (
            client.get("/v1/secrets").status,
            client.get("/v1/secret/sk_a").status
        ),
        (504, 504)
    );
    vault.clear_faults();
    assert_eq!(client.get("/v1/secret/sk_a").status, 200);
}

#[test]
fn chance_is_repeatable() {
    let row = |seed| {
        let (vault, client) = start();
        vault.fail_randomly(seed, 50, [Fault::Status(500), Fault::Status(503)]);
        (0..20)
            .map(|_| client.get("/v1/secrets").status)
            .collect::<Vec<_>>()
    };
    let first = row(1);
    assert_eq!(first, row(1));
    assert!(
        first.contains(&200) && first.contains(&500) && first.contains(&503),
        "{first:?}"
    );
}

#[test]
fn an_outage_cuts_and_refuses_until_it_is_over() {
    let (vault, client) = start();
    let mut open = connect(vault.port());
    open.write_all(&client.request("GET", "/v1/secrets", "").bytes())
        .unwrap();
    support::receive(&mut open).expect(200);
    vault.outage(true);
    assert_eq!(open.read(&mut [0; 16]).unwrap_or(0), 0);
    let before = vault.request_count();
    let mut refused = connect(vault.port());
    let _ = refused.write_all(&closing(&client));
    assert_eq!(refused.read(&mut [0; 16]).unwrap_or(0), 0);
    assert_eq!(vault.request_count(), before);
    vault.outage(false);
    assert_eq!(client.value("sk_a"), "the-value");
}

#[test]
fn a_request_is_held_until_the_test_releases_it() {
    let (vault, client) = start();
    for (after, value) in [(false, "2"), (true, "1")] {
        vault.put("sk_a", "1");
        vault.clear_requests();
        let hold = Hold::new();
        let fault = Fault::Hold(hold.clone());
        vault.fail_next(if after { Fault::after(fault) } else { fault });
        let read = std::thread::scope(|s| {
            let reading = s.spawn(|| client.value("sk_a"));
            assert!(vault.wait_for(Duration::from_secs(60), |r| r.len() == 1
                && r[0].handled == after));
            vault.put("sk_a", "2");
            assert!(!reading.is_finished());
            hold.release();
            reading.join().unwrap()
        });
        assert_eq!(read, value);
    }
}

#[test]
fn another_process_can_swallow_a_change() {
    let (vault, client) = start();
    client.value("sk_a");
    vault.put("sk_a", "2");
    vault.read_elsewhere("sk_a");
    assert_eq!(client.poll(&["sk_a"]), "");
}

#[test]
fn connection_latency_applies_once_per_connection() {
    let (vault, client) = start();
    let setup = Duration::from_millis(30);
    vault.connection_latency(setup);
    let begin = Instant::now();
    let mut wire = connect(vault.port());
    wire.write_all(&client.request("GET", "/v1/secrets", "").bytes())
        .unwrap();
    support::receive(&mut wire).expect(200);
    assert!(begin.elapsed() >= setup);
    vault.connection_latency(Duration::from_secs(24 * 60 * 60));
    wire.write_all(&client.request("GET", "/v1/secrets", "").bytes())
        .unwrap();
    support::receive(&mut wire).expect(200);
}
