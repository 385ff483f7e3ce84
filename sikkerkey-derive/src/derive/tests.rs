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

/// Returns the texts of the mistakes.
fn said(input: &DeriveInput) -> Vec<String> {
    let file: syn::File = syn::parse2(config(input)).unwrap();
    let mistakes = file.items.iter().filter_map(|item| match item {
        syn::Item::Macro(item) => Some(item.mac.parse_body::<syn::LitStr>().unwrap().value()),
        _ => None,
    });
    mistakes.collect()
}

#[test]
fn what_a_mistake_quotes_stays_on_its_line() {
    const UNSEEN: [&str; 4] = ["\n", "\u{1b}[31m", "\u{202e}", "\r"];
    for unseen in UNSEEN {
        let [plain, number] = ["sk", "7"].map(|text| format!("{text}{unseen}"));
        let inputs: [DeriveInput; 4] = [
            parse_quote! {
                #[sikkerkey(secret = #plain, rename_all = #plain)]
                struct Config { a: u8 }
            },
            parse_quote! {
                #[sikkerkey(secret = "sk_a", resync = #plain)]
                struct Config { #[sikkerkey(default = #number)] a: u8 }
            },
            parse_quote! {
                #[sikkerkey(secret = "sk_a")]
                struct Config { #[sikkerkey(default("a"), #plain)] a: u8 }
            },
            parse_quote! {
                #[sikkerkey(secret(#plain))]
                struct Config { #[sikkerkey(field = "", name = #plain, secret = #plain)] a: u8 }
            },
        ];
        // The tokens of a raw text keep its line breaks; Rust refuses a single `\r`.
        let raw = format!("#[sikkerkey(secret(r\"{plain}\"))] struct Config {{ a: u8 }}");
        for input in inputs.into_iter().chain(syn::parse_str(&raw)) {
            let said = said(&input);
            assert!(!said.is_empty());
            for text in said {
                let is_seen = |c: char| !c.is_control() && c != '\u{202e}';
                assert!(text.chars().all(is_seen), "{text:?}");
            }
        }
    }
}

#[test]
fn a_keyword_is_not_a_path() {
    for key in ["with", "validate", "crate"] {
        for value in ["\"try\"", "\"a::try::b\"", "\"fn\""] {
            let attribute = format!("#[sikkerkey({key} = {value})]");
            let (outer, inner) = match key {
                "with" => ("", &*attribute),
                _ => (&*attribute, ""),
            };
            let text =
                format!("#[sikkerkey(secret = \"sk_a\")] {outer} struct A {{ {inner} a: u8 }}");
            let said = said(&syn::parse_str(&text).unwrap());
            assert_eq!(said.len(), 1, "{text}: {said:?}");
            assert!(said[0].contains("needs the path of a"), "{said:?}");
        }
    }
}

#[test]
fn a_number_in_quotes_is_suggested_as_a_value_of_its_type() {
    for (ty, text, advice) in [
        ("u16", "5432", "`default = 5432`"),
        ("u16", " 5432\n", "`default = 5432`"),
        ("u16", "7true", "`default = 5432`, for example"),
        ("u16", "-5", "`default = 5432`, for example"),
        ("i16", "-5", "`default = -5`"),
        ("i32", "2.5", "`default = 5432`, for example"),
        ("f64", "5", "`default = 5.0`"),
        ("f32", "NaN", "`default = 1.5`, for example"),
        ("bool", "false", "`default = false`"),
        ("bool", "0", "`default = true`, for example"),
    ] {
        let ty: syn::Type = syn::parse_str(ty).unwrap();
        let said = said(&parse_quote! {
            #[sikkerkey(secret = "sk_a")]
            struct Config { #[sikkerkey(default = #text)] a: #ty }
        });
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].contains(&format!("write {advice}, without")),
            "{said:?}"
        );
    }
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
