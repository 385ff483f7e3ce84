//! The prelude's names mean something else here; fields, constants and locals have awkward names.
#![deny(warnings)]
#![allow(dead_code, non_upper_case_globals)]

use sikkerkey::{SikkerKeyConfig, Snapshot};

#[allow(dead_code)]
type Result<T> = std::result::Result<T, ()>;
#[allow(non_snake_case)]
fn Some(_: u8) {}
#[allow(non_snake_case)]
fn Ok(_: u8) {}
struct String;
const host: u8 = 1;
const db: u8 = 2;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a")]
struct Config {
    host: std::string::String,
    self_: u8,
    r#type: u8,
    r#match: Option<u8>,
    __from: u8,
    __value: u8,
    __sikkerkey: u8,
    from: u8,
    #[sikkerkey(default = host + db)]
    sum: u8,
}

fn main() {
    let json = r#"{"host": "a", "self_": 1, "type": 2, "__from": 3, "__value": 4,
                   "__sikkerkey": 5, "from": 6}"#;
    let config = Config::from_snapshot(&Snapshot::from_iter([("sk_a", json)]))
        .expect("all that is needed is there");
    assert_eq!((config.self_, config.r#type, config.__from), (1, 2, 3));
    assert_eq!((config.r#match, config.sum), (None, 3));
    assert_eq!(Config::schema().iter().nth(2).map(|r| r.path()), Option::Some("type"));
}
