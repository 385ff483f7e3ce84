//! Aliases as an environment variable holds them.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| sikkerkey::__private::fuzz::aliases(text));
