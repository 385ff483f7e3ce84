//! TLS material: a chain and its key, split at the first 0xFF, which no UTF-8 has. `$CHAIN` and `$KEY` stand for a pair that
//! fits.
#![no_main]

use std::sync::LazyLock;

use sikkerkey::ValueError;
use sikkerkey::tls::{TlsIdentity, TrustRoots};

static PAIR: LazyLock<(String, String)> = LazyLock::new(|| {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a pair");
    (pair.cert.pem(), pair.signing_key.serialize_pem())
});

/// The reason is a short line, the same for every input of its kind: it quotes nothing.
fn quotes_nothing(error: &ValueError) {
    let line = format!("{error} {error:?}");
    assert!(
        line.len() < 400 && !line.contains(char::is_control) && !line.contains("-----"),
        "{line}"
    );
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |&byte| byte == 0xff);
    let (cert, key) = &*PAIR;
    let mut text = || {
        let text = std::str::from_utf8(parts.next().unwrap_or_default());
        text.map(|text| text.replace("$CHAIN", cert).replace("$KEY", key))
    };
    let (Ok(chain), Ok(key)) = (text(), text()) else {
        return;
    };
    match TlsIdentity::from_pem(&chain, &key) {
        Ok(identity) => assert!(!identity.certified_key().cert.is_empty()),
        Err(error) => quotes_nothing(&error),
    }
    match TrustRoots::from_pem(&chain) {
        Ok(roots) => assert!(!roots.store().is_empty()),
        Err(error) => quotes_nothing(&error),
    }
});
