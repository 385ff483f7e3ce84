//! A file of the fallback cache: nothing that was not sealed with the key opens.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sikkerkey::__private::fuzz::cache_file(bytes));
