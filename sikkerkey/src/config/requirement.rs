use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use crate::resync::Resync;

/// One value that a config reads: where it goes, where it comes from, and what it must be.
///
/// The derive makes these. One can be made by hand, to fetch a [`Snapshot`](crate::Snapshot) for
/// something other than a struct:
///
/// ```
/// use sikkerkey::{ValueKind, Requirement, Schema, SecretRef};
///
/// let schema: Schema = [
///     Requirement::new("database.password", SecretRef::Id("sk_db_prod".into()))
///         .with_field("password"),
///     Requirement::new("database.port", SecretRef::Id("sk_db_prod".into()))
///         .with_field("port")
///         .with_kind(ValueKind::Number, "a number"),
/// ]
/// .into_iter()
/// .collect();
/// assert_eq!(schema.secrets().len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[must_use = "a requirement does nothing until a schema has it"]
pub struct Requirement {
    path: String,
    secret: SecretRef,
    field: Option<String>,
    necessity: Necessity,
    expected: Cow<'static, str>,
    kind: ValueKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    delimiter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<ValueKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// The path of the innermost nested `Option` around it.
    #[serde(rename = "part_of", skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resync: Option<Resync>,
}

impl Requirement {
    /// Makes a requirement of a string, from a whole secret unless [`with_field`](Self::with_field) follows.
    pub fn new(path: impl Into<String>, secret: SecretRef) -> Self {
        Requirement {
            path: path.into(),
            secret,
            field: None,
            necessity: Necessity::Required,
            expected: Cow::Borrowed("a string"),
            kind: ValueKind::String,
            delimiter: None,
            items: None,
            description: None,
            group: None,
            resync: None,
        }
    }

    /// Reads one field of the secret. Defaults to the whole secret.
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Sets the kind of the value, and what a report calls it, such as `a number`. Defaults to a string.
    pub fn with_kind(mut self, kind: ValueKind, expected: impl Into<Cow<'static, str>>) -> Self {
        self.kind = kind;
        self.expected = expected.into();
        self
    }

    /// Sets what happens if the value is missing. Defaults to [`Necessity::Required`].
    pub fn with_necessity(mut self, necessity: Necessity) -> Self {
        self.necessity = necessity;
        self
    }

    /// Sets how often a live config reads the secret again unasked. Defaults to the loader's setting.
    ///
    /// It is a property of the secret: all requirements of one secret that set it must agree.
    pub fn with_resync(mut self, resync: Resync) -> Self {
        self.resync = Some(resync);
        self
    }

    /// The key path of the value in the config, as Rust spells it: `db.password`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The secret that the value is read from.
    pub fn secret(&self) -> &SecretRef {
        &self.secret
    }

    /// The field of the secret; `None` if the whole secret is the value.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// The necessity: what happens if the value is missing.
    ///
    /// A required value of a nested struct in an `Option` is [`Necessity::Optional`] here: it is needed only
    /// if another value of that struct exists.
    pub fn necessity(&self) -> Necessity {
        match self.necessity {
            Necessity::Required if self.group.is_some() => Necessity::Optional,
            necessity => necessity,
        }
    }

    /// What the text must be, as a report says it: `a u16`.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// The shape of the value, for layers with types of their own, such as figment.
    pub fn kind(&self) -> ValueKind {
        self.kind
    }

    /// The delimiter between the items of a [`ValueKind::List`]; `None` for everything else.
    pub fn delimiter(&self) -> Option<&str> {
        self.delimiter.as_deref()
    }

    /// The shape of each item of a [`ValueKind::List`], or of each field of a structured secret
    /// that is read whole ([`ValueKind::Json`]); `None` for everything else.
    pub fn items(&self) -> Option<ValueKind> {
        self.items
    }

    /// How often a live config reads the secret again unasked; `None` if neither the field nor its struct
    /// sets it.
    pub fn resync(&self) -> Option<Resync> {
        self.resync
    }

