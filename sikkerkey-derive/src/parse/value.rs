use syn::{Expr, ExprLit, ExprPath, Lit, LitStr};

use super::attributes::Item;
use super::key::{Key, Level};
use crate::case::Case;
use crate::context::Context;
use crate::model::Secret;

/// The value, which must be a string literal that is not empty.
pub(super) fn text(context: &mut Context, item: &Item) -> Option<LitStr> {
    let value = item.value.as_ref()?;
    match bare(value) {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) if text.value().is_empty() => {
            let example = item.key.example();
            context.mistake(
                text,
                format!(
                    "`{}` is empty: write a value, such as `{example}`",
                    item.key
                ),
            );
            None
        }
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text.clone()),
        other => {
            let mistake = not_a_literal(item.key, other);
            context.mistake(other, mistake);
            None
        }
    }
}

fn not_a_literal(key: Key, value: &Expr) -> String {
    let example = key.example();
    let without_quotes = match value {
        Expr::Path(path) => path.path.get_ident(),
        _ => None,
    };
    match (value, without_quotes) {
        // A display name is often spelled as a constant is.
        (_, Some(word)) if key == Key::Name || !word.to_string().contains(char::is_uppercase) => {
            format!("`{key}` needs a string literal: write `{key} = \"{word}\"`")
        }
        (Expr::Path(_), _) => {
            format!("`{key}` needs a string literal, such as `{example}`, not a constant")
        }
        (Expr::Macro(_), _) => {
            format!("`{key}` needs a string literal, such as `{example}`, not a macro")
        }
        _ => format!("`{key}` needs a string literal, such as `{example}`"),
    }
}

/// A path, in a string literal or bare.
pub(super) fn path(context: &mut Context, item: &Item) -> Option<ExprPath> {
    let value = item.value.as_ref()?;
    let read = match bare(value) {
        Expr::Path(path) => Some(path.clone()),
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => text.parse::<ExprPath>().ok(),
        _ => None,
    };
    // The parser takes this keyword for a name.
    let read = read.filter(|path| path.path.segments.iter().all(|part| part.ident != "try"));
    if read.is_none() {
        context.mistake(
            value,
            format!(
                "`{}` needs the path of {}, such as `{}`",
                item.key,
                match item.key {
                    Key::Crate => "a crate",
                    _ => "a function",
                },
                item.key.example()
            ),
        );
    }
    read
}

/// The secret of `secret` or `name`; `None` is a mistake.
pub(super) fn secret(context: &mut Context, item: &Item, level: Level) -> Option<Secret> {
    let text = text(context, item)?;
    if item.key == Key::Name {
        return Some(Secret::Name(text));
    }
    let id = text.value();
    if is_id(&id) {
        return Some(Secret::Id(text));
    }
    context.mistake(&text, mistake_in_id(&id, level));
    None
}

fn mistake_in_id(id: &str, level: Level) -> String {
    let shown = id.escape_debug();
    let trimmed = id.trim();
    if is_id(trimmed) {
        return format!("write `secret = \"{trimmed}\"`, without the white space around it");
    }
    let Some(wrong) = id.chars().find(|c| !is_of_an_id(*c)) else {
        return format!(
            "an id has at most {LONGEST_ID} characters, and this one has {}",
            id.len()
        );
    };
    match reference(trimmed) {
        Some((secret, field)) if level == Level::Field && !field.is_empty() => {
            format!(
                "`{shown}` is not a secret's id: write `secret = \"{secret}\", field = \"{}\"`",
                field.escape_debug()
            )
        }
        Some((secret, _)) => {
            let fields = match level {
                Level::Struct => "; each field then reads the field of its name",
                Level::Field => "",
            };
            format!("`{shown}` is not a secret's id: write `secret = \"{secret}\"`{fields}")
        }
        None if id.contains("://") => {
            format!(
                "`{shown}` is not a secret's id: write the id alone, such as `secret = \"sk_…\"`"
            )
        }
        None => format!(
            "`{shown}` is not a secret's id: it has {wrong:?}, and an id has only A-Z, a-z, 0-9, `_` \
             and `-`; for a display name, write `name = {id:?}`"
        ),
    }
}

/// The id and the field, which may be empty, of a text that is written as a reference or a path.
fn reference(text: &str) -> Option<(&str, &str)> {
    let path = text.strip_prefix("sikkerkey://");
    let (id, field) = match path {
        Some(path) => path.split_once('/').unwrap_or((path, "")),
        None => text.split_once(['/', '.', ':', '#'])?,
    };
    let is = is_id(id) && (path.is_some() || id.starts_with("sk_"));
    is.then_some((id, field))
}

pub(super) fn case(context: &mut Context, item: &Item) -> Option<Case> {
    let text = text(context, item)?;
    let rule = Case::named(&text.value());
    if rule.is_none() {
        context.mistake(&text, unknown_case(&text.value()));
    }
    rule
}

fn unknown_case(written: &str) -> String {
    let letters = |name: &str| name.replace(['-', '_', ' '], "").to_lowercase();
    let shown = written.escape_debug();
    let same = |(name, _): &&(&str, Case)| letters(name) == letters(written);
    match Case::ALL.iter().find(same) {
        Some((name, _)) => format!("unknown rule \"{shown}\": did you mean \"{name}\"?"),
        None => {
            let rules = Case::ALL.map(|(name, _)| format!("\"{name}\"")).join(", ");
            format!("unknown rule \"{shown}\"; the rules are {rules}")
        }
    }
}

const LONGEST_ID: usize = 200;

/// Whether the client accepts this as an id. A literal is checked here already.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_ID && text.chars().all(is_of_an_id)
}

fn is_of_an_id(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// The expression without the invisible group around a fragment of a `macro_rules!`.
pub(crate) fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Group(group) => bare(&group.expr),
        other => other,
    }
}
