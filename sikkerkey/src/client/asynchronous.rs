use std::ffi::OsStr;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use serde::de::DeserializeOwned;

use super::SikkerKey;
use super::bootstrap::Bootstrap;
use super::call_threads::CallThreads;
use crate::error::Error;
use crate::protocol::details::{Project, SecretDetails};
use crate::protocol::export::Export;
use crate::protocol::fields::Fields;
use crate::protocol::listing::SecretListItem;
use crate::watch::{Watch, WatchEvent};

/// A client for async programs: the methods of [`SikkerKey`] as `async fn`.
///
/// The blocking client does the work, on threads of its own: at most 16, which end when they are idle. So
/// both clients behave alike, a runtime with one thread is not blocked, and no call delays the shutdown of a
/// runtime. A future that is dropped before its call begins sends nothing; if it is dropped later, the call
/// runs to its end. A clone is cheap and is the same client, as is the client that it was made from.
///
/// ```
/// # use sikkerkey_emulator::Emulator;
/// # let vault = Emulator::builder().secret("sk_stripe_key", "sk-live-1").start()?;
/// # let path = vault.identity_path();
/// use sikkerkey::{ExposeSecret, SikkerKey};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let sk = SikkerKey::new(path)?.into_async();
/// let key = sk.get_secret("sk_stripe_key").await?;
/// assert_eq!(key.expose_secret(), "sk-live-1");
/// # Ok::<(), sikkerkey::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The futures need no particular runtime, and no feature of this crate.
#[derive(Clone, Debug)]
pub struct AsyncSikkerKey {
    blocking: SikkerKey,
}

impl SikkerKey {
    /// Makes an async client of this one: the same connections, watches and identity.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().secret("sk_key", "1").start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let sk = sk.into_async();
    /// sk.get_secret("sk_key").await?;
    /// # Ok::<(), sikkerkey::Error>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_async(self) -> AsyncSikkerKey {
        AsyncSikkerKey { blocking: self }
    }

    /// Runs a blocking call on a thread of the client.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        call: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Error> {
        self.inner().call_threads().run(call).await
    }
}

impl Bootstrap {
    /// Enrolls a machine as [`enroll`](Self::enroll) does, as an `async fn`.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().vault("vault_abc123").start()?;
    /// # let token = vault.enrollment_token(1, std::time::Duration::from_secs(600));
    /// # let url = vault.url();
    /// use sikkerkey::SikkerKey;
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let machine = SikkerKey::bootstrap_in_memory("vault_abc123", &token).hostname("worker-1");
    /// # let machine = machine.api_url(url);
    /// let sk = machine.enroll_async().await?;
    /// println!("enrolled as {}", sk.machine_id());
    /// # Ok::<(), sikkerkey::Error>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`enroll`](Self::enroll).
    pub async fn enroll_async(self) -> Result<AsyncSikkerKey, Error> {
        start(|| self.enroll()).await
    }
}

impl AsyncSikkerKey {
    /// Makes a client with an identity on this machine; see [`SikkerKey::new`]. It reads two small files and
    /// sends nothing, so it is not async.
    ///
    /// # Errors
    ///
    /// As [`SikkerKey::new`].
    pub fn new(vault_or_path: impl AsRef<OsStr>) -> Result<Self, Error> {
        SikkerKey::new(vault_or_path).map(SikkerKey::into_async)
    }

    /// Makes a client with the only identity on this machine; see [`SikkerKey::auto`]. It reads two small
    /// files and sends nothing, so it is not async.
    ///
    /// # Errors
    ///
    /// As [`SikkerKey::auto`].
    pub fn auto() -> Result<Self, Error> {
        SikkerKey::auto().map(SikkerKey::into_async)
    }

    /// Makes a client from the environment; see [`SikkerKey::from_env`]. It is async because it may enroll a
    /// machine.
    ///
    /// ```no_run
    /// use sikkerkey::AsyncSikkerKey;
    ///
    /// # async fn start() -> Result<(), sikkerkey::Error> {
    /// let sk = AsyncSikkerKey::from_env().await?;
    /// println!("{} in {}", sk.machine_name(), sk.vault_id());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`SikkerKey::from_env`].
    pub async fn from_env() -> Result<Self, Error> {
        start(SikkerKey::from_env).await
    }

