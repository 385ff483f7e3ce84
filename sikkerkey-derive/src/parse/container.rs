use proc_macro2::{Ident, Span};
use syn::{Attribute, ExprPath, Path};

use super::attributes::Attributes;
use super::key::{Key, Level};
use super::{resync, value};
use crate::case::Case;
use crate::context::Context;
use crate::model::{Resync, Secret};

/// The attributes of the struct itself.
pub(super) struct Container {
    pub(super) secret: Option<Secret>,
    pub(super) inherit: bool,
    /// How often the secret is read again unasked, and the place of that setting.
    pub(super) resync: Option<(Resync, Span)>,
    pub(super) validate: Option<ExprPath>,
    /// `None` if the user's path is wrong.
    pub(super) krate: Option<Path>,
    rename_all: Option<(Case, Span)>,
    resync_word: Option<Span>,
    has_secret: bool,
    pub(super) broken: bool,
}

/// The facts about the struct that its fields need.
pub(super) struct Owner {
    pub(super) ident: Ident,
    /// Whether a field that names no secret can use the struct's; `None` if that is unknown, because a part of the
    /// struct's attributes was not understood.
    pub(super) has_secret: Option<bool>,
    pub(super) case: Case,
    /// Whether the missing secret is already reported for the whole struct.
    pub(super) told: bool,
}

impl Owner {
    pub(super) fn of(container: &Container, ident: &Ident) -> Self {
        let known = container.has_secret || !container.broken;
        Owner {
            ident: ident.clone(),
            has_secret: known.then_some(container.has_secret),
            case: container.rename_all.map_or(Case::Snake, |(case, _)| case),
            told: false,
        }
    }
}

pub(super) fn read(context: &mut Context, attributes: &[Attribute]) -> Container {
    let attributes = Attributes::read(context, attributes, Level::Struct);
    if let (Some(id), Some(name)) = (attributes.get(Key::Secret), attributes.get(Key::Name)) {
        context.mistake_between(
            (
                name.word.span(),
                "a struct has one secret: remove `secret` or `name`",
            ),
            (id.word.span(), "the secret is named here first"),
        );
    }
    let named = attributes.first_of(&[Key::Secret, Key::Name]);
    let inherit = attributes.get(Key::Inherit);
    if let (Some(named), Some(inherit)) = (named, inherit) {
        context.mistake_between(
            (
                inherit.word.span(),
                "`inherit` takes the secret from the field that nests the struct, but the struct \
                 names one: remove one of the two (without `inherit`, `nested, secret = \"sk_…\"` \
                 on that field replaces the struct's secret)",
            ),
            (named.word.span(), "the secret is named here"),
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
        secret: named.and_then(|item| value::secret(context, item, Level::Struct)),
        inherit: inherit.is_some(),
        resync: attributes
            .get(Key::Resync)
            .and_then(|item| resync::read(context, item)),
        validate: attributes
            .get(Key::Validate)
            .and_then(|item| value::path(context, item)),
        krate,
        rename_all,
        resync_word: attributes.get(Key::Resync).map(|item| item.word.span()),
        has_secret: named.is_some() || inherit.is_some(),
        broken: attributes.broken,
    }
}

/// Reports the mistakes that concern the struct as a whole.
pub(super) fn check(context: &mut Context, container: &Container) {
    if let Some(place) = container.resync_word
        && !container.has_secret
        && !container.broken
    {
        context.mistake_at(
            place,
            "`resync` needs a secret: add `secret = \"sk_…\"` here, or move `resync` to the fields \
             that name one",
        );
    }
    if let Some((_, place)) = container.rename_all
        && !container.has_secret
        && !container.broken
    {
        context.mistake_at(
            place,
            "`rename_all` has no effect: it renames the fields of the struct's secret, and the \
             struct names none; add `secret = \"sk_…\"` here, or remove `rename_all`",
        );
    }
}
