//! Configs from a snapshot, without a vault.

#![cfg(all(feature = "derive", feature = "live"))]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sikkerkey::live::SecretState;
use sikkerkey::{
    CheckStatus, ConfigError, ExposeSecret as _, Freshness, ProblemKind, ReadOutcome, SecretString,
    SikkerKeyConfig, Snapshot,
};
use tokio::runtime::Builder;

#[derive(Debug, SikkerKeyConfig)]
struct Config {
    #[sikkerkey(secret = "sk_token")]
    token: SecretString,
    #[sikkerkey(name = "SENTRY DSN")]
    sentry: Option<String>,
    #[sikkerkey(nested)]
    db: Database,
}

#[derive(Debug, SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db")]
struct Database {
    host: String,
    #[sikkerkey(default = 5432)]
    port: u16,
}

fn secrets() -> Snapshot {
    Snapshot::from_iter([
        ("sk_token", "tok-offline-1"),
        ("sk_db", r#"{"host": "localhost", "a,b": 1}"#),
        ("sk_of_another_service", "x"),
    ])
}

#[track_caller]
fn is_right(config: &Config) {
    assert_eq!(config.token.expose_secret(), "tok-offline-1");
    assert_eq!(config.sentry, None);
    assert_eq!(
        (config.db.host.as_str(), config.db.port),
        ("localhost", 5432)
    );
}

#[test]
fn a_config_is_loaded_and_checked() {
    let loader = Config::offline(secrets());
    is_right(&loader.load().unwrap());
    let snapshot = loader.snapshot();
    assert_eq!(snapshot.ids().collect::<Vec<_>>(), ["sk_db", "sk_token"]);
    assert!(format!("{loader:?}").contains("[REDACTED]"));
    assert!(!format!("{loader:?}").contains("tok-offline-1"));

    let report = loader.check().unwrap();
    assert!(report.is_ok());
    let statuses: Vec<_> = report.iter().map(|check| check.status()).collect();
    assert_eq!(
        statuses,
        [
            CheckStatus::Ok,
            CheckStatus::Uncertain,
            CheckStatus::Ok,
            CheckStatus::FieldMissing
        ]
    );
}

#[test]
fn what_is_missing_denied_or_wrong_is_reported_together() {
    let secrets = Snapshot::from_iter([("sk_db", r#"{"host": "localhost", "port": "65536"}"#)]);
    let loader = Config::offline(secrets.with([("sk_token", ReadOutcome::Denied)]));
    let error = loader.load().unwrap_err();
    let kinds: Vec<_> = error.problems().iter().map(|p| p.kind()).collect();
    assert_eq!(kinds, [ProblemKind::Denied, ProblemKind::Invalid]);
    assert!(loader.clone().live().is_err());
    let report = loader.check().unwrap();
    let bad: Vec<_> = report.problems().map(|c| c.requirement().path()).collect();
    assert_eq!(bad, ["token"]);

    let error = Config::offline(Snapshot::default()).load().unwrap_err();
    assert_eq!(
        error.to_string(),
        "\
cannot build Config: 2 problems
  token    sk_token    missing: the snapshot has no such secret
  db.host  sk_db/host  missing: the snapshot has no such secret"
    );
}

#[test]
fn the_settings_of_a_loader_hold() {
    let staging = Snapshot::from_iter([
        ("sk_token_stg", "tok-offline-1"),
        ("sk_db", r#"{"host": "localhost"}"#),
        ("sk_dsn", "https://dsn"),
    ]);
    let loader = Config::offline(staging)
        .alias("sk_token", "sk_token_stg")
        .alias("SENTRY DSN", "sk_dsn");
    let config = loader.load().unwrap();
    assert_eq!(config.token.expose_secret(), "tok-offline-1");
    assert_eq!(config.sentry.as_deref(), Some("https://dsn"));
    let report = loader.check().unwrap();
    assert!(report.is_ok(), "{report}");
    let ids: Vec<_> = report
        .iter()
        .filter_map(|check| check.resolved_id())
        .collect();
    assert_eq!(ids, ["sk_token_stg", "sk_dsn", "sk_db", "sk_db"]);

    let own = Snapshot::from_iter([("sk_db", r#"{"host": "elsewhere"}"#)]);
    let config = Config::offline(secrets()).overrides(own).load().unwrap();
    assert_eq!(config.db.host, "elsewhere");
}

#[test]
fn a_live_config_never_changes_and_says_so() {
    let probes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&probes);
    let loader = Config::offline(secrets()).probe(move |config: &Config| {
        counted.fetch_add(1, Ordering::Relaxed);
        match config.db.port {
            5432 => Ok(()),
            _ => Err("the database does not answer"),
        }
    });
    let live = loader.clone().live().unwrap();
    assert_eq!(probes.load(Ordering::Relaxed), 1);
    is_right(&live.load());

    assert!(!live.refresh().unwrap());
    assert!(!live.refresh_secret("sk_token").unwrap());
    live.refresh_secret("sk_nothing").unwrap_err();
    live.rehearse("sk_token", "another").unwrap_err();
    live.try_load().unwrap();
    let mut changes = live.subscribe();
    assert!(changes.try_recv().is_err());
    let length = live.resource(|config| Ok::<_, ()>(config.db.host.len()));
    assert_eq!(*length.unwrap().load(), 9);
    assert!(live.previous().is_none());

    let status = live.status();
    assert!(status.is_offline());
    assert_eq!(status.freshness(), Freshness::Fresh);
    assert_eq!((status.generation(), status.age().as_nanos()), (1, 0));
    assert!(status.last_error().is_none());
    assert_eq!(status.to_string(), "fresh, generation 1, offline");
    let states: Vec<_> = status.secrets().map(|of| (of.id(), of.state())).collect();
    let offline = SecretState::Offline;
    assert_eq!(states, [("sk_db", offline), ("sk_token", offline)]);

    let other = Snapshot::from_iter([("sk_db", r#"{"port": "1"}"#)]);
    let error: ConfigError = loader.overrides(other).live().unwrap_err();
    assert!(error.to_string().contains("the database does not answer"));
}

#[test]
fn overridden_secrets_are_shown_as_such() {
    let other = Snapshot::from_iter([("sk_db", r#"{"port": "1"}"#)]);
    let live = Config::offline(secrets()).overrides(other).live().unwrap();
    assert_eq!(
        (live.load().db.host.as_str(), live.load().db.port),
        ("localhost", 1)
    );
    let status = live.status();
    let states: Vec<_> = status.secrets().map(|of| (of.id(), of.state())).collect();
    assert_eq!(
        states,
        [
            ("sk_db", SecretState::Overridden),
            ("sk_token", SecretState::Offline)
        ]
    );
    assert_eq!(
        status.to_string(),
        "fresh, generation 1, offline, sk_db overridden"
    );
}

#[test]
fn the_async_twins_work() {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let loader = Config::offline(secrets());
        is_right(&loader.load_async().await.unwrap());
        assert!(loader.check_async().await.unwrap().is_ok());
        assert_eq!(loader.snapshot_async().await.ids().count(), 2);
        let live = tokio::spawn(loader.live_async()).await.unwrap().unwrap();
        is_right(&live.load());
        assert!(!live.refresh_async().await.unwrap());
    });
}
