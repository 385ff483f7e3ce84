use syn::{Expr, ExprLit, ExprPath, Lit, LitStr};

use super::attributes::Item;
use super::key::Key;
use crate::case::Case;
use crate::context::Context;
use crate::model::Secret;

/// The value as a string literal that is not empty.
pub(super) fn text(context: &mut Context, item: &Item) -> Option<LitStr> {
    let value = item.value.as_ref()?;
    match bare(value) {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) if text.value().is_empty() => {
            context.mistake(text, format!("`{}` is empty", item.key));
            None
        }
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text.clone()),
        other => {
            context.mistake(
                other,
                format!(
                    "`{}` wants a string literal, such as `{}`",
                    item.key,
                    item.key.example()
                ),
            );
            None
        }
    }
}

/// A path, in a string literal or bare.
pub(super) fn path(context: &mut Context, item: &Item) -> Option<ExprPath> {
    let value = item.value.as_ref()?;
    let read = match bare(value) {
        Expr::Path(path) => return Some(path.clone()),
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => text.parse().ok(),
        _ => None,
    };
    if read.is_none() {
        context.mistake(
            value,
            format!(
                "`{}` wants a path, such as `{}`",
                item.key,
                item.key.example()
            ),
        );
    }
    read
}

/// `secret` or `name` as a secret; the outer `None` is a mistake.
pub(super) fn secret(context: &mut Context, item: &Item) -> Option<Secret> {
    let text = text(context, item)?;
    if item.key == Key::Name {
        return Some(Secret::Name(text));
    }
    let id = text.value();
    let Some(wrong) = id.chars().find(|c| !is_of_an_id(*c)) else {
        return Some(Secret::Id(text));
    };
    context.mistake(
        &text,
        format!(
            "`{}` is not a secret's id: {wrong:?} is not one of A-Z, a-z, 0-9, `_` and `-`; a \
             display name is written `name = {:?}`",
            id.escape_debug(),
            id
        ),
    );
    None
}

pub(super) fn case(context: &mut Context, item: &Item) -> Option<Case> {
    let text = text(context, item)?;
    let rule = Case::named(&text.value());
    if rule.is_none() {
        let rules = Case::ALL.map(|(name, _)| format!("\"{name}\"")).join(", ");
        context.mistake(
            &text,
            format!(
                "unknown rule \"{}\"; the rules are {rules}",
                text.value().escape_debug()
            ),
        );
    }
    rule
}

/// What the client accepts as an id, checked here already where it is a literal.
fn is_of_an_id(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// The expression without the invisible group that a `macro_rules!` puts around a fragment.
pub(crate) fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Group(group) => bare(&group.expr),
        other => other,
    }
}
