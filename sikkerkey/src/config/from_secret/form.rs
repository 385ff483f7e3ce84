//! Helpers that all text parsers share: stray white space, and lists.

/// Says what makes a text unfit for a number, `bool`, address or duration: it is empty, or has white space or
/// an invisible character. `None` otherwise.
///
/// Files and templates add a line end, editors a byte order mark. Both are invisible in a report
/// that may not quote the text, so they are named.
pub fn stray(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("it is empty");
    }
    if text.starts_with('\u{feff}') {
        return Some("it begins with a byte order mark");
    }
    if text.contains(char::is_whitespace) {
        return Some("it has a space or a line end");
    }
    text.contains(is_invisible)
        .then_some("it has an invisible character")
}

/// Looks for [`stray`] characters at the ends of a text only, for values that may contain spaces, such as a
/// path.
pub fn stray_at_the_ends(text: &str) -> Option<&'static str> {
    let is_stray = |c: char| c.is_whitespace() || is_invisible(c);
    match text.is_empty() || text.starts_with(is_stray) || text.ends_with(is_stray) {
        true => stray(text),
        false => None,
    }
}

fn is_invisible(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// Splits a list into its items, without the white space around them. The error is the position, from 1, of
/// an empty item.
///
/// White space around the whole text is removed first, so a final line end does not make an item. A text of
/// white space only has no items.
pub fn list_items<'a>(text: &'a str, delimiter: &str) -> Result<Vec<&'a str>, usize> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let items: Vec<&str> = text.split(delimiter).map(str::trim).collect();
    match items.iter().position(|item| item.is_empty()) {
        Some(place) => Err(place + 1),
        None => Ok(items),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stray_characters_are_named() {
        for (text, named) in [
            ("", Some("it is empty")),
            ("\u{feff}5432", Some("it begins with a byte order mark")),
            ("true\n", Some("it has a space or a line end")),
            ("10.0.0.1\r\n", Some("it has a space or a line end")),
            ("5\u{a0}432", Some("it has a space or a line end")),
            ("54\u{200b}32", Some("it has an invisible character")),
            ("5432\0", Some("it has an invisible character")),
            ("5432", None),
            ("élan", None),
        ] {
            assert_eq!(stray(text), named, "{text:?}");
        }
    }

    #[test]
    fn inside_a_path_spaces_are_its_own() {
        assert_eq!(stray_at_the_ends("/a b/c"), None);
        for text in ["", "/x\n", " /x", "\u{feff}/x", "/x\0", "/x\u{200b}"] {
            assert!(stray_at_the_ends(text).is_some(), "{text:?}");
        }
    }

    #[test]
    fn lists_are_trimmed_before_they_are_split() {
        let items = |text, delimiter| list_items(text, delimiter);
        assert_eq!(items("a; b,c ;d", ";"), Ok(vec!["a", "b,c", "d"]));
        assert_eq!(items("1\n2\n", "\n"), Ok(vec!["1", "2"]));
        assert_eq!(items(" 1 2", " "), Ok(vec!["1", "2"]));
        assert_eq!(items("one", ", "), Ok(vec!["one"]));
        assert_eq!(items(" \n ", ","), Ok(vec![]));
        assert_eq!(items("a,,b", ","), Err(2));
        assert_eq!(items(",a", ","), Err(1));
        assert_eq!(items("a,", ","), Err(2));
    }
}
