use std::collections::{HashMap, HashSet};
use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserializer as _;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::unescape::unescape;
use crate::text;

/// The most fields of a secret. The service accepts values of 12 KB, which hold about two thousand fields.
const FIELDS_LIMIT: usize = 10_000;

/// The fields of a structured secret, in the secret's own order.
///
/// A field that is not a string is its JSON text: the number `5432` is `"5432"`, `null` is `"null"`. `Debug`
/// shows names and never values; a name that may be a secret itself is only counted, by the rule of
/// [`Error::available_fields`](crate::Error::available_fields).
///
/// A value with more than 10,000 fields counts as one without fields.
///
/// ```
/// # use sikkerkey_emulator::Emulator;
/// # use sikkerkey::SikkerKey;
/// use sikkerkey::ExposeSecret;
///
/// # let vault = Emulator::builder().structured("sk_db_prod", [("host", "db"), ("port", "5432")]).start()?;
/// # let sk = SikkerKey::new(vault.identity_path())?;
/// let fields = sk.get_fields("sk_db_prod")?;
/// assert_eq!(fields.names().collect::<Vec<_>>(), ["host", "port"]);
/// if let Some(port) = fields.get("port") {
///     assert_eq!(port.expose_secret(), "5432");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Fields {
    fields: Vec<(String, SecretString)>,
    /// Fields that are JSON's `null`, not the string: in a typed config they count as missing.
    nulls: HashSet<String>,
}

impl Fields {
    /// Iterates over the names of the fields, in the order of the secret.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }

    /// The value of one field, or `None` if the secret has no such field.
    pub fn get(&self, name: &str) -> Option<&SecretString> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// Iterates over the fields with their values, in the order of the secret.
    pub fn iter(&self) -> NamedValues<'_> {
        self.fields.iter().map(named_value)
    }

    /// The number of fields in the secret.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether the secret is an object without fields.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether the field exists and is JSON's `null`, not the string.
    pub(crate) fn is_null(&self, name: &str) -> bool {
        self.nulls.contains(name)
    }

    /// Parses a value that is a JSON object; `None` for anything else. Of two fields with one name the last
    /// counts, as in the official clients.
    pub(crate) fn parse(value: &SecretString) -> Option<Self> {
        let raw = raw_fields(value)?;
        let mut fields = Vec::with_capacity(raw.len());
        let mut nulls = HashSet::new();
        for (name, raw) in raw {
            // Borrowed from the secret's text, so each value is copied only once.
            let value = match raw {
                text if text.starts_with('"') => unescape(text)?,
                text => SecretString::from(text),
            };
            if raw == "null" {
                nulls.insert(name.clone());
            }
            fields.push((name, value));
        }
        Some(Fields { fields, nulls })
    }
}

/// Replaces fields of the object `below` with those of the object `over`; `None` if one of the two is not an
/// object.
pub(crate) fn merged(below: &SecretString, over: &SecretString) -> Option<SecretString> {
    let (mut fields, over) = (raw_fields(below)?, raw_fields(over)?);
    for (name, raw) in over {
        match fields.iter_mut().find(|(known, _)| *known == name) {
            Some(field) => field.1 = raw,
            None => fields.push((name, raw)),
        }
    }
    // Names are escaped again; values are copied unchanged, into memory of their exact size.
    let names: Vec<String> = fields
        .iter()
        .map(|(name, _)| serde_json::Value::from(name.as_str()).to_string())
        .collect();
    let parts = || {
        let fields = names.iter().zip(&fields).enumerate();
        fields.flat_map(|(place, (name, (_, raw)))| {
            let comma = if place == 0 { "" } else { ", " };
            [comma, name, ": ", raw]
        })
    };
    let length = parts().map(str::len).sum::<usize>() + "{}".len();
    let mut text = String::with_capacity(length);
    text.push('{');
    text.extend(parts());
    text.push('}');
    Some(SecretString::from(text))
}

pub(crate) fn named_value((name, value): &(String, SecretString)) -> (&str, &SecretString) {
    (name, value)
}

impl<'a> IntoIterator for &'a Fields {
    type Item = (&'a str, &'a SecretString);
    type IntoIter = NamedValues<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// An iterator over names with their values.
pub(crate) type NamedValues<'a> = std::iter::Map<
    std::slice::Iter<'a, (String, SecretString)>,
    fn(&'a (String, SecretString)) -> (&'a str, &'a SecretString),
>;

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, hidden): (Vec<_>, Vec<_>) =
            self.names().partition(|name| text::is_field_name(name));
        let mut debug = f.debug_map();
        debug.entries(shown.iter().map(|name| (name, format_args!("[REDACTED]"))));
        match hidden.is_empty() {
            true => debug.finish(),
            false => debug.finish_non_exhaustive(),
        }
    }
}

