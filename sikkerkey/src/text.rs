//! Cleans text from outside before it is shown: server messages, names, invalid ids.
//!
//! The result is one line of bounded length, which cannot control a terminal or look like another text:
//! control characters, direction marks and invisible characters are shown as `\u{…}`.

use std::fmt::Write as _;
use std::path::Path;

/// The longest message of a server, in characters.
const MESSAGE_LIMIT: usize = 200;
/// The longest name, in characters.
const NAME_LIMIT: usize = 64;
/// The longest path, in characters. No system takes a longer one.
const PATH_LIMIT: usize = 4096;
/// The most names of one list.
const NAMES_LIMIT: usize = 12;

/// Cleans a server's message: runs of white space become one space; at most 200 characters.
pub(crate) fn message(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        // A character has at most four bytes.
        if line.len() > 4 * MESSAGE_LIMIT {
            break;
        }
    }
    escaped(&line, MESSAGE_LIMIT)
}

/// Cleans a name that a person entered; at most 64 characters.
pub(crate) fn name(text: &str) -> String {
    escaped(text, NAME_LIMIT)
}

/// Cleans and quotes a name; quotation marks and backslashes in it are escaped.
pub(crate) fn quoted(text: &str) -> String {
    let mut name = String::from("\"");
    escape_into(&mut name, text, NAME_LIMIT, true);
    name.push('"');
    name
}

/// Shows quoted names, separated by commas: the first 12, and the number of further ones.
pub(crate) fn quoted_names<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    list(names, |text| quoted(text.as_ref()))
}

/// A file's path in one line. It may come from a file or from the environment.
pub(crate) fn path(path: impl AsRef<Path>) -> String {
    escaped(&path.as_ref().to_string_lossy(), PATH_LIMIT)
}

/// Shows the keys that look like names, through `show`, and the number of others.
pub(crate) fn field_names<'a>(
    keys: impl IntoIterator<Item = &'a str>,
    show: impl Fn(&str) -> String,
) -> String {
    let (shown, hidden): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| is_field_name(key));
    let hidden = match hidden.len() {
        0 => return list(shown, show),
        1 => "1 field whose name is not shown".to_owned(),
        several => format!("{several} fields whose names are not shown"),
    };
    match shown.is_empty() {
        true => hidden,
        false => format!("{} and {hidden}", list(shown, show)),
    }
}

/// Whether a key of a JSON object looks like a field's name. Any other key may be a secret itself, and is not
/// shown.
///
/// A name begins with a letter or `_` and has at most 32 characters: letters, single separators (`_`, `-`,
/// `.`), and at most one number of up to three digits. A key that begins with `sk_` or `sk-` is an id or a
/// secret.
pub(crate) fn is_field_name(key: &str) -> bool {
    let is_separator = |c: char| matches!(c, '_' | '-' | '.');
    if key.starts_with("sk_") || key.starts_with("sk-") || key.chars().count() > 32 {
        return false;
    }
    let name = key.trim_start_matches('_');
    let numbers: Vec<&str> = name
        .split(|c: char| !c.is_ascii_digit())
        .filter(|number| !number.is_empty())
        .collect();
    name.starts_with(char::is_alphabetic)
        && numbers.len() <= 1
        && numbers.iter().all(|number| number.len() <= 3)
        && name.split(is_separator).all(|word| !word.is_empty())
        && name
            .chars()
            .all(|c| is_separator(c) || c.is_alphabetic() || c.is_ascii_digit())
}

/// Shows the first 12 items through `show`, and the number of further ones.
pub(crate) fn list<T>(items: impl IntoIterator<Item = T>, show: impl Fn(T) -> String) -> String {
    let mut names = items.into_iter();
    let first: Vec<String> = names.by_ref().take(NAMES_LIMIT).map(show).collect();
    let mut list = first.join(", ");
    match names.count() {
        0 => {}
        more => list.push_str(&format!(" and {more} more")),
    }
    list
}

fn escaped(text: &str, limit: usize) -> String {
    let mut line = String::new();
    escape_into(&mut line, text, limit, false);
    line
}

