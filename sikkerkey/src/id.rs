//! Ids of secrets and of vaults, checked before they become part of a path.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::text::quoted;

/// The longest id.
const ID_LIMIT: usize = 200;

/// The id of a secret, checked: 1 to 200 ASCII letters, digits, `_` and `-`.
///
/// Paths of requests and of cache files are made from this type only, so neither a user nor the
/// service can make one lead elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SecretId(Arc<str>);

impl SecretId {
    pub(crate) fn new(id: &str) -> Result<Self, Error> {
        check_id(id)?;
        Ok(SecretId(id.into()))
    }
}

impl Deref for SecretId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

/// Refuses a text that cannot be an id.
pub(crate) fn check_id(id: &str) -> Result<(), Error> {
    if is_id(id) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidId,
        format!(
            "{} is not an id: an id has 1 to {ID_LIMIT} letters, digits, _ and - only",
            quoted(id)
        ),
    ))
}

pub(crate) fn is_id(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (1..=ID_LIMIT).contains(&id.len()) && id.chars().all(plain)
}

/// Returns a vault's id with its prefix, checked so that it can be part of a path.
pub(crate) fn normal_vault_id(vault: &str) -> Result<String, Error> {
    if !is_id(vault) {
        return Err(Error::configuration(format!(
            "{} is neither a vault id, which has letters, digits, _ and - only, nor a path to an \
             identity.json",
            quoted(vault)
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
            assert_eq!(&*SecretId::new(id).unwrap(), id);
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
            "../other/victim",
            "/etc/passwd",
            &"x".repeat(201),
        ] {
            let error = SecretId::new(id).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidId);
            assert!(
                error.to_string().chars().all(|c| !c.is_control()),
                "{error}"
            );
            assert!(error.to_string().len() < 200, "{error}");
        }
    }
}
