use std::io::{Read, Write};
use std::net::TcpListener;
#[cfg(target_os = "linux")]
use std::net::{SocketAddr, TcpStream};
use std::thread;

use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
#[cfg(target_os = "linux")]
use socket2::{Domain, Socket, Type};

use super::*;

fn transport(url: &str, ca: Option<&str>) -> Transport {
    let trust = TrustSettings {
        own: ca.map(|ca| ca.as_bytes().to_vec()).into_iter().collect(),
        ..TrustSettings::default()
    };
    let settings = ConnectionSettings {
        user_agent: "x".to_owned(),
        roots: trust.check().unwrap(),
    };
    Transport::new(&ApiUrl::parse(url).unwrap(), &settings).unwrap()
}

fn request<'a>(body: Option<&'a [u8]>) -> Request<'a> {
    Request {
        method: "POST",
        path: "/v1/secrets/poll",
        headers: &[],
        body,
        limit: 1000,
    }
}

const LONG: Duration = Duration::from_secs(3600);

fn certificate() -> (Arc<ServerConfig>, String) {
    let CertifiedKey { cert, signing_key }: CertifiedKey<KeyPair> =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
    (Arc::new(config), pem(cert.der()))
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

/// Reads a part of the request, responds and closes, as a gateway does that refuses a request.
fn refuse(mut line: impl Read + Write, response: &str) {
    line.read_exact(&mut [0; 100]).unwrap();
    line.write_all(response.as_bytes()).unwrap();
    line.flush().unwrap();
}

#[test]
// Not under wine: there a blocked write does not end when the other side resets, even with the standard
// library alone.
#[cfg_attr(windows, ignore = "wine does not wake a blocked write after a reset")]
fn a_refusal_is_read_though_the_request_was_not() {
    // Larger than the buffers of both sockets.
    let body = vec![b'x'; 32 * 1024 * 1024];
    let (config, ca) = certificate();
    for tls in [false, true] {
        for status in [401, 413, 429] {
            let response = format!("HTTP/1.1 {status} No\r\nContent-Length: 2\r\n\r\n{{}}");
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let config = config.clone();
            let server = thread::spawn(move || {
                let (stream, _) = listener.accept().unwrap();
                match tls {
                    true => {
                        let session = ServerConnection::new(config).unwrap();
                        refuse(StreamOwned::new(session, stream), &response);
                    }
                    false => refuse(stream, &response),
                }
            });
            let transport = match tls {
                true => transport(&format!("https://localhost:{port}"), Some(&ca)),
                false => transport(&format!("http://127.0.0.1:{port}"), None),
            };
            let refused = transport.send(&request(Some(&body)), LONG);
            let refused = refused.unwrap_or_else(|error| panic!("TLS {tls}, {status}: {error}"));
            assert_eq!(refused.status, status);
            server.join().unwrap();
        }
    }
}

/// Makes an address that drops packets: its queue of connections is full as long as the sockets live.
#[cfg(target_os = "linux")]
fn swallowing() -> (SocketAddr, Socket, TcpStream) {
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    full.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    let first = TcpStream::connect(address).unwrap();
    (address, full, first)
}

#[test]
#[cfg(target_os = "linux")]
fn the_address_that_answered_is_tried_first_the_next_time() {
    let (swallows, _full, _first) = swallowing();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let answers = listener.local_addr().unwrap();
    let transport = transport(&format!("http://localhost:{}", answers.port()), None);
    transport.0.names.set(vec![swallows, answers]);
    let deadline = deadline_after(LONG);
    transport.connect(deadline).unwrap();
    let names = &transport.0.names;
    let order = names.look_up("localhost", answers.port(), true, deadline);
    assert_eq!(order.unwrap(), [answers, swallows]);
}
