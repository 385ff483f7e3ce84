//! Decodes a JSON string into memory of exactly its size.
//!
//! A buffer that grows leaves copies of a secret behind, and so does a parser's scratch space. So a string is
//! processed twice: the first pass checks and counts, the second fills a buffer that never moves and is wiped
//! when it is dropped.

use secrecy::SecretString;

/// Decodes a JSON string, which begins and ends with quotation marks; `None` if it is not valid JSON.
pub(crate) fn unescape(json: &str) -> Option<SecretString> {
    let body = json.strip_prefix('"')?.strip_suffix('"')?;
    let mut length = 0;
    each_part(body, |part| length += part.len())?;
    let mut text = String::with_capacity(length);
    each_part(body, |part| text.push_str(part))?;
    debug_assert_eq!((text.len(), text.capacity()), (length, length));
    Some(SecretString::from(text))
}

/// Calls `part` with each piece of the decoded text, in order.
fn each_part(mut body: &str, mut part: impl FnMut(&str)) -> Option<()> {
    loop {
        let plain = body
            .bytes()
            .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
            .unwrap_or(body.len());
        part(&body[..plain]);
        body = &body[plain..];
        if body.is_empty() {
            return Some(());
        }
        let (c, rest) = escape(body.strip_prefix('\\')?)?;
        part(c.encode_utf8(&mut [0; 4]));
        body = rest;
    }
}

/// Decodes an escape, given without its backslash. Returns the character and the rest of the text.
fn escape(text: &str) -> Option<(char, &str)> {
    let mut rest = text.chars();
    let c = match rest.next()? {
        c @ ('"' | '\\' | '/') => c,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return unicode(rest.as_str()),
        _ => return None,
    };
    Some((c, rest.as_str()))
}

/// Decodes the four digits of a `\u` escape, or the eight of a surrogate pair.
fn unicode(text: &str) -> Option<(char, &str)> {
    let (first, rest) = digits(text)?;
    match first {
        0xd800..=0xdbff => {
            let (second, rest) = digits(rest.strip_prefix("\\u")?)?;
            let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
            let c = char::from_u32(0x10000 + ((first - 0xd800) << 10) + low)?;
            Some((c, rest))
        }
        // `None` for the second half of a pair without the first.
        _ => Some((char::from_u32(first)?, rest)),
    }
}

fn digits(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    let only_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u32::from_str_radix(digits, 16).ok()?;
    only_digits.then_some((number, rest))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    /// Whether this parser and serde_json agree on a JSON text.
    #[track_caller]
    fn same(json: &str) -> bool {
        let theirs = serde_json::from_str::<String>(json).ok();
        let ours = unescape(json).map(|text| text.expose_secret().to_owned());
        assert_eq!(ours, theirs, "{json:?}");
        ours.is_some()
    }

    #[test]
    fn every_escape_and_every_mistake() {
        for good in [
            r#""""#,
            r#""plain é 🔑""#,
            r#""\"\\\/\b\f\n\r\t""#,
            r#""\u0000\u00fc\uFFFF\u20ac""#,
            r#""\ud83d\udd11 and \uD83D\uDD11""#,
            r#""-----BEGIN PRIVATE KEY-----\nMC4C\n""#,
            "\"\u{7f}\u{2028}\"",
        ] {
            assert!(same(good), "{good}");
        }
        for bad in [
            "",
            "\"",
            "x",
            "\"a",
            "a\"",
            r#""\""#,
            r#""a"b""#,
            r#""\x""#,
            r#""\u12""#,
            r#""\u12g4""#,
            r#""\u+123""#,
            r#""\u00é0""#,
            r#""\ud800""#,
            r#""\ud800x""#,
            r#""\ud800\n""#,
            r#""\ud800\u0041""#,
            r#""\ud800\ud800""#,
            r#""\udc00""#,
            "\"a\nb\"",
            "\"a\u{0}b\"",
            "\"\u{1f}\"",
        ] {
            assert!(!same(bad), "{bad:?}");
        }
    }

    #[test]
    fn random_strings_are_those_of_serde_json() {
        const PIECES: [&str; 22] = [
            "a",
            "é",
            "🔑",
            "\"",
            "\\",
            "\\\\",
            "\\\"",
            "\\/",
            "\\b",
            "\\n",
            "\\t",
            "\\u",
            "\\u0041",
            "\\ud83d",
            "\\udd11",
            "\\ud83d\\udd11",
            "00fc",
            "D8",
            "\n",
            "\u{7f}",
            " ",
            "\\x",
        ];
        let mut state = 1_u64;
        let mut random = |below: usize| {
            // Knuth's MMIX generator: the same strings in every run.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let (mut good, mut bad) = (0, 0);
        for _ in 0..50_000 {
            let count = random(9);
            let pieces: String = (0..count).map(|_| PIECES[random(PIECES.len())]).collect();
            match same(&format!("\"{pieces}\"")) {
                true => good += 1,
                false => bad += 1,
            }
        }
        assert!(good > 5_000 && bad > 5_000, "{good} {bad}");
    }

    #[test]
    fn what_serde_json_writes_is_read_into_memory_of_its_size() {
        let all: String = (0..=0x11_0000).filter_map(char::from_u32).collect();
        let text = unescape(&serde_json::to_string(&all).unwrap()).unwrap();
        assert_eq!(text.expose_secret(), all);
    }
}
