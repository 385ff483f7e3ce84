//! Turns the model into impls. They contain calls and no logic, which is in `sikkerkey::__private`.
//!
//! ```text
//! #[automatically_derived]
//! impl ::sikkerkey::__private::VisitNested for Database {
//!     fn visit(
//!         __from: &mut ::sikkerkey::__private::Reader<'_>,
//!     ) -> ::core::option::Option<Self> {
//!         use ::sikkerkey::__private as __sikkerkey;
//!         __sikkerkey::enter(__from, "Database", Some(Secret::Id("sk_db_prod")));
//!         let __port = __sikkerkey::or_default(__from, FIELD, __sikkerkey::value::<u16>(), || 5432);
//!         // … one `let` a field, so that every field reports its problem …
//!         let (Some(__port),) = (__port,) else { return None };
//!         Some(Self { port: __port })
//!     }
//!     fn places(&self, __to: &mut ::sikkerkey::__private::Places) {
//!         ::sikkerkey::__private::place(__to, "port", &raw const self.port);
//!     }
//! }
//! #[automatically_derived]
//! impl ::sikkerkey::__private::Visit for Database {}
//! ```
//!
//! The complete output for one struct is in `tests/expansion/database.rs`, which a test compares.

mod field;
mod generics;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use crate::model::{Config, Resync, Secret};

/// The form of the output for a struct.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Body {
    /// The complete impls.
    Whole,
    /// For a struct with mistakes: the calls for the fields that were understood, so that the compiler checks their
    /// types, and no value. So a mistake of spelling does not hide mistakes of types, and uses of the trait still
    /// compile.
    Checks,
}

pub(crate) fn config(config: &Config, body: Body) -> TokenStream {
    let Config { krate, .. } = config;
    let from = local("from");
    let name = config.ident.unraw().to_string();
    let secret = secret(config.secret.as_ref());
    let inherit = config
        .inherit
        .then(|| quote! { __sikkerkey::inherit(#from); });
    let resync = config.resync.map(|every| {
        let every = resync(every);
        quote! { __sikkerkey::resync(#from, #every); }
    });
    let reads = config.fields.iter().map(|field| field::read(field, &from));
    let result = match body {
        Body::Whole => built(config, &from),
        Body::Checks => checks(config, &from),
    };
    let to = local("to");
    let places: Vec<_> = match body {
        Body::Whole => config
            .fields
            .iter()
            .map(|f| field::place_of(krate, f, &to))
            .collect(),
        // A missing value has no place in memory.
        Body::Checks => Vec::new(),
    };
    let where_clause = generics::where_clause(config);
    let (impl_generics, type_generics, _) = config.generics.split_for_impl();
    let allow = config
        .allows_deprecated
        .then(|| quote! { #[allow(deprecated)] });
    let ident = derived(&config.ident);
    // A struct that inherits its secret cannot be loaded alone. If it has mistakes, it gets this impl nevertheless, so
    // that its uses do not add another error.
    let alone = (!config.inherit || body == Body::Checks).then(|| {
        quote! {
            #[automatically_derived]
            #allow
            impl #impl_generics #krate::__private::Visit for #ident #type_generics #where_clause {}
        }
    });
    quote! {
        #[automatically_derived]
        #allow
        impl #impl_generics #krate::__private::VisitNested for #ident #type_generics #where_clause {
            fn visit(
                #from: &mut #krate::__private::Reader<'_>,
            ) -> ::core::option::Option<Self> {
                use #krate::__private as __sikkerkey;
                __sikkerkey::enter(#from, #name, #secret);
                #inherit
                #resync
                #(#reads)*
                #result
            }
            fn places(&self, #to: &mut #krate::__private::Places) {
                #(#places)*
            }
        }
        #alone
    }
}

/// The struct, from the variables of its fields; then the user's `validate`.
fn built(config: &Config, from: &Ident) -> TokenStream {
    let values = config.fields.iter().filter(|field| !field.is_skipped());
    let variables: Vec<_> = values.map(field::variable).collect();
    // All values at once, before the default of a skipped field: with a `?` for each, the compiler would generate the
    // drop of all others for each.
    let all = (!variables.is_empty()).then(|| {
        quote! {
            let (#(::core::option::Option::Some(#variables),)*) = (#(#variables,)*) else {
                return ::core::option::Option::None;
            };
        }
    });
    let fields = config.fields.iter().map(field::build);
    let built = quote! { Self { #(#fields),* } };
    let result = match validated(config, from) {
        None => quote! { ::core::option::Option::Some(#built) },
        Some(validated) => {
            let value = local("value");
            quote! {
                let #value = #built;
                #validated
            }
        }
    };
    quote! { #all #result }
}

fn checks(config: &Config, from: &Ident) -> TokenStream {
    let skipped = config.fields.iter().filter(|field| field.is_skipped());
    let skipped = skipped.map(field::skipped);
    let validated = validated(config, from).map(|validated| {
        let value = local("value");
        quote! { let _ = |#value: Self| #validated; }
    });
    quote! {
        #(let _ = || #skipped;)*
        #validated
        ::core::option::Option::None
    }
}

fn validated(config: &Config, from: &Ident) -> Option<TokenStream> {
    let validate = config.validate.as_ref()?;
    let value = local("value");
    let place = Span::call_site().located_at(validate.span());
    Some(quote_spanned! { place => __sikkerkey::validated(#from, #value, #validate) })
}

/// A name of the user's, marked as written by the derive at the same place, so that lints about its use, such as
/// `deprecated`, ignore it.
fn derived(ident: &Ident) -> Ident {
    let mut ident = ident.clone();
    ident.set_span(Span::call_site().located_at(ident.span()));
    ident
}

/// A local name that the user's expressions can neither see nor shadow.
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

fn resync(resync: Resync) -> TokenStream {
    match resync {
        Resync::Adaptive => quote! { __sikkerkey::Resync::Adaptive },
        Resync::Never => quote! { __sikkerkey::Resync::Never },
        Resync::Every(seconds) => quote! {
            __sikkerkey::Resync::Every(::core::time::Duration::from_secs(#seconds))
        },
    }
}
