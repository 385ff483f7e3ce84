//! Unit tests without a vault, and integration tests on the emulator. Neither needs a database.

use std::time::Duration;

use sikkerkey::{Live, SikkerKey, SikkerKeyConfig, Snapshot};
use sikkerkey_emulator::Emulator;

use crate::{App, Config, health};

const DB: &str = r#"{"host": "::1", "port": "1", "username": "app", "password": "made-up-login"}"#;

fn app(live: Live<Config>) -> App {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    App::new(live, recorder.handle())
}

#[test]
fn a_config_needs_no_vault() {
    let config = Config::from_snapshot(&Snapshot::from_iter([("sk_db_prod", DB)])).unwrap();
    assert_eq!((config.db.port, &*config.greeting), (1, "hello"));
    assert_eq!(config.db.options().get_username(), "app");
    let wrong = Snapshot::from_iter([("sk_db_prod", DB.replace(r#""1""#, r#""x""#))]);
    let error = Config::from_snapshot(&wrong).err().unwrap();
    assert_eq!(error.problems()[0].path(), "db.port");
}

#[tokio::test]
async fn a_pool_follows_its_own_part_alone() {
    let config = |db: &str, greeting: &str| {
        let flags = format!(r#"{{"greeting": "{greeting}"}}"#);
        let snapshot = Snapshot::from_iter([("sk_db_prod", db), ("sk_flags", &flags)]);
        Config::from_snapshot(&snapshot).unwrap()
    };
    let (live, control) = Live::manual(config(DB, "hello"));
    let app = app(live);
    control.swap_paths(config(DB, "hi"), &["greeting"]);
    assert_eq!(app.live.load().greeting, "hi");
    control.swap_paths(config(&DB.replace("app", "app_2"), "hi"), &["db.username"]);
    assert_eq!(app.pool.connect_options().get_username(), "app_2");
    control.stale();
    let answer = health(axum::extract::State(app)).await;
    assert_eq!(answer.0["degraded"], true);
}

#[tokio::test]
async fn a_rotation_reaches_the_pool() {
    let vault = Emulator::builder().json("sk_db_prod", DB).start().unwrap();
    let sk = SikkerKey::builder()
        .identity_file(vault.identity_path())
        .poll_interval(Duration::from_millis(5))
        .build()
        .unwrap();
    let live = Config::live_async(&sk).await.unwrap();
    let app = app(live);
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    app.live.on_change(move |_| {
        let _ = tell.send(());
    });
    vault.put("sk_db_prod", DB.replace("app", "app_2"));
    told.recv().await.unwrap();
    assert_eq!(app.pool.connect_options().get_username(), "app_2");
    let answer = health(axum::extract::State(app)).await;
    assert_eq!(answer.0["status"]["generation"], 2);
}
