//! Converts a secret's text to the value that a config needs: a number, a `bool`, a table.

use figment::value::{Dict, Empty, Num, Value};
use serde_json::Value as Json;
use sikkerkey::__private::{field_texts, list_items, stray, stray_at_the_ends};
use sikkerkey::{ExposeSecret, Requirement, ValueKind};

/// The value of `requirement`, or what `text` should have been; the error never quotes it.
pub(crate) fn of(requirement: &Requirement, text: &str) -> Result<Value, String> {
    match (requirement.kind(), requirement.delimiter()) {
        (ValueKind::List, Some(delimiter)) => {
            let items = requirement.items().unwrap_or(ValueKind::String);
            list(text, delimiter, items)
        }
        // A structured secret that is read whole becomes a table of texts.
        (ValueKind::Json, _) if requirement.items().is_some() => {
            let fields = field_texts(text).ok_or("the value is not a JSON object")?;
            let texts = fields.iter();
            let texts = texts.map(|(name, text)| (name.clone(), text.expose_secret().into()));
            Ok(Value::from(texts.collect::<Dict>()))
        }
        (kind, _) => {
            refused_by_type(requirement, text)?;
            value(kind, text)
        }
    }
}

/// Refuses what the config's own reading refuses, and serde would accept.
fn refused_by_type(requirement: &Requirement, text: &str) -> Result<(), String> {
    let refusal = match requirement.expected() {
        "a path" => {
            stray_at_the_ends(text).map(|stray| format!("the value is not a path: {stray}"))
        }
        // serde narrows a number to this type without a check.
        "an f32" => {
            let is_infinite = text.parse::<f32>().is_ok_and(f32::is_infinite);
            is_infinite.then(|| "the value is not an f32: it is not finite".to_owned())
        }
        _ => None,
    };
    refusal.map_or(Ok(()), Err)
}

/// The value of `text` for a kind, or what it should have been.
pub(crate) fn value(kind: ValueKind, text: &str) -> Result<Value, String> {
    // Stray white space is named, because the report cannot show it without quoting the value.
    let refused = |what: &str| match stray(text) {
        Some(stray) => format!("{what}: {stray}"),
        None => what.to_owned(),
    };
    match kind {
        ValueKind::Number => match number(text) {
            Some(number) => Ok(Value::from(number)),
            None => Err(refused("the value is not a number")),
        },
        ValueKind::Bool => match text {
            "true" => Ok(Value::from(true)),
            "false" => Ok(Value::from(false)),
            _ => Err(refused("the value is neither `true` nor `false`")),
        },
        ValueKind::Json => match serde_json::from_str(text) {
            Ok(parsed) => Ok(json(parsed)),
            // Not the parser's own text, which may quote the value. Only the ends are checked for white space, because
            // JSON may contain it.
            Err(_) => Err(match stray_at_the_ends(text) {
                Some(stray) => format!("the value is not JSON: {stray}"),
                None => "the value is not JSON".to_owned(),
            }),
        },
        // A password `12345` stays a string, and so do kinds that are added later.
        _ => Ok(Value::from(text)),
    }
}

/// The items of a list, separated by `delimiter`.
fn list(text: &str, delimiter: &str, items: ValueKind) -> Result<Value, String> {
    let items_of = list_items(text, delimiter);
    let parts = items_of.map_err(|place| format!("item {place} of the list is empty"))?;
    let values = (1..).zip(parts).map(|(place, part)| {
        value(items, part).map_err(|said| format!("item {place} of the list: {said}"))
    });
    Ok(Value::from(values.collect::<Result<Vec<_>, _>>()?))
}

