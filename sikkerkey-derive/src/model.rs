//! What a struct without mistakes means. Nothing here can say nonsense: a nested field has no
//! `field`, a skipped one no secret.

use proc_macro2::{Ident, Span};
use syn::{Expr, ExprPath, Generics, LitStr, Path, Type};

/// A struct that derives `SikkerKeyConfig`.
pub(crate) struct Config {
    pub(crate) ident: Ident,
    pub(crate) generics: Generics,
    /// The path of the `sikkerkey` crate.
    pub(crate) krate: Path,
    /// What a field reads that names no secret.
    pub(crate) secret: Option<Secret>,
    /// Whether that comes from where the struct is nested.
    pub(crate) inherit: bool,
    /// How often that secret is read again.
    pub(crate) resync: Option<Resync>,
    /// Whether the user allows uses of what is deprecated.
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

/// Where a field's value comes from.
pub(crate) enum Role {
    /// From nowhere: its default.
    Skipped(Fallback),
    /// From another struct that derives `SikkerKeyConfig`.
    Nested(Nested),
    /// From a secret.
    Value(Box<Value>),
}

pub(crate) struct Nested {
    /// What the struct's own secret is replaced with.
    pub(crate) secret: Option<Secret>,
    /// What the struct's own `resync` is replaced with, and where that stands.
    pub(crate) resync: Option<(Resync, Span)>,
    /// Whether there is no secret here that the struct could inherit.
    pub(crate) alone: bool,
}

pub(crate) struct Value {
    pub(crate) source: Source,
    pub(crate) reading: Reading,
    pub(crate) absence: Absence,
    /// How often its secret is read again, and where that stands.
    pub(crate) resync: Option<(Resync, Span)>,
}

pub(crate) enum Source {
    /// A field of the struct's secret.
    FieldOfStruct(String),
    /// A field of a secret.
    FieldOf(Secret, String),
    /// A whole secret.
    Whole(Secret),
    /// There is a mistake in it. The rest of the field is checked all the same.
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
    /// Once in so many seconds.
    Every(u64),
}

/// How text becomes a value.
pub(crate) enum Reading {
    /// `FromSecret`, which says itself that an `Option` may be absent.
    Plain,
    Json,
    FromStr,
    With(ExprPath),
    Delimited(LitStr),
}

/// What is done where the secret or the field is missing.
pub(crate) enum Absence {
    /// It is a problem, unless the type says otherwise.
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
