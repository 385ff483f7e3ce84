//! Values that must not show, and the places where they could: the log at its most talkative, and errors.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::sync::{LazyLock, Mutex, Once, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use sikkerkey_emulator::Emulator;
use sikkerkey_tests::canary::{hex, spellings};

/// Every canary in every spelling, and what was found.
static WATCH: LazyLock<Mutex<Watch>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Watch {
    spellings: Vec<(String, String)>,
    records: usize,
    found: Vec<String>,
}

/// A value that is easy to find again. Every test has its own, so that a find says whose it is.
pub(crate) fn value(test: &str, n: usize) -> String {
    format!("Canary~{test}~{n}~{}/+ü", "feathers")
}

/// From now on, nothing may show this value, and the log is listened to.
pub(crate) fn guard(value: &str) {
    static LISTEN: Once = Once::new();
    LISTEN.call_once(|| {
        log::set_logger(&Listener).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
    let mut watch = lock();
    for spelling in spellings(value) {
        watch.spellings.push((spelling, value.to_owned()));
    }
}

/// The private key in each form in which it could show: its file's text, and its seed.
pub(crate) fn guard_key(vault: &Emulator) {
    let identity = fs::read_to_string(vault.identity_path()).unwrap();
    let identity: serde_json::Value = serde_json::from_str(&identity).unwrap();
    let pem = fs::read_to_string(identity["privateKeyPath"].as_str().unwrap()).unwrap();
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(&text).unwrap();
    // PKCS#8 of Ed25519 ends with the 32 bytes of the seed.
    let seed = &der[16..48];
    let mut watch = lock();
    for spelling in [
        text,
        STANDARD_NO_PAD.encode(seed),
        URL_SAFE_NO_PAD.encode(seed),
        hex(seed),
    ] {
        watch
            .spellings
            .push((spelling, "the private key".to_owned()));
    }
}

/// Looks through a text; what it finds fails [`assert_none`].
pub(crate) fn search(place: &str, text: &str) {
    let mut watch = lock();
    watch.records += 1;
    let lower = text.to_ascii_lowercase();
    let found = watch.spellings.iter().find(|(spelling, _)| {
        text.contains(spelling) || lower.contains(&spelling.to_ascii_lowercase())
    });
    if let Some((spelling, value)) = found {
        let find = format!("{place}: {value} as {spelling} in: {text}");
        watch.found.push(find);
    }
}

/// Looks through everything that an error shows: itself and all its causes, in both forms.
pub(crate) fn search_error(error: &(dyn Error + 'static)) {
    let mut text = format!("{error:?}\n{error:#?}");
    let mut next = Some(error);
    while let Some(error) = next {
        let _ = write!(text, "\n{error}\n{error:#}");
        next = error.source();
    }
    search("an error", &text);
}

/// Nothing showed, in any test so far. Says how many texts were looked through.
#[track_caller]
pub(crate) fn assert_none() -> usize {
    let watch = lock();
    let shown: Vec<_> = watch.found.iter().take(5).collect();
    assert!(shown.is_empty(), "{} finds: {shown:#?}", watch.found.len());
    watch.records
}

fn lock() -> std::sync::MutexGuard<'static, Watch> {
    WATCH.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Listener;

impl log::Log for Listener {
    fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        search(
            &format!("the log of {}", record.target()),
            &record.args().to_string(),
        );
    }

    fn flush(&self) {}
}
