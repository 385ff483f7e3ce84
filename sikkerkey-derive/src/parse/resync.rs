use proc_macro2::Span;

use super::attributes::Item;
use super::container::Container;
use super::value;
use crate::context::Context;
use crate::model::{Field, Resync, Role, Secret, Source};

/// The units, largest first, in seconds.
const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];

/// The longest interval: a longer one is a mistake in a unit.
const YEAR: u64 = 365 * 86_400;

/// The value of `resync`, and where it stands.
pub(super) fn read(context: &mut Context, item: &Item) -> Option<(Resync, Span)> {
    let text = value::text(context, item)?;
    match parse(&text.value()) {
        Ok(resync) => Some((resync, text.span())),
        Err(mistake) => {
            context.mistake(&text, mistake);
            None
        }
    }
}

fn parse(text: &str) -> Result<Resync, String> {
    let wants = "`resync` is \"never\", \"adaptive\" or an interval such as \"40m\" or \"1h30m\"";
    let lower = text.trim().to_lowercase();
    if lower != text && (parse(&lower).is_ok()) {
        return Err(format!("write `resync = \"{lower}\"`"));
    }
    match text {
        "never" => return Ok(Resync::Never),
        "adaptive" => return Ok(Resync::Adaptive),
        _ if !text.starts_with(|c: char| c.is_ascii_digit()) => return Err(wants.to_owned()),
        _ => {}
    }
    let longer = || {
        "the interval is longer than a year; for no reads of its own, write `resync = \"never\"`"
            .to_owned()
    };
    let mut rest = text;
    let mut total: u64 = 0;
    let mut smallest = u64::MAX;
    while !rest.is_empty() {
        let (number, tail) = split(rest, |c| c.is_ascii_digit());
        let (unit, tail) = split(tail, |c| !c.is_ascii_digit());
        if number.is_empty() {
            return Err(wants.to_owned());
        }
        if unit.is_empty() {
            return Err(format!(
                "`{number}` needs a unit, as in \"{number}m\": the units are d, h, m and s"
            ));
        }
        let Some((_, seconds)) = UNITS.into_iter().find(|(known, _)| *known == unit) else {
            let unit = unit.escape_debug();
            return Err(format!("`{unit}` is not a unit: they are d, h, m and s"));
        };
        if seconds >= smallest {
            return Err("a larger unit comes first, and each comes once, as in \"1h30m\"".into());
        }
        smallest = seconds;
        let part = number.parse::<u64>().map_err(|_| longer())?;
        total = part
            .checked_mul(seconds)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(longer)?;
        rest = tail;
    }
    match total {
        0 => Err(
            "an interval of 0 is not possible; for no reads of its own, write `resync = \"never\"`"
                .into(),
        ),
        seconds if seconds > YEAR => Err(longer()),
        seconds => Ok(Resync::Every(seconds)),
    }
}

/// The longest start whose characters all are such, and the rest.
fn split(text: &str, is: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !is(c)).unwrap_or(text.len()))
}

/// A secret has one `resync`: two that can be seen here and differ are a mistake.
pub(super) fn check(context: &mut Context, container: &Container, fields: &[Field]) {
    let own = container.secret.as_ref();
    let on_struct = container.resync.map(|resync| (own, resync));
    let on_fields = fields.iter().filter_map(|field| match &field.role {
        Role::Value(value) => match &value.source {
            Source::FieldOfStruct(_) => Some((own, value.resync?)),
            Source::FieldOf(secret, _) | Source::Whole(secret) => {
                Some((Some(secret), value.resync?))
            }
            Source::Unknown => None,
        },
        // Without a secret it is that of the nested struct, which nobody sees here.
        Role::Nested(nested) => Some((Some(nested.secret.as_ref()?), nested.resync?)),
        Role::Skipped(_) => None,
    });
    let mut first: Vec<(Option<&Secret>, (Resync, Span))> = Vec::new();
    for (secret, (resync, place)) in on_struct.into_iter().chain(on_fields) {
        match first.iter().find(|(other, _)| same(*other, secret)) {
            Some((_, (other, _))) if *other == resync => {}
            None => first.push((secret, (resync, place))),
            Some((_, (_, other))) => {
                let secret = match secret {
                    Some(Secret::Id(text) | Secret::Name(text)) => {
                        format!("`{}`", text.value().escape_debug())
                    }
                    None => "the struct's secret".to_owned(),
                };
                context.mistake_between(
                    (
                        place,
                        format!("{secret} has another `resync` already: a secret has one"),
                    ),
                    (*other, "it is given here first"),
                );
            }
        }
    }
}

fn same(a: Option<&Secret>, b: Option<&Secret>) -> bool {
    match (a, b) {
        (Some(Secret::Id(a)), Some(Secret::Id(b)))
        | (Some(Secret::Name(a)), Some(Secret::Name(b))) => a.value() == b.value(),
        (None, None) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_and_words() {
        for (text, resync) in [
            ("never", Resync::Never),
            ("adaptive", Resync::Adaptive),
            ("40m", Resync::Every(2400)),
            ("1h30m", Resync::Every(5400)),
            ("365d", Resync::Every(YEAR)),
            ("1d0h1s", Resync::Every(86_401)),
        ] {
            assert_eq!(parse(text), Ok(resync), "{text}");
        }
        for (text, part) in [
            ("Never", "write `resync = \"never\"`"),
            (" 40m", "write `resync = \"40m\"`"),
            ("40M", "write `resync = \"40m\"`"),
            ("40", "needs a unit, as in \"40m\""),
            ("40min", "`min` is not a unit"),
            ("500ms", "`ms` is not a unit"),
            ("0s", "an interval of 0"),
            ("0d0h", "an interval of 0"),
            ("366d", "longer than a year"),
            ("99999999999999999999d", "longer than a year"),
            ("9999999999999999999d", "longer than a year"),
            ("30m1h", "a larger unit comes first"),
            ("1m1m", "a larger unit comes first"),
            ("-5m", "an interval such as"),
            ("often", "an interval such as"),
            ("m", "an interval such as"),
            ("1.5h", "`.` is not a unit"),
            ("5\n", "`\\n` is not a unit"),
            ("5\0", "`\\0` is not a unit"),
        ] {
            let mistake = parse(text).expect_err(text);
            assert!(mistake.contains(part), "{text}: {mistake}");
        }
    }
}
