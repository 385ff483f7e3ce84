use proc_macro2::Span;
use syn::{Attribute, ExprPath, Path};

use super::attributes::Attributes;
use super::key::{Key, Level};
use super::value;
use crate::case::Case;
use crate::context::Context;
use crate::model::Secret;

/// What stands on the struct itself.
pub(super) struct Container {
    pub(super) secret: Option<Secret>,
    pub(super) validate: Option<ExprPath>,
    /// `None` where the user's path was wrong.
    pub(super) krate: Option<Path>,
    rename_all: Option<(Case, Span)>,
    has_secret: bool,
    broken: bool,
}

/// What a field wants to know of its struct.
pub(super) struct Owner {
    /// Whether a field that names no secret has one to read; `None` where that cannot be told,
    /// since something on the struct was not understood.
    pub(super) has_secret: Option<bool>,
    pub(super) case: Case,
}

impl Owner {
    pub(super) fn of(container: &Container) -> Self {
        let known = container.has_secret || !container.broken;
        Owner {
            has_secret: known.then_some(container.has_secret),
            case: container.rename_all.map_or(Case::Snake, |(case, _)| case),
        }
    }
}

pub(super) fn read(context: &mut Context, attributes: &[Attribute]) -> Container {
    let attributes = Attributes::read(context, attributes, Level::Struct);
    if let (Some(id), Some(name)) = (attributes.get(Key::Secret), attributes.get(Key::Name)) {
        context.mistake_between(
            (
                name.word.span(),
                "a struct has one secret: by `secret` or by `name`",
            ),
            (id.word.span(), "it is named here already"),
        );
    }
    let krate = match attributes.get(Key::Crate) {
        None => Some(syn::parse_quote!(::sikkerkey)),
        Some(item) => value::path(context, item).map(|path| path.path),
    };
    let rename_all = attributes
        .get(Key::RenameAll)
        .and_then(|item| Some((value::case(context, item)?, item.word.span())));
    Container {
        secret: attributes
            .first_of(&[Key::Secret, Key::Name])
            .and_then(|item| value::secret(context, item)),
        validate: attributes
            .get(Key::Validate)
            .and_then(|item| value::path(context, item)),
        krate,
        rename_all,
        has_secret: attributes.first_of(&[Key::Secret, Key::Name]).is_some(),
        broken: attributes.broken,
    }
}

/// What can be told only of the struct as a whole.
pub(super) fn check(context: &mut Context, container: &Container) {
    if let Some((_, place)) = container.rename_all
        && !container.has_secret
        && !container.broken
    {
        context.mistake_at(
            place,
            "`rename_all` has nothing to rename: only fields of the struct's own secret take \
             their names from Rust, and this struct names none (`secret = \"sk_…\"`)",
        );
    }
}
