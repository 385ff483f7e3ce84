//! Parses the text of a file into its secrets, and reports the position of a mistake.

use std::ops::Range;

use secrecy::SecretString;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use crate::config::snapshot::ReadOutcome;

/// One secret of the file.
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) outcome: ReadOutcome,
}

/// A mistake and its position (line and column, from 1, in characters). Its text never quotes the file.
pub(super) struct Mistake {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) reason: String,
}

/// Keys of the emulator's format that a snapshot ignores.
const IGNORED: [&str; 8] = [
    "project",
    "project_name",
    "application",
    "application_name",
    "kind",
    "policy",
    "lease",
    "certificate",
];

/// The offset at which a mistake begins, and its text.
type Found = (usize, String);

/// Parses the secrets of a file.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Entry>, Mistake> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
        place(good, (good.len(), "the file is not UTF-8".to_owned()))
    })?;
    // The error's `Display` quotes the line, which may hold a value; its message is a fixed text.
    let table = DeTable::parse(text).map_err(|error| {
        let start = error.span().unwrap_or_default().start;
        place(text, (start, format!("not TOML: {}", error.message())))
    })?;
    let mut entries = Vec::new();
    for (id, value) in table.get_ref() {
        let name: &str = id.get_ref();
        // A list of tables cannot be a secret.
        if matches!(value.get_ref(), DeValue::Array(_)) && name == "webhook" {
            continue;
        }
        let is_of_id = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_of_id) {
            let reason = "a secret's id has letters, digits, '-' and '_' only".to_owned();
            return Err(place(text, (id.span().start, reason)));
        }
        let entry = entry(name, id.span(), value.span(), value.get_ref());
        let entry = entry.map_err(|(at, reason)| place(text, (at, format!("{name}: {reason}"))));
        entries.push(entry?);
    }
    Ok(entries)
}

fn place(text: &str, (start, reason): Found) -> Mistake {
    let before = text.get(..start.min(text.len())).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    Mistake {
        line: before.matches('\n').count() + 1,
        column: line.chars().count() + 1,
        reason,
    }
}

fn entry(
    id: &str,
    at_id: Range<usize>,
    at: Range<usize>,
    value: &DeValue<'_>,
) -> Result<Entry, Found> {
    let of = |name, outcome| Entry {
        id: id.to_owned(),
        name,
        outcome,
    };
    let table = match value {
        DeValue::String(text) => return Ok(of(None, ReadOutcome::Value((&**text).into()))),
        DeValue::Table(table) => table,
        _ => {
            let reason = "a secret is a string or a table; put the value in quotes";
            return Err((at.start, reason.to_owned()));
        }
    };
    let (mut values, mut name) = (Vec::new(), None);
    let (mut denied, mut minted) = (false, false);
    for (key, value) in table {
        let (at, value) = (value.span().start, value.get_ref());
        match key.get_ref().as_ref() {
            key @ "value" => values.push(string(at, key, value)?.into()),
            key @ "json" => values.push(json(at, string(at, key, value)?)?),
            "fields" => values.push(object(at, value)?),
            key @ "name" => name = Some(string(at, key, value)?.to_owned()),
            "denied" => {
                let reason = || (at, "denied must be true or false".to_owned());
                denied = value.as_bool().ok_or_else(reason)?;
            }
            key if IGNORED.contains(&key) => minted |= matches!(key, "lease" | "certificate"),
            _ => {
                let ignored = IGNORED.join(", ");
                let reason = format!(
                    "unknown key; a secret has value, fields or json, and name, denied, {ignored}"
                );
                return Err((key.span().start, reason));
            }
        }
    }
    let one: Option<SecretString> = values.pop();
    let value = match one {
        Some(_) if !values.is_empty() => {
            return Err((at_id.start, "only one of value, fields and json".to_owned()));
        }
        Some(value) => value,
        // The service would make the value when it is read.
        None if minted => "{}".into(),
        None => {
            let reason = "one of value, fields and json is missing".to_owned();
            return Err((at_id.start, reason));
        }
    };
    Ok(match denied {
        true => of(name, ReadOutcome::Denied),
        false => of(name, ReadOutcome::Value(value)),
    })
}

fn string<'a>(at: usize, key: &str, value: &'a DeValue<'_>) -> Result<&'a str, Found> {
    let reason = || (at, format!("{key} must be a string; put it in quotes"));
    value.as_str().ok_or_else(reason)
}

fn json(at: usize, text: &str) -> Result<SecretString, Found> {
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => Ok(text.into()),
        // The parser's own text may quote the value.
        Err(_) => Err((at, "json is not valid JSON".to_owned())),
    }
}

/// Makes a structured secret's value: the JSON of its fields, in the file's order.
fn object(at: usize, fields: &DeValue<'_>) -> Result<SecretString, Found> {
    let DeValue::Table(fields) = fields else {
        let reason = "fields must be a table: { host = \"…\", port = 5432 }";
        return Err((at, reason.to_owned()));
    };
    let mut text = Zeroizing::new(String::new());
    write_object(&mut text, fields, (", ", ": "))?;
    Ok(SecretString::from(text.as_str()))
}

