//! The model, turned into one impl. It holds calls and no logic: what they do is in
//! `sikkerkey::__private`.
//!
//! ```ignore
//! #[automatically_derived]
//! impl ::sikkerkey::__private::Visit for Database {
//!     fn visit(
//!         __from: &mut ::sikkerkey::__private::Reader<'_>,
//!     ) -> ::core::option::Option<Self> {
//!         use ::sikkerkey::__private as __sikkerkey;
//!         __sikkerkey::enter(__from, "Database", Some(Secret::Id("sk_db_prod")));
//!         let __port = __sikkerkey::or_default(__from, FIELD, __sikkerkey::value::<u16>(), || 5432);
//!         // … one `let` a field, so that every field reports its problem …
//!         Some(Self { port: __port? })
//!     }
//! }
//! ```
//!
//! The whole of it, for one struct, is in `tests/expansion/database.rs`, which a test compares.

mod field;
mod generics;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::DeriveInput;
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use crate::model::{Config, Secret};

/// The impl of a struct.
pub(crate) fn config(config: &Config) -> TokenStream {
    let Config { ident, krate, .. } = config;
    let from = local("from");
    let name = ident.unraw().to_string();
    let secret = secret(config.secret.as_ref());
    let reads = config.fields.iter().map(|field| field::read(field, &from));
    let fields = config.fields.iter().map(field::build);
    let built = quote! { Self { #(#fields),* } };
    let result = match &config.validate {
        None => quote! { ::core::option::Option::Some(#built) },
        Some(validate) => {
            let value = local("value");
            let place = Span::call_site().located_at(validate.span());
            let validated = quote_spanned! { place =>
                __sikkerkey::validated(#from, #value, #validate)
            };
            quote! {
                let #value = #built;
                #validated
            }
        }
    };
    let where_clause = generics::where_clause(config);
    let (impl_generics, type_generics, _) = config.generics.split_for_impl();
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #impl_generics #krate::__private::Visit for #ident #type_generics #where_clause {
            fn visit(
                #from: &mut #krate::__private::Reader<'_>,
            ) -> ::core::option::Option<Self> {
                use #krate::__private as __sikkerkey;
                __sikkerkey::enter(#from, #name, #secret);
                #(#reads)*
                #result
            }
        }
    }
}

/// An impl for a struct with mistakes, so that the uses of the trait are no mistakes as well.
pub(crate) fn stub(input: &DeriveInput) -> TokenStream {
    let ident = &input.ident;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #impl_generics ::sikkerkey::__private::Visit for #ident #type_generics #where_clause {
            fn visit(
                _: &mut ::sikkerkey::__private::Reader<'_>,
            ) -> ::core::option::Option<Self> {
                ::core::option::Option::None
            }
        }
    }
}

/// A local name that no expression of the user can see or shadow.
fn local(name: &str) -> Ident {
    Ident::new(&format!("__{name}"), Span::mixed_site())
}

fn secret(secret: Option<&Secret>) -> TokenStream {
    match secret {
        None => quote! { ::core::option::Option::None },
        Some(Secret::Id(id)) => {
            quote! { ::core::option::Option::Some(__sikkerkey::Secret::Id(#id)) }
        }
        Some(Secret::Name(name)) => {
            quote! { ::core::option::Option::Some(__sikkerkey::Secret::Name(#name)) }
        }
    }
}
