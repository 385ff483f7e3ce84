use std::borrow::Cow;
use std::num::{IntErrorKind, NonZero, ParseIntError};

use super::form::stray;
use super::{FromSecret, ValueError};
use crate::config::requirement::ValueKind;

macro_rules! integers {
    ($($int:ident $expected:literal $min:literal $max:literal;)*) => {$(
        impl FromSecret for $int {
            const KIND: ValueKind = ValueKind::Number;

            fn from_secret(text: &str) -> Result<Self, ValueError> {
                match text.parse::<$int>() {
                    Ok(number) => Ok(number),
                    // Unsigned types do not parse `-0`.
                    Err(_) if text.parse() == Ok(0_i128) => Ok(0),
                    Err(error) => Err(ValueError::new(reason(
                        text,
                        &error,
                        concat!("above ", $max),
                        concat!("below ", $min),
                    ))),
                }
            }

            fn expected() -> Cow<'static, str> {
                Cow::Borrowed($expected)
            }
        }

        impl FromSecret for NonZero<$int> {
            const KIND: ValueKind = ValueKind::Number;

            fn from_secret(text: &str) -> Result<Self, ValueError> {
                NonZero::new($int::from_secret(text)?).ok_or(ValueError::new("it is zero"))
            }

            fn expected() -> Cow<'static, str> {
                Cow::Borrowed(concat!($expected, " other than 0"))
            }
        }
    )*};
}

integers! {
    u8 "a u8" "0" "255";
    u16 "a u16" "0" "65535";
    u32 "a u32" "0" "4294967295";
    u64 "a u64" "0" "18446744073709551615";
    u128 "a u128" "0" "u128::MAX";
    usize "a usize" "0" "usize::MAX";
    i8 "an i8" "-128" "127";
    i16 "an i16" "-32768" "32767";
    i32 "an i32" "-2147483648" "2147483647";
    i64 "an i64" "-9223372036854775808" "9223372036854775807";
    i128 "an i128" "i128::MIN" "i128::MAX";
    isize "an isize" "isize::MIN" "isize::MAX";
}

macro_rules! floats {
    ($($float:ident)*) => {$(
        impl FromSecret for $float {
            const KIND: ValueKind = ValueKind::Number;

            fn from_secret(text: &str) -> Result<Self, ValueError> {
                match text.parse::<$float>() {
                    Ok(number) if number.is_finite() => Ok(number),
                    Ok(_) => Err(ValueError::new("it is not finite")),
                    Err(_) => Err(ValueError::new(shape(text).unwrap_or("it is not a number"))),
                }
            }
        }
    )*};
}

floats!(f32 f64);

fn reason(
    text: &str,
    error: &ParseIntError,
    above: &'static str,
    below: &'static str,
) -> &'static str {
    match error.kind() {
        IntErrorKind::PosOverflow => above,
        IntErrorKind::NegOverflow => below,
        // Unsigned types do not parse a minus.
        _ if text.parse::<i128>().is_ok_and(i128::is_negative) => below,
        _ => shape(text).unwrap_or(match text.parse::<f64>() {
            Ok(_) => "it is not a whole number",
            Err(_) => "it is not a number",
        }),
    }
}

/// Names what keeps a text from being a number.
fn shape(text: &str) -> Option<&'static str> {
    stray(text).or_else(|| text.contains('_').then_some("it has a `_`"))
}
