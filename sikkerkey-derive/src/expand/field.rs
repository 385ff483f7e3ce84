use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Lit, Path, Type};

use super::{derived, local, resync, secret};
use crate::model::{Absence, Fallback, Field, Nested, Reading, Resync, Role, Source, Value};
use crate::parse::bare;

/// The statement that reads a field, also if fields before it failed.
pub(super) fn read(field: &Field, from: &Ident) -> TokenStream {
    let variable = variable(field);
    let call = match &field.role {
        Role::Skipped(_) => return TokenStream::new(),
        Role::Nested(inner) => nested(field, inner, from),
        Role::Value(inner) => value(field, inner, from),
    };
    quote! { let #variable = #call; }
}

/// The field in the struct expression.
pub(super) fn build(field: &Field) -> TokenStream {
    let ident = derived(&field.ident);
    let value = match &field.role {
        Role::Skipped(_) => skipped(field),
        Role::Nested(_) | Role::Value(_) => variable(field).into_token_stream(),
    };
    quote! { #ident: #value }
}

/// The default of a skipped field; empty for any other.
pub(super) fn skipped(field: &Field) -> TokenStream {
    let Role::Skipped(default) = &field.role else {
        return TokenStream::new();
    };
    let default = fallback(default, &field.ty);
    quote_spanned! { place(field) => __sikkerkey::skipped(#default) }
}

/// The statement that records the place of a field.
pub(super) fn place_of(krate: &Path, field: &Field, to: &Ident) -> TokenStream {
    let ident = derived(&field.ident);
    let name = name(field);
    match &field.role {
        Role::Skipped(_) => TokenStream::new(),
        Role::Nested(inner) => {
            let visitor = visitor(field, inner);
            quote_spanned! { place(field) =>
                #krate::__private::#visitor.place(#to, #name, &self.#ident);
            }
        }
        // An address and not a reference, which a field of a packed struct cannot have.
        Role::Value(_) => quote! { #krate::__private::place(#to, #name, &raw const self.#ident); },
    }
}

fn nested(field: &Field, nested: &Nested, from: &Ident) -> TokenStream {
    let name = name(field);
    let secret = secret(nested.secret.as_ref());
    let visitor = visitor(field, nested);
    let resync = again(nested.resync);
    quote_spanned! { place(field) =>
        __sikkerkey::#visitor.read(#from, __sikkerkey::nesting(#name, #secret)#resync)
    }
}

/// The call that visits the field's type.
fn visitor(field: &Field, nested: &Nested) -> TokenStream {
    let ty = &field.ty;
    let function = match nested.alone {
        true => format_ident!("nested"),
        false => format_ident!("nested_inherit"),
    };
    quote_spanned! { place(field) => #function::<#ty>() }
}

fn value(field: &Field, value: &Value, from: &Ident) -> TokenStream {
    let name = name(field);
    let description = &field.description;
    let source = source(&value.source);
    let resync = again(value.resync);
    let what = quote! { &const { __sikkerkey::field(#name, #description, #source)#resync } };
    // `FromSecret` handles `Option` itself; the other readings are of the type inside.
    let (ty, optional) = match (&value.absence, &value.reading) {
        (Absence::None(inner), reading) if !matches!(reading, Reading::Plain) => (inner, true),
        _ => (&field.ty, false),
    };
    let place = place(field);
    let parser = match &value.reading {
        Reading::Plain => quote_spanned! { place => __sikkerkey::value::<#ty> },
        Reading::Json => quote_spanned! { place => __sikkerkey::json::<#ty> },
        Reading::FromStr => quote_spanned! { place => __sikkerkey::from_str::<#ty> },
        // A closure and not the path, so that a function that is generic over its text fits as well. A value that ends
        // with the call lends the text, so the compiler says of a function that returns a part of it: "cannot return
        // value referencing function parameter".
        Reading::With(path) => {
            let mut text = local("text");
            text.set_span(text.span().located_at(place));
            quote_spanned! { place =>
                || __sikkerkey::with::<#ty, _, _>(|#text: __sikkerkey::Text| #path(#text.get()))
            }
        }
        Reading::Delimited(delimiter) => quote_spanned! { place =>
            || __sikkerkey::delimited::<#ty>(#delimiter)
        },
    };
    match &value.absence {
        Absence::Fallback(default) => {
            let default = fallback(default, ty);
            quote_spanned! { place => __sikkerkey::or_default(#from, #what, #parser, #default) }
        }
        _ if optional => quote_spanned! { place => __sikkerkey::optional(#from, #what, #parser) },
        _ => quote_spanned! { place => __sikkerkey::required(#from, #what, #parser) },
    }
}

/// The place at which the compiler points if a type does not fit: the user's function if there is one, otherwise the
/// user's type. All tokens of a field get this place, so that one mistake is reported once.
fn place(field: &Field) -> Span {
    let written = match &field.role {
        Role::Value(value) => match &value.reading {
            Reading::With(path) => path.span(),
            _ => field.ty.span(),
        },
        _ => field.ty.span(),
    };
    Span::call_site().located_at(written)
}

/// The call that sets how often the secret is read again.
fn again(every: Option<(Resync, Span)>) -> TokenStream {
    match every {
        None => TokenStream::new(),
        Some((every, _)) => {
            let every = resync(every);
            quote! { .resync(#every) }
        }
    }
}

fn source(source: &Source) -> TokenStream {
    match source {
        Source::FieldOfStruct(field) => quote! { __sikkerkey::FieldSource::FieldOfStruct(#field) },
        Source::FieldOf(of, field) => {
            let of = bare_secret(of);
            quote! { __sikkerkey::FieldSource::FieldOf(#of, #field) }
        }
        Source::Whole(of) => {
            let of = bare_secret(of);
            quote! { __sikkerkey::FieldSource::Whole(#of) }
        }
        // The compiler checks this, and it never runs.
        Source::Unknown => quote! { __sikkerkey::FieldSource::FieldOfStruct("") },
    }
}

fn bare_secret(secret: &crate::model::Secret) -> TokenStream {
    match secret {
        crate::model::Secret::Id(id) => quote! { __sikkerkey::Secret::Id(#id) },
        crate::model::Secret::Name(name) => quote! { __sikkerkey::Secret::Name(#name) },
    }
}

/// A function that returns the default. A string literal is a default for each type that can be made from one, so that
/// `default = "eu"` fits a `String`.
fn fallback(default: &Fallback, ty: &Type) -> TokenStream {
    let place = Span::call_site().located_at(ty.span());
    let expr = match default {
        Fallback::Trait => {
            return quote_spanned! { place => || -> #ty { __sikkerkey::default::<#ty>() } };
        }
        Fallback::Expr(expr) => bare(expr),
    };
    match expr {
        Expr::Lit(ExprLit {
            lit: Lit::Str(_), ..
        }) => {
            let text = Span::call_site().located_at(expr.span());
            quote_spanned! { text => || -> #ty { __sikkerkey::text(#expr) } }
        }
        Expr::Block(block) if block.label.is_none() && block.attrs.is_empty() => {
            quote! { || -> #ty #block }
        }
        // Without parentheses, `{ 1 } + 1` would be two statements.
        expr => quote! { || -> #ty { (#expr) } },
    }
}

fn name(field: &Field) -> String {
    field.ident.unraw().to_string()
}

/// The variable of a field. Two underscores alone would not do: a field may be called `from` or `value`, as other
/// locals are.
pub(super) fn variable(field: &Field) -> Ident {
    let mut variable = local(&format!("field_{}", name(field)));
    variable.set_span(variable.span().located_at(place(field)));
    variable
}
