//! Identities that rotate in a live config.

use serde_json::json;
use sikkerkey::live::Subscription;
use sikkerkey::rustls::pki_types::CertificateDer;
use sikkerkey::tls::{TlsIdentity, TwoSecrets};
use sikkerkey::{Freshness, Live, SikkerKey, SikkerKeyConfig};
use std::sync::Arc;
use std::time::Duration;

use crate::authority::{Authority, DAY, NOW};
use crate::common::emulator;
use crate::common::stage::{PATIENCE, Stage};
use crate::handshake::{TestTime, client, client_with, handshake, server};
use crate::values::Site;

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(nested, secret = "sk_tls")]
    tls: TlsIdentity,
    #[sikkerkey(secret = "sk_name")]
    name: String,
}

#[derive(SikkerKeyConfig)]
struct Apart {
    #[sikkerkey(nested)]
    tls: TwoSecrets<Site>,
}

fn secret((chain, key): &(String, String)) -> String {
    json!({"chain": chain, "key": key}).to_string()
}

fn leaf(identity: &TlsIdentity) -> CertificateDer<'static> {
    identity.certified_key().cert[0].clone()
}

struct Scene {
    stage: Stage,
    sk: SikkerKey,
    authority: Authority,
    live: Live<Config>,
    changes: Subscription<Config>,
}

/// A live config whose certificate is valid for a day.
fn scene() -> Scene {
    let authority = Authority::new();
    let first = secret(&authority.issue(NOW, NOW + DAY));
    let vault = emulator().json("sk_tls", first).secret("sk_name", "one");
    let stage = Stage::new(vault.start().unwrap());
    let sk = stage.builder().build().unwrap();
    let live = Config::live(&sk).unwrap();
    stage.rest();
    let changes = live.subscribe();
    Scene {
        stage,
        sk,
        authority,
        live,
        changes,
    }
}

impl Scene {
    /// Rotates, and waits for the outcome: the paths that changed, or why it was refused.
    #[track_caller]
    fn rotate(&mut self, value: impl Into<String>) -> Result<Vec<String>, String> {
        self.stage.vault.put("sk_tls", value);
        self.cycle()
    }

    #[track_caller]
    fn cycle(&mut self) -> Result<Vec<String>, String> {
        self.stage.poll();
        match self.changes.recv_timeout(PATIENCE) {
            Ok(change) => Ok(change.paths().to_vec()),
            Err(sikkerkey::live::RecvError::Refused(error)) => Err(error.to_string()),
            Err(error) => panic!("nothing came: {error}"),
        }
    }
}

#[test]
fn each_handshake_has_the_identity_of_its_moment() {
    let mut scene = scene();
    let time = TestTime::new();
    let part = scene.live.select(|config| &config.tls);
    let server = server(&time, part.server_cert_resolver());
    let client = client(&time, &scene.authority.pem());
    let first = leaf(&scene.live.load().tls);
    assert_eq!(handshake(&server, &client).unwrap(), first);
    for _ in 0..3 {
        let next = scene.authority.issue(NOW, NOW + DAY);
        let paths = scene.rotate(secret(&next)).unwrap();
        assert_eq!(paths, ["tls.chain", "tls.key"]);
        let seen = handshake(&server, &client).unwrap();
        assert_eq!(seen, leaf(&scene.live.load().tls));
        assert_ne!(seen, first);
    }
}

#[test]
fn a_part_hears_of_its_own_rotations_alone() {
    let mut scene = scene();
    let (tell, told) = std::sync::mpsc::channel();
    scene
        .live
        .select(|config| &config.tls)
        .on_change(move |change| {
            let _ = tell.send(change.paths().to_vec());
        });
    scene.stage.vault.put("sk_name", "two");
    assert_eq!(scene.cycle().unwrap(), ["name"]);
    let next = scene.authority.issue(NOW, NOW + DAY);
    scene.rotate(secret(&next)).unwrap();
    let paths = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(paths, ["tls.chain", "tls.key"]);
}

