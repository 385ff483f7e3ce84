//! Nothing is in scope, and what usually is has other meanings.
#![no_implicit_prelude]
#![deny(warnings)]
#![allow(dead_code, non_camel_case_types)]

struct Option;
struct Result;
struct Some;
struct None;
struct Ok;
struct Err;
struct Default;
struct Into;
struct Box;
struct Vec;
mod core {}
mod std {}
mod sikkerkey {}

#[derive(::sikkerkey::SikkerKeyConfig)]
#[sikkerkey(secret = "sk_db", validate = "valid")]
struct String {
    host: ::std::string::String,
    #[sikkerkey(default = 5432)]
    port: u16,
    #[sikkerkey(default)]
    user: ::std::string::String,
    #[sikkerkey(default = "eu")]
    region: ::std::string::String,
    #[sikkerkey(secret = "sk_a")]
    maybe: ::core::option::Option<u16>,
    #[sikkerkey(json)]
    json: ::std::option::Option<u16>,
    #[sikkerkey(from_str)]
    parsed: u16,
    #[sikkerkey(with = "with")]
    made: ::std::option::Option<u16>,
    #[sikkerkey(delimiter = ",")]
    list: ::std::vec::Vec<u16>,
    #[sikkerkey(nested, secret = "sk_b")]
    inner: Inner,
    #[sikkerkey(nested, name = "C")]
    other: ::core::option::Option<Inner>,
    #[sikkerkey(skip)]
    skipped: u8,
    #[sikkerkey(skip, default = 7)]
    seven: u8,
}

#[derive(::sikkerkey::SikkerKeyConfig)]
#[sikkerkey(secret = "sk_inner")]
struct Inner {
    x: u8,
}

fn valid(_: &String) -> ::core::result::Result<(), &'static str> {
    ::core::result::Result::Ok(())
}

fn with(text: &str) -> ::core::result::Result<u16, ::core::num::ParseIntError> {
    text.parse()
}

fn main() {
    use ::core::iter::FromIterator;
    use ::sikkerkey::SikkerKeyConfig;
    let snapshot = ::sikkerkey::Snapshot::from_iter([
        (
            "sk_db",
            r#"{"host": "db", "json": 1, "parsed": "2", "made": "3", "list": "4,5"}"#,
        ),
        ("sk_b", r#"{"x": 6}"#),
    ]);
    let config = <String as SikkerKeyConfig>::from_snapshot(&snapshot);
    match config {
        ::core::result::Result::Ok(config) => {
            ::std::assert_eq!(config.host, "db");
            ::std::assert_eq!(config.region, "eu");
            ::std::assert_eq!(config.json, ::core::option::Option::Some(1));
            ::std::assert_eq!(config.made, ::core::option::Option::Some(3));
            ::std::assert_eq!(config.list, [4, 5]);
            ::std::assert_eq!(config.inner.x, 6);
            ::std::assert!(config.other.is_none());
            ::std::assert_eq!(config.seven, 7);
        }
        ::core::result::Result::Err(error) => ::std::panic!("{error}"),
    }
}
