//! A client of a few lines, on ureq: it shares no code with the emulator or with `sikkerkey`. Where a test is about
//! the bytes or the connection, the same requests go over a bare socket.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod program;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use sikkerkey_emulator::Emulator;

/// A response as it came.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Every header of that name.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(
            self.status,
            status,
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        self.json()
    }
}

/// One request of an agent of its own, so on a connection of its own, which ends with it.
pub(crate) fn call(
    agent: &ureq::Agent,
    url: &str,
    method: &str,
    headers: &[(String, String)],
    body: &str,
) -> Result<Response, ureq::Error> {
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let mut response = if body.is_empty() {
        agent.run(request.body(()).unwrap())?
    } else {
        agent.run(request.body(body.to_owned()).unwrap())?
    };
    let text = |value: &ureq::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into();
    Ok(Response {
        status: response.status().as_u16(),
        headers: response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
        body: response.body_mut().read_to_vec()?,
    })
}

/// An agent that follows nothing, retries nothing and knows no proxy.
pub(crate) fn agent(tls: Option<ureq::tls::TlsConfig>) -> ureq::Agent {
    let mut config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        // No test waits for this: it turns a hang into a failure.
        .timeout_global(Some(Duration::from_secs(60)));
    if let Some(tls) = tls {
        config = config.tls_config(tls);
    }
    config.build().new_agent()
}

/// A machine that signs.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) machine: String,
    pub(crate) key: SigningKey,
    pub(crate) port: u16,
    /// Seconds that its clock is ahead of this machine's.
    pub(crate) ahead: i64,
}

/// A request that can be spoiled before it is sent.
pub(crate) struct Request<'a> {
    client: &'a Client,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: String,
    /// What is signed, where it differs from what is sent.
    pub(crate) signed_path: Option<String>,
    pub(crate) signed_body: Option<String>,
    pub(crate) machine: Option<String>,
    pub(crate) timestamp: Option<String>,
    pub(crate) nonce: Option<String>,
    pub(crate) signature: Option<String>,
    pub(crate) content_type: Option<String>,
    /// Headers that are not signed.
    pub(crate) more: Vec<(String, String)>,
}

impl Client {
    /// The private key in base64.
    pub(crate) fn seed(&self) -> String {
        STANDARD.encode(self.key.to_bytes())
    }

    pub(crate) fn of(vault: &Emulator) -> Self {
        Self::at(vault.identity_path())
    }

    pub(crate) fn at(identity: &Path) -> Self {
        let json: Value = serde_json::from_slice(&std::fs::read(identity).unwrap()).unwrap();
        let pem = std::fs::read_to_string(json["privateKeyPath"].as_str().unwrap()).unwrap();
        let port = json["apiUrl"]
            .as_str()
            .unwrap()
            .rsplit(':')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let key = SigningKey::from_pkcs8_pem(&pem).unwrap();
        Self {
            machine: json["machineId"].as_str().unwrap().into(),
            key,
            port,
            ahead: 0,
        }
    }