#[test]
fn a_resolver_keeps_the_live_config_going() {
    let Scene {
        stage,
        authority,
        live,
        mut changes,
        ..
    } = scene();
    let time = TestTime::new();
    let first = leaf(&live.load().tls);
    let part = live.select(|config| &config.tls);
    let server = server(&time, part.server_cert_resolver());
    drop((live, part));
    stage
        .vault
        .put("sk_tls", secret(&authority.issue(NOW, NOW + DAY)));
    stage.poll();
    changes.recv_timeout(PATIENCE).unwrap();
    let client = client(&time, &authority.pem());
    assert_ne!(handshake(&server, &client).unwrap(), first);
}

#[test]
fn what_is_no_good_identity_keeps_the_last_one() {
    let mut scene = scene();
    let good = leaf(&scene.live.load().tls);
    let (chain, key) = scene.authority.issue(NOW, NOW + DAY);
    let (_, other) = scene.authority.issue(NOW, NOW + DAY);
    let expired = scene.authority.issue(NOW - DAY, NOW - 1);
    let early = scene.authority.issue(NOW + DAY, NOW + 2 * DAY);
    let pair = |chain: &str, key: &str| secret(&(chain.to_owned(), key.to_owned()));
    for (value, says) in [
        (
            pair(&chain, &other),
            "does not belong to the first certificate",
        ),
        (pair("", &key), "there is no certificate: the text is empty"),
        (
            pair(&format!("{chain}{key}"), &key),
            "a private key among the certificates",
        ),
        (
            pair(&chain, &key.replace(" PRIVATE", " ENCRYPTED PRIVATE")),
            "encrypted with a passphrase",
        ),
        (
            pair("ssh-ed25519-cert-v01@openssh.com AAAA", &key),
            "it is of SSH",
        ),
        ("{}".to_owned(), "no field \"chain\""),
        (
            secret(&expired),
            "expired: the certificate was valid until Mon, 21 Sep 2026 14:13:19 GMT",
        ),
        (
            secret(&early),
            "not yet valid: the certificate begins on Tue, 22 Sep 2026 14:13:20 GMT",
        ),
    ] {
        let refused = scene.rotate(value).unwrap_err();
        assert!(refused.contains(says), "{refused}");
        assert!(!refused.contains(key.lines().nth(1).unwrap()));
        let status = scene.live.status();
        assert_eq!(status.freshness(), Freshness::Degraded);
        assert_eq!(status.last_error().unwrap().to_string(), refused);
        assert_eq!(leaf(&scene.live.load().tls), good);
    }
    // Something else changes meanwhile: it waits, as one config is one moment.
    scene.stage.vault.put("sk_name", "two");
    scene.stage.poll();
    // A build that is under way would run out of its time.
    scene.stage.clock.threads_at_rest("sikkerkey-live", 1);
    assert_eq!(scene.live.load().name, "one");
    // The last one was only too early.
    let day = Duration::from_secs(86_400);
    scene.stage.pass(day);
    scene.stage.rest();
    let changed = scene.changes.recv_timeout(PATIENCE).unwrap();
    assert_eq!(changed.paths(), ["tls.chain", "tls.key", "name"]);
    assert_eq!(scene.live.status().freshness(), Freshness::Fresh);
}

#[test]
fn an_expired_identity_is_no_start() {
    let scene = scene();
    let expired = scene.authority.issue(NOW - DAY, NOW - 1);
    scene.stage.vault.put("sk_tls", secret(&expired));
    let says = "tls.chain  sk_tls/chain  expired: the certificate was valid until";
    for error in [
        Config::load(&scene.sk).err().unwrap(),
        Config::live(&scene.sk).err().unwrap(),
    ] {
        assert!(error.to_string().contains(says), "{error}");
    }
    // A pure function knows no time.
    let snapshot = Config::loader(&scene.sk).snapshot();
    assert!(Config::from_snapshot(&snapshot).is_ok());
}

