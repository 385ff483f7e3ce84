//! What a server can send on a connection, read by this client and by hyper.
#![no_main]

use std::sync::LazyLock;

use check::{Seen, Tls, check, silent};
use choices::{Choices, Seed};

#[path = "../../tests/tests/oracle/check.rs"]
#[allow(dead_code, reason = "the planted rule is for the test")]
mod check;
#[path = "../../tests/tests/oracle/choices.rs"]
mod choices;
#[path = "../../tests/tests/oracle/reference.rs"]
mod reference;
#[path = "../../tests/tests/oracle/stream.rs"]
mod stream;
#[path = "../../tests/tests/oracle/wire.rs"]
mod wire;

/// The bytes of a fuzzer; 0 after their end.
struct Bytes<'a>(&'a [u8]);

impl Choices for Bytes<'_> {
    fn below(&mut self, bound: usize) -> usize {
        let mut number = 0;
        let mut range = 1;
        while range < bound {
            let Some((&byte, rest)) = self.0.split_first() else {
                break;
            };
            self.0 = rest;
            number = number << 8 | usize::from(byte);
            range <<= 8;
        }
        number % bound
    }
}

static TLS: LazyLock<Tls> = LazyLock::new(Tls::new);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut choices = Bytes(bytes);
    let cuts = Seed(choices.below(256) as u64);
    let stream = stream::stream(&mut choices);
    if let Err(problem) = check(&stream, cuts, &TLS, silent, &mut Seen::default()) {
        panic!("{problem}\n{stream:?}");
    }
});
