//! The least that a signed read can be, without any client.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::Value;
use sikkerkey_emulator::Emulator;

/// A socket that is open, and one signature a read.
pub(crate) struct Floor {
    stream: TcpStream,
    key: SigningKey,
    machine: String,
    nonce: u128,
}

impl Floor {
    pub(crate) fn new(vault: &Emulator) -> Self {
        let identity = std::fs::read_to_string(vault.identity_path()).unwrap();
        let identity: Value = serde_json::from_str(&identity).unwrap();
        let pem = std::fs::read_to_string(identity["privateKeyPath"].as_str().unwrap()).unwrap();
        let stream = TcpStream::connect(("127.0.0.1", vault.port())).unwrap();
        stream.set_nodelay(true).unwrap();
        Floor {
            stream,
            key: SigningKey::from_pkcs8_pem(&pem).unwrap(),
            machine: vault.machine_id().to_owned(),
            nonce: 0,
        }
    }

    pub(crate) fn read(&mut self) {
        // The hash of an empty body.
        const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        self.nonce += 1;
        let nonce = STANDARD.encode(self.nonce.to_be_bytes());
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let text = format!("GET:/v1/secret/sk_0:{now}:{nonce}:{EMPTY}");
        let signature = STANDARD.encode(self.key.sign(text.as_bytes()).to_bytes());
        let request = format!(
            "GET /v1/secret/sk_0 HTTP/1.1\r\nHost: localhost\r\nX-Machine-Id: {}\r\nX-Timestamp: {now}\r\n\
             X-Nonce: {nonce}\r\nX-Signature: {signature}\r\n\r\n",
            self.machine
        );
        self.stream.write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 4096];
        let mut length = 0;
        while !answer[..length].ends_with(b"}") {
            let read = self.stream.read(&mut answer[length..]).unwrap();
            assert!(read > 0, "the answer ended");
            length += read;
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
}
