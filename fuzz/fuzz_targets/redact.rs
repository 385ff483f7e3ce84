//! A secret's value that is not what a config wants, after one byte that says what it wants.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some((choice, secret)) = bytes.split_first()
        && let Ok(secret) = std::str::from_utf8(secret)
    {
        sikkerkey_figment::fuzz::redact(*choice, secret);
    }
});
