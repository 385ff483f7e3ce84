//! A type that is deprecated, where the struct says that this is known.
#![deny(warnings)]

mod old {
    #[deprecated]
    #[derive(Default)]
    pub struct Old;

    #[allow(deprecated)]
    impl sikkerkey::FromSecret for Old {
        fn from_secret(_: &str) -> Result<Self, sikkerkey::ValueError> {
            Ok(Old)
        }
    }
}

use sikkerkey::{SikkerKeyConfig, Snapshot};

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a")]
struct Config {
    number: u8,
    #[allow(deprecated)]
    old: old::Old,
}

#[allow(deprecated)]
fn number(config: Config) -> u8 {
    let Config { number, old: old::Old } = config;
    number
}

fn main() {
    let snapshot = Snapshot::from_iter([("sk_a", r#"{"number": 1, "old": ""}"#)]);
    assert_eq!(Config::from_snapshot(&snapshot).map(number).ok(), Some(1));
}
