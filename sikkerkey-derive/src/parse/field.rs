use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::{Attribute, Expr, ExprLit, Lit, Meta, Type};

use super::attributes::{Attributes, Item};
use super::container::Owner;
use super::key::{Key, Level};
use super::types::{borrowed, inside_option, not_nested, primitive, unsized_type};
use super::{resync, value};
use crate::context::Context;
use crate::model::{
    Absence, Fallback, Field, Nested, Reading, Resync, Role, Secret, Source, Value,
};

/// The ways in which text becomes a value; a field has at most one.
const READINGS: &[Key] = &[Key::Json, Key::FromStr, Key::With, Key::Delimiter];

/// The message for a field that borrows or has no size.
const OWNED: &str =
    "a config owns its values: write `String` or `SecretString` for text, `Vec` for a list";

/// The field, or `None` if a mistake leaves open how its type is used.
pub(super) fn read(
    context: &mut Context,
    owner: &Owner,
    field: &syn::Field,
    attributes: &Attributes,
) -> Option<Field> {
    let ident = field.ident.clone()?;
    if unsized_type(&field.ty) {
        context.mistake(&field.ty, OWNED);
        return None;
    }
    let role = if let Some(skip) = attributes.get(Key::Skip) {
        skipped(context, attributes, skip).map(Role::Skipped)
    } else if let Some(nested) = attributes.get(Key::Nested) {
        self::nested(context, owner, attributes, nested, field).map(Role::Nested)
    } else {
        self::value(context, owner, attributes, field).map(|value| Role::Value(Box::new(value)))
    };
    Some(Field {
        ident,
        ty: field.ty.clone(),
        description: description(&field.attrs),
        role: role?,
    })
}

fn skipped(context: &mut Context, attributes: &Attributes, skip: &Item) -> Option<Fallback> {
    let alone = refuse(
        context,
        attributes,
        skip,
        &[
            Key::Secret,
            Key::Name,
            Key::Field,
            Key::Nested,
            Key::Json,
            Key::FromStr,
            Key::With,
            Key::Delimiter,
            Key::Resync,
        ],
        "a skipped field reads no secret and takes its default",
    );
    let fallback = attributes
        .get(Key::Default)
        .map_or(Fallback::Trait, fallback);
    (alone && !attributes.broken).then_some(fallback)
}

fn nested(
    context: &mut Context,
    owner: &Owner,
    attributes: &Attributes,
    nested: &Item,
    field: &syn::Field,
) -> Option<Nested> {
    let mut alone = refuse(
        context,
        attributes,
        nested,
        &[
            Key::Field,
            Key::Json,
            Key::FromStr,
            Key::With,
            Key::Delimiter,
        ],
        "the fields of the nested struct say what they read",
    );
    alone &= refuse(
        context,
        attributes,
        nested,
        &[Key::Default],
        "give the fields of the nested struct defaults, or nest it in an `Option`",
    );
    let secret = one_secret(context, attributes);
    let resync = resync_of(context, attributes);
    if let Some((place, mistake)) = not_nested(&field.ty, &owner.ident) {
        context.mistake(place, mistake);
        return None;
    }
    (alone && !attributes.broken).then(|| Nested {
        alone: matches!(secret, Some(None)) && owner.has_secret == Some(false),
        secret: secret.flatten(),
        resync,
    })
}

fn value(
    context: &mut Context,
    owner: &Owner,
    attributes: &Attributes,
    field: &syn::Field,
) -> Option<Value> {
    let source = source(context, owner, attributes, field);
    let resync = resync_of(context, attributes);
    let reading = reading(context, attributes);
    if let (Some(place), false) = (borrowed(&field.ty), attributes.get(Key::With).is_some()) {
        context.mistake(place, OWNED);
        return None;
    }
    let absence = absence(context, attributes, field);
    (!attributes.broken).then_some(())?;
    Some(Value {
        source: source.unwrap_or(Source::Unknown),
        reading: reading?,
        absence: absence?,
        resync,
    })
}

fn source(
    context: &mut Context,
    owner: &Owner,
    attributes: &Attributes,
    field: &syn::Field,
) -> Option<Source> {
    let secret = one_secret(context, attributes);
    let named = match attributes.get(Key::Field) {
        None => None,
        Some(item) => Some(value::text(context, item)?.value()),
    };
    let ident = field.ident.as_ref()?;
    match (secret?, named) {
        (Some(secret), None) => return Some(Source::Whole(secret)),
        (Some(secret), Some(field)) => return Some(Source::FieldOf(secret, field)),
        (None, named) if owner.has_secret == Some(true) => {
            let own = || owner.case.apply(&ident.unraw().to_string());
            return Some(Source::FieldOfStruct(named.unwrap_or_else(own)));
        }
        (None, _) if attributes.broken || owner.has_secret.is_none() => {}
        (None, Some(_)) => {
            if let Some(item) = attributes.get(Key::Field) {
                context.mistake_at(
                    item.word.span(),
                    "`field` needs a secret: add `secret = \"sk_…\"` here, or to the struct for all \
                     of its fields",
                );
            }
        }
        (None, None) if owner.told => {}
        (None, None) => context.mistake_at(
            ident.span(),
            format!(
                "`{ident}` names no secret: add `#[sikkerkey(secret = \"sk_…\")]` here, or to the \
                 struct for all of its fields (`inherit` there if the field that nests the struct \
                 names the secret); another config is `nested`, a field without a secret is `skip`"
            ),
        ),
    }
    None
}