#[test]
fn an_identity_that_ends_while_it_runs_stays() {
    let scene = scene();
    let identity = scene.live.load().tls.clone();
    scene.stage.pass(Duration::from_secs(86_401));
    scene.stage.rest();
    let running = scene.live.load();
    assert_eq!(running.tls, identity);
    let now = std::time::UNIX_EPOCH + Duration::from_secs((NOW + DAY + 1).unsigned_abs());
    assert!(running.tls.valid_until() < now);

    // Nor does it hold back what else changes.
    scene.stage.vault.put("sk_name", "two");
    scene.stage.poll();
    scene.stage.clock.threads_at_rest("sikkerkey-live", 1);
    let running = scene.live.load();
    assert_eq!((running.name.as_str(), &running.tls), ("two", &identity));
    scene.live.rehearse("sk_name", "three").unwrap();
    // An expired one that is another is refused as before.
    let expired = scene.authority.issue(NOW - DAY, NOW - 1);
    scene.stage.vault.put("sk_tls", secret(&expired));
    scene.stage.poll();
    scene.stage.clock.threads_at_rest("sikkerkey-live", 1);
    assert_eq!(scene.live.load().tls, identity);
    let error = scene.live.status().last_error().unwrap().to_string();
    assert!(error.contains("expired"), "{error}");
}

#[test]
fn half_a_rotation_of_two_secrets_waits_for_the_other_half() {
    let authority = Authority::new();
    let (chain, key) = authority.issue(NOW, NOW + DAY);
    let vault = emulator().secret("sk_chain", chain).secret("sk_key", key);
    let stage = Stage::new(vault.start().unwrap());
    let sk = stage.builder().build().unwrap();
    let live = Apart::live(&sk).unwrap();
    stage.rest();
    let mut changes = live.subscribe();
    let first = leaf(&live.load().tls);
    let time = TestTime::new();
    let server = server(
        &time,
        live.select(|config| &config.tls).server_cert_resolver(),
    );
    let client = client(&time, &authority.pem());

    let (chain, key) = authority.issue(NOW, NOW + DAY);
    stage.vault.put("sk_chain", chain);
    stage.poll();
    assert!(changes.recv_timeout(PATIENCE).is_err());
    assert_eq!(handshake(&server, &client).unwrap(), first);
    stage.vault.put("sk_key", key);
    stage.poll();
    let change = changes.recv_timeout(PATIENCE).unwrap();
    assert_eq!(change.paths(), ["tls.chain", "tls.key"]);
    assert_ne!(handshake(&server, &client).unwrap(), first);
}

#[test]
fn a_configuration_is_of_one_generation() {
    let mut scene = scene();
    let part = scene.live.select(|config| &config.tls);
    let config = part.server_config();
    assert!(Arc::ptr_eq(&config, &part.server_config()));
    let next = scene.authority.issue(NOW, NOW + DAY);
    scene.rotate(secret(&next)).unwrap();
    assert!(!Arc::ptr_eq(&config, &part.server_config()));
    let client = client(&TestTime::new(), &scene.authority.pem());
    let [old, new] =
        [config, part.server_config()].map(|config| handshake(&config, &client).unwrap());
    assert_ne!(old, new);
    assert_eq!(new, leaf(&scene.live.load().tls));
}

#[test]
fn a_client_presents_the_identity_of_the_moment() {
    let scene = scene();
    let time = TestTime::new();
    let part = scene.live.select(|config| &config.tls);
    let authority = scene.authority.pem();
    let roots = sikkerkey::tls::TrustRoots::from_pem(&authority).unwrap();
    let server = crate::handshake::server_for(
        &time,
        part.server_cert_resolver(),
        roots.client_cert_verifier(),
    );
    let with = client_with(&time, &authority, part.client_cert_resolver());
    assert!(handshake(&server, &with).is_ok());
    let without = client(&time, &authority);
    assert!(handshake(&server, &without).is_err());
    assert!(format!("{part:?} {with:?}").contains("Resolver"));
}
