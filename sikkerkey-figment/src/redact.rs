//! Removes values from figment's errors, which quote the value that they found.

use figment::error::{Actual, Kind};
use figment::value::{Dict, Value};
use figment::{Error, Figment, Metadata};
use sikkerkey::__private::stray_at_the_ends;

use crate::origin::{self, PROBLEM};
use crate::wide_integer;

pub(crate) const HIDDEN: &str = "[hidden]";
const REFUSED: &str = "the value was refused; the reason is hidden, for it may quote a secret";

/// Removes every value from an error, and every text that may quote one.
///
/// Kind, expected type, key, source and provider stay. So
/// `found string "hunter2", expected u16 for key "default.port" in App.toml TOML file` becomes
/// `found string, expected u16 for key "default.port" in App.toml TOML file`.
///
/// Values of all providers are removed. Without the figment it is not known which layer a value came from: an error
/// about a whole table can quote values of several layers, and names one. With the figment,
/// [`FigmentExt::extract_secret`](crate::FigmentExt::extract_secret) keeps the errors about other layers as they are.
///
/// Errors of this crate's own providers, such as a missing or denied secret, quote nothing and stay as they are.
///
/// ```
/// use sikkerkey_figment::figment::Figment;
/// use sikkerkey_figment::redact;
///
/// let figment = Figment::from(("port", "hunter2"));
/// let error = figment.extract_inner::<u16>("port").map_err(redact).unwrap_err();
/// assert!(error.to_string().starts_with("invalid type: found string, expected u16"));
/// assert!(!format!("{error:?}").contains("hunter2"));
/// ```
pub fn redact(error: Error) -> Error {
    each(error, clean)
}

/// Removes values as [`redact`] does, but only those that came or may have come from SikkerKey.
pub(crate) fn redact_within(figment: &Figment, error: Error) -> Error {
    if figment::Provider::data(figment).is_err() {
        // A provider failed, so nothing was extracted; its error is about its own source.
        return error;
    }
    let holds_ours = figment.metadata().any(origin::is_ours);
    // figment's own value type keeps the tags of the values.
    let root = figment.extract::<Value>().ok();
    let mut secrets = Vec::new();
    root.iter()
        .for_each(|root| texts(figment, root, &mut secrets));
    each(error, |error| {
        let ours = error.metadata.as_ref().is_some_and(origin::is_ours);
        let place = root.as_ref().and_then(|root| at(root, &error.path));
        let mixed = place.is_none_or(|value| has_ours(figment, value));
        let hide = holds_ours && (ours || mixed);
        let mut error = if hide {
            explained(clean(error), place)
        } else {
            error
        };
        // A program's own type can put any text into its errors.
        let text = error.kind.to_string();
        if secrets.iter().any(|secret| quotes(&text, secret)) {
            error.kind = Kind::Message(REFUSED.to_owned());
        }
        error
    })
}

/// Names stray white space in a value that was refused, because the message cannot show it without quoting the value.
fn explained(mut error: Error, value: Option<&Value>) -> Error {
    if let (Kind::Message(said), Some(Value::String(_, text))) = (&error.kind, value)
        && said == REFUSED
        && let Some(stray) = stray_at_the_ends(text)
    {
        error.kind = Kind::Message(format!("{REFUSED}; {stray}"));
    }
    error
}

/// The texts of SikkerKey's values at and below `value`, without short ones such as `1` or `true`, which occur in any
/// message.
fn texts(figment: &Figment, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Dict(_, dict) => dict.values().for_each(|v| texts(figment, v, found)),
        Value::Array(_, array) => array.iter().for_each(|v| texts(figment, v, found)),
        leaf if !has_ours(figment, leaf) => {}
        Value::String(_, text) if text.len() > 4 => found.push(text.clone()),
        Value::Num(_, number) => {
            let digits = number.to_u128().map(|n| n.to_string());
            found.extend(digits.filter(|digits| digits.len() > 4));
        }
        _ => {}
    }
}

/// Changes each error of a chain.
fn each(error: Error, change: impl FnMut(Error) -> Error) -> Error {
    let changed: Vec<Error> = error.into_iter().map(change).collect();
    let mut oldest_first = changed.into_iter().rev();
    match oldest_first.next() {
        Some(oldest) => oldest_first.fold(oldest, |chain, error| chain.chain(error)),
        // Unreachable: a chain has at least one error.
        None => Error::from(REFUSED),
    }
}

