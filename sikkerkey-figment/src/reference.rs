//! References: strings in a config file that name a secret instead of containing it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use sikkerkey::__private::stray;
use sikkerkey::{Requirement, SecretRef, ValueKind};

const SCHEME: &str = "sikkerkey";
const LITERAL: &str = "sikkerkey:literal:";
const FORM: &str = "sikkerkey://SECRET_ID, sikkerkey://SECRET_ID/FIELD or \
                    sikkerkey:///DISPLAY_NAME/FIELD, then perhaps ?as=number, ?as=bool or ?as=json";

/// A reference to a secret, as written in a config file.
///
/// | written | means |
/// | --- | --- |
/// | `sikkerkey://sk_stripe_key` | the whole secret |
/// | `sikkerkey://sk_db_prod/password` | one field of a structured secret |
/// | `sikkerkey:///DB_CREDS/password` | one field of the secret with this display name, as the dashboard shows it |
/// | `sikkerkey://sk_db_prod/port?as=number` | a number; also `bool`, `json` and, the default, `string` |
/// | `sikkerkey://sk_db_prod/pass%2Fword` | the field `pass/word`: names are percent-decoded |
///
/// ```
/// use sikkerkey_figment::Reference;
///
/// let reference: Reference = "sikkerkey://sk_db_prod/port?as=number".parse()?;
/// assert_eq!(reference.secret(), "sk_db_prod");
/// assert_eq!(reference.field(), Some("port"));
/// assert_eq!(reference.to_string(), "sikkerkey://sk_db_prod/port?as=number");
/// # Ok::<(), sikkerkey_figment::MalformedReference>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    secret: String,
    by_name: bool,
    field: Option<String>,
    pub(crate) kind: ValueKind,
}

impl Reference {
    /// Returns the id of the secret, or its display name if the reference is [`by_name`](Self::by_name).
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Returns whether the secret is named by its display name, which is written after three slashes.
    pub fn by_name(&self) -> bool {
        self.by_name
    }

    /// Returns the field of a structured secret; `None` for the whole secret.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// The reference with the id that its alias reads instead, if it has one:
    /// `sikkerkey://sk_flags -> sk_flags_stg/beta`.
    pub(crate) fn with_alias(&self, aliases: &BTreeMap<String, String>) -> String {
        let whole = self.to_string();
        let Some(id) = aliases.get(&self.secret) else {
            return whole;
        };
        let secret = Reference {
            field: None,
            kind: ValueKind::String,
            ..self.clone()
        };
        let secret = secret.to_string();
        format!("{secret} -> {id}{}", &whole[secret.len()..])
    }

    /// The reference of a key of a schema.
    pub(crate) fn of(requirement: &Requirement) -> Self {
        Reference {
            secret: requirement.secret().as_str().to_owned(),
            by_name: matches!(requirement.secret(), SecretRef::Name(_)),
            field: requirement.field().map(str::to_owned),
            kind: ValueKind::String,
        }
    }

    /// A reference that is made, not parsed.
    #[cfg(fuzzing)]
    pub(crate) fn named(name: &str, field: &str, kind: ValueKind) -> Self {
        Reference {
            secret: name.to_owned(),
            by_name: true,
            field: Some(field.to_owned()),
            kind,
        }
    }

    /// The requirement of a schema, for the key at `path`.
    pub(crate) fn requirement(&self, path: &str) -> Requirement {
        let secret = match self.by_name {
            true => SecretRef::Name(self.secret.clone()),
            false => SecretRef::Id(self.secret.clone()),
        };
        let requirement = Requirement::new(path, secret).with_kind(self.kind, word(self.kind));
        match &self.field {
            Some(field) => requirement.with_field(field),
            None => requirement,
        }
    }
}

/// Writes the canonical spelling, which parses to the same reference.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sikkerkey://")?;
        if self.by_name {
            f.write_str("/")?;
        }
        encode(&self.secret, f)?;
        if let Some(field) = &self.field {
            f.write_str("/")?;
            encode(field, f)?;
        }
        match self.kind {
            ValueKind::String => Ok(()),
            kind => write!(f, "?as={}", word(kind)),
        }
    }
}

impl FromStr for Reference {
    type Err = MalformedReference;

    fn from_str(text: &str) -> Result<Self, MalformedReference> {
        match Written::of(text)? {
            Written::Reference(reference) => Ok(reference),
            Written::Plain | Written::Literal(_) => {
                Err(MalformedReference("it does not begin with `sikkerkey://`"))
            }
        }
    }
}

/// A string of a config file, as the resolver sees it.
pub(crate) enum Written<'a> {
    /// A plain string.
    Plain,
    /// The text after `sikkerkey:literal:`, to use as it is.
    Literal(&'a str),
    Reference(Reference),
}

impl<'a> Written<'a> {
    pub(crate) fn of(text: &'a str) -> Result<Self, MalformedReference> {
        if let Some(literal) = text.strip_prefix(LITERAL) {
            return Ok(Written::Literal(literal));
        }
        let Some(rest) = text.strip_prefix("sikkerkey://") else {
            return match mistake_in_scheme(text) {
                Some(mistake) => Err(MalformedReference(mistake)),
                None if has_one_inside(text) => Err(MalformedReference(
                    "it is a part of a longer text, and only a whole value is replaced: store the \
                     whole text as one secret, or give the part a key of its own",
                )),
                None => Ok(Written::Plain),
            };
        };
        let (place, query) = match rest.split_once('?') {
            Some((place, query)) => (place, Some(query)),
            None => (rest, None),
        };
        let (place, by_name) = match place.strip_prefix('/') {
            Some(place) => (place, true),
            None => (place, false),
        };
        let (secret, field) = match place.split_once('/') {
            Some((secret, field)) => (secret, Some(field)),
            None => (place, None),
        };
        Ok(Written::Reference(Reference {
            secret: if by_name { name(secret)? } else { id(secret)? },
            by_name,
            field: field.map(field_name).transpose()?,
            kind: kind(query)?,
        }))
    }
}

