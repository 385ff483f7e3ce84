//! The crate has another name here, and is reached through a module.
#![deny(warnings)]

mod vendor {
    pub mod deep {
        pub use ::sikkerkey as key;
    }
}

// The plain name leads nowhere.
#[allow(unused)]
mod sikkerkey {}

use vendor::deep::key::{SikkerKeyConfig, Snapshot};

#[derive(SikkerKeyConfig)]
#[sikkerkey(crate = "crate::vendor::deep::key")]
struct ByText {
    #[sikkerkey(secret = "sk_a")]
    a: u8,
}

#[derive(SikkerKeyConfig)]
#[sikkerkey(crate = vendor::deep::key)]
struct ByPath<T> {
    #[sikkerkey(secret = "sk_a")]
    a: T,
}

fn main() {
    let snapshot = Snapshot::from_iter([("sk_a", "1")]);
    assert_eq!(ByText::from_snapshot(&snapshot).map(|c| c.a).ok(), Some(1));
    assert_eq!(ByPath::<u16>::from_snapshot(&snapshot).map(|c| c.a).ok(), Some(1));
}
