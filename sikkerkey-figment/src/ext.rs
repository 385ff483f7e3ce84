use figment::error::Result;
use figment::{Error, Figment, Metadata, Profile, Provider, value};
use serde::de::DeserializeOwned;

use crate::redact::redact_within;

/// Methods of a figment whose errors never print a value of SikkerKey.
///
/// An error about a value of another layer keeps that value, which helps to find the mistake in a file. An error about
/// a table with values of both keeps none.
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
    /// The errors of `extract`, without values of SikkerKey.
    fn extract_secret<T: DeserializeOwned>(&self) -> Result<T>;

    /// Extracts a part, as [`Figment::extract_inner`] does, with errors that hide secrets.
    ///
    /// # Errors
    ///
    /// The errors of `extract_inner`, without values of SikkerKey, and with the keys in the order of the path.
    fn extract_secret_inner<T: DeserializeOwned>(&self, path: &str) -> Result<T>;

    /// Removes values of SikkerKey from an error of an extraction from this figment, and keeps those of other layers.
    /// The function [`redact`](crate::redact()) does it without the figment, and removes all values.
    ///
    /// ```
    /// # use sikkerkey_figment::figment::Figment;
    /// use sikkerkey_figment::FigmentExt;
    ///
    /// let figment = Figment::from(("port", "eighty"));
    /// let error = figment.extract_inner::<u16>("port").unwrap_err();
    /// assert!(figment.redact(error).to_string().contains("eighty")); // not a value of SikkerKey
    /// ```
    fn redact(&self, error: Error) -> Error;

    /// Returns this figment if a `T` can be extracted from it. Otherwise it returns one whose extractions all fail with
    /// the redacted error.
    ///
    /// This is for a framework that extracts by itself and prints the error, as Rocket does:
    /// `rocket::custom(figment.vetted::<rocket::Config>())`.
    ///
    /// ```
    /// # use sikkerkey_figment::figment::Figment;
    /// use sikkerkey_figment::FigmentExt;
    ///
    /// let figment = Figment::from(("port", 80)).vetted::<std::collections::BTreeMap<String, u16>>();
    /// assert_eq!(figment.extract_inner::<u16>("port")?, 80);
    /// # Ok::<(), sikkerkey_figment::figment::Error>(())
    /// ```
    #[must_use]
    fn vetted<T: DeserializeOwned>(self) -> Figment;
}

mod sealed {
    /// Seals [`FigmentExt`](super::FigmentExt): only figment's own type implements it, so that methods can be added
    /// later.
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

/// Puts the requested path first; figment appends it to the path inside.
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
