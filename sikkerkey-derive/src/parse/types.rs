use proc_macro2::Ident;
use syn::{GenericArgument, PathArguments, Type};

/// The `T` of a type that is written as an `Option<T>`, with any path.
///
/// This goes by the tokens, because a macro does not see types. A value that `FromSecret` reads is not judged by its
/// tokens: the type itself decides, so that an alias works as well.
pub(super) fn inside_option(ty: &Type) -> Option<&Type> {
    let path = match ty {
        Type::Group(group) => return inside_option(&group.elem),
        Type::Paren(paren) => return inside_option(&paren.elem),
        Type::Path(path) if path.qself.is_none() => &path.path,
        _ => return None,
    };
    let last = path.segments.last().filter(|last| last.ident == "Option")?;
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) if arguments.args.len() == 1 => {
            match arguments.args.first() {
                Some(GenericArgument::Type(inner)) => Some(inner),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The part of a type that cannot be a config, and what to write instead.
///
/// This goes by the tokens, so that the advice is about code that the user can change, and not "derive it for `Vec`".
pub(super) fn not_nested<'t>(ty: &'t Type, owner: &Ident) -> Option<(&'t Type, String)> {
    let path = match ty {
        Type::Group(group) => return not_nested(&group.elem, owner),
        Type::Paren(paren) => return not_nested(&paren.elem, owner),
        Type::Path(path) if path.qself.is_none() => &path.path,
        Type::Path(_) | Type::Macro(_) | Type::Infer(_) | Type::Verbatim(_) => return None,
        _ => {
            let advice = "`nested` reads a struct that derives `SikkerKeyConfig`, as it is or in \
                 an `Option`, `Box`, `Rc` or `Arc`";
            return Some((ty, advice.to_owned()));
        }
    };
    if path.is_ident(owner) || path.is_ident("Self") {
        return Some((ty, "a config cannot be nested in itself".to_owned()));
    }
    let last = path.segments.last()?;
    let name = last.ident.to_string();
    let inner = match &last.arguments {
        PathArguments::AngleBracketed(arguments) => {
            arguments.args.iter().find_map(|one| match one {
                GenericArgument::Type(inner) => Some(inner),
                _ => None,
            })
        }
        _ => None,
    };
    let advice = match (name.as_str(), inner) {
        ("Option" | "Box" | "Rc" | "Arc", Some(inner)) => return not_nested(inner, owner),
        ("Mutex" | "RwLock" | "RefCell" | "Cell" | "OnceCell" | "OnceLock", Some(_)) => format!(
            "`nested` cannot fill a `{name}`: nest the struct itself, and put the whole config \
             behind a lock"
        ),
        ("Vec" | "VecDeque" | "HashMap" | "BTreeMap" | "HashSet" | "BTreeSet", Some(_)) => format!(
            "`nested` reads one struct, not a `{name}` of them: write a field for each, or read \
             them from one JSON text with `json`"
        ),
        _ if primitive(ty).is_some() || matches!(name.as_str(), "String" | "SecretString") => {
            format!(
                "`nested` is for another config; a `{name}` is read without it: remove `nested`"
            )
        }
        _ => return None,
    };
    Some((ty, advice))
}

/// The type, if it borrows a text or a slice, also in an `Option`. No reading returns one, because the text of a secret
/// does not outlive its reading.
pub(super) fn borrowed(ty: &Type) -> Option<&Type> {
    match ty {
        Type::Group(group) => borrowed(&group.elem),
        Type::Paren(paren) => borrowed(&paren.elem),
        Type::Reference(reference) => match &*reference.elem {
            Type::Slice(_) => Some(ty),
            Type::Path(path) => path.path.is_ident("str").then_some(ty),
            _ => None,
        },
        _ => borrowed(inside_option(ty)?),
    }
}

/// Whether this type has no known size, so that a struct cannot own a value of it.
pub(super) fn unsized_type(ty: &Type) -> bool {
    match ty {
        Type::Group(group) => unsized_type(&group.elem),
        Type::Paren(paren) => unsized_type(&paren.elem),
        Type::Path(path) => path.path.is_ident("str"),
        Type::Slice(_) | Type::TraitObject(_) => true,
        _ => false,
    }
}

/// The name of a type that is written as a plain number or `bool`.
pub(super) fn primitive(ty: &Type) -> Option<String> {
    const PRIMITIVES: [&str; 15] = [
        "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize",
        "f32", "f64", "bool",
    ];
    let Type::Path(path) = ty else {
        return None;
    };
    let name = path.path.get_ident()?.to_string();
    PRIMITIVES.contains(&name.as_str()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_never_nested() {
        let cases: [(Type, bool); 13] = [
            (syn::parse_quote!(Database), true),
            (syn::parse_quote!(crate::db::Database<T>), true),
            (syn::parse_quote!(Option<Box<Arc<Database>>>), true),
            (syn::parse_quote!(Box<Option<Database>>), true),
            (syn::parse_quote!(<A as B>::C), true),
            (syn::parse_quote!(Wrapper<Vec<u8>>), true),
            (syn::parse_quote!(Arc<Mutex<Database>>), false),
            (syn::parse_quote!(std::vec::Vec<Database>), false),
            (syn::parse_quote!((A, B)), false),
            (syn::parse_quote!(&'static Database), false),
            (syn::parse_quote!(u16), false),
            (syn::parse_quote!(Option<Box<Owner>>), false),
            (syn::parse_quote!(Box<Self>), false),
        ];
        for (ty, may) in cases {
            let refused = not_nested(&ty, &syn::parse_quote!(Owner));
            assert_eq!(refused.is_none(), may, "{}", quote::quote!(#ty));
        }
    }

    #[test]
    fn texts_and_slices_are_owned() {
        let cases: [(Type, bool); 6] = [
            (syn::parse_quote!(&'a str), true),
            (syn::parse_quote!(Option<&'static str>), true),
            (syn::parse_quote!((&[u8])), true),
            (syn::parse_quote!(&'static Level), false),
            (syn::parse_quote!(Cow<'a, str>), false),
            (syn::parse_quote!(String), false),
        ];
        for (ty, is) in cases {
            assert_eq!(borrowed(&ty).is_some(), is, "{}", quote::quote!(#ty));
        }
    }

    #[test]
    fn an_option_by_any_path() {
        let cases: [(Type, bool); 6] = [
            (syn::parse_quote!(Option<u16>), true),
            (syn::parse_quote!(std::option::Option<Vec<u8>>), true),
            (syn::parse_quote!((::core::option::Option<T>)), true),
            (syn::parse_quote!(Optional<u16>), false),
            (syn::parse_quote!(Option), false),
            (syn::parse_quote!(Vec<Option<u16>>), false),
        ];
        for (ty, is) in cases {
            assert_eq!(inside_option(&ty).is_some(), is);
        }
    }
}
