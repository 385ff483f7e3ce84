use std::collections::{HashMap, HashSet};
use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// The fields of a structured secret, in the order in which the secret has them.
///
/// A field that is not a string is its JSON text: the number `5432` is `"5432"`, `null` is
/// `"null"`. `Debug` shows names and never values.
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
    /// Those whose text `null` is no string: for a typed config they are not there.
    nulls: HashSet<String>,
}

impl Fields {
    /// The names of the fields. Names are not secret.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }

    /// The value of one field, or `None` where the secret has no field of that name.
    pub fn get(&self, name: &str) -> Option<&SecretString> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// Every field with its value.
    pub fn iter(&self) -> NamedValues<'_> {
        self.fields.iter().map(named_value)
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether the secret is an object without a field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether the field is there and is JSON's `null`, not the string.
    pub(crate) fn is_null(&self, name: &str) -> bool {
        self.nulls.contains(name)
    }

    /// Reads a value that is a JSON object; `None` for anything else. Of two fields with one name
    /// the last counts, as in the official clients.
    pub(crate) fn parse(value: &SecretString) -> Option<Self> {
        let mut json = serde_json::Deserializer::from_str(value.expose_secret());
        let fields = json.deserialize_map(Object).ok()?;
        json.end().ok()?;
        Some(fields)
    }
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

/// Names with their values.
pub(crate) type NamedValues<'a> = std::iter::Map<
    std::slice::Iter<'a, (String, SecretString)>,
    fn(&'a (String, SecretString)) -> (&'a str, &'a SecretString),
>;

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.names().map(|name| (name, format_args!("[REDACTED]"))))
            .finish()
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Vec::new();
        let mut nulls = HashSet::new();
        let mut places = HashMap::new();
        // Values are borrowed from the secret's own text, so each is copied once, into its place.
        while let Some((name, raw)) = map.next_entry::<String, &'de RawValue>()? {
            let value = match raw.get() {
                text if text.starts_with('"') => serde_json::from_str(text)
                    .map_err(|_| serde::de::Error::custom("a string with a broken escape"))?,
                text => SecretString::from(text),
            };
            match raw.get() {
                "null" => nulls.insert(name.clone()),
                _ => nulls.remove(&name),
            };
            match places.get(&name) {
                Some(&place) => {
                    let (_, old): &mut (String, SecretString) = &mut fields[place];
                    *old = value;
                }
                None => {
                    places.insert(name.clone(), fields.len());
                    fields.push((name, value));
                }
            }
        }
        Ok(Fields { fields, nulls })
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
    fn debug_shows_names_only() {
        let fields = Fields::parse(&SecretString::from(r#"{"password":"hunter2"}"#)).unwrap();
        assert_eq!(format!("{fields:?}"), r#"{"password": [REDACTED]}"#);
    }
}
