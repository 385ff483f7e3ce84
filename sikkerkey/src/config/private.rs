//! What the derive calls. It is no part of the API: it changes with the derive, in any version.

pub use super::parser::{Delimited, delimited, from_str, json, value, with};
pub use super::read::{
    Field, Reader, Secret, Source, enter, nested, nested_optional, optional, or_default, required,
    skipped, validated,
};
pub use serde::de::DeserializeOwned;
