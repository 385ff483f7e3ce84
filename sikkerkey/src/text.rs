//! Text from outside, made fit to be shown.

/// The longest text of a server that an error repeats, in characters.
const SERVER_TEXT_LIMIT: usize = 200;

/// What a server said, fit for one line of a terminal or a log: characters that control it or
/// turn its direction become spaces, runs of them one, and the text ends after 200 characters.
pub(crate) fn clean_server_text(text: &str) -> String {
    let spaced = text.replace(|c: char| c.is_control() || reorders(c), " ");
    let mut line = String::new();
    for word in spaced.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.chars().count() > SERVER_TEXT_LIMIT {
            return line.chars().take(SERVER_TEXT_LIMIT).chain(['…']).collect();
        }
    }
    line
}

/// Unicode's marks of direction, with which a line can be made to read as another one.
fn reorders(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_text_is_one_short_line() {
        assert_eq!(
            clean_server_text(" no\n\r\tsuch \u{1b}[31msecret "),
            "no such [31msecret"
        );
        assert_eq!(clean_server_text("a\u{202e}b"), "a b");
        assert_eq!(clean_server_text(&"x".repeat(500)).chars().count(), 201);
        assert_eq!(clean_server_text(&"é ".repeat(500)).chars().count(), 201);
    }
}