/// Appends the text with its dangerous characters escaped, cut to `limit` characters and `…`.
fn escape_into(line: &mut String, text: &str, limit: usize, quotes: bool) {
    let mut length = 0;
    for c in text.chars() {
        let start = line.len();
        if is_unseen(c) {
            let _ = write!(line, "\\u{{{:x}}}", u32::from(c));
        } else {
            if quotes && matches!(c, '"' | '\\') {
                line.push('\\');
            }
            line.push(c);
        }
        length += line[start..].chars().count();
        if length > limit {
            line.truncate(start);
            line.push('…');
            return;
        }
    }
}

/// Replaces the characters of a text that could break a line, color a terminal or deceive the reader.
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if is_unseen(c) { '\u{fffd}' } else { c })
        .collect()
}

/// Whether a character has no place in a line: it controls a terminal, or it is invisible.
pub(crate) fn is_unseen(c: char) -> bool {
    c.is_control() || is_invisible(c)
}

/// Whether a character is a direction mark, which can make a line read as another one; a character without
/// width, which can make two names look alike; or a line end that is not a control character.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_short_line() {
        assert_eq!(
            message(" no\n\r\tsuch \u{1b}[31msecret "),
            r"no such \u{1b}[31msecret"
        );
        assert_eq!(message("a\u{202e}b\u{200b}"), r"a\u{202e}b\u{200b}");
        for long in ["x", "é ", "\u{1b}", "\u{e0041}", "🔑"] {
            let line = message(&long.repeat(500));
            assert!(line.chars().count() <= MESSAGE_LIMIT + 1, "{line}");
            assert!(line.ends_with('…'), "{line}");
        }
        assert_eq!(message(&"x".repeat(200)), "x".repeat(200));
    }

    #[test]
    fn a_name_is_escaped_and_cut() {
        assert_eq!(name("web-1"), "web-1");
        assert_eq!(name("a\r\nb\u{1b}[2J"), r"a\u{d}\u{a}b\u{1b}[2J");
        assert_eq!(name("pay\u{2066}lana"), r"pay\u{2066}lana");
        assert_eq!(name(&"n".repeat(64)), "n".repeat(64));
        assert_eq!(name(&"n".repeat(65)), format!("{}…", "n".repeat(64)));
        assert_eq!(quoted(r#"a"\b"#), r#""a\"\\b""#);
        assert!(quoted(&"x".repeat(1 << 20)).chars().count() < 70);
    }

    #[test]
    fn a_list_has_twelve_names_and_the_number_of_the_others() {
        let many: Vec<String> = (0..40_000).map(|n| format!("f{n}")).collect();
        let list = quoted_names(&many);
        assert!(list.ends_with(r#""f10", "f11" and 39988 more"#), "{list}");
        assert_eq!(quoted_names(["a", "b\n"]), r#""a", "b\u{a}""#);
    }

    #[test]
    fn keys_that_read_like_names_are_shown_and_others_counted() {
        for key in [
            "host",
            "max_conn",
            "max-conn",
            "DB_PASSWORD",
            "clientId",
            "oauth2-client",
            "s3.bucket",
            "x509_cert",
            "port2",
            "DB_PASSWORD_2",
            "field_00",
            "_id",
            "größe",
        ] {
            assert!(is_field_name(key), "{key}");
        }
        for key in [
            "",
            "sk-live-4242",
            "sk-live-abcdef",
            "sk_live_abcdef",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "a1b2c3",
            "12345",
            "xoxb-1234-abc",
            "0a",
            "JBSWY3DPEHPK3PXP",
            "pin1234",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0",
            "p@ss",
            "two words",
            "a\u{1b}b",
            "correct_horse_battery_staple_and_more",
        ] {
            assert!(!is_field_name(key), "{key}");
        }
        assert_eq!(
            field_names(["host", "sk-live-4242"], quoted),
            r#""host" and 1 field whose name is not shown"#
        );
        assert_eq!(
            field_names(["12345", "sk-live-4242"], quoted),
            "2 fields whose names are not shown"
        );
        assert_eq!(field_names(["a", "b"], name), "a, b");
    }
}
