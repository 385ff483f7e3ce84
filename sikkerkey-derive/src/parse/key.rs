use std::fmt;

/// A key of `#[sikkerkey(…)]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Secret,
    Name,
    Field,
    Default,
    Nested,
    Json,
    FromStr,
    With,
    Delimiter,
    Skip,
    Resync,
    Inherit,
    RenameAll,
    Validate,
    Crate,
}

/// The place of an attribute: on the struct or on a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Struct,
    Field,
}

/// Whether `= …` follows the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    Value,
    Either,
}

struct Row(Key, &'static str, Takes, &'static [Level], &'static str);

const STRUCT: &[Level] = &[Level::Struct];
const FIELD: &[Level] = &[Level::Field];
const BOTH: &[Level] = &[Level::Struct, Level::Field];

/// Key, spelling, value, places, and an example to type.
const ROWS: &[Row] = &[
    Row(
        Key::Secret,
        "secret",
        Takes::Value,
        BOTH,
        "secret = \"sk_…\"",
    ),
    Row(
        Key::Name,
        "name",
        Takes::Value,
        BOTH,
        "name = \"DISPLAY_NAME\"",
    ),
    Row(
        Key::Field,
        "field",
        Takes::Value,
        FIELD,
        "field = \"password\"",
    ),
    Row(
        Key::Default,
        "default",
        Takes::Either,
        FIELD,
        "default = 5432",
    ),
    Row(Key::Nested, "nested", Takes::Nothing, FIELD, "nested"),
    Row(Key::Json, "json", Takes::Nothing, FIELD, "json"),
    Row(Key::FromStr, "from_str", Takes::Nothing, FIELD, "from_str"),
    Row(
        Key::With,
        "with",
        Takes::Value,
        FIELD,
        "with = \"path::to::function\"",
    ),
    Row(
        Key::Delimiter,
        "delimiter",
        Takes::Value,
        FIELD,
        "delimiter = \",\"",
    ),
    Row(Key::Skip, "skip", Takes::Nothing, FIELD, "skip"),
    Row(
        Key::Resync,
        "resync",
        Takes::Value,
        BOTH,
        "resync = \"40m\"",
    ),
    Row(Key::Inherit, "inherit", Takes::Nothing, STRUCT, "inherit"),
    Row(
        Key::RenameAll,
        "rename_all",
        Takes::Value,
        STRUCT,
        "rename_all = \"kebab-case\"",
    ),
    Row(
        Key::Validate,
        "validate",
        Takes::Value,
        STRUCT,
        "validate = \"Self::validate\"",
    ),
    Row(
        Key::Crate,
        "crate",
        Takes::Value,
        STRUCT,
        "crate = \"path::to::sikkerkey\"",
    ),
];

/// The names of other libraries for the same thing.
const SYNONYMS: &[(&str, Key)] = &[
    ("id", Key::Secret),
    ("secret_id", Key::Secret),
    ("display_name", Key::Name),
    ("rename", Key::Field),
    ("key", Key::Field),
    ("default_value", Key::Default),
    ("flatten", Key::Nested),
    ("nest", Key::Nested),
    ("fromstr", Key::FromStr),
    ("parse", Key::FromStr),
    ("parse_with", Key::With),
    ("deserialize_with", Key::With),
    ("separator", Key::Delimiter),
    ("sep", Key::Delimiter),
    ("ignore", Key::Skip),
    ("check", Key::Validate),
    ("refresh", Key::Resync),
    ("refresh_interval", Key::Resync),
    ("interval", Key::Resync),
    ("reread", Key::Resync),
    ("parent", Key::Inherit),
];

/// The similarity, from 0 to 1, from which one word is suggested instead of another.
const ALIKE: f64 = 0.7;

impl Key {
    pub(super) fn named(name: &str) -> Option<Key> {
        ROWS.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    pub(super) fn takes(self) -> Takes {
        self.row().2
    }

    pub(super) fn fits(self, level: Level) -> bool {
        self.row().3.contains(&level)
    }

    /// An example of the key as it is written.
    pub(super) fn example(self) -> &'static str {
        self.row().4
    }

    /// The key that was probably meant.
    pub(super) fn nearest(name: &str, level: Level) -> Option<Key> {
        let folded = name.to_lowercase();
        // A single letter is similar to many words.
        if folded.chars().count() < 2 {
            return None;
        }
        let synonym = SYNONYMS
            .iter()
            .find_map(|&(word, key)| (word == folded && key.fits(level)).then_some(key));
        synonym.or_else(|| {
            ROWS.iter()
                .filter(|row| row.0.fits(level))
                .map(|row| (row.0, strsim::jaro_winkler(row.1, &folded)))
                .filter(|&(_, alike)| alike >= ALIKE)
                .max_by(|a, b| a.1.total_cmp(&b.1))
                .map(|(key, _)| key)
        })
    }

    /// The keys of one level, as a list for a message.
    pub(super) fn list(level: Level) -> String {
        let names: Vec<_> = ROWS
            .iter()
            .filter(|row| row.0.fits(level))
            .map(|row| format!("`{}`", row.1))
            .collect();
        names.join(", ")
    }

    fn row(self) -> &'static Row {
        // Every key has a row, which a test checks.
        ROWS.iter().find(|row| row.0 == self).unwrap_or(&ROWS[0])
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().1)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Struct => "struct",
            Level::Field => "field",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_row() {
        for key in [
            Key::Secret,
            Key::Name,
            Key::Field,
            Key::Default,
            Key::Nested,
            Key::Json,
            Key::FromStr,
            Key::With,
            Key::Delimiter,
            Key::Skip,
            Key::Resync,
            Key::Inherit,
            Key::RenameAll,
            Key::Validate,
            Key::Crate,
        ] {
            assert_eq!(Key::named(&key.to_string()), Some(key));
            assert!(key.example().starts_with(&key.to_string()));
        }
    }

    #[test]
    fn a_typo_finds_its_key_and_nonsense_finds_none() {
        for (typo, key) in [
            ("secert", Key::Secret),
            ("defualt", Key::Default),
            ("fromstr", Key::FromStr),
            ("from-str", Key::FromStr),
            ("delimeter", Key::Delimiter),
            ("flatten", Key::Nested),
            ("rename", Key::Field),
        ] {
            assert_eq!(Key::nearest(typo, Level::Field), Some(key), "{typo}");
        }
        assert_eq!(Key::nearest("validat", Level::Struct), Some(Key::Validate));
        for strange in ["xyzzy", "s", "d", "ä", ""] {
            assert_eq!(Key::nearest(strange, Level::Field), None, "{strange}");
        }
    }
}