/// The number in the smallest type that fits, as figment's own parser of variables returns it.
fn number(text: &str) -> Option<Num> {
    if let Ok(n) = text.parse::<u128>() {
        let narrow = |n: u128| -> Option<Num> {
            None.or_else(|| u8::try_from(n).ok().map(Num::from))
                .or_else(|| u16::try_from(n).ok().map(Num::from))
                .or_else(|| u32::try_from(n).ok().map(Num::from))
                .or_else(|| u64::try_from(n).ok().map(Num::from))
        };
        return Some(narrow(n).unwrap_or_else(|| n.into()));
    }
    if let Ok(n) = text.parse::<i128>() {
        return Some(i64::try_from(n).map_or_else(|_| n.into(), Num::from));
    }
    // Rust would parse `inf` and `nan` as floats, too.
    let digits = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
    let float: f64 = text.chars().all(digits).then(|| text.parse().ok())??;
    float.is_finite().then(|| float.into())
}

/// Converts by hand, because figment's own `Deserialize` treats some keys as special.
fn json(parsed: Json) -> Value {
    match parsed {
        Json::Null => Value::from(Empty::None),
        Json::Bool(b) => Value::from(b),
        // A number of serde_json always parses.
        Json::Number(n) => number(&n.to_string()).map_or(Value::from(Empty::None), Value::from),
        Json::String(s) => Value::from(s),
        Json::Array(a) => Value::from(a.into_iter().map(json).collect::<Vec<_>>()),
        Json::Object(o) => Value::from(o.into_iter().map(|(k, v)| (k, json(v))).collect::<Dict>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn of(kind: ValueKind, text: &str) -> Value {
        value(kind, text).unwrap()
    }

    #[test]
    fn a_string_stays_what_it_is() {
        for text in ["12345", "true", "[1]", "", " x ", "null"] {
            assert_eq!(of(ValueKind::String, text), Value::from(text));
        }
    }

    #[test]
    fn numbers_keep_their_sign_size_and_fraction() {
        assert_eq!(of(ValueKind::Number, "5432"), Value::from(5432u16));
        assert_eq!(of(ValueKind::Number, "-1"), Value::from(-1i64));
        assert_eq!(of(ValueKind::Number, "2.5"), Value::from(2.5));
        assert_eq!(of(ValueKind::Number, "1e3"), Value::from(1000.0));
        let wide = u128::MAX.to_string();
        assert_eq!(of(ValueKind::Number, &wide), Value::from(u128::MAX));
    }

    #[test]
    fn what_is_no_number_bool_or_json_is_refused_without_its_text() {
        for (kind, text) in [
            (ValueKind::Number, "hunter2"),
            (ValueKind::Number, ""),
            (ValueKind::Number, " 5432"),
            (ValueKind::Number, "5_432"),
            (ValueKind::Number, "inf"),
            (ValueKind::Number, "NaN"),
            (ValueKind::Number, "1e999"),
            (ValueKind::Bool, "hunter2"),
            (ValueKind::Bool, "yes"),
            (ValueKind::Bool, "True"),
            (ValueKind::Json, "hunter2"),
            (ValueKind::Json, r#"{"hunter2":"#),
        ] {
            let said = value(kind, text).unwrap_err();
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn json_becomes_tables_and_arrays() {
        let value = of(ValueKind::Json, r#"{"a":[1,{"b":null}]}"#);
        let first = value.find("a").unwrap();
        assert_eq!(first.as_array().map(<[Value]>::len), Some(2));
    }

    #[test]
    fn a_list_is_divided_as_a_config_divides_it() {
        let strings = |text, delimiter| list(text, delimiter, ValueKind::String);
        assert_eq!(
            strings("a; b,c ;d", ";"),
            Ok(Value::from(vec!["a", "b,c", "d"]))
        );
        assert_eq!(strings(" ", ","), Ok(Value::from(Vec::<&str>::new())));
        assert!(strings("a,,b", ",").is_err());
        let numbers = |text| list(text, ",", ValueKind::Number);
        assert_eq!(numbers("1, 2"), Ok(Value::from(vec![1u8, 2])));
        assert!(numbers("1,x").is_err());
    }
}
