use figment::error::Result;
use figment::{Error, Figment, Metadata, Profile, Provider, value};
use serde::de::DeserializeOwned;

use crate::redact::redact_within;

/// Methods of a figment whose errors never print a value of SikkerKey.
///
/// An error about a value of another layer keeps that value, because it helps to find the mistake in a file.
/// An error about a table with values of both is treated as one of SikkerKey.
///
/// ```
/// # use sikkerkey_figment::figment;
/// use figment::Figment;
/// use sikkerkey_figment::FigmentExt;
///
/// let figment = Figment::from(("port", "eighty"));
/// let error = figment.extract_secret_inner::<u16>("port").unwrap_err();
/// assert!(error.to_string().contains("eighty"), "no secret is involved");
/// ```
pub trait FigmentExt: sealed::Sealed {
    /// Extracts a `T`, as [`Figment::extract`] does, with errors that hide secrets.
    ///
    /// # Errors
    ///
    /// As `extract`, without values of SikkerKey.
    fn extract_secret<T: DeserializeOwned>(&self) -> Result<T>;

    /// Extracts a part, as [`Figment::extract_inner`] does, with errors that hide secrets.
    ///
    /// # Errors
    ///
    /// As `extract_inner`, without values of SikkerKey, and with the keys in their order.
    fn extract_secret_inner<T: DeserializeOwned>(&self, path: &str) -> Result<T>;

    /// [`redact`](crate::redact()) for an error that extracting from this figment gave: only
    /// where the value came from SikkerKey.
    fn redact(&self, error: Error) -> Error;

    /// Returns this figment if a `T` can be extracted from it, otherwise one whose extractions all fail with
    /// the redacted error.
    ///
    /// For a framework that extracts by itself and prints the error, as Rocket does:
    /// `rocket::custom(figment.vetted::<rocket::Config>())`.
    #[must_use]
    fn vetted<T: DeserializeOwned>(self) -> Figment;
}

mod sealed {
    /// [`FigmentExt`](super::FigmentExt) is for figment's own type alone, so that a method can be
    /// added to it at any time.
    pub trait Sealed {}
    impl Sealed for figment::Figment {}
}

impl FigmentExt for Figment {
    fn extract_secret<T: DeserializeOwned>(&self) -> Result<T> {
        self.extract().map_err(|error| self.redact(error))
    }

    fn extract_secret_inner<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.extract_inner(path)
            .map_err(|error| self.redact(in_order(error, path)))
    }

    fn redact(&self, error: Error) -> Error {
        redact_within(self, error)
    }

    fn vetted<T: DeserializeOwned>(self) -> Figment {
        match self.extract_secret::<T>() {
            Ok(_) => self,
            Err(error) => self.merge(Failed(error)),
        }
    }
}

/// figment appends the path that was asked for to the path inside of it; here it comes first.
fn in_order(mut error: Error, asked: &str) -> Error {
    let asked = asked.split('.').filter(|key| !key.is_empty()).count();
    if asked <= error.path.len() {
        error.path.rotate_right(asked);
    }
    error
}

struct Failed(Error);

impl Provider for Failed {
    fn metadata(&self) -> Metadata {
        Metadata::named("extraction")
    }

    fn data(&self) -> Result<value::Map<Profile, value::Dict>> {
        Err(self.0.clone())
    }
}
