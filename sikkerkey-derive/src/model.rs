//! The meaning of a struct without mistakes. The types cannot express nonsense: a nested field has no `field`, a
//! skipped one no secret.

use proc_macro2::{Ident, Span};
use syn::{Expr, ExprPath, Generics, LitStr, Path, Type};

/// A struct that derives `SikkerKeyConfig`.
pub(crate) struct Config {
    pub(crate) ident: Ident,
    pub(crate) generics: Generics,
    /// The path of the `sikkerkey` crate.
    pub(crate) krate: Path,
    /// The secret of fields that name none.
    pub(crate) secret: Option<Secret>,
    /// Whether the secret comes from the field that nests the struct.
    pub(crate) inherit: bool,
    /// How often that secret is read again unasked.
    pub(crate) resync: Option<Resync>,
    /// Whether the user allows uses of deprecated items.
    pub(crate) allows_deprecated: bool,
    pub(crate) validate: Option<ExprPath>,
    pub(crate) fields: Vec<Field>,
}

pub(crate) struct Field {
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    pub(crate) description: String,
    pub(crate) role: Role,
}

impl Field {
    pub(crate) fn is_skipped(&self) -> bool {
        matches!(self.role, Role::Skipped(_))
    }
}

/// The source of a field's value.
pub(crate) enum Role {
    /// No source: its default.
    Skipped(Fallback),
    /// Another struct that derives `SikkerKeyConfig`.
    Nested(Nested),
    /// A secret.
    Value(Box<Value>),
}

pub(crate) struct Nested {
    /// The secret that replaces the struct's own.
    pub(crate) secret: Option<Secret>,
    /// The `resync` that replaces the struct's own, and its place.
    pub(crate) resync: Option<(Resync, Span)>,
    /// Whether the outer struct has no secret to inherit.
    pub(crate) alone: bool,
}

pub(crate) struct Value {
    pub(crate) source: Source,
    pub(crate) reading: Reading,
    pub(crate) absence: Absence,
    /// How often its secret is read again unasked, and the place of that setting.
    pub(crate) resync: Option<(Resync, Span)>,
}

pub(crate) enum Source {
    /// A field of the struct's secret.
    FieldOfStruct(String),
    /// A field of a secret.
    FieldOf(Secret, String),
    /// A whole secret.
    Whole(Secret),
    /// A mistake. The rest of the field is checked nevertheless.
    Unknown,
}

pub(crate) enum Secret {
    Id(LitStr),
    /// A display name, which the loader looks up.
    Name(LitStr),
}

/// How often a secret is read again unasked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Resync {
    Adaptive,
    Never,
    /// Once in this many seconds.
    Every(u64),
}

/// The way in which text becomes a value.
pub(crate) enum Reading {
    /// By `FromSecret`, which itself allows an `Option` to be absent.
    Plain,
    Json,
    FromStr,
    With(ExprPath),
    Delimited(LitStr),
}

/// The behavior if the secret or the field is missing.
pub(crate) enum Absence {
    /// A problem, unless the type allows it.
    Problem,
    /// The value is `None`; this is the type inside the `Option`.
    None(Type),
    Fallback(Fallback),
}

pub(crate) enum Fallback {
    /// `Default::default()`.
    Trait,
    Expr(Expr),
}
