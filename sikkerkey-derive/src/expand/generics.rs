use std::collections::HashSet;

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Type, WhereClause, parse_quote};

use crate::model::{Absence, Config, Fallback, Field, Reading, Role};

/// The user's `where` clause and, for each field whose type contains a type parameter, the bound that its reading
/// needs. It bounds the field's type and not the parameter, so a parameter in a `PhantomData` alone needs none.
pub(super) fn where_clause(config: &Config) -> Option<WhereClause> {
    let parameters: HashSet<&Ident> = config
        .generics
        .type_params()
        .map(|parameter| &parameter.ident)
        .collect();
    let mut generics = config.generics.clone();
    if parameters.is_empty() {
        return generics.where_clause;
    }
    let bounds = config
        .fields
        .iter()
        .filter(|field| mentions(&field.ty, &parameters))
        .flat_map(|field| bounds(config, field));
    for (ty, bound) in bounds {
        generics
            .make_where_clause()
            .predicates
            .push(parse_quote!(#ty: #bound));
    }
    generics.where_clause
}

fn bounds<'a>(config: &'a Config, field: &'a Field) -> Vec<(&'a Type, TokenStream)> {
    let krate = &config.krate;
    let default = || quote! { ::core::default::Default };
    match &field.role {
        Role::Skipped(Fallback::Trait) => vec![(&field.ty, default())],
        Role::Skipped(Fallback::Expr(_)) => vec![],
        Role::Nested(nested) => match nested.alone {
            true => vec![(&field.ty, quote! { #krate::SikkerKeyConfig })],
            false => vec![(&field.ty, quote! { #krate::__private::VisitNested })],
        },
        Role::Value(value) => {
            let inner = match &value.absence {
                Absence::None(inner) => inner,
                _ => &field.ty,
            };
            let mut bounds = match value.reading {
                Reading::Plain => vec![(&field.ty, quote! { #krate::FromSecret })],
                Reading::Json => vec![(inner, quote! { #krate::__private::DeserializeOwned })],
                Reading::FromStr => vec![(inner, quote! { ::core::str::FromStr<Err: 'static> })],
                Reading::Delimited(_) => vec![(inner, quote! { #krate::__private::Delimited })],
                Reading::With(_) => vec![],
            };
            if let Absence::Fallback(Fallback::Trait) = value.absence {
                bounds.push((&field.ty, default()));
            }
            bounds
        }
    }
}

fn mentions(ty: &Type, parameters: &HashSet<&Ident>) -> bool {
    fn any(tokens: TokenStream, parameters: &HashSet<&Ident>) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(ident) => parameters.contains(&ident),
            TokenTree::Group(group) => any(group.stream(), parameters),
            _ => false,
        })
    }
    any(ty.to_token_stream(), parameters)
}