fn id(text: &str) -> Result<String, MalformedReference> {
    if text.is_empty() {
        return Err(MalformedReference("it names no secret"));
    }
    if let Some(stray) = stray(text) {
        return Err(MalformedReference(stray));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !text.chars().all(allowed) {
        return Err(MalformedReference(
            "a secret's id has only letters, digits, `_` and `-` (a display name goes after three slashes)",
        ));
    }
    Ok(text.to_owned())
}

fn name(text: &str) -> Result<String, MalformedReference> {
    match decode(text)? {
        name if name.is_empty() => Err(MalformedReference("the display name is empty")),
        name => Ok(name),
    }
}

fn field_name(text: &str) -> Result<String, MalformedReference> {
    if text.contains('/') {
        return Err(MalformedReference(
            "it has a `/` after the field; inside a name, write %2F",
        ));
    }
    match decode(text)? {
        field if field.is_empty() => Err(MalformedReference(
            "the field is empty; without a field, leave the last `/` away",
        )),
        field => Ok(field),
    }
}

fn kind(query: Option<&str>) -> Result<ValueKind, MalformedReference> {
    let Some(query) = query else {
        return Ok(ValueKind::String);
    };
    let Some(word) = query.strip_prefix("as=") else {
        return Err(MalformedReference(
            "after `?` comes `as=` and nothing else; inside a name, write %3F",
        ));
    };
    let kinds = [
        ValueKind::String,
        ValueKind::Number,
        ValueKind::Bool,
        ValueKind::Json,
    ];
    let named = kinds.into_iter().find(|kind| self::word(*kind) == word);
    named.ok_or(MalformedReference(
        "`as=` takes string, number, bool or json",
    ))
}

fn word(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Number => "number",
        ValueKind::Bool => "bool",
        ValueKind::Json => "json",
        _ => "string",
    }
}

fn decode(text: &str) -> Result<String, MalformedReference> {
    const BAD_ESCAPE: MalformedReference =
        MalformedReference("`%` is followed by two hexadecimal digits; a `%` itself is %25");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next().unwrap_or(b'%')).to_digit(16);
                match (digit(), digit()) {
                    // Two hexadecimal digits are at most 255.
                    (Some(high), Some(low)) => (high * 16 + low) as u8,
                    _ => return Err(BAD_ESCAPE),
                }
            }
            b'#' => return Err(MalformedReference("inside a name, `#` is written %23")),
            byte if byte.is_ascii_control() => {
                return Err(MalformedReference(
                    "it has a control character, perhaps a line break at its end",
                ));
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| MalformedReference("its percent-codes are not UTF-8"))
}

/// Percent-encodes all bytes but those that are plain everywhere in a reference.
fn encode(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for c in text.chars() {
        if matches!(c, '%' | '/' | '?' | '#') || c.is_control() {
            let mut buffer = [0; 4];
            for byte in c.encode_utf8(&mut buffer).bytes() {
                write!(f, "%{byte:02X}")?;
            }
        } else {
            write!(f, "{c}")?;
        }
    }
    Ok(())
}

/// The mistake in a string that was surely meant as a reference. If it passed, a config would run with
/// `sikkerkey:/sk_x` as its password and fail far from the mistake.
fn mistake_in_scheme(text: &str) -> Option<&'static str> {
    let trimmed = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let start = trimmed.get(..SCHEME.len()).unwrap_or_default();
    let after = trimmed.get(SCHEME.len()..).unwrap_or_default();
    if start.eq_ignore_ascii_case(SCHEME) && after.starts_with([':', '/']) {
        return match after {
            _ if trimmed.len() < text.len() => {
                Some("it begins with white space or a byte order mark")
            }
            _ if start != SCHEME => Some("the scheme is written in lower case"),
            _ if after.starts_with('/') => Some("the `:` after `sikkerkey` is missing"),
            _ if after.starts_with(":/") => Some("it has one slash, and two are needed"),
            _ => Some("`//` is missing after `sikkerkey:`"),
        };
    }
    let (scheme, _) = trimmed.split_once("://")?;
    let letters =
        scheme.len() < 2 * SCHEME.len() && scheme.bytes().all(|b| b.is_ascii_alphabetic());
    (letters && strsim::levenshtein(&scheme.to_ascii_lowercase(), SCHEME) <= 2)
        .then_some("its scheme is not `sikkerkey`, only nearly")
}

/// Whether a text contains a reference, as `postgres://app:sikkerkey://sk_db/password@db` does.
fn has_one_inside(text: &str) -> bool {
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/');
    text.split("sikkerkey://")
        .skip(1)
        .any(|rest| rest.starts_with(named))
}

/// An error: a string is not a [`Reference`], although it looks as if it were meant as one.
///
/// Its message says what is wrong and shows the form. It does not quote the string, which may be the secret itself.
///
/// ```
/// use sikkerkey_figment::Reference;
///
/// let error = "sikkerkey:/sk_x".parse::<Reference>().unwrap_err();
/// assert!(error.to_string().starts_with("malformed reference: it has one slash, and two are needed"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedReference(&'static str);

impl fmt::Display for MalformedReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "malformed reference: {}; the form is {FORM}; for the text itself, write {LITERAL}TEXT",
            self.0
        )
    }
}

impl std::error::Error for MalformedReference {}

#[cfg(test)]
mod tests;
