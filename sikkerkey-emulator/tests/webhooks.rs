//! Webhooks to a receiver on this machine.

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use sikkerkey_emulator::{Emulator, EmulatorBuilder, Policy, SecretsFile, Webhook};
use support::Client;

const MINUTE: Duration = Duration::from_secs(60);
const SECRET: &str = "whsec_canary";

/// A receiver of webhooks, and what came.
struct Receiver(TcpListener);

struct Received {
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    wire: TcpStream,
}

impl Receiver {
    fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    fn url(&self) -> String {
        format!(
            "http://127.0.0.1:{}/hook?x=1",
            self.0.local_addr().unwrap().port()
        )
    }

    fn hook(&self) -> Webhook {
        Webhook::new(self.url(), SECRET).unwrap()
    }

    /// The next delivery, not answered yet.
    fn receive(&self) -> Received {
        let (wire, _) = self.0.accept().unwrap();
        wire.set_read_timeout(Some(MINUTE)).unwrap();
        let mut reader = BufReader::new(wire.try_clone().unwrap());
        let mut line = || {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        };
        let path = line();
        let headers: Vec<_> = std::iter::from_fn(|| Some(line()).filter(|line| !line.is_empty()))
            .map(|line| {
                line.split_once(": ")
                    .map(|(n, v)| (n.into(), v.into()))
                    .unwrap()
            })
            .collect();
        let mut received = Received {
            path,
            headers,
            body: Vec::new(),
            wire,
        };
        received.body = vec![0; received.header("Content-Length").parse().unwrap()];
        reader.read_exact(&mut received.body).unwrap();
        received
    }
}

impl Received {
    fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(n, _)| n == name);
        &found.next().unwrap().1
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn answer(&mut self, status: u16) -> &Self {
        write!(
            self.wire,
            "HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"
        )
        .unwrap();
        self
    }

    /// What it is about: `secret_rotate sk_a`.
    fn about(&self) -> String {
        let json = self.json();
        assert_eq!(json["event"], self.header("X-SikkerKey-Event"));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        format!(
            "{} {}",
            text(&json["event"]),
            text(&json["data"]["secretId"])
        )
    }
}

fn start(setting: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder) -> (Emulator, Client) {
    let vault = setting(Emulator::builder().secret("sk_a", "1"))
        .start()
        .unwrap();
    let client = Client::of(&vault);
    (vault, client)
}

#[test]
fn a_rotation_is_delivered_and_signed() {
    let receiver = Receiver::new();
    let (vault, client) = start(|b| b.webhook(receiver.hook()));
    vault.put("sk_a", "2");
    let mut told = receiver.receive();
    assert_eq!(client.value("sk_a"), "2", "it can be read already");
    assert_eq!(told.path, "POST /hook?x=1 HTTP/1.1");
    assert_eq!(told.header("Content-Type"), "application/json");
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(&told.body);
    let expected: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(told.header("X-SikkerKey-Signature"), expected);
    assert_eq!(told.about(), "secret_rotate sk_a");
    let json = told.json();
    let sent = json["timestamp"].as_i64().unwrap();
    assert!((0..60_000).contains(&(support::now() * 1000 + 999 - sent)));
    for id in [
        json["id"].as_str().unwrap(),
        told.header("X-SikkerKey-Delivery-Id"),
    ] {
        assert_eq!((id.len(), id.matches('-').count()), (36, 4), "a UUID");
    }
    told.answer(204);
    assert!(vault.wait_for_webhooks(MINUTE, |all| all.len() == 1));
    let delivery = vault.webhook_deliveries().remove(0);
    assert_eq!((delivery.status, delivery.url), (204, receiver.url()));
    assert_eq!(delivery.number, 1);
    assert_eq!(delivery.body.as_bytes(), told.body);
}

