//! Parsing of PEM (RFC 7468), in every form that openssl accepts, and in the forms that environment variables
//! and secret stores turn it into.
//!
//! Text around the sections is ignored: certificates often have a description in front. Lines may have any
//! length and spaces around them, and a literal `\n` or a space may replace a line end.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// The text between a BEGIN line and its END line.
pub(crate) struct Section<'a> {
    /// The label, such as `CERTIFICATE` or `PRIVATE KEY`.
    pub(crate) label: &'a str,
    pub(crate) body: &'a str,
}

impl Section<'_> {
    /// Decodes the bytes, in memory that is wiped; `None` if the text is not base64.
    pub(crate) fn bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        let mut base64 = Zeroizing::new(String::with_capacity(self.body.len()));
        let mut rest = self.body.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '\\' if matches!(rest.peek(), Some('n' | 'r')) => drop(rest.next()),
                c if c.is_whitespace() => {}
                c => base64.push(c),
            }
        }
        let mut bytes = Zeroizing::new(vec![0; base64.len()]);
        let length = STANDARD.decode_slice(base64.as_bytes(), &mut bytes).ok()?;
        bytes.truncate(length);
        Some(bytes)
    }
}

/// A section without an END line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CutOff;

/// Iterates over the sections of a text, in order. A section that is cut off is the last.
pub(crate) fn sections(text: &str) -> impl Iterator<Item = Result<Section<'_>, CutOff>> {
    const BEGIN: &str = "-----BEGIN ";
    const DASHES: &str = "-----";
    let mut rest = text;
    std::iter::from_fn(move || {
        let after = &rest[rest.find(BEGIN)? + BEGIN.len()..];
        rest = "";
        let Some((label, after)) = after.split_once(DASHES) else {
            return Some(Err(CutOff));
        };
        let end = format!("-----END {label}-----");
        let Some((body, after)) = after.split_once(&end) else {
            return Some(Err(CutOff));
        };
        rest = after;
        Some(Ok(Section { label, body }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_found_in_any_text() {
        let a = "-----BEGIN A-----\nAQID\n-----END A-----\n";
        let b = "-----BEGIN B-----BAUG-----END B-----";
        for (text, expected) in [
            (String::new(), vec![]),
            ("hunter2 -----".to_owned(), vec![]),
            (a.to_owned(), vec!["A 010203"]),
            (
                format!("Subject: x\n{a}more\n{b}"),
                vec!["A 010203", "B 040506"],
            ),
            (a.replace('\n', "\\r\\n") + b, vec!["A 010203", "B 040506"]),
            (a.replace('\n', " "), vec!["A 010203"]),
            (a.replace("AQID", "  AQ\n\n\tID "), vec!["A 010203"]),
            (a.replace("AQID", "AQ?ID"), vec!["A damaged"]),
            (a.replace("END A", "END B"), vec!["cut off"]),
            (
                format!("{a}-----BEGIN B-----\nBAUG\n"),
                vec!["A 010203", "cut off"],
            ),
            (format!("-----BEGIN B\n{a}"), vec!["cut off"]),
        ] {
            let found: Vec<_> = sections(&text)
                .map(|found| match found {
                    Ok(section) => {
                        let bytes = section
                            .bytes()
                            .map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect());
                        let bytes = bytes.unwrap_or_else(|| "damaged".to_owned());
                        format!("{} {bytes}", section.label)
                    }
                    Err(CutOff) => "cut off".to_owned(),
                })
                .collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
