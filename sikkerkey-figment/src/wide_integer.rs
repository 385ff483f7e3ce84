//! Support for `u128` and `i128`, which figment's own deserializer refuses.

use std::fmt;

use serde::de::{Deserializer, Error, Unexpected, Visitor};

use self::sealed::Integer;

/// Deserializes a `u128`, an `i128` or an `Option` of one, for `#[serde(deserialize_with = "…")]`.
///
/// figment refuses these types, whatever the number and its layer. An `Option` also needs `#[serde(default)]`, because
/// a missing key is an error with `deserialize_with`.
///
/// # Errors
///
/// If the value is not a whole number, or out of range. The error does not contain the number.
///
/// ```
/// use figment::Figment;
/// # use sikkerkey_figment::figment;
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Config {
///     #[serde(deserialize_with = "sikkerkey_figment::wide_integer")]
///     modulus: u128,
///     #[serde(default, deserialize_with = "sikkerkey_figment::wide_integer")]
///     offset: Option<i128>,
/// }
///
/// let config: Config = Figment::from(("modulus", u128::MAX)).extract()?;
/// assert_eq!((config.modulus, config.offset), (u128::MAX, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn wide_integer<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: WideInteger,
{
    T::of(deserializer.deserialize_any(Number(T::EXPECTED))?)
}

/// A type that [`wide_integer`] returns: `u128`, `i128`, or an `Option` of one. It is sealed.
///
/// ```
/// use sikkerkey_figment::{WideInteger, wide_integer};
///
/// fn number<T: WideInteger>(json: &str) -> Result<T, serde_json::Error> {
///     wide_integer(&mut serde_json::Deserializer::from_str(json))
/// }
///
/// assert_eq!(number::<u128>("18446744073709551616").ok(), None); // serde_json reads it as a float
/// assert_eq!(number::<i128>("-5").ok(), Some(-5));
/// assert_eq!(number::<Option<u128>>("null").ok(), Some(None));
/// ```
pub trait WideInteger: sealed::Sealed {}

impl<T: sealed::Sealed> WideInteger for T {}

/// The advice for serde's error that a wide integer is not supported.
pub(crate) fn unsupported(text: &str) -> Option<String> {
    let integer = text.strip_suffix(" is not supported")?;
    matches!(integer, "u128" | "i128").then(|| {
        format!(
            "figment deserializes no {integer}: add `#[serde(deserialize_with = \
             \"sikkerkey_figment::wide_integer\")]` to the field"
        )
    })
}

mod sealed {
    use super::{Error, Unexpected};

    /// A whole number, as a format provides it.
    #[derive(Clone, Copy, Debug)]
    pub enum Integer {
        Unsigned(u128),
        Signed(i128),
    }

    pub trait Sealed: Sized {
        const EXPECTED: &'static str;

        fn of<E: Error>(found: Option<Integer>) -> Result<Self, E>;
    }

    macro_rules! wide {
        ($($int:ident $expected:literal $convert:ident;)*) => {$(
            impl Sealed for $int {
                const EXPECTED: &'static str = $expected;

                fn of<E: Error>(found: Option<Integer>) -> Result<Self, E> {
                    let Some(number) = found else {
                        return Err(E::invalid_type(Unexpected::Option, &$expected));
                    };
                    // The number itself may be a secret.
                    let range = Unexpected::Other("a number out of range");
                    number.$convert().ok_or_else(|| E::invalid_value(range, &$expected))
                }
            }
        )*};
    }

    wide! {
        u128 "u128" unsigned;
        i128 "i128" signed;
    }

    impl<T: Sealed> Sealed for Option<T> {
        const EXPECTED: &'static str = T::EXPECTED;

        fn of<E: Error>(found: Option<Integer>) -> Result<Self, E> {
            found.map(|number| T::of(Some(number))).transpose()
        }
    }

    impl Integer {
        fn unsigned(self) -> Option<u128> {
            match self {
                Integer::Unsigned(number) => Some(number),
                Integer::Signed(number) => number.try_into().ok(),
            }
        }

        fn signed(self) -> Option<i128> {
            match self {
                Integer::Unsigned(number) => number.try_into().ok(),
                Integer::Signed(number) => Some(number),
            }
        }
    }
}

/// A visitor for a whole number or nothing; the text names the expected type.
struct Number(&'static str);

impl<'de> Visitor<'de> for Number {
    type Value = Option<Integer>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        self.visit_u128(number.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        self.visit_i128(number.into())
    }

    fn visit_u128<E: Error>(self, number: u128) -> Result<Self::Value, E> {
        Ok(Some(Integer::Unsigned(number)))
    }

    fn visit_i128<E: Error>(self, number: i128) -> Result<Self::Value, E> {
        Ok(Some(Integer::Signed(number)))
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}
