//! Reads what the user wrote into the [model](crate::model). Every mistake goes to the context, and reading continues
//! after it, so that one build reports them all.

mod attributes;
mod container;
mod field;
mod key;
mod resync;
mod types;
mod value;

pub(crate) use value::bare;

use attributes::Attributes;
use key::{Key, Level};
use proc_macro2::{Ident, TokenTree};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Field, Fields, Token};

use crate::context::Context;
use crate::model::Config;

/// The struct. After a mistake it has only the fields that could be read. It is `None` if no impl is possible: the path
/// of the `sikkerkey` crate could not be read, or the struct has no size.
pub(crate) fn config(context: &mut Context, input: &DeriveInput) -> Option<Config> {
    let container = container::read(context, &input.attrs);
    let fields = named_fields(context, &input.data, input);
    let is_sized = !fields.iter().any(|field| types::unsized_type(&field.ty));
    let attributes: Vec<_> = fields
        .iter()
        .map(|field| Attributes::read(context, &field.attrs, Level::Field))
        .collect();
    let mut owner = container::Owner::of(&container, &input.ident);
    owner.told = no_field_names_a_secret(context, &owner, &attributes, &input.ident);
    let fields: Vec<_> = fields
        .iter()
        .zip(&attributes)
        .filter_map(|(field, attributes)| field::read(context, &owner, field, attributes))
        .collect();
    container::check(context, &container);
    resync::check(context, &container, &fields);
    is_sized.then_some(())?;
    Some(Config {
        ident: input.ident.clone(),
        generics: input.generics.clone(),
        krate: container.krate?,
        secret: container.secret,
        inherit: container.inherit,
        resync: container.resync.map(|(resync, _)| resync),
        allows_deprecated: allows_deprecated(input),
        validate: container.validate,
        fields,
    })
}

/// Reports it once, for the struct, if several fields need a secret and none names one.
fn no_field_names_a_secret(
    context: &mut Context,
    owner: &container::Owner,
    fields: &[Attributes],
    ident: &Ident,
) -> bool {
    let wanting = fields
        .iter()
        .filter(|field| field.first_of(&[Key::Nested, Key::Skip]).is_none());
    let names_one =
        |field: &&Attributes| field.broken || field.first_of(&[Key::Secret, Key::Name]).is_some();
    let none = owner.has_secret == Some(false)
        && wanting.clone().count() > 1
        && wanting.clone().find(names_one).is_none();
    if none {
        context.mistake_at(
            ident.span(),
            format!(
                "`{ident}` names no secret: add `#[sikkerkey(secret = \"sk_…\")]` to it, or to each \
                 field; or add `#[sikkerkey(inherit)]` if the field that nests it names the secret"
            ),
        );
    }
    none
}

/// Whether `deprecated` is allowed on the struct or on one of its fields.
fn allows_deprecated(input: &DeriveInput) -> bool {
    let on_fields = match &input.data {
        Data::Struct(data) => data.fields.iter().flat_map(|field| &field.attrs).collect(),
        Data::Enum(_) | Data::Union(_) => Vec::new(),
    };
    input.attrs.iter().chain(on_fields).any(|attribute| {
        let allows = attribute.path().is_ident("allow") || attribute.path().is_ident("expect");
        let words = attribute
            .meta
            .require_list()
            .map(|list| list.tokens.clone());
        allows && words.is_ok_and(|words| words.into_iter().any(is_deprecated))
    })
}

fn is_deprecated(word: TokenTree) -> bool {
    matches!(word, TokenTree::Ident(word) if word == "deprecated")
}

/// The fields; empty, and a mistake, for anything but a struct with named fields.
fn named_fields(
    context: &mut Context,
    data: &Data,
    input: &DeriveInput,
) -> Punctuated<Field, Token![,]> {
    let (place, what) = match data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => return fields.named.clone(),
            Fields::Unnamed(fields) => (fields.span(), "a tuple struct"),
            Fields::Unit => (input.ident.span(), "a unit struct"),
        },
        Data::Enum(data) => (data.enum_token.span, "an enum"),
        Data::Union(data) => (data.union_token.span, "a union"),
    };
    let names = match data {
        Data::Struct(data) if !data.fields.is_empty() => ": give its fields names",
        _ => "",
    };
    context.mistake_at(
        place,
        format!(
            "`SikkerKeyConfig` can only be derived for a struct with named fields, not for \
             {what}{names}; to read such a type from a secret, make it a field of a config, with \
             `json`, `from_str` or `with`"
        ),
    );
    Punctuated::new()
}
