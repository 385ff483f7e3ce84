//! A secret's value: its text, and the names of its fields if it is structured.

use serde::de::{IgnoredAny, MapAccess, Visitor};

use crate::random;

/// The value that a read returns. It does not implement `Debug`, because it must not be printed.
#[derive(Clone, PartialEq)]
pub(crate) struct SecretValue {
    pub(crate) text: String,
    pub(crate) fields: Option<Vec<String>>,
}

impl SecretValue {
    /// A single value.
    pub(crate) fn single(text: String) -> Self {
        Self { text, fields: None }
    }

    /// A JSON object with the fields in the given order.
    pub(crate) fn structured<K, V>(fields: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<serde_json::Value>,
    {
        // Written by hand, because serde_json's own map would sort the fields.
        let mut text = String::from("{");
        let mut names = Vec::new();
        for (name, value) in fields {
            let name = name.into();
            if !names.is_empty() {
                text.push_str(", ");
            }
            text.push_str(&serde_json::Value::from(name.as_str()).to_string());
            text.push_str(": ");
            text.push_str(&value.into().to_string());
            names.push(name);
        }
        text.push('}');
        Self {
            text,
            fields: Some(names),
        }
    }

    /// The value with the fields of a login after its own.
    pub(crate) fn with_login(&self, username: &str, password: &str) -> Self {
        let login = [("username", username), ("password", password)];
        let Self { text, fields } = Self::structured(login);
        let Some(mut names) = self.fields.clone() else {
            return Self { text, fields };
        };
        let own = self.text.trim_end();
        let own = own.strip_suffix('}').unwrap_or(own).trim_end();
        let comma = if names.is_empty() { "" } else { ", " };
        names.extend(fields.into_iter().flatten());
        Self {
            text: format!("{own}{comma}{}", &text[1..]),
            fields: Some(names),
        }
    }

    /// The new value after a rotation by the service.
    pub(crate) fn rotated(&self) -> Self {
        let new = random::hex::<16>;
        let Some(names) = &self.fields else {
            return Self::single(new());
        };
        let values: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&self.text).unwrap_or_default();
        let has_password = names.iter().any(|name| name == "password");
        let fields = names.iter().map(|name| {
            let old = values.get(name).cloned().unwrap_or_default();
            let rotates = if has_password {
                name == "password"
            } else {
                old.is_string()
            };
            (name.as_str(), if rotates { new().into() } else { old })
        });
        Self::structured(fields)
    }

    /// This text, byte for byte; structured if it is a JSON object.
    pub(crate) fn json(text: String) -> Self {
        let fields = serde_json::from_str::<Names>(&text)
            .ok()
            .map(|names| names.0);
        Self { text, fields }
    }
}

/// The keys of a JSON object, in order.
struct Names(Vec<String>);

impl<'de> serde::Deserialize<'de> for Names {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Names;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = map.next_entry::<String, _>()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_kind() {
        let value =
            SecretValue::structured([("z", serde_json::json!(1)), ("a\"", serde_json::json!("x"))]);
        assert_eq!(value.text, r#"{"z": 1, "a\"": "x"}"#);
        assert_eq!(value.fields, Some(vec!["z".into(), "a\"".into()]));
        assert!(SecretValue::json(value.text.clone()) == value);
    }

    #[test]
    fn a_login_follows_the_fields() {
        for (base, expected) in [
            (
                r#"{"host": "db"} "#,
                r#"{"host": "db", "username": "u", "password": "p"}"#,
            ),
            ("{ }", r#"{"username": "u", "password": "p"}"#),
            ("text", r#"{"username": "u", "password": "p"}"#),
        ] {
            let value = SecretValue::json(base.into()).with_login("u", "p");
            assert_eq!(value.text, expected);
            assert!(SecretValue::json(value.text.clone()) == value);
        }
    }

    #[test]
    fn a_rotation_changes_what_is_secret_and_keeps_the_fields() {
        let same = |base: &str| {
            let old = SecretValue::json(base.into());
            let new = old.rotated();
            assert!(old.text != new.text && old.fields == new.fields);
            let json = |value: &SecretValue| serde_json::from_str(&value.text).unwrap_or_default();
            let (old, new): (serde_json::Value, serde_json::Value) = (json(&old), json(&new));
            ["user", "password", "port"].map(|field| old[field] == new[field])
        };
        assert_eq!(
            same(r#"{"user":"u","password":"p","port":1}"#),
            [true, false, true]
        );
        assert_eq!(same(r#"{"user":"u","port":1}"#), [false, true, true]);
        assert_eq!(same("text"), [true; 3]);
    }

    #[test]
    fn only_an_object_has_fields() {
        for text in ["", "text", "[1]", "1", "null", "{\"a\":"] {
            assert_eq!(SecretValue::json(text.into()).fields, None, "{text}");
        }
        assert_eq!(SecretValue::json("{}".into()).fields, Some(vec![]));
    }
}
