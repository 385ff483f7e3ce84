//! The derive macro of the `sikkerkey` crate.
//!
//! It is documented where it is used: at `sikkerkey::SikkerKeyConfig`. A struct goes through three
//! steps: `parse` reads what the user wrote and collects every mistake, `model` is what a
//! struct without mistakes means, `expand` turns that into one impl.

#![forbid(unsafe_code)]

mod case;
mod context;
mod expand;
mod model;
mod parse;

use context::Context;
use proc_macro::TokenStream;
use syn::DeriveInput;

/// Derives the trait `sikkerkey::SikkerKeyConfig`; documented there.
#[proc_macro_derive(SikkerKeyConfig, attributes(sikkerkey))]
pub fn derive_config(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as DeriveInput);
    derive(&input).into()
}

/// The impl, or every mistake as a `compile_error!` and a stub of the impl, so that code which
/// uses the trait adds no errors of its own.
fn derive(input: &DeriveInput) -> proc_macro2::TokenStream {
    let mut context = Context::new();
    let config = parse::config(&mut context, input);
    match (context.check(), config) {
        (Ok(()), Some(config)) => expand::config(&config),
        (Ok(()), None) => expand::stub(input),
        (Err(mistakes), _) => {
            let mistakes = mistakes.into_compile_error();
            let stub = expand::stub(input);
            quote::quote! { #mistakes #stub }
        }
    }
}

#[cfg(test)]
mod tests;
