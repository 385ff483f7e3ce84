//! Parsers from a secret's text to a value: one function for each attribute of the derive.

use std::borrow::Cow;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde_json::error::Category;

use super::error::{Problem, ProblemKind};
use super::from_secret::form::{list_items, stray, stray_at_the_ends};
use super::from_secret::{FromSecret, type_label, with_article};
use super::lookup::not_structured;
use super::own_text::own_text;
use super::requirement::ValueKind;
use super::traits::{Delimited, ReadFromStr, ReadJson};
use crate::validity::Validity;

/// A parser of a value, and a description of the text that it takes.
///
/// It is a struct, not a trait: the compiler then refuses an unsuitable type in one place, the function that
/// makes the parser, with one error.
pub struct Parser<'p, T> {
    pub(super) kind: ValueKind,
    /// What separates the items of a list.
    pub(super) delimiter: Option<&'static str>,
    /// The shape of each item of a list, and of each field of a structured secret.
    pub(super) items: Option<ValueKind>,
    /// Whether it reads a structured secret.
    structured: bool,
    /// What the text must be, with its article: `a u16`.
    expected: fn(Option<&str>) -> Cow<'static, str>,
    /// The value of a missing secret, for types that have one.
    pub(super) absent: fn() -> Option<T>,
    /// The time in which a value is valid.
    pub(super) validity: fn(&T) -> Option<Validity>,
    read: Box<ReadFn<'p, T>>,
}

/// Parses the value, or says in a few words why that failed.
type ReadFn<'p, T> = dyn Fn(&str) -> Result<T, Cow<'static, str>> + 'p;

/// Makes the parser of a type that implements `FromSecret`.
pub fn value<'p, T: FromSecret + 'p>() -> Parser<'p, T> {
    Parser {
        kind: T::KIND,
        items: T::STRUCTURED.then_some(ValueKind::String),
        structured: T::STRUCTURED,
        absent: T::absent,
        validity: T::validity,
        ..Parser::new(
            |_| T::expected(),
            |text| T::from_secret(text).map_err(|error| error.reason().into()),
        )
    }
}

/// Makes the parser of `json`, by `serde::Deserialize`.
pub fn json<'p, T: ReadJson + 'p>() -> Parser<'p, T> {
    Parser {
        kind: ValueKind::Json,
        ..Parser::new(
            |_| format!("JSON of {}", with_article(&type_label::<T>())).into(),
            |text| {
                T::read_json(text).map_err(|error| match text.starts_with('\u{feff}') {
                    true => stray(text).unwrap_or_default().into(),
                    false => place_in_json(&error).into(),
                })
            },
        )
    }
}

/// Makes the parser of `from_str`, by `FromStr`.
pub fn from_str<'p, T: ReadFromStr + 'p>() -> Parser<'p, T> {
    Parser::new(named::<T>, T::read_from_str)
}

/// The text of a secret, for a function of `with`. It owns a copy, which is wiped, so a function that tries
/// to return a part of it gets a clear compile error.
#[derive(Debug)]
pub struct Text(SecretString);

impl Text {
    /// Returns the text, for as long as this value lives.
    pub fn get(&self) -> &str {
        self.0.expose_secret()
    }
}

/// Makes the parser of `with`, by a function of the user.
pub fn with<'p, T: 'p, F, E: 'static>(function: F) -> Parser<'p, T>
where
    F: Fn(Text) -> Result<T, E> + 'p,
{
    Parser::new(named::<T>, move |text| {
        function(Text(text.into())).map_err(|error| own_text(&error).unwrap_or_default())
    })
}

/// Makes the parser of `delimiter`: several values in one text.
pub fn delimited<'p, T: Delimited + 'p>(delimiter: &'static str) -> Parser<'p, T> {
    Parser {
        kind: ValueKind::List,
        delimiter: Some(delimiter),
        items: Some(T::Item::KIND),
        ..Parser::new(
            |delimiter| {
                let (delimiter, item) = (delimiter.unwrap_or_default(), T::Item::expected());
                format!("{delimiter:?}-separated values, each {item}").into()
            },
            |text| items(text, delimiter).map(T::from_items),
        )
    }
}

impl<'p, T> Parser<'p, T> {
    fn new(
        expected: fn(Option<&str>) -> Cow<'static, str>,
        read: impl Fn(&str) -> Result<T, Cow<'static, str>> + 'p,
    ) -> Self {
        Parser {
            kind: ValueKind::String,
            delimiter: None,
            items: None,
            structured: false,
            expected,
            absent: || None,
            validity: |_| None,
            read: Box::new(read),
        }
    }

    pub(super) fn expected(&self) -> Cow<'static, str> {
        (self.expected)(self.delimiter)
    }

    pub(super) fn parse(&self, text: &SecretString) -> Result<T, Problem> {
        (self.read)(text.expose_secret()).map_err(|reason| {
            if self.structured {
                return not_structured(text);
            }
            let expected = self.expected();
            // If the parser gives no reason, invisible characters may be the cause.
            let silent = || stray_at_the_ends(text.expose_secret()).unwrap_or_default();
            let reason = match &*reason {
                "" => Cow::Borrowed(silent()),
                _ => reason,
            };
            let text = match &*reason {
                "" => format!("not {expected}"),
                reason => format!("not {expected}: {reason}"),
            };
            Problem::new(ProblemKind::Invalid, text)
        })
    }
}

impl<T> fmt::Debug for Parser<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parser({})", self.expected())
    }
}

fn named<T>(_: Option<&str>) -> Cow<'static, str> {
    with_article(&type_label::<T>()).into()
}

/// Names line and column only, because the text of a serde error can quote the value.
fn place_in_json(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        Category::Data => "it is JSON of another shape",
        Category::Eof => "the JSON ends too early",
        Category::Syntax | Category::Io => "it is not JSON",
    };
    format!("{what}, at line {} column {}", error.line(), error.column())
}

fn items<T: FromSecret>(text: &str, delimiter: &str) -> Result<Vec<T>, Cow<'static, str>> {
    let items = list_items(text, delimiter).map_err(|place| format!("item {place} is empty"))?;
    (1..)
        .zip(items)
        .map(|(place, item)| {
            T::from_secret(item).map_err(|error| match error.reason() {
                "" => format!("item {place} is not").into(),
                reason => format!("item {place}: {reason}").into(),
            })
        })
        .collect()
}
