use proc_macro2::Span;

use super::attributes::Item;
use super::container::Container;
use super::value;
use crate::context::Context;
use crate::model::{Field, Resync, Role, Secret, Source};

/// The units, largest first, in seconds.
const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];

/// The longest interval: a longer one is probably a mistake in the unit.
const YEAR: u64 = 365 * 86_400;

/// The value of `resync`, and its place.
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
    let wants =
        "`resync` takes \"never\", \"adaptive\" or an interval such as \"40m\" or \"1h30m\"";
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
        "the interval is longer than 365 days; to read the secret only after a change, write \
         `resync = \"never\"`"
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
            let meant = meant_unit(unit).map(|unit| format!(": write `{number}{unit}`"));
            return Err(format!(
                "`{}` is not a unit{}",
                Some(unit.trim())
                    .filter(|unit| !unit.is_empty())
                    .unwrap_or(unit)
                    .escape_debug(),
                meant.unwrap_or("; the units are d, h, m and s".to_owned())
            ));
        };
        if seconds >= smallest {
            return Err("a larger unit goes first, and each once, as in \"1h30m\"".into());
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
            "the interval is 0; to read the secret only after a change, write `resync = \"never\"`"
                .into(),
        ),
        seconds if seconds > YEAR => Err(longer()),
        seconds => Ok(Resync::Every(seconds)),
    }
}

/// The unit that a word or an abbreviation means: `m` for `min`.
fn meant_unit(word: &str) -> Option<&'static str> {
    let words = [
        ("d", "day"),
        ("h", "hour"),
        ("h", "hr"),
        ("m", "min"),
        ("m", "minute"),
        ("s", "sec"),
        ("s", "second"),
    ];
    let singular = word.trim().trim_end_matches('s');
    words
        .into_iter()
        .find_map(|(unit, word)| (word == singular).then_some(unit))
}

/// Splits off the longest start whose characters all match.
fn split(text: &str, is: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !is(c)).unwrap_or(text.len()))
}

/// Reports two different `resync` of one secret, as far as they can be seen here.
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
        // Without a secret it is for that of the nested struct, which cannot be seen here.
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
                        format!("{secret} has another `resync` already, and a secret has only one"),
                    ),
                    (*other, "the other `resync` is here"),
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
            ("40min", "`min` is not a unit: write `40m`"),
            ("2 hours", "`hours` is not a unit: write `2h`"),
            ("500ms", "`ms` is not a unit; the units are"),
            ("0s", "the interval is 0"),
            ("0d0h", "the interval is 0"),
            ("366d", "longer than 365 days"),
            ("99999999999999999999d", "longer than 365 days"),
            ("9999999999999999999d", "longer than 365 days"),
            ("30m1h", "a larger unit goes first"),
            ("1m1m", "a larger unit goes first"),
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
