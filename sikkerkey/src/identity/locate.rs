//! Finds the identity that is used.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::environment::absolute;
use super::{Environment, IdentityFile};
use crate::error::Error;
use crate::id::{is_id, normal_vault_id};
use crate::text;

/// The user's choice of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// No choice: `SIKKERKEY_IDENTITY`, or the only vault on disk.
    Auto,
    /// By the path of its `identity.json`.
    File(PathBuf),
    /// By the id of its vault.
    Vault(String),
}

impl Choice {
    /// Takes an argument that is a vault's id or a path, as in the official clients.
    pub(crate) fn from_argument(argument: &OsStr) -> Self {
        match argument.to_str() {
            Some(text)
                if !text.starts_with('/')
                    && !text.contains("identity.json")
                    // `C:\keys\machine.json`
                    && !Path::new(text).is_absolute() =>
            {
                Choice::Vault(text.to_owned())
            }
            // A text that is not Unicode cannot be a vault's id, so it is a path.
            _ => Choice::file(argument),
        }
    }

    /// A choice by path. A relative path is resolved now, so a later `chdir` has no effect.
    pub(crate) fn file(path: impl AsRef<Path>) -> Self {
        Choice::File(absolute(path.as_ref()))
    }
}

/// Finds the `identity.json` of a choice. For a choice by path or by variable the file need not exist:
/// reading it reports the problem.
pub(crate) fn find(choice: &Choice, environment: &Environment) -> Result<IdentityFile, Error> {
    match choice {
        Choice::File(path) => Ok(by_path(path, environment)),
        Choice::Vault(vault) => {
            let vault = normal_vault_id(vault)?;
            let base = environment.base()?;
            let path = base.join("vaults").join(&vault).join("identity.json");
            if exists(&path)? {
                return Ok(IdentityFile {
                    path,
                    top: base,
                    vault: Some(vault),
                });
            }
            let known = list_vaults(environment)?;
            let known = match known.as_slice() {
                [] => "; no vault is there".to_owned(),
                known => format!(
                    "; there are {}",
                    text::list(known, |vault| text::name(vault))
                ),
            };
            Err(Error::configuration(format!(
                "this machine has no identity for {vault}: {} does not exist{known}; enroll this \
                 machine with the sikkerkey command, or set SIKKERKEY_HOME to the folder that \
                 holds the vaults",
                text::path(path)
            )))
        }
        Choice::Auto => {
            if let Some(path) = &environment.sikkerkey_identity {
                return Ok(by_path(path, environment));
            }
            let base = environment.base()?;
            let vaults = base.join("vaults");
            match list_vaults(environment)?.as_slice() {
                [] => Err(Error::configuration(format!(
                    "no identity was found: SIKKERKEY_IDENTITY is not set and there is no vault \
                     in {}; enroll this machine with the sikkerkey command, or set \
                     SIKKERKEY_IDENTITY to the path of an identity.json",
                    text::path(vaults)
                ))),
                [only] => Ok(IdentityFile {
                    path: vaults.join(only).join("identity.json"),
                    top: base,
                    vault: None,
                }),
                several => Err(Error::configuration(format!(
                    "this machine has {} vaults and none was chosen: {}; pass one of them, or set \
                     SIKKERKEY_IDENTITY to the path of its identity.json",
                    several.len(),
                    text::list(several, |vault| text::name(vault))
                ))),
            }
        }
    }
}

/// An identity that was chosen by its path. If it lies in a base folder, all of that folder must be trusted;
/// otherwise the folder of the file.
fn by_path(path: &Path, environment: &Environment) -> IdentityFile {
    let folder = path.parent().unwrap_or(path);
    let base = environment
        .base()
        .ok()
        .filter(|base| folder.starts_with(base));
    let shaped = folder.parent().filter(|vaults| vaults.ends_with("vaults"));
    let top = base
        .or_else(|| Some(shaped?.parent()?.to_owned()))
        .unwrap_or_else(|| folder.to_owned());
    IdentityFile {
        path: path.to_owned(),
        top,
        vault: None,
    }
}

