//! A JSON string: it is decoded as serde_json decodes it.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| sikkerkey::__private::fuzz::unescaper(text));
