//! The route for the service's webhooks: a rotation is swapped in when it happens, before the next
//! poll.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use sikkerkey::Live;
use sikkerkey::webhook::{Webhook, WebhookError};

use crate::Config;

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
        // The delivery has arrived: `status()` shows a failed refresh, and the next poll retries it.
        Ok(event) => {
            let _ = live.on_webhook_async(&event).await;
            StatusCode::OK
        }
        Err(WebhookError::Signature) => StatusCode::UNAUTHORIZED,
        Err(_) => StatusCode::BAD_REQUEST,
    }
}
