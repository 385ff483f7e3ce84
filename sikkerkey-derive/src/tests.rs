#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed unwrap fails the test"
)]

use super::*;
use syn::parse_quote;

#[test]
fn the_expansion_of_a_small_struct() {
    let input: DeriveInput = parse_quote! {
        #[sikkerkey(secret = "sk_db_prod", validate = "Database::validate")]
        struct Database {
            /// Where it is.
            host: String,
            #[sikkerkey(default = 5432)]
            port: u16,
            #[sikkerkey(secret = "sk_flags", json)]
            flags: Option<Flags>,
            #[sikkerkey(nested, name = "REPLICA")]
            replica: Option<Replica>,
            #[sikkerkey(skip)]
            started: Clock,
        }
    };
    let file = syn::parse2(derive(&input)).expect("the expansion is Rust");
    let expansion = prettyplease::unparse(&file);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/expansion/database.rs");
    if std::env::var_os("UPDATE_EXPANSION").is_some() {
        std::fs::write(path, &expansion).unwrap();
    }
    let pinned = std::fs::read_to_string(path).unwrap();
    assert!(
        expansion == pinned,
        "the expansion is not the one in {path}; if it should change, run this test with \
         UPDATE_EXPANSION=1 and look at the difference:\n{expansion}"
    );
}

#[test]
fn mistakes_leave_a_stub_behind() {
    let input: DeriveInput = parse_quote! {
        struct Broken<T> {
            #[sikkerkey(secert = "sk_x")]
            a: T,
            b: u16,
        }
    };
    let output = derive(&input).to_string();
    assert_eq!(output.matches("compile_error").count(), 2, "{output}");
    assert!(output.contains("impl < T > :: sikkerkey :: SikkerKeyConfig for Broken < T >"));
}
