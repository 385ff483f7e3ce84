//! Connections that servers end, spoil or leave, played by servers of these tests.

mod common;

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use common::{FakeClock, builder, emulator};
use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sikkerkey::{ErrorKind, ExposeSecret, RetryPolicy, SikkerKey, SikkerKeyBuilder};
use sikkerkey_emulator::{Emulator, Fault, Reply};

/// The server's side of a connection.
trait Line: Read + Write {
    /// Ends the server's side. Where it has not read everything, the client's next write fails.
    fn close(&mut self);

    fn application_protocol(&self) -> Option<Vec<u8>> {
        None
    }
}

impl Line for TcpStream {
    fn close(&mut self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl Line for StreamOwned<ServerConnection, TcpStream> {
    fn close(&mut self) {
        self.conn.send_close_notify();
        let _ = self.flush();
        self.sock.close();
    }

    fn application_protocol(&self) -> Option<Vec<u8>> {
        self.conn.alpn_protocol().map(<[u8]>::to_vec)
    }
}

/// A server that plays each connection by its number, from 0.
struct Server {
    url: String,
    ca: Option<String>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    fn start(tls: bool, play: impl Fn(usize, &mut dyn Line) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (config, ca) = match tls {
            true => {
                let (config, ca) = certificate();
                (Some(config), Some(ca))
            }
            false => (None, None),
        };
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        let play = Arc::new(play);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let number = counter.fetch_add(1, Ordering::SeqCst);
                let (mut stream, config, play) = (stream.unwrap(), config.clone(), play.clone());
                thread::spawn(move || match config {
                    None => play(number, &mut stream),
                    Some(config) => {
                        let tls = ServerConnection::new(config).unwrap();
                        play(number, &mut StreamOwned::new(tls, stream));
                    }
                });
            }
        });
        Server {
            url: match tls {
                true => format!("https://localhost:{port}"),
                false => format!("http://127.0.0.1:{port}"),
            },
            ca,
            connections,
        }
    }

    /// A client of it, whose clock does not wait, and which repeats nothing.
    fn client(&self) -> SikkerKey {
        self.builder(&emulator().start().unwrap()).build().unwrap()
    }

    /// A builder with the emulator's identity for this server.
    fn builder(&self, vault: &Emulator) -> SikkerKeyBuilder {
        common::redirect(vault, &self.url);
        let builder = builder(vault)
            .clock(FakeClock::new())
            .retry(RetryPolicy::none());
        match &self.ca {
            Some(ca) => builder.root_certificate_pem(ca),
            None => builder,
        }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A certificate for localhost, which is its own authority. The server speaks HTTP/2 too.
fn certificate() -> (Arc<ServerConfig>, String) {
    let CertifiedKey { cert, signing_key }: CertifiedKey<KeyPair> =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (Arc::new(config), pem(cert.der()))
}

/// The head of the next request, which has no body; `None` at the end.
fn request(line: &mut dyn Line) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match line.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    Some(String::from_utf8(head).unwrap())
}

fn response(status: u16, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} Words\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn value(text: &str) -> String {
    response(200, &format!("{{\"value\":\"{text}\"}}"))
}

fn say(line: &mut dyn Line, text: &str) {
    let _ = line.write_all(text.as_bytes()).and_then(|()| line.flush());
}

/// Answers each request with its secret's id.
fn serve(line: &mut dyn Line) {
    while let Some(head) = request(line) {
        let id = head.split([' ', '/']).nth(4).unwrap().to_owned();
        say(line, &value(&id));
    }
}

fn read(sk: &SikkerKey, id: &str) -> String {
    sk.get_secret(id).unwrap().expose_secret().to_owned()
}

#[test]
fn a_second_response_in_one_record_is_never_the_value_of_another_secret() {
    for tls in [false, true] {
        // More than one read of the client, so that the rest waits inside TLS.
        let long = "x".repeat(6000);
        let both = value(&long) + &value("INJECTED");
        let server = Server::start(tls, move |number, line| match number {
            0 => {
                request(line);
                say(line, &both);
                serve(line);
            }
            _ => serve(line),
        });
        let sk = server.client();
        assert_eq!(read(&sk, "sk_a").len(), 6000);
        assert_eq!(read(&sk, "sk_b"), "sk_b", "TLS: {tls}");
        assert_eq!(server.connections(), 2);
    }
}

