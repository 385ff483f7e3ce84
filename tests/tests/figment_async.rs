//! Figments with the async client, and as futures.
// A test fails by panicking; the error is figment's own.
#![allow(clippy::result_large_err)]

use std::sync::Arc;

use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use serde::Deserialize;
use sikkerkey::live::SecretState;
use sikkerkey::{AsyncSikkerKey, Live, SikkerKey, SikkerKeyConfig, Snapshot};
use sikkerkey_emulator::Emulator;
use sikkerkey_figment::{Exported, LiveFigment, References, Secrets};
use sikkerkey_tests::emulator;

#[derive(Debug, PartialEq, Deserialize, SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db")]
struct Database {
    host: String,
    port: u16,
}

fn vault() -> Emulator {
    let vault = emulator().structured("sk_db", [("host", "db-of-vault"), ("port", "5432")]);
    vault.start().unwrap()
}

fn layers() -> Figment {
    let file = "host = 'sikkerkey://sk_db/host'\nport = 'sikkerkey://sk_db/port?as=number'";
    Figment::from(Toml::string(file))
}

fn expected() -> Database {
    Database {
        host: "db-of-vault".to_owned(),
        port: 5432,
    }
}

fn is_sent<F: Future + Send + 'static>(future: F) -> F {
    future
}

#[test]
fn every_layer_takes_either_client() {
    let vault = vault();
    let sk = SikkerKey::new(vault.identity_path()).unwrap();
    let asynchronous: AsyncSikkerKey = sk.clone().into_async();
    let secrets = Figment::from(Secrets::of::<Database>(&asynchronous));
    assert_eq!(secrets.extract::<Database>().unwrap(), expected());
    let secrets = Figment::from(Secrets::of::<Database>(sk));
    assert_eq!(secrets.extract::<Database>().unwrap(), expected());
    let resolved = References::new(&asynchronous).resolve(layers()).unwrap();
    assert_eq!(resolved.extract::<Database>().unwrap(), expected());
    let exported = Figment::from(Exported::all(&asynchronous));
    assert_eq!(
        exported.extract_inner::<String>("sk_db_host").unwrap(),
        "db-of-vault"
    );
    let live: Live<Database> = LiveFigment::new(asynchronous, layers).live().unwrap();
    assert_eq!(*live.load(), expected());
}

#[test]
fn references_and_live_figments_are_futures_too() {
    let vault = vault();
    let sk = AsyncSikkerKey::new(vault.identity_path()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.unwrap().block_on(async {
        let resolved = is_sent(References::new(&sk).resolve_async(layers()));
        let resolved = tokio::spawn(resolved).await.unwrap().unwrap();
        assert_eq!(resolved.extract::<Database>().unwrap(), expected());
        let wrong = Serialized::default("x", "sikkerkey://sk_nothing");
        let error = References::new(&sk)
            .resolve_async(Figment::from(wrong))
            .await;
        assert!(error.unwrap_err().to_string().contains("sk_nothing"));

        let live = is_sent(LiveFigment::new(&sk, layers).live_async::<Database>());
        let live = tokio::spawn(live).await.unwrap().unwrap();
        assert_eq!(*live.load(), expected());

        let probe = |config: Arc<Database>| async move {
            tokio::task::yield_now().await;
            match config.port {
                1 => Ok(()),
                _ => Err("not the port of the override"),
            }
        };
        let own = Snapshot::from_iter([("sk_db", r#"{"port": 1}"#)]);
        let live = LiveFigment::new(&sk, layers)
            .live_with_async::<Database>(|loader| loader.overrides(own).probe_async(probe))
            .await
            .unwrap();
        assert_eq!(
            (live.load().host.as_str(), live.load().port),
            ("db-of-vault", 1)
        );
        let status = live.status();
        let states: Vec<_> = status.secrets().map(|of| (of.id(), of.state())).collect();
        assert_eq!(states, [("sk_db", SecretState::Overridden)]);
        let unread = Snapshot::from_iter([("sk_bd", "1")]);
        let error = LiveFigment::new(&sk, layers)
            .live_with_async::<Database>(|loader| loader.overrides(unread))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("near it: sk_db"), "{error}");
    });
}
