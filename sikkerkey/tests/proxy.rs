//! Proxies, as the environment names them. Each test runs this program again, with the variables that it is about and only the
//! matching `inside_*` test.

mod common;

use std::ffi::OsStr;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, thread};

use common::{FakeClock, emulator, run_inside};
use sikkerkey::{Error, ErrorKind, ExposeSecret, SikkerKey};
use sikkerkey_emulator::{Certificate, Emulator};

/// The emulator under a name that only the proxy knows: other machines are reached through proxies, this one never.
fn vault() -> Emulator {
    let vault = emulator()
        .secret("sk_key", "sk-live-1")
        .tls_with(Certificate::OtherHost)
        .start()
        .unwrap();
    let path = vault.identity_path();
    let url = format!("https://other.example:{}", vault.port());
    common::redirect(&vault, &url);
    fs::write(format!("{}.ca", path.display()), vault.ca_pem().unwrap()).unwrap();
    vault
}

/// The client of the inner process, with the number of sleeps of its clock; `None` in the outer one.
fn inside() -> Option<(Result<SikkerKey, Error>, Arc<FakeClock>)> {
    let identity = env::var(common::INSIDE).ok()?;
    let pem = fs::read(format!("{identity}.ca")).unwrap();
    let clock = FakeClock::new();
    let sk = SikkerKey::builder()
        .identity_file(identity)
        .root_certificate_pem(pem)
        .clock(clock.clone())
        .build();
    Some((sk, clock))
}

#[track_caller]
fn outside(test: &str, vault: &Emulator, variables: &[(&str, &OsStr)]) {
    run_inside(test, vault.identity_path().to_str().unwrap(), variables);
}

/// A proxy with this response to each `CONNECT`. After a good one it leads to `port` of this machine.
struct Proxy {
    address: String,
    asked: Arc<AtomicUsize>,
}

impl Proxy {
    fn start(port: u16, response: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = asked.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                let counter = counter.clone();
                thread::spawn(move || {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let mut byte = [0];
                        client.read_exact(&mut byte).unwrap();
                        head.push(byte[0]);
                    }
                    assert!(head.starts_with(b"CONNECT other.example:"));
                    counter.fetch_add(1, Ordering::SeqCst);
                    client.write_all(response.as_bytes()).unwrap();
                    if response.contains(" 200 ") {
                        relay(client, TcpStream::connect(("127.0.0.1", port)).unwrap());
                    }
                });
            }
        });
        Proxy { address, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn relay(client: TcpStream, service: TcpStream) {
    let (mut from_client, mut to_service) =
        (client.try_clone().unwrap(), service.try_clone().unwrap());
    let up = thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_service);
        let _ = to_service.shutdown(Shutdown::Write);
    });
    let (mut from_service, mut to_client) = (service, client);
    let _ = io::copy(&mut from_service, &mut to_client);
    let _ = to_client.shutdown(Shutdown::Write);
    let _ = up.join();
}

#[test]
fn inside_a_read() {
    let Some((sk, _)) = inside() else { return };
    let value = sk.unwrap().get_secret("sk_key").unwrap();
    assert_eq!(value.expose_secret(), "sk-live-1");
}

#[test]
fn informational_responses_come_before_the_tunnel() {
    let vault = vault();
    let hints = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    let proxy = Proxy::start(vault.port(), hints);
    let variables = [("HTTPS_PROXY", OsStr::new(&proxy.address))];
    outside("inside_a_read", &vault, &variables);
    assert_eq!(proxy.asked(), 1);
}

#[test]
fn inside_a_refusal() {
    let Some((sk, clock)) = inside() else { return };
    let error = sk.unwrap().get_secret("sk_key").unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(text.contains("refused the connection with 4"), "{text}");
    assert!(!error.is_retryable() && !error.is_unavailable());
    // A proxy's status is not the service's.
    assert_eq!(error.http_status(), None);
    assert!(clock.slept_ms().is_empty());
    assert!(!common::chain(&error).contains("hunter2"));
}

