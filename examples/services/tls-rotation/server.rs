//! The service: a TLS server whose certificate is a secret, and the route that hears of rotations.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use sikkerkey::Live;
use sikkerkey::rustls::crypto::ring::default_provider;
use sikkerkey::rustls::{ServerConfig, ServerConnection, StreamOwned};
use sikkerkey::webhook::{Webhook, WebhookError};

use crate::{AnyError, Config, PATIENCE};

/// Made once: each handshake asks the resolver for the certificate of its moment.
pub(crate) fn config(live: &Live<Config>) -> Result<Arc<ServerConfig>, AnyError> {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(live.select(|config| &config.tls).server_cert_resolver());
    Ok(Arc::new(config))
}

/// Serves each connection on a thread of its own, for as long as the process lives.
pub(crate) fn serve(listener: TcpListener, config: Arc<ServerConfig>) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            // A client that breaks off sees it itself.
            thread::spawn(move || greet(stream, config).ok());
        }
    });
}

fn greet(stream: TcpStream, config: Arc<ServerConfig>) -> Result<(), AnyError> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut tls = StreamOwned::new(ServerConnection::new(config)?, stream);
    tls.write_all(b"hello\n")?;
    tls.conn.send_close_notify();
    tls.flush()?;
    Ok(())
}

/// The route for webhooks.
pub(crate) fn routes(live: Live<Config>, webhook: Webhook) -> Router {
    Router::new()
        .route("/hooks/sikkerkey", post(hook))
        .layer(DefaultBodyLimit::max(64 * 1024))
        .with_state((live, webhook))
}

async fn hook(
    State((live, webhook)): State<(Live<Config>, Webhook)>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let signature = headers.get("X-SikkerKey-Signature");
    let signature = signature.map_or(&[][..], |value| value.as_bytes());
    match webhook.verify(signature, &body) {
        // Whatever came of it shows in the status, and the next poll tries again: the delivery arrived.
        Ok(event) => {
            let _ = live.on_webhook_async(&event).await;
            StatusCode::OK
        }
        Err(WebhookError::Signature) => StatusCode::UNAUTHORIZED,
        Err(_) => StatusCode::BAD_REQUEST,
    }
}
