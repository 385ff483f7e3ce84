//! What the derive calls. It is no part of the API: it changes with the derive, in any version.

pub use super::bounds::{
    Delimited, FromNothing, FromText, ReadFromStr, ReadJson, Words, default, text,
};
pub use super::parser::{Parser, delimited, from_str, json, value, with};
pub use super::read::{
    Field, Reader, Secret, Source, enter, nested, nested_optional, optional, or_default, required,
    skipped, validated,
};
pub use serde::de::DeserializeOwned;
