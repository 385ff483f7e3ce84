use std::ffi::OsStr;
use std::path::PathBuf;

use crate::identity::{self, Choice, Environment};
use crate::session::Session;
use crate::settings::{Settings, setters};
use crate::shared::Shared;
use crate::transport::Transport;
use crate::{Error, SikkerKey};

/// Settings of a client whose identity is on disk; made by [`SikkerKey::builder`].
///
/// Without [`vault`](Self::vault) and [`identity_file`](Self::identity_file) the identity is found
/// as [`SikkerKey::auto`] finds it.
///
/// ```
/// # use sikkerkey_emulator::Emulator;
/// # let vault = Emulator::builder().start()?;
/// # let path = vault.identity_path();
/// use std::time::Duration;
/// use sikkerkey::{RetryPolicy, SikkerKey};
///
/// let sk = SikkerKey::builder()
///     .identity_file(path)
///     .timeout(Duration::from_secs(5))
///     .deadline(Duration::from_secs(12))
///     .retry(RetryPolicy::default().attempts(2))
///     .build()?;
/// # let _ = sk;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until build() is called"]
pub struct SikkerKeyBuilder {
    choice: Choice,
    refuse_shared_key: bool,
    settings: Settings,
}

impl SikkerKeyBuilder {
    pub(crate) fn new() -> Self {
        SikkerKeyBuilder {
            choice: Choice::Auto,
            refuse_shared_key: false,
            settings: Settings::default(),
        }
    }

    /// The vault whose identity on this machine is used. `vault_` is added if it is missing. What
    /// starts with `/` or contains `identity.json` is taken as a path.
    pub fn vault(mut self, vault: impl AsRef<OsStr>) -> Self {
        self.choice = Choice::from_argument(vault.as_ref());
        self
    }

    /// The `identity.json` that is used.
    pub fn identity_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.choice = Choice::File(path.into());
        self
    }

    /// Refuses a private key that other users of this machine can read, instead of a warning in
    /// the log. Off by default, because Kubernetes mounts secrets as files that all can read.
    pub fn refuse_shared_key_file(mut self, refuse: bool) -> Self {
        self.refuse_shared_key = refuse;
        self
    }

    setters!();

    /// Reads the identity and makes the client. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) where the identity, its key
    /// or a setting is missing, unreadable or wrong; the text names the file and what to do.
    pub fn build(self) -> Result<SikkerKey, Error> {
        let connections = self.settings.transport()?;
        let path = identity::find(&self.choice, &Environment::of_process())?;
        let identity = identity::load(&path, self.refuse_shared_key)?;
        let transport = Transport::new(&identity.api_url, &connections)?;
        let session = Session::new(identity, transport, false);
        Ok(SikkerKey::from_shared(Shared::new(
            session,
            self.settings,
            None,
        )))
    }
}