/// Writes the object. `between` has two separators: between two fields, and between a name and its value.
fn write_object(
    out: &mut String,
    fields: &DeTable<'_>,
    between: (&str, &str),
) -> Result<(), Found> {
    // The parser sorts the fields by name.
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_by_key(|(name, _)| name.span().start);
    out.push('{');
    for (place, (name, value)) in fields.into_iter().enumerate() {
        if place > 0 {
            out.push_str(between.0);
        }
        write_string(out, name.get_ref());
        out.push_str(between.1);
        write_value(out, value.span().start, value.get_ref())?;
    }
    out.push('}');
    Ok(())
}

fn write_value(out: &mut String, at: usize, value: &DeValue<'_>) -> Result<(), Found> {
    match value {
        DeValue::String(text) => write_string(out, text),
        DeValue::Boolean(is) => out.push_str(if *is { "true" } else { "false" }),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => out.push_str(&number.to_string()),
            Err(_) => return Err((at, "this number does not fit into 64 bits".to_owned())),
        },
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => {
                out.push_str(&serde_json::Value::from(number).to_string());
            }
            _ => return Err((at, "JSON has no such number".to_owned())),
        },
        DeValue::Datetime(moment) => write_string(out, &moment.to_string()),
        DeValue::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_value(out, item.span().start, item.get_ref())?;
            }
            out.push(']');
        }
        DeValue::Table(table) => write_object(out, table, (",", ":"))?,
    }
    Ok(())
}

fn write_string(out: &mut String, text: &str) {
    let quoted = Zeroizing::new(serde_json::Value::from(text).to_string());
    out.push_str(&quoted);
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, String> {
        let entries = parse(text.as_bytes());
        let shown = |entry: Entry| {
            let value = entry.outcome.value().map(|v| v.expose_secret().to_owned());
            (
                entry.id,
                value.unwrap_or_else(|| format!("{:?}", entry.outcome)),
            )
        };
        match entries {
            Ok(entries) => Ok(entries.into_iter().map(shown).collect()),
            Err(Mistake {
                line,
                column,
                reason,
            }) => Err(format!("{line}:{column}: {reason}")),
        }
    }

    #[test]
    fn fields_are_json_of_their_kinds_in_their_order() {
        let found = read(
            r#"
            [sk_a]
            fields.z = "a\"\u0001é"
            fields.hex = 0xff
            fields.big = -9223372036854775808
            fields.float = 1e3
            fields.at = 2026-01-01T00:00:00Z
            fields.list = [[], ["x", 1.5], { b = 1, a = true }]
            fields."b c" = ""
            "#,
        );
        let expected = r#"{"z": "a\"\u0001é", "hex": 255, "big": -9223372036854775808, "float": 1000.0, "at": "2026-01-01T00:00:00Z", "list": [[],["x",1.5],{"b":1,"a":true}], "b c": ""}"#;
        assert_eq!(found, Ok(vec![("sk_a".to_owned(), expected.to_owned())]));
        assert!(serde_json::from_str::<serde::de::IgnoredAny>(expected).is_ok());
    }

    #[test]
    fn each_mistake_has_a_place_and_no_value() {
        for (text, expected) in [
            (
                "sk_b = \"x\"\n\nsk_a = 123456",
                "3:8: sk_a: a secret is a string or a table; put the value in quotes",
            ),
            (
                "\"sk/a\" = \"canary\"",
                "1:1: a secret's id has letters, digits, '-' and '_' only",
            ),
            (
                "[sk_a]",
                "1:2: sk_a: one of value, fields and json is missing",
            ),
            (
                "[sk_a]\nvalue = \"canary\"\njson = '1'",
                "1:2: sk_a: only one of value, fields and json",
            ),
            (
                "[sk_a]\nvalue = 7",
                "2:9: sk_a: value must be a string; put it in quotes",
            ),
            (
                "[sk_a]\njson = 'canary'",
                "2:8: sk_a: json is not valid JSON",
            ),
            (
                "[sk_a]\nfields = 'canary'",
                "2:10: sk_a: fields must be a table: { host = \"…\", port = 5432 }",
            ),
            (
                "[sk_a]\nfields = { a = 99999999999999999999 }",
                "2:16: sk_a: this number does not fit into 64 bits",
            ),
            (
                "[sk_a]\nfields = { a = [nan] }",
                "2:17: sk_a: JSON has no such number",
            ),
            (
                "[sk_a]\nvalue = ''\ndenied = 'canary'",
                "3:10: sk_a: denied must be true or false",
            ),
            (
                "[sk_a]\nvalue = ''\nnames = 'canary'",
                "3:1: sk_a: unknown key; a secret has value, fields or json, and name, denied, project, \
                 project_name, application, application_name, kind, policy, lease, certificate",
            ),
        ] {
            assert_eq!(read(text), Err(expected.to_owned()), "{text}");
        }
        let Err(mistake) = parse(b"a = \"\"\nb\xff") else {
            panic!("not UTF-8");
        };
        assert_eq!((mistake.line, mistake.column), (2, 2));
    }
}