#[test]
fn every_change_of_a_value_is_delivered_in_order() {
    let receiver = Receiver::new();
    let (vault, client) = start(|b| b.policy("sk_a", Policy::new().rotate_after_reads(1)));
    vault.put("sk_a", "before anybody listens");
    vault.add_webhook(receiver.hook()).unwrap();
    vault.put("sk_new", "1");
    vault.rename("sk_a", "another name");
    vault.deny("sk_a");
    vault.allow("sk_a");
    vault.put("sk_a", "2");
    client.value("sk_a");
    vault.delete("sk_a");
    vault.delete("sk_a");
    let told = [(); 3].map(|()| receiver.receive().answer(200).about());
    let expected = [
        "secret_rotate sk_a",
        "secret_rotate sk_a",
        "secret_delete sk_a",
    ];
    assert_eq!(told, expected);
    assert!(vault.wait_for_webhooks(MINUTE, |all| all.len() == 3));
}

#[test]
fn a_test_makes_deliveries_early_and_repeated() {
    let receiver = Receiver::new();
    let hook = receiver.hook().signature_prefix(true);
    let (vault, client) = start(|b| b.webhook(hook));
    vault.repeat_webhook();
    vault.send_webhook("secret_rotate", "sk_a");
    let mut first = receiver.receive();
    assert!(first.header("X-SikkerKey-Signature").starts_with("sha256="));
    assert_eq!(client.value("sk_a"), "1", "nothing has changed");
    first.answer(500);
    vault.repeat_webhook();
    let mut again = receiver.receive();
    assert_eq!((&again.headers, &again.body), (&first.headers, &first.body));
    again.answer(200);
    assert!(vault.wait_for_webhooks(MINUTE, |all| all.len() == 2));
    let statuses: Vec<_> = vault
        .webhook_deliveries()
        .iter()
        .map(|d| d.status)
        .collect();
    assert_eq!(statuses, [500, 200]);
}

#[test]
fn a_failing_receiver_does_not_block_others() {
    let receiver = Receiver::new();
    let gone = Receiver::new().url();
    let (vault, _) = start(|b| {
        b.webhook(Webhook::new(gone, SECRET).unwrap())
            .webhook(receiver.hook())
    });
    vault.put("sk_a", "2");
    drop(receiver.receive());
    vault.put("sk_a", "3");
    let unanswered = receiver.receive();
    assert!(vault.wait_for_webhooks(MINUTE, |all| all.len() == 3));
    assert!(
        vault
            .webhook_deliveries()
            .iter()
            .all(|delivery| delivery.status == 0)
    );
    assert!(!format!("{vault:?} {:?}", receiver.hook()).contains("canary"));
    // Stopping does not wait for the answer.
    drop(vault);
    drop(unanswered);
}

#[test]
fn a_file_names_its_receivers() {
    let (one, two) = (Receiver::new(), Receiver::new());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.toml");
    let write = |value: &str, receiver: &Receiver| {
        let url = receiver.url();
        let text = format!("sk_a = '{value}'\n[[webhook]]\nurl = '{url}'\nsecret = '{SECRET}'\n");
        std::fs::write(&path, text).unwrap();
    };
    write("1", &one);
    let mut file = SecretsFile::open(&path).unwrap();
    assert_eq!(file.len(), 1);
    let vault = Emulator::builder().file(&file).start().unwrap();
    write("2", &one);
    assert!(file.reload(&vault).unwrap().is_none());
    file.reload(&vault).unwrap().unwrap();
    assert_eq!(one.receive().answer(200).about(), "secret_rotate sk_a");
    assert!(vault.wait_for_webhooks(MINUTE, |all| all.len() == 1));
    write("3", &two);
    assert!(file.reload(&vault).unwrap().is_none());
    file.reload(&vault).unwrap().unwrap();
    assert_eq!(two.receive().answer(200).about(), "secret_rotate sk_a");
    assert!(vault.wait_for_webhooks(MINUTE, |all| all.len() == 2));
}
