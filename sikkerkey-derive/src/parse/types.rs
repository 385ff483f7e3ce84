use syn::{GenericArgument, PathArguments, Type};

/// The `T` of a type that is written as an `Option<T>`, by whatever path.
///
/// This looks at what is written: a macro does not see types. Where the type can speak for itself
/// (a value that is read by `FromSecret`), it is asked instead, and an alias works too.
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