    /// The same machine with a clock that is so many seconds ahead.
    pub(crate) fn ahead(mut self, seconds: i64) -> Self {
        self.ahead = seconds;
        self
    }

    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> Request<'_> {
        Request {
            client: self,
            method: method.into(),
            path: path.into(),
            body: body.into(),
            signed_path: None,
            signed_body: None,
            machine: Some(self.machine.clone()),
            timestamp: Some((now() + self.ahead).to_string()),
            nonce: Some(nonce()),
            signature: None,
            content_type: (!body.is_empty()).then(|| "application/json".into()),
            more: Vec::new(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.request("GET", path, "").send()
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Response {
        self.request("POST", path, body).send()
    }

    #[track_caller]
    pub(crate) fn value(&self, id: &str) -> String {
        self.get(&format!("/v1/secret/{id}")).expect(200)["value"]
            .as_str()
            .unwrap()
            .into()
    }

    /// What one poll says: `sk_a=changed sk_b=deleted`.
    #[track_caller]
    pub(crate) fn poll(&self, ids: &[&str]) -> String {
        let body = serde_json::json!({ "watch": ids }).to_string();
        let response = self.post("/v1/secrets/poll", &body).expect(200);
        let changes = response["changes"].as_object().unwrap();
        let said: Vec<_> = changes
            .iter()
            .map(|(id, c)| format!("{id}={}", c["status"].as_str().unwrap()))
            .collect();
        said.join(" ")
    }
}

impl Request<'_> {
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The headers of the request, without those of HTTP itself.
    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        let path = self.signed_path.as_ref().unwrap_or(&self.path);
        let mut text = format!("{}:{path}", self.method);
        for (name, value) in [
            ("X-Machine-Id", &self.machine),
            ("X-Timestamp", &self.timestamp),
            ("X-Nonce", &self.nonce),
        ] {
            let Some(value) = value else { continue };
            headers.push((name.to_owned(), value.clone()));
            if name != "X-Machine-Id" {
                text.push_str(&format!(":{value}"));
            }
        }
        let digest = Sha256::digest(self.signed_body.as_ref().unwrap_or(&self.body).as_bytes());
        text.push(':');
        digest
            .iter()
            .for_each(|b| text.push_str(&format!("{b:02x}")));
        let signature = STANDARD.encode(self.client.key.sign(text.as_bytes()).to_bytes());
        let signature = self.signature.clone().unwrap_or(signature);
        if !signature.is_empty() {
            headers.push(("X-Signature".into(), signature));
        }
        if let Some(kind) = &self.content_type {
            headers.push(("Content-Type".into(), kind.clone()));
        }
        headers.extend(self.more.iter().cloned());
        headers
    }

    /// The request for a bare socket.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: localhost\r\n",
            self.method, self.path
        );
        for (name, value) in self.headers() {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        format!("{head}\r\n{}", self.body).into_bytes()
    }

    pub(crate) fn send(&self) -> Response {
        let url = format!("http://127.0.0.1:{}{}", self.client.port, self.path);
        call(
            &agent(None),
            &url,
            &self.method,
            &self.headers(),
            &self.body,
        )
        .unwrap()
    }
}

pub(crate) fn connect(port: u16) -> TcpStream {
    let wire = TcpStream::connect(("127.0.0.1", port)).unwrap();
    // No test waits for this: it turns a hang into a failure.
    wire.set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    wire
}

/// One response off a connection that stays open.
pub(crate) fn receive(wire: &mut TcpStream) -> Response {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        assert_eq!(
            wire.read(&mut byte).unwrap(),
            1,
            "the connection ended within a head"
        );
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap();
    let headers = head.lines().skip(1).filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_owned(), value.to_owned()))
    });
    let mut response = Response {
        status: head[9..12].parse().unwrap(),
        headers: headers.collect(),
        body: Vec::new(),
    };
    let length: usize = response.header("Content-Length").unwrap().parse().unwrap();
    response.body = vec![0; length];
    wire.read_exact(&mut response.body).unwrap();
    response
}

/// Everything that comes for these bytes, until the other side closes, and whether that was a reset.
pub(crate) fn exchange(port: u16, bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut wire = connect(port);
    wire.write_all(bytes).unwrap();
    let mut all = Vec::new();
    let end = wire.read_to_end(&mut all);
    let reset = end.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset);
    (all, reset)
}

/// Enrolls with this token; the key is new.
pub(crate) fn enroll(vault: &Emulator, token: &str, more: Value) -> (Response, SigningKey) {
    enroll_at(vault.port(), vault.vault_id(), token, more)
}

pub(crate) fn enroll_at(
    port: u16,
    vault: &str,
    token: &str,
    more: Value,
) -> (Response, SigningKey) {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).unwrap();
    let key = SigningKey::from_bytes(&seed);
    let mut body = serde_json::json!({
        "token": token,
        "publicKey": STANDARD.encode(key.verifying_key().to_bytes()),
        "hostname": "host-1",
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    let path = format!("/v1/{vault}/enroll/register");
    (post_at(port, &path, &body.to_string()), key)
}

pub(crate) fn post_unsigned(vault: &Emulator, path: &str, body: &str) -> Response {
    post_at(vault.port(), path, body)
}

fn post_at(port: u16, path: &str, body: &str) -> Response {
    let url = format!("http://127.0.0.1:{port}{path}");
    let headers = [("Content-Type".to_owned(), "application/json".to_owned())];
    call(&agent(None), &url, "POST", &headers, body).unwrap()
}

pub(crate) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64
}

pub(crate) fn nonce() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    bytes[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    STANDARD.encode(bytes)
}
