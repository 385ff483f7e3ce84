//! A struct as the derive macro gets it: text, or, after a byte 0xFF, choices out of tables, which
//! make more structs that are Rust than changes of a text do.
#![no_main]

// A crate with a macro exports nothing else, so its files are built in here.
#[path = "../../sikkerkey-derive/src/case.rs"]
mod case;
#[path = "../../sikkerkey-derive/src/context.rs"]
mod context;
#[path = "../../sikkerkey-derive/src/derive/mod.rs"]
mod derive;
#[path = "../../sikkerkey-derive/src/expand/mod.rs"]
mod expand;
#[path = "../../sikkerkey-derive/src/model.rs"]
mod model;
#[path = "../../sikkerkey-derive/src/parse/mod.rs"]
mod parse;

use libfuzzer_sys::arbitrary::{self, Unstructured};
use syn::{
    Data, DeriveInput, Expr, ExprStruct, File, ImplItem, Item, ItemImpl, ItemMacro, LitStr, Stmt,
};

/// Deeper nesting than anybody writes ends in a stack overflow inside of syn.
const LONGEST: usize = 2048;

/// The keys of a struct; after an equals sign comes one of `VALUES`, or any text.
const OF_STRUCT: &[&str] = &[
    "validate = Self::check",
    "validate = \"<Self as A>::check\"",
    "rename_all = \"kebab-case\"",
    "rename_all = \"camelCase\"",
    "rename_all = \"PascalCase\"",
    "crate = \"a::b\"",
    "crate = crate::c",
    "secret =",
    "name =",
    "validate =",
    "rename_all =",
    "crate =",
    "field = \"f\"",
    "name = \"A B\"",
    "secert = \"sk_a\"",
    "inherit",
    "resync = \"40m\"",
    "resync =",
    "secret(\"sk_a\")",
];

const OF_FIELD: &[&str] = &[
    "secret = \"sk_b\"",
    "name = \"B C\"",
    "field = \"f\"",
    "default",
    "nested",
    "json",
    "from_str",
    "with = a::b",
    "with = \"a::<T>::b\"",
    "delimiter = \",\"",
    "skip",
    "default =",
    "secret =",
    "name =",
    "field =",
    "with =",
    "delimiter =",
    "json =",
    "resync = \"never\"",
    "resync =",
    "r#default =",
    "crate =",
    "5 =",
];

const VALUES: &[&str] = &[
    "5432",
    "-1.5",
    "b'a'",
    "r\"a\\\"",
    "{ 1 }",
    "{ 1 } + 1",
    "{ let x = 1; x }",
    "{ #![a] 1 }",
    "#[a] { 1 }",
    "'a: { break 'a 1 }",
    "unsafe { f() }",
    "if a { 1 } else { 2 } - 1",
    "match a { _ => 1 }.b()",
    "let a = b && c",
    "|a| a",
    "return",
    "break 1",
    "..",
    "a = b",
    "a as u8 < b",
    "vec![1]",
    "m! {} - 1",
    "A { a: 1, ..b }",
    "::std::env::var(\"A\")?",
    "<T as A>::b",
    "Vec<u8>::a",
    "a.await",
    "",
];

const NAMES: &[&str] = &[
    "a",
    "pub(crate) r#type",
    "from",
    "_b",
    "/// One.\n///\n/// Two.\npub c",
    "/** One.\n Two. */ d",
    "#[doc(hidden)] #[doc = \"\"] e",
    "#[serde(default)] \u{E9}",
    "#[sikkerkey] f",
    "#[sikkerkey = 1] g",
];

const TYPES: &[&str] = &[
    "u16",
    "String",
    "Option<u16>",
    "::core::option::Option<T>",
    "Vec<Option<T>>",
    "[T; N]",
    "(u8, T)",
    "&'a str",
    "&'a (dyn A + 'a)",
    "dyn A<T> + Send",
    "'a + A<T>",
    "(dyn A<T> + Send)",
    "Box<dyn Fn(u8) -> T>",
    "impl A<T> + Send",
    "for<'b> fn(&'b T) -> !",
    "<T as A>::B",
    "*const T",
    "m!(T)",
    "m! { T }",
    "Self",
    "_",
    "!",
    "()",
];