#[test]
fn late_session_tickets_do_not_cost_a_connection() {
    let server = Server::start(true, |_, line| serve(line));
    let sk = server.client();
    for _ in 0..5 {
        assert_eq!(read(&sk, "sk_a"), "sk_a");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn http_1_1_is_offered_in_the_handshake() {
    let (tell, told) = std::sync::mpsc::channel();
    let server = Server::start(true, move |_, line| {
        request(line);
        tell.send(line.application_protocol()).unwrap();
        say(line, &value("x"));
    });
    read(&server.client(), "sk_a");
    assert_eq!(told.recv().unwrap().as_deref(), Some(&b"http/1.1"[..]));
}

#[test]
fn a_used_connection_that_dies_as_it_is_used_costs_nothing() {
    for tls in [false, true] {
        for reset in [false, true] {
            let heads = Arc::new(Mutex::new(Vec::new()));
            let seen = heads.clone();
            let server = Server::start(tls, move |number, line| {
                while let Some(head) = request(line) {
                    let first = {
                        let mut heads = seen.lock().unwrap();
                        heads.push(head);
                        heads.len() == 1
                    };
                    if number == 0 && !first {
                        // Without a byte of a response.
                        if !reset {
                            line.close();
                        }
                        return;
                    }
                    say(line, &value("x"));
                }
            });
            let sk = server.client();
            read(&sk, "sk_a");
            read(&sk, "sk_b");
            assert_eq!(server.connections(), 2);
            let heads = heads.lock().unwrap();
            let nonces: Vec<_> = heads
                .iter()
                .filter_map(|head| head.lines().find(|line| line.starts_with("X-Nonce: ")))
                .collect();
            assert_eq!(nonces.len(), 3);
            assert_ne!(nonces[1], nonces[2], "signed anew");
        }
    }
}

#[test]
fn the_idle_connections_of_that_age_are_dropped() {
    const IDLE: usize = 4;
    let together = Arc::new(Barrier::new(IDLE));
    let died = Arc::new(AtomicUsize::new(0));
    let (all, deaths) = (together.clone(), died.clone());
    let server = Server::start(false, move |number, line| {
        // The first call is made alone: until then, two requests are sent at once.
        if number < IDLE {
            if number == 0 {
                request(line);
                say(line, &value("x"));
            }
            request(line);
            all.wait();
            say(line, &value("x"));
            if request(line).is_some() {
                deaths.fetch_add(1, Ordering::SeqCst);
                line.close();
            }
            return;
        }
        serve(line);
    });
    let sk = server.client();
    read(&sk, "sk_a");
    thread::scope(|scope| {
        for _ in 0..IDLE {
            scope.spawn(|| read(&sk, "sk_a"));
        }
    });
    assert_eq!(server.connections(), IDLE);
    assert_eq!(read(&sk, "sk_b"), "sk_b");
    assert_eq!(read(&sk, "sk_b"), "sk_b");
    assert_eq!(died.load(Ordering::SeqCst), 1, "one of them was tried");
    assert_eq!(server.connections(), IDLE + 1);
}

#[test]
fn a_request_timeout_is_final_on_a_new_connection_only() {
    let late = || response(408, "");
    let server = Server::start(false, move |number, line| {
        match number {
            0 => {
                request(line);
                say(line, &value("x"));
                request(line);
                say(line, &late());
            }
            1 => serve(line),
            _ => {
                request(line);
                say(line, &late());
            }
        }
        line.close();
    });
    let sk = server.client();
    read(&sk, "sk_a");
    assert_eq!(read(&sk, "sk_b"), "sk_b");
    assert_eq!(server.connections(), 2);

    let server = Server::start(false, move |_, line| {
        request(line);
        say(line, &late());
    });
    let error = server.client().get_secret("sk_a").unwrap_err();
    assert_eq!(error.http_status(), Some(408));
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_new_connection_that_dies_is_for_the_retry_policy() {
    let server = Server::start(false, |_, line| {
        request(line);
        line.close();
    });
    let error = server.client().get_secret("sk_a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.is_unavailable(), "{error}");
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_response_that_was_begun_is_not_asked_for_at_once_again() {
    let server = Server::start(false, |_, line| {
        request(line);
        say(line, &value("x"));
        request(line);
        say(line, "HTTP/1.1 200 OK\r\n");
        line.close();
    });
    let sk = server.client();
    read(&sk, "sk_a");
    let error = sk.get_secret("sk_b").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert_eq!(server.connections(), 1);
}

#[test]
fn an_enrollment_has_a_connection_of_its_own() {
    let vault = emulator()
        .vault("vault_abc123")
        .secret("sk_key", "sk-live-1")
        .start()
        .unwrap();
    let token = vault.enrollment_token(2, Duration::from_secs(3600));
    let sk = SikkerKey::bootstrap_in_memory("vault_abc123", &token)
        .api_url(vault.url())
        .reenroll_when_expired(true)
        .enroll()
        .unwrap();
    sk.get_secret("sk_key").unwrap();
    assert_eq!(vault.connections(), 1);
    vault.expire_machines();
    sk.get_secret("sk_key").unwrap();
    assert_eq!(vault.connections(), 2, "the second enrollment's");
}

#[test]
fn a_call_waits_for_its_permit_until_its_own_deadline() {
    let vault = emulator().secret("sk_key", "sk-live-1").start().unwrap();
    // The first two requests, which are all that may be under way, get no response.
    vault.fail_next(Fault::Hang);
    vault.fail_next(Fault::Hang);
    let sk = builder(&vault)
        .clock(FakeClock::new())
        .timeout(Duration::from_millis(200))
        .deadline(Duration::from_secs(60))
        .build()
        .unwrap();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(read(&sk, "sk_key"), "sk-live-1"));
        }
    });
}

#[test]
fn an_accepted_machine_is_not_limited_to_two_requests() {
    const CALLS: usize = 5;
    let vault = emulator().vault("vault_abc123").start().unwrap();
    let token = vault.enrollment_token(2, Duration::from_secs(3600));
    let together = Arc::new(Barrier::new(CALLS));
    let enrolled = format!(
        "{{\"machineId\":\"m\",\"machineName\":\"n\",\"vaultId\":\"vault_abc123\",\"expiresAt\":{}}}",
        4_000_000_000_u64
    );
    let server = Server::start(false, move |number, line| {
        while let Some(head) = request(line) {
            if head.starts_with("POST") {
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("Content-Length: "));
                let mut body = vec![0; length.unwrap().parse().unwrap()];
                line.read_exact(&mut body).unwrap();
                say(line, &response(200, &enrolled));
                continue;
            }
            if head.contains("sk_together") {
                together.wait();
            }
            say(line, &value(&number.to_string()));
        }
    });
    let sk = SikkerKey::bootstrap_in_memory("vault_abc123", &token)
        .api_url(&server.url)
        .reenroll_when_expired(true)
        .enroll()
        .unwrap();
    read(&sk, "sk_a");
    // Each gets its response once all have been sent.
    thread::scope(|scope| {
        for _ in 0..CALLS {
            scope.spawn(|| read(&sk, "sk_together"));
        }
    });
}