/// Whether a file exists. A folder that this user may not search is an error.
pub(super) fn exists(path: &Path) -> Result<bool, Error> {
    let found = path.try_exists().or_else(|cause| match cause.kind() {
        // No file has a name that is too long, or one with a NUL.
        io::ErrorKind::NotADirectory
        | io::ErrorKind::InvalidFilename
        | io::ErrorKind::InvalidInput => Ok(false),
        _ => Err(cause),
    });
    found.map_err(|cause| {
        Error::configuration(format!(
            "this user may not look whether {} exists: let it read the folders above, or run as \
             their owner",
            text::path(path)
        ))
        .with_source(cause)
    })
}

/// Lists the vaults on disk that have an identity, sorted. If the folder is missing, the list is empty.
pub(crate) fn list_vaults(environment: &Environment) -> Result<Vec<String>, Error> {
    let folder = environment.base()?.join("vaults");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        // A home such as `/dev/null` holds no folder either.
        Err(cause)
            if matches!(
                cause.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(cause) => return Err(unreadable(&folder, cause)),
    };
    let mut vaults = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|cause| unreadable(&folder, cause))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // Folders whose names are not ids belong to other programs.
        if is_id(&name) && exists(&entry.path().join("identity.json")).unwrap_or(true) {
            vaults.push(name);
        }
    }
    vaults.sort();
    Ok(vaults)
}

