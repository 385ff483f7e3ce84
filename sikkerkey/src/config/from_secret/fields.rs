use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;

use secrecy::SecretString;

use super::{FromSecret, ValueError};
use crate::config::requirement::ValueKind;
use crate::protocol::fields::Fields;

/// Reads every field of a structured secret, in order.
impl FromSecret for Fields {
    const KIND: ValueKind = ValueKind::Json;
    const STRUCTURED: bool = true;

    fn from_secret(text: &str) -> Result<Self, ValueError> {
        // A copy that is wiped, because the parser needs a `SecretString`.
        Fields::parse(&SecretString::from(text))
            .ok_or(ValueError::new("the value is not a JSON object"))
    }

    fn expected() -> Cow<'static, str> {
        Cow::Borrowed("a structured secret")
    }
}

macro_rules! maps {
    ($($map:ident [$($hasher:ident)?];)*) => {$(
        /// Reads every field of a structured secret; a field that is `null` is left out.
        impl<$($hasher: BuildHasher + Default)?> FromSecret
            for $map<String, SecretString $(, $hasher)?>
        {
            const KIND: ValueKind = ValueKind::Json;
            const STRUCTURED: bool = true;

            fn from_secret(text: &str) -> Result<Self, ValueError> {
                Ok(present(&Fields::from_secret(text)?).collect())
            }

            fn expected() -> Cow<'static, str> {
                Fields::expected()
            }
        }
    )*};
}

maps! {
    BTreeMap [];
    HashMap [S];
}

/// The fields that are not `null`, each with its text.
fn present(fields: &Fields) -> impl Iterator<Item = (String, SecretString)> {
    let present = fields.iter().filter(|(name, _)| !fields.is_null(name));
    present.map(|(name, value)| (name.to_owned(), value.clone()))
}

/// Returns the fields of a structured secret that are not `null`, as every map of fields has them; `None` for
/// a text that is not a JSON object.
pub fn field_texts(text: &str) -> Option<Vec<(String, SecretString)>> {
    let fields = Fields::from_secret(text).ok()?;
    Some(present(&fields).collect())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_map_has_every_field_but_null() {
        let text = r#"{"b": "x", "a": 5432, "gone": null, "word": "null"}"#;
        let tree: BTreeMap<String, SecretString> = FromSecret::from_secret(text).unwrap();
        let shown =
            |(name, value): (&String, &SecretString)| format!("{name}={}", value.expose_secret());
        let shown: Vec<_> = tree.iter().map(shown).collect();
        assert_eq!(shown, ["a=5432", "b=x", "word=null"]);
        let hashed: HashMap<String, SecretString> = FromSecret::from_secret(text).unwrap();
        assert_eq!(hashed.len(), 3);
        let fields = Fields::from_secret(text).unwrap();
        assert_eq!(
            fields.names().collect::<Vec<_>>(),
            ["b", "a", "gone", "word"]
        );
    }

    #[test]
    fn a_text_that_is_not_an_object_is_refused() {
        for text in ["", "hunter2", "[1]", "null", r#"{"a": 1"#, "{} {}"] {
            let refused = BTreeMap::<String, SecretString>::from_secret(text);
            assert!(refused.is_err(), "{text:?}");
            assert!(field_texts(text).is_none(), "{text:?}");
        }
    }
}
