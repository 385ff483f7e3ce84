//! What a server can send, from the first byte of the status line on: headers with dates, chunks, JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sikkerkey::__private::fuzz::answer(bytes));
