// Its example is compiled by the workspace's tests: this crate cannot depend on `sikkerkey`.
#![cfg_attr(all(doc, not(doctest)), doc = include_str!("../README.md"))]
//!
//! # Inside
//!
//! A struct goes through three steps. `parse` reads what the user wrote and collects every mistake. `model` is the
//! meaning of a struct without mistakes. `expand` turns that into the impls. `derive` runs the three in a row.
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

/// Derives the trait `sikkerkey::SikkerKeyConfig`, whose documentation has every attribute.
#[proc_macro_derive(SikkerKeyConfig, attributes(sikkerkey))]
pub fn derive_config(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as DeriveInput);
    derive::config(&input).into()
}
