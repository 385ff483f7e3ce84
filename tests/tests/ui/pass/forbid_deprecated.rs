//! What is deprecated adds no lint of its own, and nothing is allowed that the program forbids.
#![forbid(deprecated)]
#![deny(warnings)]

use sikkerkey::{SikkerKeyConfig, Snapshot};

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a")]
#[deprecated]
struct Old {
    number: u8,
    #[deprecated]
    gone: Option<u8>,
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a")]
struct New {
    number: u8,
    #[deprecated]
    gone: Option<u8>,
}

fn main() {
    let snapshot = Snapshot::from_iter([("sk_a", r#"{"number": 1}"#)]);
    assert_eq!(New::from_snapshot(&snapshot).map(|c| c.number).ok(), Some(1));
}