fn reading(context: &mut Context, attributes: &Attributes) -> Option<Reading> {
    let Some(item) = attributes.first_of(READINGS) else {
        return Some(Reading::Plain);
    };
    let others: Vec<_> = READINGS
        .iter()
        .copied()
        .filter(|key| *key != item.key)
        .collect();
    let alone = refuse(
        context,
        attributes,
        item,
        &others,
        "a value is read in one way",
    );
    let reading = match item.key {
        Key::FromStr => Reading::FromStr,
        Key::With => Reading::With(value::path(context, item)?),
        Key::Delimiter => Reading::Delimited(value::text(context, item)?),
        _ => Reading::Json,
    };
    alone.then_some(reading)
}

fn absence(context: &mut Context, attributes: &Attributes, field: &syn::Field) -> Option<Absence> {
    match (attributes.get(Key::Default), inside_option(&field.ty)) {
        (None, None) => Some(Absence::Problem),
        (None, Some(inner)) => Some(Absence::None(inner.clone())),
        (Some(item), None) => {
            text_for_a_number(context, item, &field.ty)?;
            Some(Absence::Fallback(fallback(item)))
        }
        (Some(item), Some(_)) => {
            context.mistake_at(
                item.word.span(),
                "an `Option` is `None` if the value is missing, so `default` is never used: remove \
                 `default`, or the `Option`",
            );
            None
        }
    }
}

/// Reports a number in quotes as a default: a default is a Rust value, not a text that is parsed.
fn text_for_a_number(context: &mut Context, item: &Item, ty: &Type) -> Option<()> {
    let (Some(value), Some(ty)) = (&item.value, primitive(ty)) else {
        return Some(());
    };
    let Expr::Lit(ExprLit {
        lit: Lit::Str(text),
        ..
    }) = value::bare(value)
    else {
        return Some(());
    };
    let advice = match (rust_value(&ty, text.value().trim()), ty.as_str()) {
        (Some(value), _) => format!("`default = {value}`"),
        (None, "bool") => "`default = true`, for example".to_owned(),
        (None, "f32" | "f64") => "`default = 1.5`, for example".to_owned(),
        (None, _) => "`default = 5432`, for example".to_owned(),
    };
    let mistake =
        format!("a default is a Rust value, here of type `{ty}`: write {advice}, without quotes");
    context.mistake(text, mistake);
    None
}

/// The Rust literal for the value of a primitive type that is written in a text.
fn rust_value(ty: &str, text: &str) -> Option<String> {
    if ty == "bool" {
        text.parse::<bool>().ok().map(|value| value.to_string())
    } else if ty.starts_with('f') {
        let value = text.parse::<f64>().ok()?;
        value.is_finite().then(|| format!("{value:?}"))
    } else if ty.starts_with('u') {
        text.parse::<u128>().ok().map(|value| value.to_string())
    } else {
        text.parse::<i128>().ok().map(|value| value.to_string())
    }
}

fn fallback(item: &Item) -> Fallback {
    item.value.clone().map_or(Fallback::Trait, Fallback::Expr)
}

/// The `resync` of these attributes, if any, and its place.
fn resync_of(context: &mut Context, attributes: &Attributes) -> Option<(Resync, Span)> {
    resync::read(context, attributes.get(Key::Resync)?)
}

/// The secret that these attributes name, if any; the outer `None` is a mistake.
fn one_secret(context: &mut Context, attributes: &Attributes) -> Option<Option<Secret>> {
    match (attributes.get(Key::Secret), attributes.get(Key::Name)) {
        (None, None) => Some(None),
        (Some(item), None) | (None, Some(item)) => {
            value::secret(context, item, Level::Field).map(Some)
        }
        (Some(id), Some(name)) => {
            context.mistake_between(
                (
                    name.word.span(),
                    "a field reads one secret: remove `secret` or `name`",
                ),
                (id.word.span(), "the secret is named here first"),
            );
            None
        }
    }
}

/// Reports each of `others` that is present beside `item`; true if none is.
fn refuse(
    context: &mut Context,
    attributes: &Attributes,
    item: &Item,
    others: &[Key],
    reason: &str,
) -> bool {
    let mut alone = true;
    for other in attributes.iter().filter(|one| others.contains(&one.key)) {
        alone = false;
        context.mistake_between(
            (
                other.word.span(),
                format!(
                    "`{}` cannot be combined with `{}`: {reason}",
                    other.key, item.key
                ),
            ),
            (item.word.span(), format!("`{}` is given here", item.key)),
        );
    }
    alone
}

/// The first paragraph of the doc comment, on one line.
fn description(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let doc = match &attribute.meta {
            Meta::NameValue(doc) if doc.path.is_ident("doc") => doc,
            _ => return None,
        };
        match &doc.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Some(text.value()),
            _ => None,
        }
    });
    // A line of `///` is one attribute; a block of `/** */` is one for all its lines.
    let text = lines.collect::<Vec<_>>().join("\n");
    let words: Vec<_> = text
        .lines()
        .map(str::trim)
        .skip_while(|line| line.is_empty())
        .take_while(|line| !line.is_empty())
        .flat_map(str::split_whitespace)
        .collect();
    words.join(" ")
}
