//! The line of a mistake, with a caret below it and without the values in it.

/// A longer line is cut around the caret.
const WIDEST: usize = 90;
/// The width to the left of the caret in such a line.
const BEFORE: usize = 60;

/// The settings of a secret's table and of a webhook whose values are not secret.
const SETTINGS: [&str; 11] = [
    "name",
    "project",
    "project_name",
    "application",
    "application_name",
    "kind",
    "policy",
    "lease",
    "certificate",
    "denied",
    "signature_prefix",
];

/// The words in a setting's value that are shown.
const WORDS: [&str; 24] = [
    "true",
    "false",
    "window",
    "sources",
    "co_sign",
    "reads_per_minute",
    "reads_per_day",
    "ttl_max_reads",
    "ttl_expires_at",
    "rotate_after_reads",
    "count_per_machine",
    "cap_status",
    "spent_status",
    "in_polls",
    "ttl",
    "renew_on_read",
    "mint_on_every_read",
    "max_life",
    "revoke_on_disable",
    "common_name",
    "names",
    "max_validity",
    "chain",
    "ssh",
];

/// The line with its number, and a caret in the line below; both counts are from 1.
///
/// Only keys, headers and settings are shown. A value may stand anywhere in a broken line, so everything else is
/// covered.
pub(super) fn excerpt(text: &str, line: usize, column: usize) -> String {
    let mut shown: Vec<char> = covered(text, line).chars().collect();
    let mut caret = column - 1;
    if shown.len() > WIDEST {
        let from = caret.saturating_sub(BEFORE);
        let to = shown.len().min(from + WIDEST);
        shown = shown[from.min(to)..to].to_vec();
        caret -= from;
    }
    let number = line.to_string();
    format!(
        "{number} | {}\n{:width$} | {:caret$}^",
        shown.iter().collect::<String>().trim_end(),
        "",
        "",
        width = number.len(),
    )
}

/// The line of that number, with its values covered.
fn covered(text: &str, line: usize) -> String {
    let mut open = None;
    // Whether the pairs below the last header are keys of a secret, and not its fields.
    let mut own_keys = false;
    for (index, row) in text.split('\n').enumerate() {
        let row = row.strip_suffix('\r').unwrap_or(row);
        let header = open.is_none() && row.trim_start().starts_with('[');
        if index + 1 == line {
            return match open {
                Some(_) => cover(row),
                None if header => covered_after(row, header_end(row)),
                None => covered_pair(row, own_keys),
            };
        }
        if header {
            own_keys = !row.contains(['.', '"', '\'']);
        }
        open = open_after(row, open);
    }
    String::new()
}

/// `key = value` with its key; of a setting's value, everything except texts.
fn covered_pair(row: &str, own_keys: bool) -> String {
    let Some(equals) = row.find('=') else {
        return cover(row);
    };
    let setting = own_keys && SETTINGS.contains(&row[..equals].trim());
    if !setting || !row[..equals].is_ascii() {
        return covered_after(row, equals + 1);
    }
    let (key, mut rest) = row.split_at(equals);
    let mut shown = key.to_owned();
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let end = match first {
            _ if word(first) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
            // A comment may contain a value.
            '#' => rest.len(),
            _ => first.len_utf8(),
        };
        let (part, after) = rest.split_at(end);
        let number = part.bytes().all(|b| b.is_ascii_digit());
        let plain = number || " {}[]=,.:-+\"'".contains(part) || WORDS.contains(&part);
        shown += &if plain { part.to_owned() } else { cover(part) };
        rest = after;
    }
    shown
}

/// The end of a header's brackets. What follows is a mistake and may have brackets of its own.
fn header_end(row: &str) -> usize {
    let close = row.find(']').unwrap_or(0);
    let rest = row[close..].trim_start_matches(']');
    row.len() - rest.len()
}

/// The row, shown up to `end` if it is a plain header or key, and covered from there. Quoted text may be a value: a row
/// of an array can look like a header, or contain an equals sign.
fn covered_after(row: &str, end: usize) -> String {
    let (shown, rest) = row.split_at(end);
    let plain = |c: char| c.is_ascii_alphanumeric() || " []=-_.".contains(c);
    if shown.chars().all(plain) {
        format!("{shown}{}", cover(rest))
    } else {
        cover(row)
    }
}

fn cover(text: &str) -> String {
    let star = |c: char| if c.is_whitespace() { ' ' } else { '*' };
    text.chars().map(star).collect()
}