/// Returns the fields of an object, each as its JSON text. Of two fields with one name the last counts, at
/// the position of the first.
fn raw_fields(value: &SecretString) -> Option<Vec<(String, &str)>> {
    let mut json = serde_json::Deserializer::from_str(value.expose_secret());
    let fields = json.deserialize_map(Object).ok()?;
    json.end().ok()?;
    Some(fields)
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Vec<(String, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields: Self::Value = Vec::new();
        let mut places = HashMap::new();
        while let Some((name, raw)) = map.next_entry::<String, &'de RawValue>()? {
            if fields.len() == FIELDS_LIMIT {
                return Err(A::Error::custom("too many fields"));
            }
            match places.get(&name) {
                Some(&place) => {
                    let (_, old): &mut (String, &str) = &mut fields[place];
                    *old = raw.get();
                }
                None => {
                    places.insert(name.clone(), fields.len());
                    fields.push((name, raw.get()));
                }
            }
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Option<Vec<(String, String)>> {
        Fields::parse(&SecretString::from(json)).map(|fields| {
            fields
                .iter()
                .map(|(name, value)| (name.to_owned(), value.expose_secret().to_owned()))
                .collect()
        })
    }

    #[test]
    fn an_object_becomes_its_fields_in_order() {
        let fields = parse(
            r#" {"b":"x\"y","a":5432,"n":null,"t":true,"f":1.10,"big":123456789012345678901,
                "o":{"k": [1, "z"]},"é":"\u00fc"} "#,
        )
        .unwrap();
        let expected = [
            ("b", "x\"y"),
            ("a", "5432"),
            ("n", "null"),
            ("t", "true"),
            ("f", "1.10"),
            ("big", "123456789012345678901"),
            ("o", r#"{"k": [1, "z"]}"#),
            ("é", "ü"),
        ];
        assert_eq!(fields.len(), expected.len());
        for ((name, value), expected) in fields.iter().zip(expected) {
            assert_eq!((name.as_str(), value.as_str()), expected);
        }
        assert_eq!(parse("{}").unwrap(), []);
    }

    #[test]
    fn of_two_fields_with_one_name_the_last_counts_in_the_first_place() {
        let fields = parse(r#"{"a":"1","b":"2","a":"3"}"#).unwrap();
        let fields: Vec<_> = fields
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(fields, [("a", "3"), ("b", "2")]);
    }

    #[test]
    fn anything_else_has_no_fields() {
        for json in [
            "",
            "hunter2",
            "\"{}\"",
            "[]",
            "[{}]",
            "1",
            "null",
            "true",
            "{",
            "{}x",
            "{}{}",
            "{\"a\"}",
            "{\"a\":}",
            "{1:2}",
            "{'a':1}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":1,}",
        ] {
            assert!(parse(json).is_none(), "{json}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let _ = parse(&deep);
    }

    #[test]
    fn null_is_not_the_string_null() {
        let json = r#"{"a":null,"b":"null","c":null,"c":1}"#;
        let fields = Fields::parse(&SecretString::from(json)).unwrap();
        let nulls = ["a", "b", "c", "d"].map(|name| fields.is_null(name));
        assert_eq!(nulls, [true, false, false, false]);
    }

    #[test]
    fn more_fields_than_any_secret_has_are_not_read() {
        let fields = |count: usize| {
            let fields: Vec<String> = (0..count).map(|n| format!(r#""f{n}":1"#)).collect();
            parse(&format!("{{{}}}", fields.join(",")))
        };
        assert_eq!(fields(FIELDS_LIMIT).unwrap().len(), FIELDS_LIMIT);
        assert!(fields(FIELDS_LIMIT + 1).is_none());
    }

    #[test]
    fn debug_shows_names_only() {
        let fields = Fields::parse(&SecretString::from(r#"{"password":"hunter2"}"#)).unwrap();
        assert_eq!(format!("{fields:?}"), r#"{"password": [REDACTED]}"#);
        let keyed = r#"{"host":"h","sk-live-4242":"tenant"}"#;
        let fields = Fields::parse(&SecretString::from(keyed)).unwrap();
        assert_eq!(format!("{fields:?}"), r#"{"host": [REDACTED], ..}"#);
        assert!(fields.get("sk-live-4242").is_some());
    }
}
