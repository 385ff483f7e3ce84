/// A rule that makes a secret's field name from a Rust field name, spelled as in serde.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

impl Case {
    pub(crate) const ALL: [(&str, Case); 8] = [
        ("lowercase", Case::Lower),
        ("UPPERCASE", Case::Upper),
        ("PascalCase", Case::Pascal),
        ("camelCase", Case::Camel),
        ("snake_case", Case::Snake),
        ("SCREAMING_SNAKE_CASE", Case::ScreamingSnake),
        ("kebab-case", Case::Kebab),
        ("SCREAMING-KEBAB-CASE", Case::ScreamingKebab),
    ];

    pub(crate) fn named(name: &str) -> Option<Case> {
        Self::ALL
            .into_iter()
            .find_map(|(known, case)| (known == name).then_some(case))
    }

    /// The secret's field name for a Rust field name, which is expected in snake case.
    ///
    /// It equals serde's name, letter for letter: only ASCII letters change their case, and a word keeps its capitals.
    /// A test of the workspace compares the two.
    pub(crate) fn apply(self, field: &str) -> String {
        match self {
            Case::Lower | Case::Snake => field.to_owned(),
            Case::Upper | Case::ScreamingSnake => field.to_ascii_uppercase(),
            Case::Kebab => field.replace('_', "-"),
            Case::ScreamingKebab => field.to_ascii_uppercase().replace('_', "-"),
            Case::Pascal => pascal(field),
            Case::Camel => {
                let mut name = pascal(field);
                if let Some(first) = name.get_mut(..1) {
                    first.make_ascii_lowercase();
                }
                name
            }
        }
    }
}

fn pascal(field: &str) -> String {
    let capitalized = |word: &str| {
        let mut word = word.to_owned();
        if let Some(first) = word.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        word
    };
    field.split('_').map(capitalized).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule() {
        for (rule, expected) in [
            ("lowercase", "api_key_2"),
            ("UPPERCASE", "API_KEY_2"),
            ("PascalCase", "ApiKey2"),
            ("camelCase", "apiKey2"),
            ("snake_case", "api_key_2"),
            ("SCREAMING_SNAKE_CASE", "API_KEY_2"),
            ("kebab-case", "api-key-2"),
            ("SCREAMING-KEBAB-CASE", "API-KEY-2"),
        ] {
            let name = Case::named(rule).map(|case| case.apply("api_key_2"));
            assert_eq!(name.as_deref(), Some(expected), "{rule}");
        }
        assert_eq!(Case::named("Kebab"), None);
        assert_eq!(Case::Camel.apply("_leading"), "leading");
        assert_eq!(Case::Camel.apply("ähnlich_x"), "ähnlichX");
        assert_eq!(Case::Pascal.apply("__"), "");
    }
}
