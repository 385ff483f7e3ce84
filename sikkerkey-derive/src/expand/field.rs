use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Lit, Type};

use super::{local, secret};
use crate::model::{Absence, Fallback, Field, Nested, Reading, Role, Source, Value};

/// The statement that reads a field, whatever became of the fields before it.
pub(super) fn read(field: &Field, from: &Ident) -> TokenStream {
    let variable = variable(field);
    let call = match &field.role {
        Role::Skipped(_) => return TokenStream::new(),
        Role::Nested(inner) => nested(field, inner, from),
        Role::Value(inner) => value(field, inner, from),
    };
    quote! { let #variable = #call; }
}

/// The field in the struct expression: here the first missing value ends the reading.
pub(super) fn build(field: &Field) -> TokenStream {
    let ident = &field.ident;
    let value = match &field.role {
        Role::Skipped(default) => {
            let default = fallback(default, &field.ty);
            quote! { __sikkerkey::skipped(#default) }
        }
        Role::Nested(_) | Role::Value(_) => {
            let variable = variable(field);
            quote! { #variable? }
        }
    };
    quote! { #ident: #value }
}

fn nested(field: &Field, nested: &Nested, from: &Ident) -> TokenStream {
    let name = name(field);
    let ty = &nested.inner;
    let secret = secret(nested.secret.as_ref());
    let function = match nested.optional {
        true => at(ty, "nested_optional"),
        false => at(ty, "nested"),
    };
    quote! { __sikkerkey::#function::<#ty>(#from, #name, #secret) }
}

fn value(field: &Field, value: &Value, from: &Ident) -> TokenStream {
    let name = name(field);
    let description = &field.description;
    let source = source(&value.source);
    let place = quote! {
        __sikkerkey::Field { name: #name, description: #description, source: #source }
    };
    // `FromSecret` knows of `Option` itself; the other readings are of what is inside.
    let (ty, optional) = match (&value.absence, &value.reading) {
        (Absence::None(inner), reading) if !matches!(reading, Reading::Plain) => (inner, true),
        _ => (&field.ty, false),
    };
    let parser = parser(&value.reading, ty);
    match &value.absence {
        Absence::Fallback(default) => {
            let default = fallback(default, ty);
            quote! { __sikkerkey::or_default(#from, #place, #parser, #default) }
        }
        _ if optional => quote! { __sikkerkey::optional(#from, #place, #parser) },
        _ => quote! { __sikkerkey::required(#from, #place, #parser) },
    }
}

fn parser(reading: &Reading, ty: &Type) -> TokenStream {
    match reading {
        Reading::Plain => {
            let function = at(ty, "value");
            quote! { __sikkerkey::#function::<#ty>() }
        }
        Reading::Json => {
            let function = at(ty, "json");
            quote! { __sikkerkey::#function::<#ty>() }
        }
        Reading::FromStr => {
            let function = at(ty, "from_str");
            quote! { __sikkerkey::#function::<#ty>() }
        }
        Reading::With(path) => {
            let function = Ident::new("with", path.span().resolved_at(Span::call_site()));
            quote! { __sikkerkey::#function::<#ty, _, _>(#path) }
        }
        Reading::Delimited(delimiter) => {
            let function = at(ty, "delimited");
            quote! { __sikkerkey::#function::<#ty>(#delimiter) }
        }
    }
}

fn source(source: &Source) -> TokenStream {
    match source {
        Source::FieldOfStruct(field) => quote! { __sikkerkey::Source::FieldOfStruct(#field) },
        Source::FieldOf(of, field) => {
            let of = bare_secret(of);
            quote! { __sikkerkey::Source::FieldOf(#of, #field) }
        }
        Source::Whole(of) => {
            let of = bare_secret(of);
            quote! { __sikkerkey::Source::Whole(#of) }
        }
    }
}

fn bare_secret(secret: &crate::model::Secret) -> TokenStream {
    match secret {
        crate::model::Secret::Id(id) => quote! { __sikkerkey::Secret::Id(#id) },
        crate::model::Secret::Name(name) => quote! { __sikkerkey::Secret::Name(#name) },
    }
}

/// A function that makes the default. A string literal is a default for whatever is made from
/// one, so that `default = "eu"` fits a `String`.
fn fallback(default: &Fallback, ty: &Type) -> TokenStream {
    match default {
        Fallback::Trait => quote_spanned! { ty.span() =>
            <#ty as ::core::default::Default>::default
        },
        Fallback::Expr(
            text @ Expr::Lit(ExprLit {
                lit: Lit::Str(_), ..
            }),
        ) => {
            let into = quote_spanned! { text.span() => ::core::convert::Into::into };
            quote! { || -> #ty { #into(#text) } }
        }
        Fallback::Expr(expr) => quote! { || -> #ty { #expr } },
    }
}

fn name(field: &Field) -> String {
    field.ident.unraw().to_string()
}

fn variable(field: &Field) -> Ident {
    local(&name(field))
}

/// The name of a helper with the span of the user's type, which a missing bound then points at.
fn at(ty: &Type, function: &str) -> Ident {
    Ident::new(function, ty.span().resolved_at(Span::call_site()))
}
