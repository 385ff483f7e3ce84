//! One value of the file, of the type that its key requires.

use std::net::IpAddr;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use toml::de::{DeTable, DeValue};

/// A mistake and its place; it never quotes the file.
pub(super) struct Mistake(pub(super) Span, pub(super) String);

pub(super) type Span = Range<usize>;

pub(super) fn table<'t, 'i>(
    at: Span,
    key: &str,
    value: &'t DeValue<'i>,
) -> Result<&'t DeTable<'i>, Mistake> {
    match value {
        DeValue::Table(table) => Ok(table),
        _ => Err(Mistake(at, format!("{key} must be a table: {{ … }}"))),
    }
}

pub(super) fn string(at: Span, key: &str, value: &DeValue<'_>) -> Result<String, Mistake> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        _ => Err(Mistake(
            at,
            format!("{key} must be a string; put it in quotes"),
        )),
    }
}

pub(super) fn strings(at: Span, key: &str, value: &DeValue<'_>) -> Result<Vec<String>, Mistake> {
    match value {
        DeValue::Array(items) => items
            .iter()
            .map(|item| string(item.span(), key, item.get_ref()))
            .collect(),
        _ => Err(Mistake(at, format!("{key} must be a list of strings"))),
    }
}

pub(super) fn boolean(at: Span, key: &str, value: &DeValue<'_>) -> Result<bool, Mistake> {
    match value {
        DeValue::Boolean(is) => Ok(*is),
        _ => Err(Mistake(at, format!("{key} must be true or false"))),
    }
}

pub(super) fn number(at: Span, key: &str, value: &DeValue<'_>) -> Result<u64, Mistake> {
    let found = match value {
        DeValue::Integer(n) => u64::from_str_radix(n.as_str(), n.radix()).ok(),
        _ => None,
    };
    found.ok_or_else(|| Mistake(at, format!("{key} must be a whole number, 0 or more")))
}

/// `10.0.0.0/8`, or one address.
pub(super) fn network(at: Span, text: &str) -> Result<(IpAddr, u8), Mistake> {
    let (address, prefix) = text.split_once('/').unzip();
    let address = address.unwrap_or(text).parse::<IpAddr>().ok();
    let found = address.and_then(|address| {
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(most), |prefix| prefix.parse().ok())?;
        (prefix <= most).then_some((address, prefix))
    });
    let wrong = "sources must be addresses like \"10.1.2.3\" or networks like \"10.0.0.0/8\"";
    found.ok_or_else(|| Mistake(at, wrong.into()))
}

/// Reads a status: 403, 404, 410 or 429. Any other is a typing mistake.
pub(super) fn status(at: Span, key: &str, value: &DeValue<'_>) -> Result<u16, Mistake> {
    match number(at.clone(), key, value) {
        Ok(status @ (403 | 404 | 410 | 429)) => Ok(status as u16),
        _ => Err(Mistake(at, format!("{key} must be 403, 404, 410 or 429"))),
    }
}

pub(super) fn time(at: Span, value: &DeValue<'_>) -> Result<SystemTime, Mistake> {
    let found = match value {
        DeValue::Datetime(time) => time.to_string().parse::<Timestamp>().ok(),
        _ => None,
    };
    let wrong = "ttl_expires_at must be a time with its offset: 2027-01-01T00:00:00Z";
    found
        .map(SystemTime::from)
        .ok_or_else(|| Mistake(at, wrong.into()))
}

pub(super) fn duration(at: Span, key: &str, value: &DeValue<'_>) -> Result<Duration, Mistake> {
    let found = match value {
        DeValue::String(text) => text.parse::<SignedDuration>().ok(),
        _ => None,
    };
    let found = found.and_then(|duration| Duration::try_from(duration).ok());
    found.filter(|duration| !duration.is_zero()).ok_or_else(|| {
        Mistake(
            at,
            format!("{key} must be a duration like \"90s\" or \"1h 30m\""),
        )
    })
}

/// A field's value as JSON of the same type.
pub(super) fn json(at: Span, value: &DeValue<'_>) -> Result<serde_json::Value, Mistake> {
    Ok(match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(is) => (*is).into(),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => number.into(),
            Err(_) => return Err(Mistake(at, "this number does not fit into 64 bits".into())),
        },
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => number.into(),
            _ => return Err(Mistake(at, "JSON has no such number".into())),
        },
        DeValue::Datetime(moment) => moment.to_string().into(),
        DeValue::Array(items) => items
            .iter()
            .map(|v| json(v.span(), v.get_ref()))
            .collect::<Result<Vec<_>, _>>()?
            .into(),
        DeValue::Table(table) => {
            let fields = table
                .iter()
                .map(|(k, v)| Ok((k.get_ref().to_string(), json(v.span(), v.get_ref())?)));
            serde_json::Value::Object(fields.collect::<Result<_, Mistake>>()?)
        }
    })
}
