//! Every check of a signed request.

mod support;

use std::io::{Read as _, Write as _};
use std::time::Duration;

use sikkerkey_emulator::Emulator;
use support::{Client, Request, connect, exchange, nonce, now, post_unsigned, receive};

fn vault() -> Emulator {
    Emulator::builder()
        .lock_out(false)
        .secret("sk_a", "a")
        .start()
        .unwrap()
}

/// The message of the 401 that a read spoiled in this way gets.
#[track_caller]
fn refused(client: &Client, spoil: impl FnOnce(&mut Request<'_>)) -> String {
    let response = client
        .request("GET", "/v1/secret/sk_a", "")
        .with(spoil)
        .send();
    response.expect(401)["error"].as_str().unwrap().to_owned()
}

#[test]
fn each_header_is_needed() {
    let vault = vault();
    let client = Client::of(&vault);
    assert_eq!(
        refused(&client, |r| r.machine = None),
        "Header X-Machine-Id is missing or repeated"
    );
    assert_eq!(
        refused(&client, |r| r.timestamp = None),
        "Header X-Timestamp is missing or repeated"
    );
    assert_eq!(
        refused(&client, |r| r.nonce = None),
        "Header X-Nonce is missing or repeated"
    );
    assert_eq!(
        refused(&client, |r| r.signature = Some(String::new())),
        "Header X-Signature is missing or repeated"
    );
}

#[test]
fn the_machine_must_be_known() {
    let vault = vault();
    let client = Client::of(&vault);
    assert_eq!(
        refused(&client, |r| r.machine = Some("other".into())),
        "Unknown machine"
    );
}

#[test]
fn the_timestamp_must_be_within_five_minutes() {
    let vault = vault();
    let client = Client::of(&vault);
    let at = |seconds: i64| {
        client
            .request("GET", "/v1/secrets", "")
            .with(|r| r.timestamp = Some((now() + seconds).to_string()))
            .send()
    };
    // A second may pass meanwhile.
    for seconds in [-298, 298] {
        at(seconds).expect(200);
    }
    for seconds in [-302, 302, -1_000_000, 1_000_000] {
        assert_eq!(
            at(seconds).expect(401)["error"],
            "X-Timestamp is more than 5 minutes off"
        );
    }
    for text in ["", "x", "-1", "+1", "1.5", "99999999999999999999"] {
        let found = refused(&client, |r| r.timestamp = Some(text.into()));
        // An empty header's value is read as such.
        assert_eq!(found, "X-Timestamp is not in Unix seconds", "{text}");
    }
}

#[test]
fn the_clock_is_the_services_own() {
    let vault = Emulator::builder()
        .lock_out(false)
        .clock_offset(3600)
        .start()
        .unwrap();
    let client = Client::of(&vault);
    let response = client.get("/v1/secrets");
    assert_eq!(response.status, 401);
    let date = httpdate::parse_http_date(response.header("Date").unwrap()).unwrap();
    let ahead = date.duration_since(std::time::SystemTime::now()).unwrap();
    assert!((3590..=3600).contains(&ahead.as_secs()));
    vault.set_clock_offset(0);
    client.get("/v1/secrets").expect(200);
    vault.set_clock_offset(-3600);
    client.get("/v1/secrets").expect(401);
    vault.advance(Duration::from_secs(3600));
    client.get("/v1/secrets").expect(200);
}

#[test]
fn the_signature_is_over_what_arrived() {
    let vault = vault();
    let client = Client::of(&vault);
    let invalid = "Invalid signature";
    assert_eq!(
        refused(&client, |r| r.signed_path = Some("/v1/secret/sk_b".into())),
        invalid
    );
    assert_eq!(
        refused(&client, |r| r.signed_body = Some("x".into())),
        invalid
    );
}

#[test]
fn the_query_is_part_of_what_is_signed() {
    let vault = vault();
    let client = Client::of(&vault);
    assert_eq!(
        client.get("/v1/secret/sk_a?x=1").expect(400)["error"],
        "A signed request has no query"
    );
    let spoil = |r: &mut Request<'_>| r.signed_path = Some("/v1/secret/sk_a".into());
    client
        .request("GET", "/v1/secret/sk_a?x=1", "")
        .with(spoil)
        .send()
        .expect(401);
    let spoil = |r: &mut Request<'_>| r.signed_body = Some(r#"{"watch": []}"#.into());
    client
        .request("POST", "/v1/secrets/poll", r#"{"watch":[]}"#)
        .with(spoil)
        .send()
        .expect(401);
}

#[test]
fn a_malformed_signature_is_refused() {
    let vault = vault();
    let client = Client::of(&vault);
    for signature in ["x", "AAAA", "====", &"A".repeat(88)] {
        assert_eq!(
            refused(&client, |r| r.signature = Some(signature.into())),
            "Invalid signature"
        );
    }
    let mut other = client.clone();
    other.key = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
    assert_eq!(refused(&other, |_| ()), "Invalid signature");
}

#[test]
fn a_nonce_is_good_once_and_only_a_signed_request_takes_it() {
    let vault = vault();
    let client = Client::of(&vault);
    let nonce = nonce();
    let same = |r: &mut Request<'_>| r.nonce = Some(nonce.clone());
    // Not spent by a request that somebody else could have made.
    let forged = client
        .request("GET", "/v1/secrets", "")
        .with(same)
        .with(|r| r.signature = Some("AAAA".into()));
    forged.send().expect(401);
    client
        .request("GET", "/v1/secrets", "")
        .with(same)
        .send()
        .expect(200);
    let again = client.request("GET", "/v1/secrets", "").with(same).send();
    assert_eq!(again.expect(401)["error"], "Nonce was used before");
    for bad in ["AAAA", "not base64", "AQEBAQEBAQEBAQEBAQEBAQ"] {
        assert_eq!(
            refused(&client, |r| r.nonce = Some(bad.into())),
            "X-Nonce is not 16 bytes in base64"
        );
    }
}

#[test]
fn a_body_says_that_it_is_json() {
    let vault = vault();
    let client = Client::of(&vault);
    let kind = |kind: Option<&str>| {
        let kind = kind.map(str::to_owned);
        client
            .request("POST", "/v1/secrets/poll", r#"{"watch":[]}"#)
            .with(|r| r.content_type = kind)
            .send()
            .status
    };
    assert_eq!(kind(Some("application/json")), 200);
    assert_eq!(kind(Some("Application/JSON; charset=utf-8")), 200);
    assert_eq!(kind(Some("text/plain")), 415);
    assert_eq!(kind(None), 415);
}

#[test]
fn three_failures_lock_the_address_out() {
    let vault = Emulator::builder().secret("sk_a", "a").start().unwrap();
    let client = Client::of(&vault);
    let forged = || {
        client
            .request("GET", "/v1/secrets", "")
            .with(|r| r.signature = Some("AAAA".into()))
            .send()
            .status
    };
    assert_eq!([forged(), forged()], [401, 401]);
    client.get("/v1/secrets").expect(200);
    assert_eq!([forged(), forged()], [401, 429]);
    client.get("/v1/secrets").expect(429);
    assert_eq!(
        post_unsigned(&vault, "/v1/vault_emulator/enroll/register", "{}").status,
        429
    );
    vault.unlock();
    client.get("/v1/secrets").expect(200);

    assert_eq!(
        [forged(), forged(), forged(), forged()],
        [401, 401, 401, 429]
    );
    vault.advance(Duration::from_secs(15 * 60));
    vault.set_clock_offset(-15 * 60);
    client.get("/v1/secrets").expect(429);
    vault.set_clock_offset(0);
    let later = |r: &mut Request<'_>| r.timestamp = Some((now() + 15 * 60).to_string());
    client
        .request("GET", "/v1/secrets", "")
        .with(later)
        .send()
        .expect(200);
}

#[test]
fn the_status_of_a_lock_out_can_be_401() {
    let vault = Emulator::builder().locked_out_status(401).start().unwrap();
    let client = Client::of(&vault);
    for _ in 0..3 {
        refused(&client, |r| r.signature = Some("AAAA".into()));
    }
    let locked = client.get("/v1/secrets").expect(401);
    assert_eq!(
        locked["error"],
        "Too many failed authentications from this address"
    );
}

#[test]
fn refused_tokens_count_as_failures() {
    let vault = Emulator::builder().start().unwrap();
    for expected in [401, 401, 401, 429] {
        assert_eq!(
            support::enroll(&vault, "nonsense", serde_json::json!({}))
                .0
                .status,
            expected
        );
    }
}

#[test]
fn a_malformed_request_does_not_disturb_others() {
    let vault = vault();
    let client = Client::of(&vault);
    let (response, _) = exchange(vault.port(), b"nonsense\r\n\r\n");
    assert!(response.starts_with(b"HTTP/1.1 400 "));
    let huge = format!(
        "POST /v1/secrets/poll HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n{}",
        "x".repeat(1 << 20)
    );
    assert!(
        exchange(vault.port(), huge.as_bytes())
            .0
            .starts_with(b"HTTP/1.1 413 ")
    );
    client.get("/v1/secrets").expect(200);
}

#[test]
fn a_connection_serves_many_requests() {
    let vault = vault();
    let client = Client::of(&vault);
    let mut wire = connect(vault.port());
    for _ in 0..3 {
        wire.write_all(&client.request("GET", "/v1/secret/sk_a", "").bytes())
            .unwrap();
        assert_eq!(receive(&mut wire).expect(200)["value"], "a");
    }
    assert_eq!((vault.connections(), vault.open_connections()), (1, 1));
    let numbers: Vec<_> = vault.requests().iter().map(|r| r.connection).collect();
    assert_eq!(numbers, [1, 1, 1]);
    client.get("/v1/secrets");
    assert_eq!(vault.requests()[3].connection, 2);

    vault.cut_connections();
    assert_eq!(wire.read(&mut [0; 16]).unwrap_or(0), 0);
}

#[test]
fn connection_close_is_honored() {
    let vault = vault();
    let (response, reset) = exchange(
        vault.port(),
        b"GET /v1/secrets HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    let response = String::from_utf8(response).unwrap();
    assert!(
        response.starts_with("HTTP/1.1 401 ")
            && response.contains("\r\nConnection: close\r\n")
            && !reset
    );
}

#[test]
fn both_loopback_addresses_answer() {
    let vault = vault();
    let client = Client::of(&vault);
    let Ok(mut wire) = std::net::TcpStream::connect(("::1", vault.port())) else {
        return;
    };
    wire.write_all(&client.request("GET", "/v1/secrets", "").bytes())
        .unwrap();
    receive(&mut wire).expect(200);
}

#[test]
fn a_web_page_is_refused_and_locks_out_no_address() {
    let vault = Emulator::builder().secret("sk_a", "a").start().unwrap();
    let client = Client::of(&vault);
    vault.fail_next(sikkerkey_emulator::Fault::Status(500));
    let page = |name: &str, value: &str| {
        client
            .request("GET", "/v1/secret/sk_a", "")
            .with(|r| {
                r.more = vec![(name.into(), value.into())];
                r.signature = Some("AAAA".into());
            })
            .send()
    };
    for _ in 0..5 {
        for (name, value) in [
            ("Host", "evil.example"),
            ("Origin", "https://evil.example"),
            ("Origin", "null"),
            ("Sec-Fetch-Site", "cross-site"),
        ] {
            let refused = page(name, value);
            assert_eq!(refused.header("Content-Type"), Some("application/json"));
            let error = refused.expect(403);
            assert!(error["error"].is_string(), "{name}: {value}");
        }
    }
    assert_eq!(vault.queued_faults(), 1, "a page spends no fault");
    vault.clear_faults();
    // An image of any page asks without the headers of a machine.
    let plain = "GET /v1/secrets HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    for _ in 0..5 {
        let (response, _) = exchange(vault.port(), plain.as_bytes());
        assert!(response.starts_with(b"HTTP/1.1 401 "));
    }
    client.get("/v1/secrets").expect(200);
    let own = format!("http://localhost:{}", vault.port());
    let own = |r: &mut Request<'_>| r.more = vec![("Origin".into(), own.clone())];
    client
        .request("GET", "/v1/secrets", "")
        .with(own)
        .send()
        .expect(200);
    let (response, _) = exchange(
        vault.port(),
        b"GET /v1/secrets HTTP/1.1\r\nConnection: close\r\n\r\n",
    );
    assert!(response.starts_with(b"HTTP/1.1 400 "));
}
