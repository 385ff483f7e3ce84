//! Faults of connections and of HTTP itself: what a client must survive between two responses, and before the first.

mod support;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use sikkerkey_emulator::{Emulator, EmulatorBuilder, Fault, Reply};
use support::{Client, connect, exchange, receive};

fn start() -> (Emulator, Client) {
    start_as(Emulator::builder())
}

fn start_as(builder: EmulatorBuilder) -> (Emulator, Client) {
    let vault = builder.secret("sk_a", "the-value").start().unwrap();
    let client = Client::of(&vault);
    (vault, client)
}

fn request(client: &Client) -> Vec<u8> {
    client.request("GET", "/v1/secret/sk_a", "").bytes()
}

/// The same, and the connection is to close.
fn closing(client: &Client) -> Vec<u8> {
    let close = |r: &mut support::Request<'_>| r.more = vec![("Connection".into(), "close".into())];
    client
        .request("GET", "/v1/secret/sk_a", "")
        .with(close)
        .bytes()
}

fn injected() -> Reply {
    Reply::new(200)
        .header("Content-Type", "application/json")
        .body(r#"{"value":"INJECTED"}"#)
}

#[test]
fn a_response_comes_before_the_body_of_its_request_was_read() {
    let (vault, client) = start();
    let body = format!(r#"{{"watch":["{}"]}}"#, "a".repeat(32 << 20));
    let bytes = client.request("POST", "/v1/secrets/poll", &body).bytes();
    for status in [401, 413, 429] {
        vault.fail_next(Fault::Early(
            Reply::error(status, "enough").header("Retry-After", "7"),
        ));
        let mut wire = connect(vault.port());
        // Far more than the sockets hold: the write fails once the connection is closed.
        wire.write_all(&bytes).unwrap_err();
        let mut found = Vec::new();
        let _ = wire.read_to_end(&mut found);
        let found = String::from_utf8(found).unwrap();
        assert!(found.starts_with(&format!("HTTP/1.1 {status} ")), "{found}");
        assert!(found.contains("\r\nConnection: close\r\n"));
        assert!(found.ends_with(r#"{"error":"enough"}"#));
    }
    for recorded in vault.requests() {
        assert!(recorded.status > 400 && !recorded.handled && recorded.body.is_empty());
    }
    assert_eq!(client.value("sk_a"), "the-value", "nothing was counted");
}

#[test]
fn a_second_response_follows_in_the_same_write() {
    let (vault, client) = start();
    vault.fail_next(Fault::Desync(injected()));
    let mut wire = connect(vault.port());
    wire.write_all(&request(&client)).unwrap();
    assert_eq!(receive(&mut wire).expect(200)["value"], "the-value");
    assert_eq!(receive(&mut wire).expect(200)["value"], "INJECTED");
    // The connection goes on.
    wire.write_all(&request(&client)).unwrap();
    assert_eq!(receive(&mut wire).expect(200)["value"], "the-value");
    assert_eq!(vault.request_count(), 2);
}

/// A socket that remembers what came.
struct Heard(TcpStream, Vec<u8>);

impl Read for Heard {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.0.read(into)?;
        self.1.extend_from_slice(&into[..n]);
        Ok(n)
    }
}

#[test]
fn both_responses_are_in_one_tls_record() {
    let (vault, client) = start_as(Emulator::builder().tls());
    vault.fail_next(Fault::Desync(injected()));
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(vault.ca_pem().unwrap().as_bytes()).unwrap())
        .unwrap();
    // In TLS 1.2 records of data are marked as such, and nothing else is.
    let config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let mut tls = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut wire = Heard(connect(vault.port()), Vec::new());
    tls.writer().write_all(&request(&client)).unwrap();
    let mut text = String::new();
    while !text.contains("INJECTED") {
        while tls.wants_write() {
            tls.write_tls(&mut wire.0).unwrap();
        }
        assert!(tls.read_tls(&mut wire).unwrap() > 0, "{text}");
        tls.process_new_packets().unwrap();
        let mut piece = [0; 4096];
        while let Ok(n) = tls.reader().read(&mut piece) {
            text.push_str(std::str::from_utf8(&piece[..n]).unwrap());
        }
    }
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2);
    let (mut rest, mut data) = (&wire.1[..], 0);
    while let [kind, _, _, high, low, ..] = rest {
        data += usize::from(*kind == 23);
        rest = &rest[5 + usize::from(*high) * 256 + usize::from(*low)..];
    }
    assert_eq!(data, 1, "one record of data");
}

#[test]
fn informational_responses_come_before_the_answer() {
    let (vault, client) = start();
    for (status, count, size) in [(103, 3, 4096), (100, 1, 0), (101, 1, 40), (103, 50_000, 64)] {
        vault.fail_next(Fault::Informational {
            status,
            count,
            size,
        });
        let (bytes, _) = exchange(vault.port(), &closing(&client));
        let text = String::from_utf8(bytes).unwrap();
        let start = format!("HTTP/1.1 {status} ");
        let (before, after) = text.split_at(text.find("HTTP/1.1 200 ").unwrap());
        assert_eq!(before.matches(&start).count() as u64, count);
        assert!(
            before
                .split_inclusive("\r\n\r\n")
                .all(|one| one.len() >= size)
        );
        assert!(before.len() as u64 <= count * (size as u64).max(40));
        assert!(after.ends_with(r#"{"value":"the-value"}"#));
    }
}

#[test]
fn rare_forms_of_http() {
    let (vault, client) = start();
    vault.fail_next(Fault::FoldedHeader);
    let (bytes, _) = exchange(vault.port(), &closing(&client));
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("\r\nX-Folded: one\r\n two\r\n"));
    assert!(text.ends_with(r#"{"value":"the-value"}"#));

    // Larger ones than these are refused by ureq.
    vault.fail_next(Fault::ChunkExtensions(10));
    assert_eq!(client.value("sk_a"), "the-value");
    vault.fail_next(Fault::ChunkExtensions(1000));
    let (bytes, _) = exchange(vault.port(), &closing(&client));
    let text = String::from_utf8(bytes).unwrap();
    let (_, chunks) = text.split_once("\r\n\r\n").unwrap();
    let lines: Vec<_> = chunks.split("\r\n").collect();
    assert!(lines[0].starts_with("1;x=a") && lines[0].len() == 1001);
    let bytes: String = lines.chunks(2).take(21).map(|pair| pair[1]).collect();
    assert_eq!(bytes, r#"{"value":"the-value"}"#);

    vault.fail_next(Fault::Raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: \xff\r\n\r\n".into(),
    ));
    let (bytes, reset) = exchange(vault.port(), &closing(&client));
    assert!(bytes.ends_with(b"Content-Length: \xff\r\n\r\n") && !reset);
}

#[test]
fn a_proxy_answers_in_the_place_of_the_service() {
    let (vault, client) = start();
    for status in [403, 404, 502] {
        vault.fail_next(Fault::Proxy(status));
        let response = client.get("/v1/secret/sk_a");
        assert_eq!(response.status, status);
        assert!(
            response
                .header("Content-Type")
                .unwrap()
                .starts_with("text/html")
        );
        assert!(serde_json::from_slice::<serde_json::Value>(&response.body).is_err());
    }
    assert!(vault.requests().iter().all(|r| !r.handled));
}

#[test]
fn a_connection_closes_as_it_is_reused() {
    let (vault, client) = start();
    for fault in [Fault::Close, Fault::Reset] {
        vault.fail_next(Fault::on_reused(fault));
        let mut wire = connect(vault.port());
        wire.write_all(&request(&client)).unwrap();
        receive(&mut wire).expect(200);
        assert_eq!(client.value("sk_a"), "the-value", "a new connection");
        wire.write_all(&request(&client)).unwrap();
        assert_eq!(wire.read(&mut [0; 16]).unwrap_or(0), 0);
        assert_eq!(vault.queued_faults(), 0);
    }
}

#[test]
fn a_reused_connection_gets_408_and_closes() {
    let (vault, client) = start();
    vault.fail_next(Fault::on_reused(Fault::Status(408)));
    let mut wire = connect(vault.port());
    wire.write_all(&request(&client)).unwrap();
    receive(&mut wire).expect(200);
    wire.write_all(&request(&client)).unwrap();
    let late = receive(&mut wire);
    assert_eq!(
        (late.status, late.header("Connection")),
        (408, Some("close"))
    );
    assert_eq!(wire.read(&mut [0; 16]).unwrap(), 0);
}

#[test]
fn connections_wait_unserved() {
    let (vault, client) = start();
    let mut open = connect(vault.port());
    open.write_all(&request(&client)).unwrap();
    receive(&mut open).expect(200);
    vault.pause_accepting(true);
    let mut waiting = [0, 1, 2].map(|_| connect(vault.port()));
    for wire in &mut waiting {
        wire.write_all(&request(&client)).unwrap();
    }
    open.write_all(&request(&client)).unwrap();
    receive(&mut open).expect(200);
    assert_eq!((vault.connections(), vault.request_count()), (1, 2));
    vault.pause_accepting(false);
    for wire in &mut waiting {
        receive(wire).expect(200);
    }
    vault.pause_accepting(true);
    // Stopping while connections wait does not hang.
    let _waits = connect(vault.port());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_queue_takes_no_connection() {
    let (vault, client) = start();
    let address = SocketAddr::from(([127, 0, 0, 1], vault.port()));
    let attempt = || TcpStream::connect_timeout(&address, Duration::from_millis(50));
    vault.fill_accept_queue(true).unwrap();
    assert_eq!(attempt().unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(vault.connections(), 0);
    vault.fill_accept_queue(false).unwrap();
    assert_eq!(client.value("sk_a"), "the-value");
    assert_eq!(
        vault.connections(),
        1,
        "those that filled the queue do not count"
    );
    vault.fill_accept_queue(true).unwrap();
    attempt().unwrap_err();
}
