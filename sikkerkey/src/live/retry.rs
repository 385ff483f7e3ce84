use std::sync::Arc;

use super::Live;

/// # When a server refuses a credential
impl<T> Live<T> {
    /// Calls `call` with the running config. If it fails with an error for which `refused` is true, reads the
    /// newest secrets and calls it once more.
    ///
    /// The second call is made only with a newer config: one that was swapped in meanwhile, or that one
    /// [`refresh`](Live::refresh) finds. So if a thousand requests are refused at once, each secret is read
    /// once, and a credential that is simply wrong causes no second call. Inside a callback it does not wait
    /// for a refresh.
    ///
    /// ```
    /// # use sikkerkey::Live;
    /// # struct Config { api_key: String }
    /// # #[derive(Debug)] struct Refused { status: u16 }
    /// # fn get(_: &str) -> Result<String, Refused> { Ok("the answer".into()) }
    /// # let live = Live::fixed(Config { api_key: String::new() });
    /// let answer = live.retry_on_refused(
    ///     |config| get(&config.api_key),
    ///     |error| error.status == 401,
    /// )?;
    /// # assert_eq!(answer, "the answer");
    /// # Ok::<(), Refused>(())
    /// ```
    ///
    /// # Errors
    /// The error of the last call. Why a refresh failed is in [`status`](Live::status).
    pub fn retry_on_refused<R, E>(
        &self,
        mut call: impl FnMut(&T) -> Result<R, E>,
        refused: impl Fn(&E) -> bool,
    ) -> Result<R, E> {
        let (config, generation) = self.running();
        let error = match call(&config) {
            Err(error) if refused(&error) => error,
            done => return done,
        };
        drop(config);
        if self.newer_than(generation).is_none() {
            // If the refresh fails, the status shows the error, and the config stays as it is.
            let _ = self.refresh_after(generation);
        }
        match self.newer_than(generation) {
            Some(config) => call(&config),
            None => Err(error),
        }
    }

    /// The async twin of [`retry_on_refused`](Live::retry_on_refused), on any async runtime.
    ///
    /// ```
    /// # use sikkerkey::Live;
    /// # struct Config { api_key: String }
    /// # #[derive(Debug)] struct Refused { status: u16 }
    /// # async fn get(_: &str) -> Result<String, Refused> { Ok("the answer".into()) }
    /// # async fn ask(live: &Live<Config>) -> Result<(), Refused> {
    /// let answer = live
    ///     .retry_on_refused_async(
    ///         |config| async move { get(&config.api_key).await },
    ///         |error| error.status == 401,
    ///     )
    ///     .await?;
    /// # drop(answer);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The error of the last call.
    pub async fn retry_on_refused_async<R, E, F>(
        &self,
        mut call: impl FnMut(Arc<T>) -> F,
        refused: impl Fn(&E) -> bool,
    ) -> Result<R, E>
    where
        F: Future<Output = Result<R, E>>,
    {
        let (config, generation) = self.running();
        let error = match call(config).await {
            Err(error) if refused(&error) => error,
            done => return done,
        };
        if self.newer_than(generation).is_none() {
            let _ = self.refresh_after_async(generation).await;
        }
        match self.newer_than(generation) {
            Some(config) => call(config).await,
            None => Err(error),
        }
    }

    fn running(&self) -> (Arc<T>, u64) {
        if self.core.forked().is_some() {
            // After a fork no newer config comes, and a thread of the parent process may have held the lock.
            return (self.get(), 0);
        }
        let place = self.core.place();
        (place.config, place.generation)
    }

    /// Returns the running config if it is newer than this generation.
    fn newer_than(&self, generation: u64) -> Option<Arc<T>> {
        let (config, newest) = self.running();
        (newest > generation).then_some(config)
    }
}
