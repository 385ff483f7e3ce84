//! Where the fuzz targets of `fuzz/` come in; it exists for them alone.

use secrecy::SecretString;

use crate::api_url::ApiUrl;
use crate::cache::fuzz_open;
use crate::error::clean_server_text;
use crate::shared::check_id;
use crate::transport::fuzz_read;
use crate::wire::{self, ExportAnswer, ListAnswer, PollAnswer, ReadAnswer};
use crate::{Export, Fields};

/// Reads an answer as it comes from a connection, and all that its body could be.
pub fn answer(bytes: &[u8]) {
    let Some(body) = fuzz_read(bytes) else {
        return;
    };
    let _ = wire::decode::<ReadAnswer>(&body);
    let _ = wire::decode::<ListAnswer>(&body);
    let _ = wire::decode::<PollAnswer>(&body);
    if let Ok(export) = wire::decode::<ExportAnswer>(&body) {
        let _ = Export::from_entries(export.secrets);
    }
    if let Some(message) = wire::error_message(&body) {
        let line = clean_server_text(&message);
        assert!(line.chars().count() <= 201 && !line.contains(char::is_control));
    }
}

/// Opens a file of the cache that nobody sealed.
pub fn cache_file(bytes: &[u8]) {
    assert!(!fuzz_open(bytes), "a forged entry was opened");
}

/// An id, an address, and a value with fields.
pub fn text(text: &str) {
    if check_id(text).is_ok() {
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        );
    }
    if let Ok(url) = ApiUrl::parse(text) {
        assert!(url.is_tls() || url.is_loopback(), "unprotected: {text}");
    }
    if let Some(fields) = Fields::parse(&SecretString::from(text)) {
        assert!(fields.names().all(|name| fields.get(name).is_some()));
    }
}