#[test]
fn a_proxys_refusal_is_final_and_no_outage() {
    for response in [
        "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.0 401 Unauthorized\r\n\r\n",
        "HTTP/1.1 403 Filtered\r\nContent-Length: 4\r\n\r\n<no>",
        "HTTP/1.1 404 No\r\n\r\n",
    ] {
        let vault = vault();
        let proxy = Proxy::start(vault.port(), response);
        let url = format!("http://ann:hunter2@{}", proxy.address);
        outside(
            "inside_a_refusal",
            &vault,
            &[("HTTPS_PROXY", OsStr::new(&url))],
        );
        assert_eq!(proxy.asked(), 1, "{response}");
    }
}

#[test]
fn inside_an_outage() {
    let Some((sk, clock)) = inside() else { return };
    let error = sk.unwrap().get_secret("sk_key").unwrap_err();
    assert!(error.is_retryable() && error.is_unavailable(), "{error}");
    assert_eq!(clock.slept_ms().len(), 3);
}

#[test]
fn a_proxy_that_cannot_reach_the_service_is_an_outage() {
    let vault = vault();
    let proxy = Proxy::start(vault.port(), "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
    let variables = [("HTTPS_PROXY", OsStr::new(&proxy.address))];
    outside("inside_an_outage", &vault, &variables);
    assert_eq!(proxy.asked(), 4);
}

#[test]
fn inside_a_build() {
    let Some((sk, _)) = inside() else { return };
    let error = sk.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let text = common::chain(&error);
    assert!(
        text.contains("_PROXY") && !text.contains("hunter2"),
        "{text}"
    );
}

#[test]
fn variables_that_cannot_be_meant_are_refused_at_build() {
    let vault = vault();
    for value in [
        "http://127.0.0.1:99999",
        "http://127.0.0.1:abc",
        "http://127.0.0.1:",
        "http://ann:hunter2#w@127.0.0.1:3128",
        "http://ann:hunter2/w@127.0.0.1:3128",
    ] {
        let variables = [("HTTPS_PROXY", OsStr::new(value))];
        outside("inside_a_build", &vault, &variables);
    }
}

#[test]
#[cfg(unix)]
fn variables_that_are_not_utf_8_are_refused_at_build() {
    use std::os::unix::ffi::OsStrExt as _;

    let vault = vault();
    let odd = OsStr::from_bytes(b"http://ann:hunter2\xff@127.0.0.1:3128");
    for name in ["HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        outside("inside_a_build", &vault, &[(name, odd)]);
    }
}

/// A real proxy, which wants a password, and leads to another one that knows the name.
struct Tinyproxy {
    process: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Tinyproxy {
    fn start(upstream: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("tinyproxy.conf");
        let text = format!(
            "Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 10\nAllow 127.0.0.1\n\
             BasicAuth ann hunter2\nUpstream http {upstream}\n"
        );
        fs::write(&config, text).unwrap();
        let mut process = Command::new("tinyproxy")
            .arg("-d")
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("tinyproxy");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        // Its log says when it accepts connections.
        let ready = lines.any(|line| line.unwrap().contains("Starting main loop"));
        assert!(ready, "tinyproxy ended");
        // It goes on writing its log.
        thread::spawn(move || lines.for_each(drop));
        Tinyproxy {
            process,
            address: format!("127.0.0.1:{port}"),
            _folder: folder,
        }
    }
}

impl Drop for Tinyproxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "needs tinyproxy, which .ci/run installs"]
fn tinyproxy_with_a_right_and_a_wrong_password() {
    let vault = vault();
    let upstream = Proxy::start(vault.port(), "HTTP/1.1 200 OK\r\n\r\n");
    let tinyproxy = Tinyproxy::start(&upstream.address);
    for (user, test, connections) in [
        ("ann:hunter2", "inside_a_read", 1),
        ("ann:hunter3", "inside_a_refusal", 1),
    ] {
        let url = format!("http://{user}@{}", tinyproxy.address);
        outside(test, &vault, &[("HTTPS_PROXY", OsStr::new(&url))]);
        assert_eq!(vault.connections(), connections, "{user}");
    }
}
