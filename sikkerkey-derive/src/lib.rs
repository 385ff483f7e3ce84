//! The derive macro of the `sikkerkey` crate.
//!
//! It is documented where it is used: at `sikkerkey::SikkerKeyConfig`. A struct goes through three
//! steps: `parse` reads what the user wrote and collects every mistake, `model` is what a
//! struct without mistakes means, `expand` turns that into one impl. `derive` is the three in a row.
// What a server, a file or a user sent is never unwrapped.
#![warn(clippy::unwrap_used)]
#![forbid(unsafe_code)]

mod case;
mod context;
mod derive;
mod expand;
mod model;
mod parse;

use proc_macro::TokenStream;
use syn::DeriveInput;

/// Derives the trait `sikkerkey::SikkerKeyConfig`; documented there.
#[proc_macro_derive(SikkerKeyConfig, attributes(sikkerkey))]
pub fn derive_config(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as DeriveInput);
    derive::config(&input).into()
}
