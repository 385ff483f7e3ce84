//! Parses the file's text, with the place of every mistake.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::values::{Mistake, Span, boolean, json, string};
use super::{Content, Entry, FileError, excerpt, tables};
use crate::vault::{SecretValue, UnknownKind};

/// The secrets of a file, in order.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Content, FileError> {
    let at = |text: &str, span: &Span, reason: String| {
        let before = text.get(..span.start.min(text.len())).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        FileError::Content {
            path: path.to_owned(),
            line,
            column,
            reason,
            excerpt: excerpt::excerpt(text, line, column),
        }
    };
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let good = std::str::from_utf8(&bytes[..e.valid_up_to()]).unwrap_or_default();
        at(
            good,
            &(good.len()..good.len()),
            "the file is not UTF-8".into(),
        )
    })?;
    // Not its Display, which quotes the line and so perhaps a value; the message is a fixed text.
    let table = DeTable::parse(text).map_err(|e| {
        at(
            text,
            &e.span().unwrap_or_default(),
            format!("not TOML: {}", e.message()),
        )
    })?;
    let (mut entries, mut webhooks) = (Vec::new(), Vec::new());
    for (id, value) in table.get_ref() {
        // A secret is never a list of tables.
        if let ("webhook", DeValue::Array(items)) = (id.get_ref().as_ref(), value.get_ref()) {
            for item in items {
                let webhook = tables::webhook(item.span(), item.get_ref());
                let webhook = webhook.map_err(|Mistake(span, reason)| {
                    at(text, &span, format!("webhook: {reason}"))
                })?;
                webhooks.push(webhook);
            }
            continue;
        }
        let named = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let id_text = id.get_ref().as_ref();
        if id_text.is_empty() || !id_text.bytes().all(named) {
            let reason = "a secret's id has letters, digits, '-' and '_' only".to_owned();
            return Err(at(text, &id.span(), reason));
        }
        match entry(id.span(), value.span(), value.get_ref()) {
            Ok(entry) => entries.push((id_text.to_owned(), entry)),
            Err(Mistake(span, reason)) => {
                return Err(at(text, &span, format!("{id_text}: {reason}")));
            }
        }
    }
    Ok(Content { entries, webhooks })
}

fn entry(id: Span, at: Span, value: &DeValue<'_>) -> Result<Entry, Mistake> {
    let table = match value {
        DeValue::String(text) => return Ok(Entry::of(SecretValue::single(text.to_string()))),
        DeValue::Table(table) => table,
        _ => {
            return Err(Mistake(
                at,
                "a secret is a string or a table; put the value in quotes".into(),
            ));
        }
    };
    let mut found = Vec::new();
    let mut entry = Entry::of(SecretValue::structured([("", ""); 0]));
    for (key, value) in table {
        let (span, value) = (value.span(), value.get_ref());
        match key.get_ref().as_ref() {
            "value" => found.push(SecretValue::single(string(span, "value", value)?)),
            "json" => {
                let text = string(span.clone(), "json", value)?;
                // Not serde_json's own text, which may quote the value.
                serde_json::from_str::<serde::de::IgnoredAny>(&text)
                    .map_err(|_| Mistake(span, "json is not valid JSON".into()))?;
                found.push(SecretValue::json(text));
            }
            "fields" => {
                let DeValue::Table(fields) = value else {
                    return Err(Mistake(
                        span,
                        "fields must be a table: { host = \"…\", port = 5432 }".into(),
                    ));
                };
                let fields = fields
                    .iter()
                    .map(|(k, v)| Ok((k.get_ref().to_string(), json(v.span(), v.get_ref())?)));
                found.push(SecretValue::structured(
                    fields.collect::<Result<Vec<_>, Mistake>>()?,
                ));
            }
            "name" => entry.name = Some(string(span, "name", value)?),
            "project" => entry.project = Some(string(span, "project", value)?),
            "project_name" => entry.project_name = Some(string(span, "project_name", value)?),
            "application" => entry.application = Some(string(span, "application", value)?),
            "application_name" => {
                entry.application_name = Some(string(span, "application_name", value)?);
            }
            "kind" => {
                let kind = string(span.clone(), "kind", value)?.parse();
                entry.kind = Some(kind.map_err(|e: UnknownKind| Mistake(span, e.to_string()))?);
            }
            "policy" => entry.policy = Some(tables::policy(span, value)?),
            "certificate" => {
                entry.certificate = Some(tables::certificate(span, value)?);
            }
            "lease" => entry.lease = Some(tables::lease(span, value)?),
            "denied" => entry.denied = boolean(span, "denied", value)?,
            _ => {
                let reason = "unknown key; a secret has value, fields or json, and name, project, \
                              project_name, application, application_name, kind, policy, lease, \
                              certificate, denied";
                return Err(Mistake(key.span(), reason.into()));
            }
        }
    }
    match <[SecretValue; 1]>::try_from(found) {
        Ok([value]) => Ok(Entry { value, ..entry }),
        // Its reads return a login or a certificate instead.
        Err(found)
            if found.is_empty() && (entry.lease.is_some() || entry.certificate.is_some()) =>
        {
            Ok(entry)
        }
        Err(found) if found.is_empty() => Err(Mistake(
            id,
            "one of value, fields and json is missing".into(),
        )),
        Err(_) => Err(Mistake(id, "only one of value, fields and json".into())),
    }
}

