//! The ways in which a secret's text becomes a value: one for each way that the derive knows.

use std::any::Any;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::error::{Problem, ProblemKind};
use super::from_secret::{FromSecret, ValueError, type_label, with_article};
use super::schema::Kind;

/// How text becomes a value, and what the text must be.
pub trait Parser: Sized {
    /// What the text becomes.
    type Value;

    /// With its article: `a u16`.
    fn expected(&self) -> Cow<'static, str>;

    /// The shape of the value.
    fn kind(&self) -> Kind {
        Kind::String
    }

    /// What separates the items of a list.
    fn delimiter(&self) -> Option<&str> {
        None
    }

    /// What stands for nothing, in a type that has such a value.
    fn absent() -> Option<Self::Value> {
        None
    }

    /// The value, or the problem without its place.
    fn parse(&self, text: &SecretString) -> Result<Self::Value, Problem>;
}

/// `FromSecret`.
pub fn value<T: FromSecret>() -> impl Parser<Value = T> {
    ByValue::<T>(PhantomData)
}

/// `serde::Deserialize`.
pub fn json<T: DeserializeOwned>() -> impl Parser<Value = T> {
    ByJson::<T>(PhantomData)
}

/// `FromStr`.
pub fn from_str<T: FromStr<Err: 'static>>() -> impl Parser<Value = T> {
    ByFromStr::<T>(PhantomData)
}

/// A function of the user's.
pub fn with<T, F, E>(function: F) -> impl Parser<Value = T>
where
    F: Fn(&str) -> Result<T, E>,
    E: 'static,
{
    ByFunction::<T, F, E>(function, PhantomData)
}

/// Several values in one text.
pub fn delimited<T: Delimited>(delimiter: &'static str) -> impl Parser<Value = T> {
    ByDelimiter::<T>(delimiter, PhantomData)
}

struct ByValue<T>(PhantomData<fn() -> T>);
struct ByJson<T>(PhantomData<fn() -> T>);
struct ByFromStr<T>(PhantomData<fn() -> T>);
struct ByFunction<T, F, E>(F, PhantomData<fn() -> (T, E)>);
struct ByDelimiter<T>(&'static str, PhantomData<fn() -> T>);
/// The same, in an `Option`.
pub(super) struct Optional<P>(pub(super) P);

impl<T: FromSecret> Parser for ByValue<T> {
    type Value = T;

    fn expected(&self) -> Cow<'static, str> {
        T::expected()
    }

    fn kind(&self) -> Kind {
        T::KIND
    }

    fn absent() -> Option<T> {
        T::absent()
    }

    fn parse(&self, text: &SecretString) -> Result<T, Problem> {
        T::from_secret(text.expose_secret()).map_err(|error| invalid(self, error.reason()))
    }
}

impl<T: DeserializeOwned> Parser for ByJson<T> {
    type Value = T;

    fn expected(&self) -> Cow<'static, str> {
        format!("JSON of {}", with_article(&type_label::<T>())).into()
    }

    fn kind(&self) -> Kind {
        Kind::Json
    }

    /// The text of a serde error can quote the value, so only the place is told.
    fn parse(&self, text: &SecretString) -> Result<T, Problem> {
        serde_json::from_str(text.expose_secret()).map_err(|error| {
            let what = match error.classify() {
                Category::Data => "it is JSON of another shape",
                Category::Eof => "the JSON ends too early",
                Category::Syntax | Category::Io => "it is not JSON",
            };
            let (line, column) = (error.line(), error.column());
            invalid(self, &format!("{what}, at line {line} column {column}"))
        })
    }
}

impl<T: FromStr<Err: 'static>> Parser for ByFromStr<T> {
    type Value = T;

    fn expected(&self) -> Cow<'static, str> {
        with_article(&type_label::<T>()).into()
    }

    fn parse(&self, text: &SecretString) -> Result<T, Problem> {
        T::from_str(text.expose_secret()).map_err(|error| invalid(self, own_text(&error)))
    }
}

impl<T, F: Fn(&str) -> Result<T, E>, E: 'static> Parser for ByFunction<T, F, E> {
    type Value = T;

    fn expected(&self) -> Cow<'static, str> {
        with_article(&type_label::<T>()).into()
    }

    fn parse(&self, text: &SecretString) -> Result<T, Problem> {
        (self.0)(text.expose_secret()).map_err(|error| invalid(self, own_text(&error)))
    }
}

impl<T: Delimited> Parser for ByDelimiter<T> {
    type Value = T;

    fn expected(&self) -> Cow<'static, str> {
        format!(
            "{:?}-separated values, each {}",
            self.0,
            T::Item::expected()
        )
        .into()
    }

    fn kind(&self) -> Kind {
        Kind::List
    }

    fn delimiter(&self) -> Option<&str> {
        Some(self.0)
    }

    /// Spaces around an item are not part of it, and a text of nothing but spaces has no items.
    fn parse(&self, text: &SecretString) -> Result<T, Problem> {
        let text = text.expose_secret();
        if text.trim().is_empty() {
            return Ok(T::from_items(Vec::new()));
        }
        let mut items = Vec::new();
        for (place, item) in (1..).zip(text.split(self.0)) {
            let item = match item.trim() {
                "" => return Err(invalid(self, &format!("item {place} is empty"))),
                item => T::Item::from_secret(item),
            };
            items.push(item.map_err(|error| {
                let reason = match error.reason() {
                    "" => format!("item {place} is not"),
                    reason => format!("item {place}: {reason}"),
                };
                invalid(self, &reason)
            })?);
        }
        Ok(T::from_items(items))
    }
}

impl<P: Parser> Parser for Optional<P> {
    type Value = Option<P::Value>;

    fn expected(&self) -> Cow<'static, str> {
        self.0.expected()
    }

    fn kind(&self) -> Kind {
        self.0.kind()
    }

    fn delimiter(&self) -> Option<&str> {
        self.0.delimiter()
    }

    fn parse(&self, text: &SecretString) -> Result<Self::Value, Problem> {
        self.0.parse(text).map(Some)
    }
}

/// A collection that `delimiter` fills.
#[diagnostic::on_unimplemented(
    message = "`delimiter` does not make a `{Self}`",
    label = "not a collection that `delimiter` fills",
    note = "`delimiter` fills a `Vec`, `Box<[T]>`, `VecDeque`, `BTreeSet` or `HashSet` whose items implement `FromSecret`"
)]
pub trait Delimited {
    /// What it holds.
    type Item: FromSecret;

    /// A collection of these, in this order where it has one.
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

fn invalid(parser: &impl Parser, reason: &str) -> Problem {
    let expected = parser.expected();
    let text = match reason {
        "" => format!("not {expected}"),
        reason => format!("not {expected}: {reason}"),
    };
    Problem::new(ProblemKind::Invalid, text)
}

/// What an error of a foreign parser may say: text that was in the program before the secret was
/// read. Anything else could quote the secret.
fn own_text(error: &dyn Any) -> &'static str {
    match error.downcast_ref::<ValueError>() {
        Some(error) => error.reason(),
        None => error.downcast_ref::<&'static str>().copied().unwrap_or(""),
    }
}
