//! The way through all steps. Apart from the entry of the macro, which only a compiler can call:
//! this can be called by tests, and by the fuzz target that includes these files.

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::context::Context;
use crate::{expand, parse};

/// The impl, or every mistake as a `compile_error!` and a stub of the impl, so that code which
/// uses the trait adds no errors of its own.
pub(crate) fn config(input: &DeriveInput) -> TokenStream {
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
