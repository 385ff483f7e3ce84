use std::env;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// What the surroundings of the process say about identities, read once, so that the rules for
/// choosing one are pure. All paths are absolute: a later `chdir` moves none of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// `SIKKERKEY_HOME`.
    pub(crate) sikkerkey_home: Option<PathBuf>,
    /// `SIKKERKEY_IDENTITY`.
    pub(crate) sikkerkey_identity: Option<PathBuf>,
    /// The user's home folder.
    pub(crate) user_home: Option<PathBuf>,
}

impl Environment {
    pub(crate) fn of_process() -> Result<Self, Error> {
        let path = |name| variable(name).map(|path| path.map(|path| absolute(path.as_ref())));
        Ok(Environment {
            sikkerkey_home: path("SIKKERKEY_HOME")?,
            sikkerkey_identity: path("SIKKERKEY_IDENTITY")?,
            user_home: env::home_dir().filter(|home| !home.as_os_str().is_empty()),
        })
    }

    /// The folder under which everything of SikkerKey lives.
    pub(crate) fn base(&self) -> Result<PathBuf, Error> {
        match (&self.sikkerkey_home, &self.user_home) {
            (Some(base), _) => Ok(base.clone()),
            (None, Some(home)) => Ok(absolute(&home.join(".sikkerkey"))),
            (None, None) => Err(Error::configuration(
                "this user has no home folder in which to look for .sikkerkey: set SIKKERKEY_HOME \
                 to the folder that holds the vaults",
            )),
        }
    }
}

/// A variable of the environment; one that is set to nothing counts as not set.
///
/// # Errors
///
/// One that is not UTF-8 is not what its user meant, and must not count as unset: an enrollment
/// would go to the wrong place.
pub(crate) fn variable(name: &str) -> Result<Option<String>, Error> {
    let Some(value) = env::var_os(name).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    value.into_string().map(Some).map_err(|_| {
        Error::configuration(format!(
            "the environment variable {name} is not UTF-8: correct it or unset it"
        ))
    })
}

/// The path from the root, by the folder in which the process is now. Links are not followed.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    // Fails for an empty path and where that folder is gone; then nothing will be found either.
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
