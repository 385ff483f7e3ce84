use std::env;
use std::path::PathBuf;

use crate::error::Error;

/// What the surroundings of the process say about identities, read once, so that the rules for
/// choosing one are pure.
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
    pub(crate) fn of_process() -> Self {
        // A variable that is set to nothing counts as not set.
        let path = |name| {
            env::var_os(name)
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        };
        Environment {
            sikkerkey_home: path("SIKKERKEY_HOME"),
            sikkerkey_identity: path("SIKKERKEY_IDENTITY"),
            user_home: env::home_dir().filter(|home| !home.as_os_str().is_empty()),
        }
    }

    /// The folder under which everything of SikkerKey lives.
    pub(crate) fn base(&self) -> Result<PathBuf, Error> {
        match (&self.sikkerkey_home, &self.user_home) {
            (Some(base), _) => Ok(base.clone()),
            (None, Some(home)) => Ok(home.join(".sikkerkey")),
            (None, None) => Err(Error::configuration(
                "this user has no home folder in which to look for .sikkerkey: set SIKKERKEY_HOME \
                 to the folder that holds the vaults",
            )),
        }
    }
}