    /// Returns the blocking client behind this one.
    pub fn blocking(&self) -> &SikkerKey {
        &self.blocking
    }

    /// The id of the vault; see [`SikkerKey::vault_id`].
    pub fn vault_id(&self) -> &str {
        self.blocking.vault_id()
    }

    /// The id of the machine; see [`SikkerKey::machine_id`].
    pub fn machine_id(&self) -> String {
        self.blocking.machine_id()
    }

    /// The machine's name, escaped for a terminal; see [`SikkerKey::machine_name`].
    pub fn machine_name(&self) -> String {
        self.blocking.machine_name()
    }

    /// The address of the service that requests go to; see [`SikkerKey::api_url`].
    pub fn api_url(&self) -> String {
        self.blocking.api_url()
    }

    /// When this machine expires; see [`SikkerKey::expires_at`].
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.blocking.expires_at()
    }

    /// Reads the value of a secret, by its id; see [`SikkerKey::get_secret`].
    ///
    /// ```
    /// # let vault = sikkerkey_emulator::Emulator::builder().secret("sk_a", "1").secret("sk_b", "2").start()?;
    /// # let path = vault.identity_path();
    /// use sikkerkey::AsyncSikkerKey;
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let sk = AsyncSikkerKey::new(path)?;
    /// let (a, b) = tokio::try_join!(sk.get_secret("sk_a"), sk.get_secret("sk_b"))?; // in parallel
    /// # let _ = (a, b);
    /// # Ok::<(), sikkerkey::Error>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`SikkerKey::get_secret`].
    pub async fn get_secret(&self, id: &str) -> Result<SecretString, Error> {
        let id = id.to_owned();
        self.run(move |sk| sk.get_secret(&id)).await
    }

    /// Reads all fields of a structured secret; see [`SikkerKey::get_fields`].
    ///
    /// # Errors
    ///
    /// As [`SikkerKey::get_fields`].
    pub async fn get_fields(&self, id: &str) -> Result<Fields, Error> {
        let id = id.to_owned();
        self.run(move |sk| sk.get_fields(&id)).await
    }

    /// Reads one field of a structured secret; see [`SikkerKey::get_field`].
    ///
    /// # Errors
    ///
    /// As [`SikkerKey::get_field`].
    pub async fn get_field(&self, id: &str, field: &str) -> Result<SecretString, Error> {
        let (id, field) = (id.to_owned(), field.to_owned());
        self.run(move |sk| sk.get_field(&id, &field)).await
    }

    /// Reads a secret whose value is JSON, into your own type; see [`SikkerKey::get_json`].
    ///
    /// # Errors
    ///
    /// As [`SikkerKey::get_json`].
    pub async fn get_json<T>(&self, id: &str) -> Result<T, Error>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let id = id.to_owned();
        self.run(move |sk| sk.get_json(&id)).await
    }

    /// Lists the secrets that this machine may read; see [`SikkerKey::list_secrets`].
    ///
    /// # Errors
    ///
    /// As [`SikkerKey::list_secrets`].
    pub async fn list_secrets(&self) -> Result<Vec<SecretListItem>, Error> {
        self.run(SikkerKey::list_secrets).await
    }

    /// Lists the secrets of one project; see [`SikkerKey::list_secrets_by_project`].
    ///
    /// # Errors
    ///
    /// As [`SikkerKey::list_secrets_by_project`].
    pub async fn list_secrets_by_project(
        &self,
        project: &str,
    ) -> Result<Vec<SecretListItem>, Error> {
        let project = project.to_owned();
        self.run(move |sk| sk.list_secrets_by_project(&project))
            .await
    }

    /// Lists the secrets that this machine may read, with kinds and projects; see [`SikkerKey::list_secrets_detailed`].
    ///
    /// # Errors
    ///
    /// As [`SikkerKey::list_secrets_detailed`].
    pub async fn list_secrets_detailed(&self) -> Result<Vec<SecretDetails>, Error> {
        self.run(SikkerKey::list_secrets_detailed).await
    }

    /// Lists the projects in which this machine may read a secret; see [`SikkerKey::list_projects`].
    ///
    /// # Errors
    ///
    /// As [`SikkerKey::list_projects`].
    pub async fn list_projects(&self) -> Result<Vec<Project>, Error> {
        self.run(SikkerKey::list_projects).await
    }

    /// Reads every secret that this machine may read, as names and values; see [`SikkerKey::export`].
    ///
    /// # Errors
    ///
    /// As [`SikkerKey::export`].
    pub async fn export(&self) -> Result<Export, Error> {
        self.run(SikkerKey::export).await
    }

    /// Reads the secrets of one project, as names and values; see [`SikkerKey::export_project`].
    ///
    /// # Errors
    ///
    /// As [`SikkerKey::export_project`].
    pub async fn export_project(&self, project: &str) -> Result<Export, Error> {
        let project = project.to_owned();
        self.run(move |sk| sk.export_project(&project)).await
    }

    /// Reads the secrets of one application, as names and values; see [`SikkerKey::export_application`].
    ///
    /// # Errors
    ///
    /// As [`SikkerKey::export_application`].
    pub async fn export_application(&self, application: &str) -> Result<Export, Error> {
        let application = application.to_owned();
        self.run(move |sk| sk.export_application(&application))
            .await
    }

    /// Watches a secret; see [`SikkerKey::watch`]. The callback runs on a thread of the client, not on the
    /// runtime.
    ///
    /// # Errors
    ///
    /// As [`SikkerKey::watch`].
    pub fn watch(
        &self,
        id: &str,
        notify: impl FnMut(&WatchEvent) + Send + 'static,
    ) -> Result<Watch, Error> {
        self.blocking.watch(id, notify)
    }

    /// Ends every watch on a secret; see [`SikkerKey::unwatch`].
    pub fn unwatch(&self, id: &str) {
        self.blocking.unwatch(id);
    }

    /// Sets the time between two polls; see [`SikkerKey::set_poll_interval`].
    pub fn set_poll_interval(&self, interval: Duration) {
        self.blocking.set_poll_interval(interval);
    }

    /// Ends every watch and every `Live` of this client; see [`SikkerKey::close`].
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration) if the operating system gives no thread.
    pub async fn close(&self) -> Result<(), Error> {
        self.run(|sk| {
            sk.close();
            Ok(())
        })
        .await
    }

    /// Removes every cached value of this vault; see [`SikkerKey::clear_cache`].
    ///
    /// # Errors
    ///
    /// As [`SikkerKey::clear_cache`].
    #[cfg(feature = "cache")]
    pub async fn clear_cache(&self) -> Result<(), Error> {
        self.run(SikkerKey::clear_cache).await
    }

    /// The number of secrets with a cached value of this vault; see [`SikkerKey::cached_count`].
    ///
    /// # Errors
    ///
    /// As [`SikkerKey::cached_count`].
    #[cfg(feature = "cache")]
    pub async fn cached_count(&self) -> Result<usize, Error> {
        self.run(SikkerKey::cached_count).await
    }

    async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce(&SikkerKey) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let sk = self.blocking.clone();
        self.blocking.run(move || call(&sk)).await?
    }
}

/// Returns the blocking client behind this one.
impl AsRef<SikkerKey> for AsyncSikkerKey {
    fn as_ref(&self) -> &SikkerKey {
        &self.blocking
    }
}

impl From<SikkerKey> for AsyncSikkerKey {
    fn from(blocking: SikkerKey) -> Self {
        blocking.into_async()
    }
}

/// Starts a client on its own thread: calls run on a client's threads, and this client does not exist yet.
async fn start(
    call: impl FnOnce() -> Result<SikkerKey, Error> + Send + 'static,
) -> Result<AsyncSikkerKey, Error> {
    let started = CallThreads::for_one_call().run(call).await?;
    started.map(SikkerKey::into_async)
}
