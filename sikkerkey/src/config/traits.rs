//! Traits that the derive's attributes require of a type, each with its own compile-error text. None is
//! implemented by hand.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::str::FromStr;

use serde::de::DeserializeOwned;

use super::from_secret::FromSecret;
use super::own_text::own_text;

/// A type that `json` reads.
#[diagnostic::on_unimplemented(
    message = "`json` cannot read a value of type `{Self}`",
    label = "`serde::Deserialize` is not implemented for `{Self}`, or it borrows from its text",
    note = "add `#[derive(serde::Deserialize)]` to the type, which must own what it holds"
)]
pub trait ReadJson: Sized {
    /// Reads the value.
    fn read_json(text: &str) -> serde_json::Result<Self>;
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> ReadJson for T {
    fn read_json(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }
}

/// A type that `from_str` reads.
#[diagnostic::on_unimplemented(
    message = "`from_str` cannot read a value of type `{Self}`",
    label = "`FromStr` is not implemented for `{Self}`, or its error is not `'static`",
    note = "implement `std::str::FromStr`, or use `with = \"path::to::function\"`"
)]
pub trait ReadFromStr: Sized {
    /// Reads the value, or returns a reason that may be shown.
    fn read_from_str(text: &str) -> Result<Self, Cow<'static, str>>;
}

#[diagnostic::do_not_recommend]
impl<T: FromStr<Err: 'static>> ReadFromStr for T {
    fn read_from_str(text: &str) -> Result<Self, Cow<'static, str>> {
        T::from_str(text).map_err(|error| own_text(&error).unwrap_or_default())
    }
}

/// A type for which `default = "text"` can be written.
#[diagnostic::on_unimplemented(
    message = "a string literal is not a default for `{Self}`",
    label = "expected a value of type `{Self}`",
    note = "a default is a Rust value, not text that is parsed; a string literal works only for a type that is `From<&'static str>`"
)]
pub trait FromText: Sized {
    /// The value.
    fn from_text(text: &'static str) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: From<&'static str>> FromText for T {
    fn from_text(text: &'static str) -> Self {
        T::from(text)
    }
}

/// Makes the value of a `default = "text"`.
pub fn text<T: FromText>(text: &'static str) -> T {
    T::from_text(text)
}

/// A type with a default of its own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no default value",
    label = "`Default` is not implemented for `{Self}`",
    note = "write the value, `default = …`, or implement `Default`"
)]
pub trait FromNothing: Sized {
    /// The value.
    fn from_nothing() -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Default> FromNothing for T {
    fn from_nothing() -> Self {
        T::default()
    }
}

/// Returns the default value.
pub fn default<T: FromNothing>() -> T {
    T::from_nothing()
}

/// A collection that `delimiter` fills.
#[diagnostic::on_unimplemented(
    message = "`delimiter` cannot fill a `{Self}`",
    label = "not a collection that `delimiter` can fill",
    note = "`delimiter` fills a `Vec`, `Box<[T]>`, `VecDeque`, `BTreeSet` or `HashSet` whose items implement `FromSecret`"
)]
pub trait Delimited {
    /// The type of its items.
    type Item: FromSecret;

    /// Makes a collection of these items, in this order if it is ordered.
    fn from_items(items: Vec<Self::Item>) -> Self;
}

macro_rules! delimited {
    ($($collection:ty, [$($bound:tt)*];)*) => {$(
        impl<T: FromSecret $($bound)*> Delimited for $collection {
            type Item = T;

            fn from_items(items: Vec<T>) -> Self {
                items.into_iter().collect()
            }
        }
    )*};
}

delimited! {
    Vec<T>, [];
    Box<[T]>, [];
    VecDeque<T>, [];
    BTreeSet<T>, [+ Ord];
}

impl<T: FromSecret + Eq + Hash, S: BuildHasher + Default> Delimited for HashSet<T, S> {
    type Item = T;

    fn from_items(items: Vec<T>) -> Self {
        items.into_iter().collect()
    }
}
