//! Type parameters, lifetimes, constants, defaults and where clauses.
#![deny(warnings)]

use std::borrow::Cow;
use std::fmt::Debug;
use std::marker::PhantomData;

use sikkerkey::{SikkerKeyConfig, Snapshot};

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a")]
struct Everything<'a, 'b: 'a, T, U: Debug = u8, const N: usize = 2>
where
    T: Clone,
{
    text: Cow<'a, str>,
    other: Cow<'b, str>,
    plain: T,
    maybe: Option<U>,
    #[sikkerkey(json)]
    json: Vec<T>,
    #[sikkerkey(from_str)]
    parsed: T,
    #[sikkerkey(delimiter = ",")]
    list: Vec<U>,
    #[sikkerkey(default)]
    fallback: T,
    #[sikkerkey(nested)]
    inner: Inner<T>,
    #[sikkerkey(nested)]
    maybe_inner: Option<Inner<U>>,
    #[sikkerkey(skip)]
    ghost: PhantomData<fn() -> Unread>,
    #[sikkerkey(skip, default = [0; N])]
    array: [u8; N],
}

/// Implements nothing.
struct Unread;

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_inner")]
struct Inner<T> {
    x: T,
}

fn main() {
    let snapshot = Snapshot::from_iter([
        (
            "sk_a",
            r#"{"text": "t", "other": "o", "plain": 1, "json": [1, 2], "parsed": 3, "list": "4,5"}"#,
        ),
        ("sk_inner", r#"{"x": 9}"#),
    ]);
    let config = match Everything::<'_, 'static, u16, u8, 3>::from_snapshot(&snapshot) {
        Ok(config) => config,
        Err(error) => panic!("{error}"),
    };
    assert_eq!((config.text.as_ref(), config.other.as_ref()), ("t", "o"));
    assert_eq!((config.plain, config.parsed, config.fallback), (1, 3, 0));
    assert_eq!((config.json, config.list, config.maybe), (vec![1, 2], vec![4, 5], None));
    assert_eq!((config.inner.x, config.maybe_inner.map(|i| i.x)), (9, Some(9)));
    assert_eq!(config.array, [0; 3]);
    let _ = config.ghost;
}
