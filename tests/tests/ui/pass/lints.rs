//! The output adds no warning to a strict program.
#![deny(warnings)]
#![deny(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    unused_results,
    unused_lifetimes,
    single_use_lifetimes,
    trivial_casts,
    let_underscore_drop,
    unsafe_code
)]
#![forbid(unsafe_op_in_unsafe_fn)]

use sikkerkey::{SikkerKeyConfig, Snapshot};

/// A config.
#[allow(non_snake_case)]
#[derive(Debug, SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a", validate = Self::valid)]
pub struct Config {
    /// A number.
    pub number: u8,
    /// On its way out.
    #[deprecated]
    #[sikkerkey(default = { 5 })]
    pub old: u8,
    /// Begins with a block.
    #[sikkerkey(default = { 5 } + 1)]
    pub sum: u8,
    /// Has the name of a constant.
    #[sikkerkey(default = return_five())]
    pub SHOUTING: u8,
}

impl Config {
    fn valid(&self) -> Result<(), String> {
        (self.number > 0).then_some(()).ok_or_else(|| "no number".to_owned())
    }
}

const fn return_five() -> u8 {
    5
}

fn main() {
    let snapshot = Snapshot::from_iter([("sk_a", r#"{"number": 1}"#)]);
    assert_eq!(Config::from_snapshot(&snapshot).map(|c| (c.number, c.SHOUTING, c.sum)).ok(), Some((1, 5, 6)));
}
