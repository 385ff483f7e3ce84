//! An HTTP client whose API key rotates. A call that the server refuses is repeated with the new key, so
//! no call fails. Without the retry, calls fail.
//!
//! `cargo run -p sikkerkey-service-examples --example api_key` starts the emulator and a server that
//! accepts one key at a time, rotates the key twenty times under load, and counts.
#![allow(clippy::print_stdout)] // It is read in a terminal.

use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::get;
use sikkerkey::{ExposeSecret, Live, SecretString, SikkerKey, SikkerKeyConfig};
use sikkerkey_emulator::Emulator;

#[derive(SikkerKeyConfig)]
struct Config {
    #[sikkerkey(secret = "sk_api_key")]
    api_key: SecretString,
}

type AnyError = Box<dyn Error + Send + Sync>;

const ROTATIONS: u64 = 20;

/// The key that the server accepts now.
type Accepted = Arc<Mutex<String>>;

async fn answer(State(accepted): State<Accepted>, headers: HeaderMap) -> StatusCode {
    let key = accepted.lock().map(|key| key.clone()).unwrap_or_default();
    let expected = format!("Bearer {key}");
    match headers.get(header::AUTHORIZATION) {
        Some(sent) if sent.as_bytes() == expected.as_bytes() => StatusCode::OK,
        _ => StatusCode::UNAUTHORIZED,
    }
}

/// Makes one call with the key of this config.
async fn call(
    client: reqwest::Client,
    url: String,
    config: Arc<Config>,
) -> Result<(), reqwest::Error> {
    let request = client.get(url).bearer_auth(config.api_key.expose_secret());
    request.send().await?.error_for_status().map(|_| ())
}

fn is_refused(error: &reqwest::Error) -> bool {
    error.status() == Some(reqwest::StatusCode::UNAUTHORIZED)
}

/// The calls that succeeded and failed. One client makes them all.
async fn rotate_under_calls(retry: bool) -> Result<(u64, u64), AnyError> {
    let key = |number: u64| format!("api-key-number-{number}");
    let vault = Emulator::builder().secret("sk_api_key", key(0)).start()?;
    let sk = SikkerKey::builder().identity_file(vault.identity_path());
    // No poll comes during the run: the refused call fetches the new key.
    let sk = sk.poll_interval(Duration::from_secs(3600)).build()?;
    let loader = Config::loader(&sk).refresh_gap(Duration::from_millis(1));
    let live: Live<Config> = loader.live_async().await?;

    let accepted: Accepted = Arc::new(Mutex::new(key(0)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let router = Router::new()
        .route("/", get(answer))
        .with_state(Arc::clone(&accepted));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let client = reqwest::Client::new();
    let (succeeded, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let running = Arc::new(AtomicBool::new(true));
    let calls = {
        let (succeeded, failed, running) = (succeeded.clone(), failed.clone(), running.clone());
        tokio::spawn(async move {
            while running.load(Ordering::Relaxed) {
                let once = |config| call(client.clone(), url.clone(), config);
                let outcome = match retry {
                    true => live.retry_on_refused_async(once, is_refused).await,
                    false => once(live.get()).await,
                };
                let counter = if outcome.is_ok() { &succeeded } else { &failed };
                counter.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let count = || succeeded.load(Ordering::Relaxed) + failed.load(Ordering::Relaxed);
    for number in 1..=ROTATIONS {
        // The vault first, so the new key can be read when the server starts to require it.
        vault.put("sk_api_key", key(number));
        if let Ok(mut accepted) = accepted.lock() {
            *accepted = key(number);
        }
        let before = count();
        while count() < before + 3 {
            tokio::task::yield_now().await;
        }
    }
    running.store(false, Ordering::Relaxed);
    calls.await?;
    Ok((
        succeeded.load(Ordering::Relaxed),
        failed.load(Ordering::Relaxed),
    ))
}

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let (succeeded, failed) = rotate_under_calls(true).await?;
    println!(
        "with retry_on_refused: {succeeded} calls, {failed} failed, {ROTATIONS} rotations, 1 client"
    );
    let (_, without) = rotate_under_calls(false).await?;
    println!("without it: {without} failed");
    match (failed, without) {
        (0, 1..) => Ok(()),
        _ => Err("a call failed, or none did without the retry".into()),
    }
}
