#![allow(clippy::expect_used, reason = "a failed unwrap fails the test")]

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
    let file = syn::parse2(config(&input)).expect("the expansion is Rust");
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
fn a_default_stays_one_expression() {
    for default in [
        "{ 1 } + 1",
        "if a { 1 } else { 2 } - 1",
        "{ 1 } as u16",
        "#[cfg(a)] { 1 }",
        "'a: { break 'a 1 }",
        "return",
    ] {
        let expr: syn::Expr = syn::parse_str(default).unwrap();
        let input: DeriveInput = parse_quote! {
            struct Config {
                #[sikkerkey(secret = "sk_a", default = #expr)]
                port: u16,
            }
        };
        let file = syn::parse2(config(&input)).expect("the expansion is Rust");
        let expansion = prettyplease::unparse(&file).replace(char::is_whitespace, "");
        let closure = format!("||->u16{{({default})}}").replace(char::is_whitespace, "");
        assert!(expansion.contains(&closure), "{default}: {expansion}");
    }
}

#[test]
fn what_a_mistake_quotes_stays_on_its_line() {
    let input: DeriveInput = parse_quote! {
        #[sikkerkey(secret = "sk\n", rename_all = "a\nb")]
        struct Config {
            a: u8,
        }
    };
    let file: syn::File = syn::parse2(config(&input)).unwrap();
    let said: Vec<String> = file
        .items
        .iter()
        .filter_map(|item| match item {
            syn::Item::Macro(item) => Some(item.mac.parse_body::<syn::LitStr>().unwrap().value()),
            _ => None,
        })
        .collect();
    assert_eq!(said.len(), 2);
    assert!(
        said.iter().all(|said| !said.contains(char::is_control)),
        "{said:?}"
    );
}

#[test]
fn mistakes_leave_the_traits_and_the_checks_of_the_other_fields() {
    let input: DeriveInput = parse_quote! {
        #[sikkerkey(crate = "sk", secert = "sk_x")]
        struct Broken<T> {
            #[sikkerkey(josn)]
            a: T,
            b: u16,
            #[sikkerkey(secret = "")]
            c: Vec<u8>,
        }
    };
    let output = config(&input).to_string();
    assert_eq!(output.matches("compile_error").count(), 3, "{output}");
    assert!(!output.contains(":: sikkerkey ::"), "{output}");
    for part in [
        "impl < T > sk :: __private :: VisitNested for Broken < T >",
        "impl < T > sk :: __private :: Visit for Broken < T >",
        "value :: < u16 >",
        "value :: < Vec < u8 > >",
    ] {
        assert!(output.contains(part), "{part}: {output}");
    }
    assert!(!output.contains("value :: < T >"), "{output}");
}

#[test]
fn without_the_path_of_the_crate_nothing_is_checked() {
    let input: DeriveInput = parse_quote! {
        #[sikkerkey(crate = 5)]
        struct Broken {
            #[sikkerkey(secret = "sk_a")]
            a: u8,
        }
    };
    let output = config(&input).to_string();
    assert_eq!(output.matches("compile_error").count(), 1, "{output}");
    assert!(!output.contains("impl"), "{output}");
}
