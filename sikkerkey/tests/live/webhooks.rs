//! News that the service delivers itself.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use sikkerkey::__private::Clock as _;
use sikkerkey::webhook::{Webhook, WebhookEvent};
use sikkerkey::{ExposeSecret as _, Live, SecretString, SikkerKeyConfig, Snapshot};
use sikkerkey_emulator as emulator;

use super::*;
use crate::common::virtual_clock::VirtualClock;

/// How long after a webhook a read that found nothing is repeated.
const SECOND_LOOK: Duration = Duration::from_secs(2);

const SIGNING: &str = "whsec_of_this_test";

/// What receives the deliveries of the stage's vault.
struct Receiver {
    listener: TcpListener,
    webhook: Webhook,
}

impl Receiver {
    fn new(stage: &Stage, webhook: Webhook, secret: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let hook = emulator::Webhook::new(url, secret).unwrap();
        stage.vault.add_webhook(hook).unwrap();
        Receiver {
            listener,
            webhook: webhook.clock(stage.clock.clone()),
        }
    }

    /// The next delivery: its signature and its body.
    fn receive(&self) -> (String, Vec<u8>) {
        let (mut wire, _) = self.listener.accept().unwrap();
        wire.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut reader = BufReader::new(wire.try_clone().unwrap());
        let (mut signature, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            match line.trim_end().split_once(": ") {
                Some(("X-SikkerKey-Signature", value)) => signature = value.to_owned(),
                Some(("Content-Length", value)) => length = value.parse().unwrap(),
                None if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        write!(wire, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        (signature, body)
    }

    fn event(&self) -> WebhookEvent {
        let (signature, body) = self.receive();
        self.webhook.verify(signature, body).unwrap()
    }
}

fn receiver(stage: &Stage) -> Receiver {
    Receiver::new(stage, Webhook::new(SIGNING), SIGNING)
}

#[test]
fn a_rotation_is_swapped_in_without_a_poll() {
    let (stage, live) = start();
    let receiver = receiver(&stage);
    let mut changes = live.subscribe();
    let polls = stage.poll_count();
    for name in ["two", "three", "four"] {
        // No time passes: no gap is waited for.
        stage.vault.put("sk_name", name);
        let event = receiver.event();
        assert_eq!(event.event(), "secret_rotate");
        assert_eq!(event.secret_id(), Some("sk_name"));
        assert!(live.on_webhook(&event).unwrap());
        assert_eq!(live.load().name, name);
        assert_eq!(changed(&mut changes), ["name"]);
    }
    assert_eq!(stage.reads("sk_name"), 4);
    assert_eq!(stage.reads("sk_db"), 1, "only what changed is read");
    assert_eq!(stage.poll_count(), polls);
}

#[test]
fn a_config_without_a_service_takes_no_delivery() {
    let (stage, _live) = start();
    let receiver = receiver(&stage);
    let secrets = [("sk_name", "one".to_owned()), ("sk_db", db("alpha", "1"))];
    let live = Config::offline(Snapshot::from_iter(secrets))
        .live()
        .unwrap();
    stage.vault.put("sk_name", "two");
    assert!(!live.on_webhook(&receiver.event()).unwrap());
    assert_eq!(live.load().name, "one");
}

#[test]
fn a_repeated_delivery_reads_nothing() {
    let (stage, live) = start();
    let receiver = receiver(&stage);
    stage.vault.put("sk_name", "two");
    assert!(live.on_webhook(&receiver.event()).unwrap());
    stage.vault.repeat_webhook();
    let repeat = receiver.event();
    assert!(repeat.is_repeat());
    assert!(!live.on_webhook(&repeat).unwrap());
    assert_eq!(stage.reads("sk_name"), 2);
}

#[test]
fn what_the_config_does_not_read_is_not_read() {
    let (stage, live) = start();
    let receiver = receiver(&stage);
    stage.vault.send_webhook("secret_rotate", "sk_other");
    assert!(!live.on_webhook(&receiver.event()).unwrap());
    assert_eq!(stage.reads("sk_other"), 0);
    let requests = stage.vault.request_count();
    settle(&stage);
    assert_eq!(stage.vault.request_count(), requests);
}

#[test]
fn a_read_that_finds_nothing_is_repeated_once_after_two_seconds() {
    let (stage, live) = start();
    let receiver = receiver(&stage);
    let mut changes = live.subscribe();
    // The delivery is ahead of the value.
    stage.vault.send_webhook("secret_rotate", "sk_name");
    assert!(!live.on_webhook(&receiver.event()).unwrap());
    assert_eq!(stage.reads("sk_name"), 2);
    assert_eq!(stage.clock.threads_at_rest(WORKER, 1), SECOND_LOOK);
    stage.vault.put("sk_name", "two");
    stage.pass(SECOND_LOOK);
    assert_eq!(changed(&mut changes), ["name"]);
    assert_eq!(stage.reads("sk_name"), 3);
    // The rotation's own delivery finds what is there already; so does its repetition, and there is no third.
    assert!(!live.on_webhook(&receiver.event()).unwrap());
    stage.pass(SECOND_LOOK);
    stage.wait_for("the repetition", |requests| {
        requests
            .iter()
            .filter(|r| r.path == "/v1/secret/sk_name")
            .count()
            == 5
    });
    assert!(stage.clock.threads_at_rest(WORKER, 1) > SECOND_LOOK);
    assert_eq!(stage.reads("sk_name"), 5);
}

#[test]
fn what_is_refused_was_found() {
    let (stage, live) = start();
    let receiver = receiver(&stage);
    stage.vault.put("sk_name", "invalid");
    let error = live.on_webhook(&receiver.event()).unwrap_err();
    assert!(
        error.to_string().contains("the name is not one of ours"),
        "{error}"
    );
    assert!(stage.clock.threads_at_rest(WORKER, 1) > SECOND_LOOK);
}

#[test]
fn a_forged_late_or_malformed_delivery_changes_nothing() {
    let (stage, _live) = start();
    let receiver = receiver(&stage);
    stage.vault.put("sk_name", "two");
    let (signature, body) = receiver.receive();
    let requests = stage.vault.request_count();
    let forged = signature.replace(|c: char| c.is_ascii_digit(), "0");
    assert!(receiver.webhook.verify(forged, &body).is_err());
    assert!(receiver.webhook.verify(&signature, &body[1..]).is_err());
    // A clock of its own, 301 s ahead: with the stage's, a poll would come too.
    let later = VirtualClock::new();
    later.advance(stage.clock.monotonic() + Duration::from_secs(301));
    let webhook = receiver.webhook.clock(later);
    assert!(webhook.verify(&signature, &body).is_err());
    assert_eq!(stage.vault.request_count(), requests);
}

#[derive(SikkerKeyConfig)]
struct Signed {
    #[sikkerkey(secret = "sk_signing")]
    signing: SecretString,
}

#[test]
fn the_signing_secret_may_be_live_itself() {
    let vault = common::emulator().secret("sk_signing", "whsec_the_first_one");
    let stage = Stage::new(vault.start().unwrap());
    let sk = client(&stage);
    let loader = Signed::loader(&sk).grace(Duration::from_secs(60));
    let live: Live<Signed> = loader.live().unwrap();
    settle(&stage);
    let webhook = Webhook::live(&live, |config| &config.signing);
    let receiver = Receiver::new(&stage, webhook, "whsec_the_first_one");
    // Signed with the secret that it replaces.
    stage.vault.put("sk_signing", "whsec_the_next_one");
    assert!(live.on_webhook(&receiver.event()).unwrap());
    assert_eq!(live.load().signing.expose_secret(), "whsec_the_next_one");
    // Another delivery that was on its way.
    stage.vault.send_webhook("secret_rotate", "sk_other");
    let (signature, body) = receiver.receive();
    assert!(receiver.webhook.verify(&signature, &body).is_ok());
    stage.pass(Duration::from_secs(60));
    settle(&stage);
    assert!(receiver.webhook.verify(&signature, &body).is_err());
}

#[test]
fn a_webhook_can_be_awaited() {
    let (stage, live) = start();
    let receiver = receiver(&stage);
    stage.vault.put("sk_name", "two");
    let event = receiver.event();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    assert!(runtime.block_on(live.on_webhook_async(&event)).unwrap());
    assert_eq!(live.load().name, "two");
}
