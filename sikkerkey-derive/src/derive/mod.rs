//! The way through all steps. Apart from the entry of the macro, which only a compiler can call:
//! this can be called by tests, and by the fuzz target that includes these files.

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::context::Context;
use crate::expand::{self, Body};
use crate::parse;

/// The impls; or every mistake as a `compile_error!`, and impls that only check the rest.
pub(crate) fn config(input: &DeriveInput) -> TokenStream {
    let mut context = Context::new();
    let config = parse::config(&mut context, input);
    let (mistakes, body) = match context.check() {
        Ok(()) => (None, Body::Whole),
        Err(mistakes) => (Some(mistakes.into_compile_error()), Body::Checks),
    };
    // Without the path of the crate, say, there is nothing to check with.
    let impls = config.map(|config| expand::config(&config, body));
    quote::quote! { #mistakes #impls }
}

#[cfg(test)]
mod tests;