    /// The first paragraph of the field's doc comment.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    pub(crate) fn with_delimiter(mut self, delimiter: Option<&str>) -> Self {
        self.delimiter = delimiter.map(str::to_owned);
        self
    }

    pub(crate) fn with_items(mut self, items: Option<ValueKind>) -> Self {
        self.items = items;
        self
    }

    pub(crate) fn with_description(mut self, description: &str) -> Self {
        self.description = (!description.is_empty()).then(|| description.to_owned());
        self
    }

    pub(crate) fn with_group(mut self, group: Option<String>) -> Self {
        self.group = group;
        self
    }

    /// The field's own necessity, which applies if its [`group`](Self::group) exists.
    pub(crate) fn declared(&self) -> Necessity {
        self.necessity
    }

    pub(crate) fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }
}

/// How a config names a secret.
///
/// `Display` shows an id as it is, and a name in quotes.
///
/// ```
/// use sikkerkey::SecretRef;
///
/// let by_id = SecretRef::Id("sk_db_prod".into());
/// assert_eq!(by_id.as_str(), "sk_db_prod");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(
    clippy::exhaustive_enums,
    reason = "a secret has an id and a name, and no third thing to call it by"
)]
pub enum SecretRef {
    /// The secret's id, such as `sk_db_prod`.
    Id(String),
    /// The secret's display name, which the loader looks up in its project.
    Name(String),
}

impl SecretRef {
    /// The id or the display name, without quotes.
    pub fn as_str(&self) -> &str {
        match self {
            SecretRef::Id(text) | SecretRef::Name(text) => text,
        }
    }

    /// Shows the secret as the config names it, and the id that is read if it differs: `sk_flags ->
    /// sk_flags_stg`.
    pub(crate) fn with_id(&self, id: Option<&str>) -> String {
        match id {
            Some(id) if id != self.as_str() => format!("{self} -> {id}"),
            _ => self.to_string(),
        }
    }
}

/// Returns the id or the name, so a list of these can be passed where ids are expected.
impl AsRef<str> for SecretRef {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// Returns the id or the name of its secret, so a [`Schema`](crate::Schema) can be passed where ids are
/// expected: `vault.assert_reads_only(&AppConfig::schema())`.
impl AsRef<str> for Requirement {
    fn as_ref(&self) -> &str {
        self.secret.as_str()
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::Id(id) => f.write_str(id),
            SecretRef::Name(name) => write!(f, "{name:?}"),
        }
    }
}

/// The necessity of a value: what happens if its secret or field is missing. A denied secret is always a
/// problem.
///
/// ```
/// # #[cfg(feature = "derive")] {
/// use sikkerkey::{Necessity, SikkerKeyConfig};
///
/// #[derive(SikkerKeyConfig)]
/// #[sikkerkey(secret = "sk_mail")]
/// struct Mail {
///     host: String,
///     #[sikkerkey(default = 587)]
///     port: u16,
///     user: Option<String>,
/// }
///
/// let found: Vec<_> = Mail::schema().iter().map(|value| value.necessity()).collect();
/// assert_eq!(found, [Necessity::Required, Necessity::Default, Necessity::Optional]);
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Necessity {
    /// Required: a missing value is a problem.
    Required,
    /// Optional: a missing value becomes `None`.
    Optional,
    /// With a default: a missing value becomes the field's default.
    Default,
}

impl fmt::Display for Necessity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Necessity::Required => "required",
            Necessity::Optional => "optional",
            Necessity::Default => "default",
        })
    }
}

/// The shape of a value, for layers with types of their own, such as figment.
///
/// ```
/// use serde_json::Value;
/// use sikkerkey::{Requirement, SecretRef, ValueKind};
///
/// /// The value for a layer of JSON.
/// fn to_json(requirement: &Requirement, text: &str) -> Result<Value, serde_json::Error> {
///     match requirement.kind() {
///         ValueKind::Number | ValueKind::Bool | ValueKind::Json => serde_json::from_str(text),
///         ValueKind::List => Ok(text.split(requirement.delimiter().unwrap_or(",")).collect()),
///         _ => Ok(text.into()),
///     }
/// }
///
/// let port = Requirement::new("port", SecretRef::Id("sk_port".into())).with_kind(ValueKind::Number, "a number");
/// assert_eq!(to_json(&port, "5432")?, 5432);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ValueKind {
    /// A text, even if it looks like a number: a password `12345` stays text.
    String,
    /// A number, integer or decimal.
    Number,
    /// A `bool`: `true` or `false`.
    Bool,
    /// Any JSON value.
    Json,
    /// A list in one text, split at [`Requirement::delimiter`].
    List,
}
