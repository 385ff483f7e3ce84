//! An axum service whose sqlx pool follows a rotating database login, with one pool and without a failed
//! query.
//!
//! `cargo run -p sikkerkey-service-examples --example axum_sqlx` starts its own PostgreSQL, the
//! emulator and the service, rotates the login twenty times under load, and counts.
//! `… -- --offline FILE` serves without a vault, `… -- --serve` from the vault that the environment names, on port 8080 or
//! `PORT`.
//!
//! `/healthz` answers 200 while a config serves:
//!
//! ```text
//! {"degraded":false,"status":{"freshness":"fresh","generation":21,…}}
//! ```
//!
//! `/metrics` is for Prometheus: `sikkerkey_live_generation{config="Config"} 21` and others.
#![allow(clippy::print_stdout)] // It is read in a terminal.

#[path = "../postgres-rotation/cluster.rs"]
mod cluster;
mod load;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};
use sikkerkey::{
    ConfigError, ExposeSecret, Freshness, Live, Loader, SecretString, SikkerKey, SikkerKeyConfig,
    Snapshot,
};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection};
use tokio::net::TcpListener;

type AnyError = Box<dyn Error + Send + Sync>;

const LIFETIME: Duration = Duration::from_millis(500);

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(nested)]
    db: Database,
    #[sikkerkey(secret = "sk_flags", field = "greeting", default = "hello")]
    greeting: String,
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db_prod")]
struct Database {
    host: String,
    #[sikkerkey(default = 5432)]
    port: u16,
    username: String,
    password: SecretString,
}

impl Database {
    fn options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username(&self.username)
            .password(self.password.expose_secret())
            .database("postgres")
    }

    /// The probe: whether the database accepts this login, before a request uses it.
    async fn probe(&self) -> Result<(), &'static str> {
        let connection = PgConnection::connect_with(&self.options()).await;
        let connection = connection.map_err(|_| "the database refuses this login")?;
        connection.close().await.map_err(|_| "the database hung up")
    }
}

#[derive(Clone)]
struct App {
    live: Live<Config>,
    pool: PgPool,
    metrics: PrometheusHandle,
}

impl App {
    /// Keeps one pool: connections that it opens after a rotation use the new login.
    fn new(live: Live<Config>, metrics: PrometheusHandle) -> Self {
        // How long connections of an old login last. In a real service, use minutes.
        let options = PgPoolOptions::new()
            .max_connections(8)
            .max_lifetime(LIFETIME);
        let pool = options.connect_lazy_with(live.load().db.options());
        let followed = pool.clone();
        live.select(|config| &config.db)
            .on_change(move |change| followed.set_connect_options(change.after().options()));
        App {
            live,
            pool,
            metrics,
        }
    }

    fn router(self) -> Router {
        Router::new()
            .route("/", get(greet))
            .route("/healthz", get(health))
            .route("/metrics", get(metrics))
            .with_state(self)
    }
}

async fn greet(State(app): State<App>) -> Result<String, StatusCode> {
    let user = sqlx::query_scalar("SELECT current_user::text").fetch_one(&app.pool);
    let user: String = user.await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok(format!("{} {user}", app.live.load().greeting))
}

async fn metrics(State(app): State<App>) -> String {
    app.metrics.render()
}

/// 200 while a config serves: with a 503, an outage of the vault would take out all replicas at once.
async fn health(State(app): State<App>) -> Json<Value> {
    let status = app.live.status();
    let degraded = status.freshness() != Freshness::Fresh;
    Json(json!({ "degraded": degraded, "status": status }))
}

fn loader(offline: Option<&str>) -> Result<Loader<Config>, AnyError> {
    match offline {
        Some(file) => Ok(Config::offline(Snapshot::from_toml_file(file)?)),
        None => Ok(probed(&SikkerKey::from_env()?)),
    }
}

fn probed(sk: &SikkerKey) -> Loader<Config> {
    Config::loader(sk).probe_async(|config: Arc<Config>| async move { config.db.probe().await })
}

async fn start(
    loader: Loader<Config>,
    listener: TcpListener,
    metrics: PrometheusHandle,
) -> Result<App, ConfigError> {
    let app = App::new(loader.live_async().await?, metrics);
    let router = app.clone().router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(app)
}

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Before the client is built, because building it describes the metrics.
    let metrics = PrometheusBuilder::new().install_recorder()?;
    let offline = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => return load::run(metrics).await,
        ["--serve"] => None,
        ["--offline", file] => Some(file),
        _ => return Err("usage: axum_sqlx [--serve | --offline FILE]".into()),
    };
    let port = std::env::var("PORT").unwrap_or_else(|_| "8080".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let address = listener.local_addr()?;
    let _app = start(loader(offline)?, listener, metrics).await?;
    println!("serving on http://{address}");
    std::future::pending::<()>().await;
    Ok(())
}