const GENERICS: &[(&str, &str)] = &[
    ("", ""),
    ("<T>", ""),
    ("<'a, T: A + ?Sized = u8, const N: usize = 4>", ""),
    ("<#[a] T, const N: usize = { 1 }>", "where T: 'static"),
    ("<'a: 'a, T>", "where for<'b> T: A<'b>, [T; 2]: A,"),
    ("<>", "where"),
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let text = match bytes {
        [0xff, choices @ ..] => assembled(&mut Unstructured::new(choices)).unwrap_or_default(),
        text => String::from_utf8_lossy(text).into_owned(),
    };
    if text.len() > LONGEST {
        return;
    }
    let Ok(input) = syn::parse_str::<DeriveInput>(&text) else {
        return;
    };
    if let Data::Struct(data) = &input.data
        && data
            .fields
            .iter()
            .any(|field| field.ident.as_ref().is_some_and(|name| name == "_"))
    {
        // syn reads `_: struct { … }`, which Rust does not have.
        return;
    }
    let output = derive::config(&input);
    let Ok(file) = syn::parse2::<File>(output.clone()) else {
        panic!("no Rust: {output}");
    };
    let mut mistakes = 0;
    let mut impls = Vec::new();
    for item in &file.items {
        match item {
            Item::Macro(item) => {
                mistake(item);
                mistakes += 1;
            }
            Item::Impl(item) => {
                assert_eq!(
                    item.generics.params.len(),
                    input.generics.params.len(),
                    "{output}"
                );
                impls.push(item);
            }
            _ => panic!("neither a mistake nor an impl: {output}"),
        }
    }
    // `VisitNested`, and `Visit` unless the struct inherits its secret. A mistake can leave no impl possible.
    assert!(impls.len() <= 2, "{output}");
    match (impls.first(), mistakes) {
        (Some(implementation), 0) => whole(implementation, &input),
        (Some(implementation), _) => assert!(built(implementation).is_none(), "{output}"),
        (None, 0) => panic!("neither impls nor mistakes"),
        (None, _) => {}
    }
});

fn assembled(choices: &mut Unstructured<'_>) -> arbitrary::Result<String> {
    let (generics, bounds) = choices.choose(GENERICS)?;
    let attribute = self::attribute(choices, OF_STRUCT)?;
    // Most of what follows would be a mistake without a secret of the struct.
    let secret = match choices.ratio(1, 8)? {
        true => "",
        false => "#[sikkerkey(secret = \"sk_a\")]",
    };
    let mut text = format!("{secret} {attribute} struct S{generics} {bounds} {{");
    for _ in 0..choices.int_in_range(0..=4)? {
        let attribute = self::attribute(choices, OF_FIELD)?;
        // A default may be any expression.
        let default = match choices.ratio(1, 3)? {
            true => format!("#[sikkerkey(default = {})]", value(choices)?),
            false => String::new(),
        };
        let (name, ty) = (choices.choose(NAMES)?, choices.choose(TYPES)?);
        text.push_str(&format!("{attribute} {default} {name}: {ty},"));
    }
    text.push('}');
    Ok(text)
}

fn attribute(choices: &mut Unstructured<'_>, keys: &[&str]) -> arbitrary::Result<String> {
    let mut text = String::from("#[sikkerkey(");
    for _ in 0..choices.int_in_range(0..=2)? {
        let key = choices.choose(keys)?;
        text.push_str(key);
        if key.ends_with('=') {
            text.push_str(&value(choices)?);
        }
        text.push(',');
    }
    text.push_str(")]");
    Ok(text)
}

fn value(choices: &mut Unstructured<'_>) -> arbitrary::Result<String> {
    Ok(match choices.ratio(1, 4)? {
        true => format!("{:?}", choices.arbitrary::<&str>()?),
        false => (*choices.choose(VALUES)?).to_owned(),
    })
}

/// A `compile_error!` that says something, in one line.
fn mistake(item: &ItemMacro) {
    let path = &item.mac.path;
    assert!(
        path.segments
            .last()
            .is_some_and(|last| last.ident == "compile_error")
    );
    let said = item.mac.parse_body::<LitStr>().expect("a text").value();
    assert!(
        !said.is_empty() && !said.contains(char::is_control),
        "{said:?}"
    );
}

/// Every field of the struct is built, in its order.
fn whole(implementation: &ItemImpl, input: &DeriveInput) {
    let Data::Struct(data) = &input.data else {
        panic!("an impl for a type that is not a struct");
    };
    let built: Vec<_> = built(implementation)
        .expect("`Self { … }`")
        .fields
        .iter()
        .map(|field| match &field.member {
            syn::Member::Named(name) => Some(name),
            syn::Member::Unnamed(_) => None,
        })
        .collect();
    let written: Vec<_> = data
        .fields
        .iter()
        .map(|field| field.ident.as_ref())
        .collect();
    assert_eq!(built, written);
}

/// The `Self { … }` of `visit`, which is the first function.
fn built(implementation: &ItemImpl) -> Option<&ExprStruct> {
    let Some(ImplItem::Fn(visit)) = implementation.items.first() else {
        panic!("an impl without `visit`");
    };
    visit.block.stmts.iter().find_map(|stmt| match stmt {
        Stmt::Local(local) => struct_expression(&local.init.as_ref()?.expr),
        Stmt::Expr(Expr::Call(some), None) => struct_expression(some.args.first()?),
        _ => None,
    })
}

fn struct_expression(expr: &Expr) -> Option<&ExprStruct> {
    match expr {
        Expr::Struct(built) if built.path.is_ident("Self") => Some(built),
        _ => None,
    }
}
