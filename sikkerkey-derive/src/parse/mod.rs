//! What the user wrote, read into the [model](crate::model). Every mistake goes to the context;
//! reading goes on behind it, so that one build shows them all.

mod attributes;
mod container;
mod field;
mod key;
mod types;
mod value;

pub(crate) use value::bare;

use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields};

use crate::context::Context;
use crate::model::Config;

/// The struct, or `None` where the context has a mistake.
pub(crate) fn config(context: &mut Context, input: &DeriveInput) -> Option<Config> {
    let container = container::read(context, &input.attrs);
    let fields = named_fields(context, &input.data, input)?;
    let owner = container::Owner::of(&container);
    let fields: Vec<_> = fields
        .iter()
        .map(|field| field::read(context, &owner, field))
        .collect();
    container::check(context, &container);
    Some(Config {
        ident: input.ident.clone(),
        generics: input.generics.clone(),
        krate: container.krate?,
        secret: container.secret,
        validate: container.validate,
        fields: fields.into_iter().collect::<Option<_>>()?,
    })
}

fn named_fields<'a>(
    context: &mut Context,
    data: &'a Data,
    input: &DeriveInput,
) -> Option<&'a syn::punctuated::Punctuated<syn::Field, syn::Token![,]>> {
    let (place, what) = match data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => return Some(&fields.named),
            Fields::Unnamed(fields) => (fields.span(), "a tuple struct"),
            Fields::Unit => (input.ident.span(), "a unit struct"),
        },
        Data::Enum(data) => (data.enum_token.span, "an enum"),
        Data::Union(data) => (data.union_token.span, "a union"),
    };
    context.mistake_at(
        place,
        format!(
            "SikkerKeyConfig is derived for a struct with named fields, not for {what}; a value \
             of such a type can be a field of one, with `json`, `from_str` or `with`"
        ),
    );
    None
}
