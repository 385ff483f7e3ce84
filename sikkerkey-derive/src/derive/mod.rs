//! All steps in a row. This is separate from the macro's entry, which only a compiler can call, so that tests and the
//! fuzz target can call it.

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
    // `None` if no impl is possible, for instance without the path of the crate.
    let impls = config.map(|config| expand::config(&config, body));
    quote::quote! { #mistakes #impls }
}

#[cfg(test)]
mod tests;
