use std::env;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// The environment's settings about identities, read once, so that the rules for choosing one are pure. All
/// paths are absolute, so a later `chdir` has no effect.
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

    /// Returns the base folder, which holds all files of SikkerKey.
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

/// Reads a variable of the environment. An empty variable counts as not set.
///
/// # Errors
///
/// A variable that is not UTF-8. It must not count as unset, because then an enrollment could go to the wrong
/// place.
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

/// Makes a path absolute, by the process's current folder. Links are not followed.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    // Fails for an empty path, or if the current folder was deleted. The path as given will then not be found
    // either.
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