fn unreadable(folder: &Path, cause: io::Error) -> Error {
    Error::configuration(format!(
        "the folder of vaults {} cannot be read: let this user read it, or set SIKKERKEY_HOME to \
         another one",
        text::path(folder)
    ))
    .with_source(cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// Makes a base folder with an identity for each of these vaults.
    fn home(vaults: &[&str]) -> (tempfile::TempDir, Environment) {
        let base = tempfile::tempdir().unwrap();
        for vault in vaults {
            let folder = base.path().join("vaults").join(vault);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("identity.json"), "{}").unwrap();
        }
        let environment = Environment {
            sikkerkey_home: Some(base.path().to_owned()),
            ..Environment::default()
        };
        (base, environment)
    }

    fn refused(choice: &Choice, environment: &Environment) -> String {
        let error = find(choice, environment).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        error.to_string()
    }

    #[test]
    fn a_text_is_a_path_or_a_vault_id() {
        for path in [
            "/etc/x",
            "/identity.json",
            "identity.json",
            "../a/identity.json",
            #[cfg(windows)]
            "C:\\keys\\machine.json",
            #[cfg(windows)]
            "\\\\server\\keys\\machine.json",
        ] {
            assert_eq!(
                Choice::from_argument(path.as_ref()),
                Choice::File(std::path::absolute(path).unwrap())
            );
        }
        for vault in ["vault_abc123", "abc123", ""] {
            assert_eq!(
                Choice::from_argument(vault.as_ref()),
                Choice::Vault(vault.into())
            );
        }
    }

    #[test]
    fn a_vault_is_found_with_and_without_its_prefix() {
        let (base, environment) = home(&["vault_abc123", "vault_x"]);
        let expected = base.path().join("vaults/vault_abc123/identity.json");
        for vault in ["vault_abc123", "abc123"] {
            let choice = Choice::Vault(vault.to_owned());
            let found = find(&choice, &environment).unwrap();
            assert_eq!(
                (found.path, found.top),
                (expected.clone(), base.path().to_owned())
            );
            assert_eq!(found.vault.as_deref(), Some("vault_abc123"));
        }
    }

    #[test]
    fn a_vault_that_is_not_there_names_the_path_and_the_others() {
        let (base, environment) = home(&["vault_b", "vault_a"]);
        let text = refused(&Choice::Vault("c".to_owned()), &environment);
        let missing = Path::new("vaults").join("vault_c").join("identity.json");
        assert!(text.contains(&missing.display().to_string()), "{text}");
        assert!(text.contains("there are vault_a, vault_b"), "{text}");
        assert!(text.contains("SIKKERKEY_HOME"), "{text}");
        drop(base);
        let text = refused(&Choice::Vault("c".to_owned()), &environment);
        assert!(text.contains("no vault is there"), "{text}");
    }

    #[test]
    fn a_vault_id_never_leaves_its_folder() {
        let (_base, environment) = home(&["vault_a"]);
        for vault in [
            "",
            "..",
            "../vault_a",
            "vault_a/..",
            "a b",
            "vault_\0",
            "vault_é",
            "a\\b",
        ] {
            let text = refused(&Choice::Vault(vault.to_owned()), &environment);
            assert!(text.contains("is neither a vault id"), "{text}");
        }
    }

    #[test]
    fn without_a_choice_the_variable_wins_over_the_only_vault() {
        let (base, mut environment) = home(&["vault_only"]);
        let only = base.path().join("vaults/vault_only/identity.json");
        assert_eq!(find(&Choice::Auto, &environment).unwrap().path, only);
        environment.sikkerkey_identity = Some("/elsewhere/identity.json".into());
        assert_eq!(
            find(&Choice::Auto, &environment).unwrap().path,
            Path::new("/elsewhere/identity.json")
        );
    }

    #[test]
    fn several_vaults_and_none_are_told_apart() {
        let (_base, environment) = home(&["vault_b", "vault_a"]);
        let text = refused(&Choice::Auto, &environment);
        assert!(text.contains("2 vaults"), "{text}");
        assert!(text.contains("vault_a, vault_b"), "{text}");
        assert!(text.contains("SIKKERKEY_IDENTITY"), "{text}");

        let (base, environment) = home(&[]);
        let text = refused(&Choice::Auto, &environment);
        assert!(
            text.contains(&base.path().join("vaults").display().to_string()),
            "{text}"
        );
        assert!(text.contains("enroll"), "{text}");
    }

    #[test]
    fn without_any_home_the_error_says_what_to_set() {
        let text = refused(&Choice::Auto, &Environment::default());
        assert!(text.contains("SIKKERKEY_HOME"), "{text}");
    }

    #[test]
    fn the_users_home_is_used_where_no_other_is_set() {
        let environment = Environment {
            user_home: Some("/home/ann".into()),
            ..Environment::default()
        };
        assert_eq!(
            environment.base().unwrap(),
            absolute(Path::new("/home/ann/.sikkerkey"))
        );
    }

    #[test]
    fn the_folders_to_be_trusted_end_at_the_base_or_at_the_file() {
        let environment = Environment {
            sikkerkey_home: Some(absolute(Path::new("/srv/keys"))),
            ..Environment::default()
        };
        for (path, top) in [
            ("/srv/keys/vaults/vault_a/identity.json", "/srv/keys"),
            ("/srv/keys/identity.json", "/srv/keys"),
            ("/home/ann/x/vaults/vault_a/identity.json", "/home/ann/x"),
            ("/etc/machine/identity.json", "/etc/machine"),
        ] {
            let found = find(&Choice::file(path), &environment).unwrap();
            assert_eq!(found.top, absolute(Path::new(top)), "{path}");
        }
    }

    #[test]
    fn vaults_are_folders_with_an_identity() {
        let (base, environment) = home(&["vault_b", "vault_a"]);
        fs::create_dir(base.path().join("vaults/vault_empty")).unwrap();
        fs::write(base.path().join("vaults/file"), "").unwrap();
        assert_eq!(list_vaults(&environment).unwrap(), ["vault_a", "vault_b"]);
        let (_base, environment) = home(&[]);
        assert!(list_vaults(&environment).unwrap().is_empty());
    }
}
