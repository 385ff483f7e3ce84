use std::ffi::OsStr;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use serde::de::DeserializeOwned;
use tokio::task;

use super::SikkerKey;
use super::bootstrap::Bootstrap;
use crate::error::{Error, ErrorKind};
use crate::protocol::export::Export;
use crate::protocol::fields::Fields;
use crate::protocol::listing::SecretListItem;
use crate::watch::{Watch, WatchEvent};

/// [`SikkerKey`] for async programs on tokio: the same verbs as `async fn`.
///
/// The work is that of the blocking client on tokio's threads for blocking work, so both behave
/// alike to the last detail. A call whose future is dropped goes on until it ends and is then
/// forgotten. Cheap to clone; all clones, and the client it was made from, are one client.
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
/// Every call needs a running tokio runtime and panics without one, as tokio's own functions do.
#[derive(Clone, Debug)]
pub struct AsyncSikkerKey {
    blocking: SikkerKey,
}

impl SikkerKey {
    /// The same client with its verbs as `async fn`.
    pub fn into_async(self) -> AsyncSikkerKey {
        AsyncSikkerKey { blocking: self }
    }
}

impl Bootstrap {
    /// [`enroll`](Self::enroll) as `async fn`.
    ///
    /// # Errors
    ///
    /// As [`enroll`](Self::enroll).
    pub async fn enroll_async(self) -> Result<AsyncSikkerKey, Error> {
        off_thread(|| self.enroll())
            .await
            .map(SikkerKey::into_async)
    }
}

impl AsyncSikkerKey {
    /// See [`SikkerKey::new`]. It reads two small files and sends nothing, so it is not async.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn new(vault_or_path: impl AsRef<OsStr>) -> Result<Self, Error> {
        SikkerKey::new(vault_or_path).map(SikkerKey::into_async)
    }

    /// See [`SikkerKey::auto`]. It reads two small files and sends nothing, so it is not async.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn auto() -> Result<Self, Error> {
        SikkerKey::auto().map(SikkerKey::into_async)
    }

    /// See [`SikkerKey::from_env`]. It is async because it may enroll a machine.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn from_env() -> Result<Self, Error> {
        off_thread(SikkerKey::from_env)
            .await
            .map(SikkerKey::into_async)
    }

    /// The blocking client that this one uses.
    pub fn blocking(&self) -> &SikkerKey {
        &self.blocking
    }

    /// See [`SikkerKey::vault_id`].
    pub fn vault_id(&self) -> &str {
        self.blocking.vault_id()
    }

    /// See [`SikkerKey::machine_id`].
    pub fn machine_id(&self) -> String {
        self.blocking.machine_id()
    }

    /// See [`SikkerKey::machine_name`].
    pub fn machine_name(&self) -> String {
        self.blocking.machine_name()
    }

    /// See [`SikkerKey::api_url`].
    pub fn api_url(&self) -> String {
        self.blocking.api_url()
    }

    /// See [`SikkerKey::expires_at`].
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.blocking.expires_at()
    }

    /// See [`SikkerKey::get_secret`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn get_secret(&self, id: &str) -> Result<SecretString, Error> {
        let id = id.to_owned();
        self.run(move |sk| sk.get_secret(&id)).await
    }

    /// See [`SikkerKey::get_fields`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn get_fields(&self, id: &str) -> Result<Fields, Error> {
        let id = id.to_owned();
        self.run(move |sk| sk.get_fields(&id)).await
    }

    /// See [`SikkerKey::get_field`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn get_field(&self, id: &str, field: &str) -> Result<SecretString, Error> {
        let (id, field) = (id.to_owned(), field.to_owned());
        self.run(move |sk| sk.get_field(&id, &field)).await
    }

    /// See [`SikkerKey::get_json`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn get_json<T>(&self, id: &str) -> Result<T, Error>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let id = id.to_owned();
        self.run(move |sk| sk.get_json(&id)).await
    }

    /// See [`SikkerKey::list_secrets`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn list_secrets(&self) -> Result<Vec<SecretListItem>, Error> {
        self.run(SikkerKey::list_secrets).await
    }

    /// See [`SikkerKey::list_secrets_by_project`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn list_secrets_by_project(
        &self,
        project: &str,
    ) -> Result<Vec<SecretListItem>, Error> {
        let project = project.to_owned();
        self.run(move |sk| sk.list_secrets_by_project(&project))
            .await
    }

    /// See [`SikkerKey::export`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn export(&self) -> Result<Export, Error> {
        self.run(SikkerKey::export).await
    }

    /// See [`SikkerKey::export_project`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn export_project(&self, project: &str) -> Result<Export, Error> {
        let project = project.to_owned();
        self.run(move |sk| sk.export_project(&project)).await
    }

    /// See [`SikkerKey::watch`]. The callback runs on a thread of its own, not on the runtime.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn watch(
        &self,
        id: &str,
        notify: impl FnMut(&WatchEvent) + Send + 'static,
    ) -> Result<Watch, Error> {
        self.blocking.watch(id, notify)
    }

    /// See [`SikkerKey::unwatch`].
    pub fn unwatch(&self, id: &str) {
        self.blocking.unwatch(id);
    }

    /// See [`SikkerKey::set_poll_interval`].
    pub fn set_poll_interval(&self, interval: Duration) {
        self.blocking.set_poll_interval(interval);
    }

    /// See [`SikkerKey::close`].
    ///
    /// # Errors
    ///
    /// Only where the runtime is shutting down.
    pub async fn close(&self) -> Result<(), Error> {
        self.run(|sk| {
            sk.close();
            Ok(())
        })
        .await
    }

    /// See [`SikkerKey::clear_cache`].
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "cache")]
    pub async fn clear_cache(&self) -> Result<(), Error> {
        self.run(SikkerKey::clear_cache).await
    }

    /// See [`SikkerKey::cached_count`].
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "cache")]
    pub async fn cached_count(&self) -> Result<usize, Error> {
        self.run(SikkerKey::cached_count).await
    }

    async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce(&SikkerKey) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let sk = self.blocking.clone();
        off_thread(move || call(&sk)).await
    }
}

/// The blocking client that this one uses.
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

async fn off_thread<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    task::spawn_blocking(call).await.unwrap_or_else(|failure| {
        // A panic's text may quote anything, so it stays with the panic hook.
        let what = match failure.is_panic() {
            true => "the call panicked on tokio's blocking thread",
            false => "the call was cancelled because tokio's runtime is shutting down",
        };
        Err(Error::new(ErrorKind::Api, what))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_that_does_not_quote_it() {
        let error = off_thread::<()>(|| panic!("hunter2")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Api);
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        assert!(!error.is_retryable() && !error.is_unavailable());
    }
}
