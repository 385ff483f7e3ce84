//! Prints the public interface of a crate from its documentation in JSON, one item a line; `.ci/api` compares it.

#![allow(
    clippy::print_stdout,
    reason = "the listing is the output of this program"
)]

use std::env;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let json = env::args_os()
        .nth(1)
        .ok_or("usage: public-interface FILE")?;
    // Without the impls that every type has, or that follow from a derive.
    let interface = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()?;
    for item in interface.items() {
        println!("{item}");
    }
    Ok(())
}