#[test]
fn what_was_not_asked_for_is_named() {
    let vault = emulator().secret("sk_key", "sk-live-1").start().unwrap();
    let sk = builder(&vault).retry(RetryPolicy::none()).build().unwrap();
    vault.fail_next(
        Reply::new(200)
            .header("Content-Encoding", "gzip")
            .body("\u{1f}"),
    );
    let error = sk.get_secret("sk_key").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(error.to_string().contains("content coding gzip"), "{error}");
    vault.fail_next(Reply::new(403).header("Content-Encoding", "br").body("x"));
    let error = sk.get_secret("sk_key").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AccessDenied);
    assert!(error.to_string().contains("content coding br"), "{error}");
    for recorded in vault.requests() {
        assert_eq!(recorded.header("Accept-Encoding"), Some("identity"));
    }

    let server = Server::start(false, |_, line| {
        request(line);
        say(
            line,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        );
        // And waits.
        let _ = line.read(&mut [0]);
    });
    let error = server.client().get_secret("sk_a").unwrap_err();
    assert!(
        error.to_string().contains("switched to another protocol"),
        "{error}"
    );
}

#[test]
fn informational_responses_without_end_are_an_error() {
    let server = Server::start(false, |_, line| {
        request(line);
        let hint = format!("HTTP/1.1 103 Hints\r\nLink: {}\r\n\r\n", "x".repeat(4000));
        while line.write_all(hint.as_bytes()).is_ok() {}
    });
    let error = server.client().get_secret("sk_a").unwrap_err();
    assert!(error.to_string().contains("is not HTTP"), "{error}");
}

#[test]
fn a_cut_by_tls_is_not_the_end_of_a_body() {
    let server = Server::start(true, |_, line| {
        request(line);
        say(line, "HTTP/1.1 200 OK\r\n\r\n{\"value\":\"x\"}");
        // Without a close_notify; the socket ends with the thread.
    });
    let error = server.client().get_secret("sk_a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    let source = std::error::Error::source(&error).unwrap();
    let source = source.downcast_ref::<io::Error>().unwrap();
    assert_eq!(source.kind(), io::ErrorKind::UnexpectedEof);
}

/// A certificate in PEM.
fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}
