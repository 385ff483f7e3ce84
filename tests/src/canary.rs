//! The spellings in which a secret could show, and a search for all of them at once.

use std::fmt::Write as _;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// A shorter value would be found where none is: `5432` or `true` stands in many texts.
const SHORTEST: usize = 8;

/// Fields that only name this machine, as a host does: each address in the log has them.
const PUBLIC: [&str; 2] = ["localhost", "127.0.0.1"];

/// So many characters of a longer value are enough to find it by.
const LONGEST: usize = 64;

/// Looks for secrets in every spelling, in upper and lower case.
#[derive(Debug)]
pub struct Search {
    spellings: AhoCorasick,
    /// Which secret each spelling is of.
    secrets: Vec<usize>,
}

impl Search {
    /// A search for these secrets, and for each field of those that are JSON objects. How many there are of
    /// a length that can be told from other text is the second of what it returns.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> (Self, usize) {
        let mut patterns = Vec::new();
        let mut of = Vec::new();
        let mut long = 0;
        for (n, secret) in secrets.into_iter().enumerate() {
            let mut parts = vec![secret.to_owned()];
            if let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(secret) {
                parts.extend(
                    fields
                        .values()
                        .filter_map(|field| Some(field.as_str()?.to_owned()))
                        .filter(|field| !PUBLIC.contains(&field.as_str())),
                );
            }
            for part in parts.iter().filter(|part| part.len() >= SHORTEST) {
                long += 1;
                let start: String = part.chars().take(LONGEST).collect();
                let spellings = spellings(&start);
                of.resize(of.len() + spellings.len(), n);
                patterns.extend(spellings);
            }
        }
        let spellings = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(patterns)
            .expect("the patterns fit into memory");
        let search = Search {
            spellings,
            secrets: of,
        };
        (search, long)
    }

    /// Which secret is in this text, by its place among those that were given.
    pub fn find(&self, text: &[u8]) -> Option<usize> {
        let found = self.spellings.find(text)?;
        Some(self.secrets[found.pattern().as_usize()])
    }
}

/// Raw, hex, URL-encoded, base64 and as Rust prints bytes and text.
pub fn spellings(value: &str) -> Vec<String> {
    let bytes = value.as_bytes();
    let percent = |kept: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            match byte {
                b if b.is_ascii_alphanumeric() || kept.contains(b) => text.push(char::from(*b)),
                b => drop(write!(text, "%{b:02X}")),
            }
            text
        })
    };
    let quoted = format!("{value:?}");
    let json = serde_json::Value::from(value).to_string();
    let mut all = vec![
        value.to_owned(),
        quoted[1..quoted.len() - 1].to_owned(),
        json[1..json.len() - 1].to_owned(),
        hex(bytes),
        percent(b""),
        percent(b"-._~"),
        format!("{bytes:?}"),
    ];
    // Base64 of a text that the value is somewhere in has it at one of three offsets; the first and the
    // last characters mix with what is beside them.
    for offset in 0..3 {
        let mut padded = vec![0; offset];
        padded.extend_from_slice(bytes);
        let encoded = STANDARD_NO_PAD.encode(&padded);
        let inner = &encoded[if offset == 0 { 0 } else { 4 }..encoded.len() - 4];
        // A few characters stand in other text by chance: in what a TLS library logs, for instance.
        if inner.len() >= SHORTEST {
            all.push(inner.to_owned());
            all.push(inner.replace('+', "-").replace('/', "_"));
        }
    }
    all
}

/// In lowercase digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    #[test]
    fn a_canary_is_found_in_every_spelling() {
        let value = "Canary~of \"the\"~search~itself/+ü";
        let (search, long) =
            Search::new(["short", value, r#"{"n": 1, "field": "a field's value"}"#]);
        assert_eq!(long, 3, "a value, an object and a field of it");
        for hidden in [
            value.to_owned(),
            format!("x{}", hex(value.as_bytes()).to_uppercase()),
            "Canary%7Eof%20%22the%22%7Esearch%7Eitself%2F%2B%C3%BC".to_owned(),
            "Canary~of%20%22the%22~search~itself%2f%2b%c3%bc".to_owned(),
            STANDARD.encode(format!("{{\"value\":\"{value}\"}}")),
            STANDARD.encode(format!("a{value}")),
            URL_SAFE_NO_PAD.encode(format!("ab{value}cd")),
            format!("{:?}", value.as_bytes()),
            format!("{value:?}"),
            serde_json::json!({ "x": value }).to_string(),
        ] {
            assert_eq!(search.find(hidden.as_bytes()), Some(1), "{hidden}");
        }
        assert_eq!(search.find(b"it is a field's value"), Some(2));
        assert_eq!(search.find(b"a short field is not looked for"), None);
    }
}