/// The delimiter of the string over several lines that is open after this row; `open` is the one before it.
fn open_after(row: &str, mut open: Option<&'static str>) -> Option<&'static str> {
    let mut rest = row;
    loop {
        if let Some(delimiter) = open {
            let Some(end) = end(rest, delimiter) else {
                return open;
            };
            // Up to two quotes may stand before the delimiter.
            rest = rest[end..].trim_start_matches(&delimiter[..1]);
            open = None;
        }
        rest = &rest[rest.find(['"', '\'', '#'])?..];
        let delimiter = ["\"\"\"", "'''", "\"", "'"]
            .into_iter()
            .find(|delimiter| rest.starts_with(delimiter))?;
        rest = &rest[delimiter.len()..];
        if delimiter.len() == 3 {
            open = Some(delimiter);
        } else {
            rest = &rest[end(rest, delimiter)?..];
        }
    }
}

/// The end of the delimiter that closes a string.
fn end(text: &str, delimiter: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = &text[at..];
        if rest.starts_with(delimiter) {
            return Some(at + delimiter.len());
        }
        let mut next = rest.chars();
        let first = next.next()?;
        at += first.len_utf8();
        if first == '\\' && delimiter.starts_with('"') {
            at += next.next()?.len_utf8();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn shown(text: &str, line: usize) -> String {
        let row = covered(text, line);
        assert!(!row.contains("canary"), "{row}");
        row
    }

    #[test]
    fn what_looks_like_a_header_or_a_key_does_not_show_a_value() {
        for (row, covered) in [
            ("[sk_a]x=\"canary\" ]", "[sk_a]********** *"),
            ("[sk_a] value = \"can]ary\"", "[sk_a] ***** * *********"),
            ("[[webhook]] # canary]", "[[webhook]] * *******"),
            ("[\"canary\"]", "**********"),
            ("\"canary=\",", "**********"),
            ("[sk_a", "*****"),
        ] {
            assert_eq!(shown(row, 1), covered);
        }
    }

    #[test]
    fn keys_and_settings_show_and_values_do_not() {
        let text = "sk_a = \"canary\"\n\
                    policy = \"canary\"\n\
                    [sk_b]  # canary\n\
                    value = 'canary'\n\
                    policy = { reads_per_day = 7, window = 'canary' } # 7\n\
                    denied = canary\n\
                    canary\n\
                    canary\u{1b}[1m = 1\n\
                    [sk_b.fields]\n\
                    name = \"canary\"\r\n\
                    [[webhook]]\n\
                    url = \"http://localhost:1/\"\n\
                    secret = \"canary\"";
        let rows: Vec<_> = (1..=13).map(|line| shown(text, line)).collect();
        assert_eq!(
            rows,
            [
                "sk_a = ********",
                "policy = ********",
                "[sk_b]  * ******",
                "value = ********",
                "policy = { reads_per_day = 7, window = '******' } * *",
                "denied = ******",
                "******",
                "********** * *",
                "[sk_b.fields]",
                "name = ********",
                "[[webhook]]",
                "url = *********************",
                "secret = ********",
            ]
        );
    }

    #[test]
    fn nothing_shows_within_a_string_over_several_lines() {
        for (delimiter, other) in [("\"\"\"", "'"), ("'''", "\"")] {
            let text = format!(
                "sk_a = {delimiter}\n\
                 canary = 1\n\
                 [canary]\n\
                 it's \"canary\" # {delimiter} # {delimiter}\n\
                 sk_b = {other}canary # {delimiter}{other}\n\
                 sk_c = \"canary \\\" # \"\n\
                 sk_d = canary"
            );
            assert_eq!(shown(&text, 2), "****** * *");
            assert_eq!(shown(&text, 3), "********");
            for line in 5..=7 {
                assert!(shown(&text, line).starts_with("sk_"), "{text}");
            }
        }
        let escaped = "sk_a = \"\"\"\n\\\"\"\"\ncanary = 1\n\"\"\"\"\"\nsk_b = 1";
        assert_eq!(shown(escaped, 3), "****** * *");
        assert_eq!(shown(escaped, 5), "sk_b = *");
    }

    #[test]
    fn the_caret_stands_below_its_column() {
        assert_eq!(excerpt("\n\nsk_a = 5 ", 3, 8), "3 | sk_a = *\n  |        ^");
        assert_eq!(excerpt("", 1, 1), "1 | \n  | ^");
        let long = format!("sk_a = \"{}\" x", "y".repeat(500));
        let cut = excerpt(&long, 1, 511);
        let [row, below] = cut.lines().collect::<Vec<_>>()[..] else {
            panic!("{cut}");
        };
        assert!(row.ends_with("** *") && row.chars().count() < 100);
        assert_eq!(row.len(), below.len(), "{cut}");
    }
}