impl Entry {
    fn of(value: SecretValue) -> Self {
        Self {
            value,
            name: None,
            project: None,
            project_name: None,
            application: None,
            application_name: None,
            kind: None,
            policy: None,
            lease: None,
            certificate: None,
            denied: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::vault::{Kind, Lease, Policy};

    fn read(text: &str) -> Result<Vec<(String, Entry)>, String> {
        parse(Path::new("s.toml"), text.as_bytes())
            .map(|content| content.entries)
            .map_err(|e| e.to_string())
    }

    #[test]
    fn every_form_is_read() {
        let text = r#"
            sk_bare = "one"
            [sk_db]
            name = "DB creds"
            project = "proj_x"
            fields = { z = "db", port = 5432, tls = true, ratio = 0.5, list = [1, "a"], at = 2026-01-01, hex = 0xff }
            [sk_value]
            value = "two"
            denied = true
            [sk_json]
            json = '{ "b": 1, "a": 2 }'
        "#;
        let entries = read(text).unwrap();
        let texts: Vec<_> = entries
            .iter()
            .map(|(id, e)| format!("{id} {}", e.value.text))
            .collect();
        assert_eq!(
            texts,
            [
                "sk_bare one",
                r#"sk_db {"z": "db", "port": 5432, "tls": true, "ratio": 0.5, "list": [1,"a"], "at": "2026-01-01", "hex": 255}"#,
                "sk_value two",
                r#"sk_json { "b": 1, "a": 2 }"#,
            ]
        );
        assert_eq!(entries[1].1.name.as_deref(), Some("DB creds"));
        assert_eq!(entries[1].1.project.as_deref(), Some("proj_x"));
        assert_eq!(
            entries[3].1.value.fields,
            Some(vec!["b".into(), "a".into()])
        );
        assert!(entries[2].1.denied && !entries[1].1.denied);
        assert!(read("").unwrap().is_empty());
    }

    #[test]
    fn kind_project_policy_and_lease_are_parsed() {
        let text = r#"
            [sk_a]
            value = "1"
            kind = "canary"
            project = "proj_x"
            project_name = "X"
            application = "app_y"
            application_name = "Y"
            policy = { reads_per_day = 7 }
            [sk_pg]
            lease = { ttl = "1h" }
        "#;
        let entries = read(text).unwrap();
        let first = &entries[0].1;
        assert_eq!(first.kind, Some(Kind::Canary));
        assert_eq!(first.policy, Some(Policy::new().reads_per_day(7)));
        let names = [
            &first.project,
            &first.project_name,
            &first.application,
            &first.application_name,
        ];
        assert_eq!(
            names.map(|name| name.as_deref().unwrap()),
            ["proj_x", "X", "app_y", "Y"]
        );
        let second = &entries[1].1;
        assert_eq!(second.lease, Some(Lease::new(Duration::from_secs(3600))));
        assert_eq!(second.value.text, "{}");
        let found = read("[sk_a]\nvalue = ''\nkind = 'trap'").err().unwrap();
        assert!(found.starts_with("s.toml:3:8: sk_a: not a kind of secret: secret, "));
    }

    #[test]
    fn each_mistake_has_a_place_and_no_value() {
        let table = [
            (
                "sk_a = canary",
                "s.toml:1:8: not TOML: string values must be quoted, expected literal string",
            ),
            (
                "sk_a = \"canary",
                "s.toml:1:15: not TOML: invalid basic string, expected `\"`",
            ),
            (
                "sk_a = \"canary\"\nsk_a = \"canary\"",
                "s.toml:2:1: not TOML: duplicate key",
            ),
            (
                "sk_b = \"x\"\n\nsk_a = 123456",
                "s.toml:3:8: sk_a: a secret is a string or a table; put the value in quotes",
            ),
            (
                "\"sk/a\" = \"canary\"",
                "s.toml:1:1: a secret's id has letters, digits, '-' and '_' only",
            ),
            (
                "\"\" = \"canary\"",
                "s.toml:1:1: a secret's id has letters, digits, '-' and '_' only",
            ),
            (
                "[sk_a]",
                "s.toml:1:2: sk_a: one of value, fields and json is missing",
            ),
            (
                "[sk_a]\nvalue = \"canary\"\njson = '1'",
                "s.toml:1:2: sk_a: only one of value, fields and json",
            ),
            (
                "[sk_a]\nvalue = 7",
                "s.toml:2:9: sk_a: value must be a string; put it in quotes",
            ),
            (
                "[sk_a]\njson = 'canary'",
                "s.toml:2:8: sk_a: json is not valid JSON",
            ),
            (
                "[sk_a]\nfields = 'canary'",
                "s.toml:2:10: sk_a: fields must be a table: { host = \"…\", port = 5432 }",
            ),
            (
                "[sk_a]\nfields = { a = inf }",
                "s.toml:2:16: sk_a: JSON has no such number",
            ),
            (
                "[sk_a]\nfields = { a = 99999999999999999999 }",
                "s.toml:2:16: sk_a: this number does not fit into 64 bits",
            ),
            (
                "[sk_a]\nvalue = ''\ndenied = 'canary'",
                "s.toml:3:10: sk_a: denied must be true or false",
            ),
            (
                "[sk_a]\nvalue = ''\nnames = 'canary'",
                "s.toml:3:1: sk_a: unknown key; a secret has value, fields or json, and name, project, \
                 project_name, application, application_name, kind, policy, lease, \
                 certificate, denied",
            ),
        ];
        for (text, expected) in table {
            let found = read(text).err().unwrap_or_default();
            assert_eq!(found, expected, "{text}");
            assert!(!found.contains("canary"));
        }
        let found = parse(Path::new("s.toml"), b"a = \"\"\nb\xff")
            .err()
            .map(|e| e.to_string());
        assert_eq!(found.as_deref(), Some("s.toml:2:2: the file is not UTF-8"));
    }
}
