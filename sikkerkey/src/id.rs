//! What is an id, and what is a vault id.

use crate::error::{Error, ErrorKind};

/// Refuses what cannot be an id before it becomes part of a path.
pub(crate) fn check_id(id: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !id.is_empty() && id.len() <= 200 && id.chars().all(plain) {
        return Ok(());
    }
    // Escaped and cut, for it may be anything, and be anything but an id.
    let shown: String = id.chars().take(40).collect();
    let more = if shown.len() < id.len() { "…" } else { "" };
    Err(Error::new(
        ErrorKind::InvalidId,
        format!("{shown:?}{more} is not an id: ids have 1 to 200 letters, digits, _ and - only"),
    ))
}

/// A vault's id with its prefix, fit to be part of a path.
pub(crate) fn normal_vault_id(vault: &str) -> Result<String, Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if vault.is_empty() || !vault.chars().all(plain) {
        return Err(Error::configuration(format!(
            "{vault:?} is neither a vault id, which has letters, digits, _ and - only, nor a path \
             to an identity.json",
        )));
    }
    Ok(match vault.starts_with("vault_") {
        true => vault.to_owned(),
        false => format!("vault_{vault}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        for id in ["sk_1b13qr1sb2", "sk_db_prod", "A-9", &"x".repeat(200)] {
            check_id(id).unwrap();
        }
        for id in [
            "",
            "a/b",
            "a?b",
            "a#b",
            "a%2fb",
            "..",
            ".",
            "a b",
            "a\n",
            "\0",
            "é",
            "a\\b",
            "a:b",
            "a\u{202e}b",
            &"x".repeat(201),
        ] {
            let error = check_id(id).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidId);
            assert!(
                error.to_string().chars().all(|c| !c.is_control()),
                "{error}"
            );
            assert!(error.to_string().len() < 200, "{error}");
        }
    }
}
