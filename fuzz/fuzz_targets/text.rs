//! Texts that people write: ids, addresses, values with fields.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| sikkerkey::__private::fuzz::text(text));
