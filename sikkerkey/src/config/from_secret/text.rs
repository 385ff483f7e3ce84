use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::{SecretBox, SecretString};
use zeroize::Zeroize;

use super::form::{stray, stray_at_the_ends};
use super::{FromSecret, ValueError};
use crate::config::requirement::ValueKind;

macro_rules! strings {
    ($($string:ty),*) => {$(
        impl FromSecret for $string {
            fn from_secret(text: &str) -> Result<Self, ValueError> {
                Ok(text.to_owned().into())
            }

            fn expected() -> Cow<'static, str> {
                Cow::Borrowed("a string")
            }
        }
    )*};
}

strings!(String, SecretString, Box<str>, Arc<str>, Cow<'_, str>);

impl<T: FromSecret + Zeroize> FromSecret for SecretBox<T> {
    const KIND: ValueKind = T::KIND;

    fn from_secret(text: &str) -> Result<Self, ValueError> {
        T::from_secret(text).map(|value| SecretBox::new(Box::new(value)))
    }

    fn expected() -> Cow<'static, str> {
        T::expected()
    }
}

/// Holds the bytes of the text.
impl FromSecret for SecretBox<[u8]> {
    fn from_secret(text: &str) -> Result<Self, ValueError> {
        Ok(text.as_bytes().to_vec().into())
    }

    fn expected() -> Cow<'static, str> {
        Cow::Borrowed("a string")
    }
}

impl FromSecret for bool {
    const KIND: ValueKind = ValueKind::Bool;

    fn from_secret(text: &str) -> Result<Self, ValueError> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(ValueError::new(
                stray(text).unwrap_or("it must be `true` or `false`"),
            )),
        }
    }
}

impl FromSecret for char {
    fn from_secret(text: &str) -> Result<Self, ValueError> {
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(ValueError::new("it is empty")),
            (Some(_), Some(_)) => Err(ValueError::new(
                stray(text).unwrap_or("it is more than one character"),
            )),
        }
    }
}

impl FromSecret for PathBuf {
    fn from_secret(text: &str) -> Result<Self, ValueError> {
        match stray_at_the_ends(text) {
            Some(stray) => Err(ValueError::new(stray)),
            None => Ok(PathBuf::from(text)),
        }
    }

    fn expected() -> Cow<'static, str> {
        Cow::Borrowed("a path")
    }
}
