//! Parsing the text of a secret into a value.

mod duration;
pub(crate) mod fields;
pub(crate) mod form;
mod net;
mod number;
mod text;

use std::borrow::Cow;
use std::fmt;

use super::requirement::ValueKind;
use crate::validity::Validity;

/// A type that can be parsed from the text of a secret, or of one of its fields.
///
/// | type | text |
/// | --- | --- |
/// | `String`, [`SecretString`](crate::SecretString), `Box<str>`, `Arc<str>`, `Cow<str>` | any text, may be empty |
/// | integers and their `NonZero` forms | decimal digits, in range; no spaces, no `_` |
/// | `f32`, `f64` | a decimal number, also `1e-3`; not infinite |
/// | `bool` | `true` or `false` |
/// | `char` | one character |
/// | `PathBuf` | any text except an empty one |
/// | `IpAddr`, `SocketAddr` and their v4 and v6 forms | `10.0.0.1`, `[::1]:8080` |
/// | `Duration` | digits and a unit, largest unit first: `250ms`, `30s`, `1h30m`, `7d`; the units are `d`, `h`, `m`, `s`, `ms`, `us`, `ns` |
/// | `url::Url` (feature `url`) | an absolute URL |
/// | [`Fields`](crate::Fields), `BTreeMap<String, SecretString>`, `HashMap<String, SecretString>` | a JSON object: every field of a structured secret |
/// | `tls::TlsIdentity` (feature `rustls`) | a JSON object with PEM in its fields `chain` and `key` |
/// | `tls::TrustRoots` (feature `rustls`) | certificates in PEM |
/// | [`SecretBox<T>`](crate::SecretBox) | what `T` is made from, where `T: Zeroize`; bytes for `SecretBox<[u8]>` |
/// | `Option<T>` | what `T` is made from; `None` if the secret or the field is missing |
///
/// A type of your own implements it, or is read with `json`, `from_str` or `with`:
///
/// ```
/// use std::borrow::Cow;
/// use sikkerkey::{FromSecret, ValueError};
///
/// struct Level(u8);
///
/// impl FromSecret for Level {
///     fn from_secret(text: &str) -> Result<Self, ValueError> {
///         match u8::from_secret(text)? {
///             level @ 1..=9 => Ok(Level(level)),
///             _ => Err(ValueError::new("outside 1 to 9")),
///         }
///     }
///
///     fn expected() -> Cow<'static, str> {
///         "a level".into()
///     }
/// }
/// assert!(Level::from_secret("12").is_err());
/// ```
#[diagnostic::on_unimplemented(
    message = "a secret cannot be read as a value of type `{Self}`",
    label = "`FromSecret` is not implemented for `{Self}`",
    note = "if it implements `serde::Deserialize`, add `#[sikkerkey(json)]`; if `FromStr`, add `#[sikkerkey(from_str)]`",
    note = "if a function of yours makes it, add `#[sikkerkey(with = \"path::to::function\")]`; a list in one text takes `#[sikkerkey(delimiter = \",\")]`; bytes are a `SecretBox<[u8]>`",
    note = "if it derives `SikkerKeyConfig`, add `#[sikkerkey(nested)]`; a `Fields` or a `BTreeMap<String, SecretString>` has all fields of a structured secret"
)]
pub trait FromSecret: Sized {
    /// The shape of the value, for layers with types of their own. Default: a string.
    const KIND: ValueKind = ValueKind::String;

    /// Parses the value from the text of the secret.
    ///
    /// # Errors
    /// Why the text cannot be parsed, without quoting it.
    fn from_secret(text: &str) -> Result<Self, ValueError>;

    /// What the text must be, with its article: `a u16`. Default: the type's name.
    fn expected() -> Cow<'static, str> {
        with_article(&type_label::<Self>()).into()
    }

    /// Whether the type reads a structured secret.
    #[doc(hidden)]
    const STRUCTURED: bool = false;

    /// The value of a missing secret, if the type has one: `Some(None)` for an `Option`.
    #[doc(hidden)]
    fn absent() -> Option<Self> {
        None
    }

    /// The time in which the value is valid, for types such as certificates.
    #[doc(hidden)]
    fn validity(&self) -> Option<Validity> {
        None
    }
}

/// The reason why a text cannot be parsed; the error of [`FromSecret`].
///
/// The reason is a `&'static str`, so it cannot quote the secret. It ends a line of the report: `not a level:
/// outside 1 to 9`.
///
/// ```
/// use sikkerkey::{FromSecret, ValueError};
///
/// /// A function for `#[sikkerkey(with = "even")]`.
/// fn even(text: &str) -> Result<u16, ValueError> {
///     match u16::from_secret(text)? {
///         number if number % 2 == 0 => Ok(number),
///         _ => Err(ValueError::new("an odd number")),
///     }
/// }
///
/// assert_eq!(even("7").unwrap_err().reason(), "an odd number");
/// assert_eq!(even("65536").unwrap_err().to_string(), "above 65535");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValueError(&'static str);

impl ValueError {
    /// Makes an error with a reason in a few words, which may be empty.
    pub const fn new(reason: &'static str) -> Self {
        ValueError(reason)
    }

    /// The reason in a few words, as [`new`](Self::new) got it.
    pub const fn reason(&self) -> &'static str {
        self.0
    }
}

impl From<&'static str> for ValueError {
    fn from(reason: &'static str) -> Self {
        ValueError(reason)
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => f.write_str("the text is not of the form that is expected"),
            reason => f.write_str(reason),
        }
    }
}

impl std::error::Error for ValueError {}

impl<T: FromSecret> FromSecret for Option<T> {
    const KIND: ValueKind = T::KIND;
    const STRUCTURED: bool = T::STRUCTURED;

    fn from_secret(text: &str) -> Result<Self, ValueError> {
        T::from_secret(text).map(Some)
    }

    fn expected() -> Cow<'static, str> {
        T::expected()
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn validity(&self) -> Option<Validity> {
        self.as_ref()?.validity()
    }
}

/// The name of a type without the modules that lead to it: `HashMap<String, Flags>`.
pub(super) fn type_label<T>() -> String {
    let mut label = String::new();
    let mut word = String::new();
    for c in std::any::type_name::<T>().chars() {
        match c {
            ':' => word.clear(),
            c if c.is_alphanumeric() || c == '_' => word.push(c),
            c => {
                label.push_str(&std::mem::take(&mut word));
                label.push(c);
            }
        }
    }
    label + &word
}

pub(super) fn with_article(noun: &str) -> String {
    let vowel = matches!(
        noun.chars().next(),
        Some('a' | 'e' | 'i' | 'o' | 'A' | 'E' | 'I' | 'O' | 'U')
    );
    // These names are spelled out when spoken: an f64, an i8, but a u16.
    match vowel || noun.starts_with('f') && noun[1..].starts_with(|c: char| c.is_ascii_digit()) {
        true => format!("an {noun}"),
        false => format!("a {noun}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_named_without_its_modules() {
        assert_eq!(type_label::<u16>(), "u16");
        assert_eq!(type_label::<Vec<Option<String>>>(), "Vec<Option<String>>");
        assert_eq!(
            type_label::<std::collections::HashMap<String, [std::time::Duration; 2]>>(),
            "HashMap<String, [Duration; 2]>"
        );
        for (noun, expected) in [
            ("u16", "a u16"),
            ("i16", "an i16"),
            ("f64", "an f64"),
            ("Flags", "a Flags"),
            ("IpAddr", "an IpAddr"),
        ] {
            assert_eq!(with_article(noun), expected);
        }
    }
}
