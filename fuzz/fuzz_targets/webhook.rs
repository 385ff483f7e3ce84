//! The body of a webhook, signed and unsigned.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| sikkerkey::__private::fuzz::webhook(body));