fn at<'a>(root: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(root, |value, key| match value {
        Value::Dict(_, dict) => dict.get(key),
        Value::Array(_, array) => array.get(key.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Whether any value at or below `value` came from SikkerKey.
fn has_ours(figment: &Figment, value: &Value) -> bool {
    match value {
        Value::Dict(_, dict) if !dict.is_empty() => dict.values().any(|v| has_ours(figment, v)),
        Value::Array(_, array) if !array.is_empty() => array.iter().any(|v| has_ours(figment, v)),
        // A value without metadata may be of any layer.
        leaf => figment.get_metadata(leaf.tag()).is_none_or(origin::is_ours),
    }
}

fn clean(mut error: Error) -> Error {
    let ours = error
        .metadata
        .as_ref()
        .filter(|m| origin::is_ours(m))
        .cloned();
    if matches!(&error.kind, Kind::Message(text) if text.starts_with(PROBLEM)) {
        return error;
    }
    error.kind = clean_kind(error.kind);
    if let Some(metadata) = ours {
        hide_inner_keys(&mut error.path, &metadata);
    }
    error
}

/// Keys of a table with their values.
type Entries<'a> = Vec<(&'a String, &'a Value)>;

/// Splits the table at `path` into the keys that are a part of a secret, and the others.
pub(crate) fn split<'a>(
    figment: &Figment,
    table: &'a Dict,
    path: &[String],
) -> (Entries<'a>, Entries<'a>) {
    let is_secret = |(key, value): &(&String, &Value)| {
        let metadata = figment.get_metadata(first_leaf(value).tag());
        metadata.filter(|m| origin::is_ours(m)).is_some_and(|m| {
            let keys: Vec<String> = path.iter().chain([*key]).cloned().collect();
            origin::known_keys(m, &keys).last() == Some(&false)
        })
    };
    table.iter().partition(is_secret)
}

fn first_leaf(value: &Value) -> &Value {
    let inside = match value {
        Value::Dict(_, dict) => dict.values().next(),
        Value::Array(_, array) => array.first(),
        _ => None,
    };
    inside.map_or(value, first_leaf)
}

/// Hides the keys inside a JSON value, which are a part of the secret.
fn hide_inner_keys(path: &mut [String], metadata: &Metadata) {
    let known = origin::known_keys(metadata, path);
    for (key, known) in path.iter_mut().zip(known) {
        if !known {
            *key = HIDDEN.to_owned();
        }
    }
}

fn clean_kind(kind: Kind) -> Kind {
    match kind {
        Kind::Message(text) => Kind::Message(match wide_integer::unsupported(&text) {
            Some(advice) => advice,
            None => REFUSED.to_owned(),
        }),
        Kind::InvalidType(found, expected) => {
            let expected = unless_quoting(&found, expected);
            Kind::InvalidType(type_of(found), expected)
        }
        Kind::InvalidValue(found, expected) => {
            let expected = unless_quoting(&found, expected);
            Kind::InvalidValue(type_of(found), expected)
        }
        // The length may be that of a password.
        Kind::InvalidLength(_, expected) => {
            Kind::Message(format!("invalid length, expected {expected}"))
        }
        Kind::UnknownVariant(_, expected) => Kind::UnknownVariant(HIDDEN.to_owned(), expected),
        Kind::UnknownField(_, expected) => Kind::UnknownField(HIDDEN.to_owned(), expected),
        Kind::ISizeOutOfRange(_) | Kind::USizeOutOfRange(_) => {
            Kind::Message("an integer is out of range".to_owned())
        }
        Kind::Unsupported(found) => Kind::Unsupported(type_of(found)),
        Kind::UnsupportedKey(found, needed) => Kind::UnsupportedKey(type_of(found), needed),
        // These name only a field of the program's own type.
        kind @ (Kind::MissingField(_) | Kind::DuplicateField(_)) => kind,
    }
}

/// The expectation, unless it quotes the value: a program's own type may put the value into it.
fn unless_quoting(found: &Actual, expected: String) -> String {
    let value = match found {
        Actual::Str(s) | Actual::Other(s) => s.clone(),
        Actual::Char(c) => c.to_string(),
        Actual::Unsigned(n) => n.to_string(),
        Actual::Signed(n) => n.to_string(),
        Actual::Float(n) => n.to_string(),
        Actual::Bytes(b) => String::from_utf8_lossy(b).into_owned(),
        _ => return expected,
    };
    if quotes(&expected, &value) {
        return "something else".to_owned();
    }
    expected
}

/// Whether `text` contains `value` as whole words: `16` is not in `u16`.
fn quotes(text: &str, value: &str) -> bool {
    let part_of_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    !value.is_empty()
        && text.match_indices(value).any(|(start, found)| {
            let before = text[..start].chars().next_back();
            let after = text[start + found.len()..].chars().next();
            !part_of_word(before) && !part_of_word(after)
        })
}

fn type_of(found: Actual) -> Actual {
    let word = match found {
        Actual::Bool(_) => "bool",
        Actual::Unsigned(_) => "unsigned int",
        Actual::Signed(_) => "signed int",
        Actual::Float(_) => "float",
        Actual::Char(_) => "char",
        Actual::Str(_) => "string",
        Actual::Bytes(_) => "bytes",
        Actual::Other(_) => "another value",
        shape => return shape,
    };
    Actual::Other(word.to_owned())
}

#[cfg(test)]
mod tests;
