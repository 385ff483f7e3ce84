//! A config that follows its secrets: [`Live`].
//!
//! A live config is one `T` at a time. When the client's poller finds a change, a thread of the live config
//! reads what changed, builds the next `T`, validates it, runs the *probe* (your function that tries a
//! config, for instance by logging in to a database), and swaps it in with one atomic store.
//!
//! # Guarantees
//!
//! - All changes that one poll finds are one swap: no reader sees half of a rotation. While one value cannot
//!   be read, the others wait for it, for [`max_stale`](crate::Loader::max_stale) at most. (If several
//!   secrets rotate while a poll and its reads are under way, that may be two swaps.)
//! - If an update fails (a read, a value that does not parse, a validation, a probe), the last good config
//!   stays, [`Live::status`] reports why, subscribers get [`RecvError::Refused`], and the update is retried at
//!   each poll.
//! - Equal values cause no swap.
//! - A change whose report was lost, or taken by another process of the same machine, is found by the next
//!   [resync](crate::Resync), a read without a reported change.
//! - Your code cannot stop it: panics are contained, a build or a probe has 30 s
//!   ([`probe_timeout`](crate::Loader::probe_timeout)), and a caller of [`Live::refresh`] waits no longer than
//!   the client's deadline.
//!
//! # Threads
//!
//! Each live config has one thread, and one more while it reads, builds or probes. Each client has one thread
//! for its poller, whatever the number of secrets. Listeners and builds of resources run on the client's
//! callback thread, one after the other: put long work behind a [`Subscription`].
//!
//! # More
//!
//! The guide's page on [live configs](crate::guide::live) explains what is read and how often, the order of a
//! rotation, leased credentials, each kind of outage, and what to alert on.

mod builder;
mod change;
mod events;
mod fail_closed;
pub(crate) mod fingerprint;
mod inbox;
mod job;
mod listener;
mod loaded;
mod manual;
pub(crate) mod offline;
mod reading;
mod resource;
mod resync_plan;
mod retry;
#[cfg(feature = "tokio")]
mod runtime;
mod select;
pub(crate) mod source;
pub(crate) mod start;
mod state;
mod status;
mod subscription;
mod weak;
#[cfg(feature = "webhook")]
mod webhook;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use secrecy::SecretString;

pub(crate) use builder::LiveOptions;
pub use change::{Change, PartChange};
pub use fail_closed::FailClosed;
pub use listener::Listener;
pub use loaded::Loaded;
pub use manual::LiveControl;
pub use resource::{LiveResource, ResourceState, ResourceStatus};
pub use select::{LoadedPart, Select};
pub use status::{Freshness, LiveStatus, SecretState, SecretStatus};
pub use subscription::{RecvError, Subscription};
pub use weak::WeakLive;

use self::inbox::{Answer, Inbox, Scope, Waited};
use self::state::{LiveEvent, LiveState};
use self::worker::Following;
use crate::config::error::{ConfigError, Failed, Problem, ProblemKind};
use crate::sync::lock;
use crate::watch::callbacks::in_callback;

/// A config that follows its secrets; from [`SikkerKeyConfig::live`](crate::SikkerKeyConfig::live) or
/// [`Loader::live`](crate::Loader::live).
///
/// A clone is another handle on the same config. When the last one is dropped, the work ends, and every
/// [`Subscription`] with it.
///
/// ```no_run
/// use sikkerkey::{Live, SecretString, SikkerKey, SikkerKeyConfig};
///
/// #[derive(SikkerKeyConfig)]
/// struct AppConfig {
///     #[sikkerkey(secret = "sk_db_prod", field = "host")]
///     host: String,
///     #[sikkerkey(secret = "sk_db_prod", field = "password")]
///     password: SecretString,
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let live: Live<AppConfig> = AppConfig::live(&SikkerKey::auto()?)?;
/// live.on_change(|change| println!("changed: {}", change.paths().join(", ")));
/// println!("connecting to {}", live.load().host);
/// # Ok(())
/// # }
/// ```
pub struct Live<T> {
    core: Arc<LiveState<T>>,
    owner: Arc<Owner>,
}

/// Ends the work when the last handle is dropped.
struct Owner {
    inbox: Arc<Inbox>,
    close: Box<dyn Fn() + Send + Sync>,
    following: Following,
    /// How long a caller waits for an answer.
    deadline: Duration,
}

impl Drop for Owner {
    fn drop(&mut self) {
        // The worker ends after its current job. It is not joined, because it may be the thread that drops
        // this, or its probe may hang.
        self.inbox.close();
        let follow = lock(&self.following).take();
        drop(follow);
        (self.close)();
    }
}

impl<T> Live<T> {
    /// Returns the current config: one atomic load, no lock.
    ///
    /// Load once per piece of work, such as a request: two loads may return two configs.
    ///
    /// ```
    /// use sikkerkey::Live;
    ///
    /// let live = Live::fixed("db.internal".to_owned());
    /// let host = live.load();
    /// assert_eq!(host.as_str(), "db.internal");
    /// ```
    #[inline]
    pub fn load(&self) -> Loaded<T> {
        Loaded::new(self.core.current.load())
    }

    /// Returns the current config as an `Arc`, to keep or to send to another thread.
    ///
    /// ```
    /// use sikkerkey::Live;
    ///
    /// let live = Live::fixed("db.internal".to_owned());
    /// let host = live.get();
    /// std::thread::spawn(move || println!("connecting to {host}")).join().unwrap();
    /// ```
    pub fn get(&self) -> Arc<T> {
        self.core.current.load_full()
    }

    /// Returns the current config, unless the rules of [`fail_closed`](crate::Loader::fail_closed) refuse it.
    /// Without rules it is never refused.
    ///
    /// ```
    /// use sikkerkey::Live;
    ///
    /// /// The status of the response to a request.
    /// fn serve(live: &Live<String>) -> u16 {
    ///     match live.try_load() {
    ///         Ok(_config) => 200,
    ///         Err(_refused) => 503, // for instance after the secret was revoked
    ///     }
    /// }
    /// assert_eq!(serve(&Live::fixed("db.internal".to_owned())), 200);
    /// ```
    ///
    /// # Errors
    /// Each rule that refuses the config, with the secrets that cause it.
    pub fn try_load(&self) -> Result<Loaded<T>, ConfigError> {
        self.core.permit()?;
        Ok(self.load())
    }

    /// Returns the config before the last swap while [`grace`](crate::Loader::grace) lasts, otherwise `None`.
    ///
    /// For a service that checks credentials and also accepts those of the last rotation. If several secrets
    /// may rotate within the grace, accept what any of [`previous_all`](Live::previous_all) accepts.
    ///
    /// ```
    /// # #[cfg(feature = "derive")] {
    /// # use std::time::Duration;
    /// # let vault = sikkerkey_emulator::Emulator::builder().secret("sk_password", "first").start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// use sikkerkey::{ExposeSecret, SecretString, SikkerKeyConfig};
    ///
    /// #[derive(SikkerKeyConfig)]
    /// struct Config {
    ///     #[sikkerkey(secret = "sk_password")]
    ///     password: SecretString,
    /// }
    ///
    /// let live = Config::loader(&sk).grace(Duration::from_secs(600)).live()?;
    /// # vault.put("sk_password", "second");
    /// // After a rotation both are accepted, for ten minutes:
    /// live.refresh()?;
    /// let accepts = |config: &Config| config.password.expose_secret() == "first";
    /// assert!(accepts(&live.load()) || live.previous().is_some_and(|before| accepts(&before)));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn previous(&self) -> Option<Arc<T>> {
        self.core.previous().into_iter().next()
    }

    /// Returns the configs that were replaced less than [`grace`](crate::Loader::grace) ago, newest first, at
    /// most 64, without the running one.
    pub fn previous_all(&self) -> Vec<Arc<T>> {
        self.core.previous()
    }

    /// Returns the status at this instant: freshness, generation, age, the last error, secrets and resources.
    pub fn status(&self) -> LiveStatus {
        self.core.status()
    }

    /// Returns a receiver of the changes from now on, to wait on in a thread or a future.
    ///
    /// ```
    /// use sikkerkey::Live;
    ///
    /// let (live, control) = Live::manual(1);
    /// let mut changes = live.subscribe();
    /// control.swap(2);
    /// let change = changes.recv()?;
    /// assert_eq!((change.before(), change.after()), (&1, &2));
    /// # Ok::<(), sikkerkey::live::RecvError>(())
    /// ```
    pub fn subscribe(&self) -> Subscription<T> {
        Subscription::new(Arc::clone(&self.core))
    }

    /// Reads every secret of the config again, now, and swaps if anything differs. Returns whether the config
    /// was swapped. Use it when a server refuses a credential.
    ///
    /// Calls that come before it starts share one refresh, and refreshes start at least
    /// [`refresh_gap`](crate::Loader::refresh_gap) apart. The client's
    /// [`deadline`](crate::SikkerKeyBuilder::deadline) bounds all reads together, and the wait of the caller:
    /// a refresh that takes longer continues in the background. From inside a listener, a probe or a build of
    /// any live config, it only starts the refresh and returns `Ok(false)`.
    ///
    /// ```
    /// # #[cfg(feature = "derive")] {
    /// # let vault = sikkerkey_emulator::Emulator::builder().secret("sk_password", "first").start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// use sikkerkey::{ExposeSecret, SecretString, SikkerKeyConfig};
    ///
    /// #[derive(SikkerKeyConfig)]
    /// struct Config {
    ///     #[sikkerkey(secret = "sk_password")]
    ///     password: SecretString,
    /// }
    ///
    /// let live = Config::live(&sk)?;
    /// # vault.put("sk_password", "second");
    /// // The database has just refused the password:
    /// let is_new = live.refresh()?;
    /// assert!(is_new);
    /// assert_eq!(live.load().password.expose_secret(), "second");
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A failed read; a refused config; a required secret that is deleted or denied; the deadline.
    pub fn refresh(&self) -> Result<bool, ConfigError> {
        let ticket = self.ask(Scope::All)?;
        self.wait(ticket, "the refresh")
    }

    /// Does a [`refresh`](Live::refresh) as a future, on any async runtime.
    ///
    /// # Errors
    /// As `refresh`.
    pub async fn refresh_async(&self) -> Result<bool, ConfigError> {
        let ticket = self.ask(Scope::All)?;
        self.wait_async(ticket, "the refresh").await
    }

    /// Reads one secret of the config again, as [`refresh`](Live::refresh) does: by its id, or by the alias or
    /// display name that the config reads it by.
    ///
    /// Callers share a refresh that began less than [`refresh_gap`](crate::Loader::refresh_gap) ago and found
    /// another value: if many threads meet a rejected login, one new lease is made.
    ///
    /// ```
    /// # #[cfg(feature = "derive")] {
    /// # let vault = sikkerkey_emulator::Emulator::builder().secret("sk_workers", "4").start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// use sikkerkey::SikkerKeyConfig;
    ///
    /// #[derive(SikkerKeyConfig)]
    /// struct Config {
    ///     #[sikkerkey(secret = "sk_workers")]
    ///     workers: usize,
    /// }
    ///
    /// let live = Config::live(&sk)?;
    /// # vault.put("sk_workers", "8");
    /// assert!(live.refresh_secret("sk_workers")?);
    /// assert_eq!(live.load().workers, 8);
    ///
    /// let error = live.refresh_secret("sk_other").unwrap_err(); // the config does not read it
    /// eprintln!("{error}");
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As `refresh`, and for a secret that the config does not read.
    pub fn refresh_secret(&self, id: &str) -> Result<bool, ConfigError> {
        match self.ask_secret(id)? {
            Some(ticket) => self.wait(ticket, "the refresh"),
            None => Ok(true),
        }
    }

    /// Does a [`refresh_secret`](Live::refresh_secret) as a future, on any async runtime.
    ///
    /// # Errors
    /// As `refresh_secret`.
    pub async fn refresh_secret_async(&self, id: &str) -> Result<bool, ConfigError> {
        match self.ask_secret(id)? {
            Some(ticket) => self.wait_async(ticket, "the refresh").await,
            None => Ok(true),
        }
    }

    /// Tries a value before it is installed: parses it, builds and validates a config with it in place of the
    /// secret's own, and runs the probe. Nothing is swapped, read or written.
    ///
    /// `id` is as in [`refresh_secret`](Live::refresh_secret). Use it as the first step of a rotation.
    ///
    /// ```
    /// # #[cfg(feature = "derive")] {
    /// # let vault = sikkerkey_emulator::Emulator::builder().secret("sk_workers", "4").start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// use sikkerkey::SikkerKeyConfig;
    ///
    /// #[derive(SikkerKeyConfig)]
    /// struct Config {
    ///     #[sikkerkey(secret = "sk_workers")]
    ///     workers: u8,
    /// }
    ///
    /// let live = Config::live(&sk)?;
    /// live.rehearse("sk_workers", "8")?; // would be accepted
    /// let error = live.rehearse("sk_workers", "800").unwrap_err();
    /// assert!(error.to_string().contains("not a u8"));
    /// assert_eq!(live.load().workers, 4); // nothing was swapped
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the config would be refused; if the config does not read the secret; after the client's deadline;
    /// if it is called from inside a listener, a probe or a build, because it might wait for itself.
    pub fn rehearse(&self, id: &str, value: impl Into<SecretString>) -> Result<(), ConfigError> {
        let ticket = self.ask_rehearsal(id, value.into())?;
        self.wait(ticket, "the rehearsal").map(|_| ())
    }

    /// Does a [`rehearse`](Live::rehearse) as a future, on any async runtime.
    ///
    /// # Errors
    /// As `rehearse`.
    pub async fn rehearse_async(
        &self,
        id: &str,
        value: impl Into<SecretString>,
    ) -> Result<(), ConfigError> {
        let ticket = self.ask_rehearsal(id, value.into())?;
        self.wait_async(ticket, "the rehearsal").await.map(|_| ())
    }

    fn ask(&self, scope: Scope) -> Result<u64, ConfigError> {
        self.ask_unless(scope, None)
    }

    fn ask_unless(&self, scope: Scope, unless_after: Option<u64>) -> Result<u64, ConfigError> {
        match self.core.forked() {
            Some(error) => Err(error),
            None => Ok(self.owner.inbox.ask(scope, unless_after)),
        }
    }

    /// Reads all secrets again, unless a config after this generation is swapped in first.
    fn refresh_after(&self, generation: u64) -> Result<bool, ConfigError> {
        let ticket = self.ask_unless(Scope::All, Some(generation))?;
        self.wait(ticket, "the refresh")
    }

    async fn refresh_after_async(&self, generation: u64) -> Result<bool, ConfigError> {
        let ticket = self.ask_unless(Scope::All, Some(generation))?;
        self.wait_async(ticket, "the refresh").await
    }

    /// Returns `None` if a refresh of this secret has just found another value.
    fn ask_secret(&self, id: &str) -> Result<Option<u64>, ConfigError> {
        if let Some(error) = self.core.forked() {
            return Err(error);
        }
        let id = self.core.id_called(id)?;
        if self.core.was_just_refreshed(&id) {
            return Ok(None);
        }
        self.ask(Scope::Secrets([id].into())).map(Some)
    }

    fn ask_rehearsal(&self, id: &str, value: SecretString) -> Result<u64, ConfigError> {
        if let Some(error) = self.core.forked() {
            return Err(error);
        }
        let id = self.core.id_called(id)?;
        if self.core.is_unattended() {
            return Err(self.refused("without a service there is nothing to rehearse"));
        }
        if in_callback() {
            return Err(self.refused("a callback cannot wait for a rehearsal"));
        }
        Ok(self.owner.inbox.rehearse(id, value))
    }

    fn wait(&self, ticket: u64, what: &str) -> Answer {
        match in_callback() {
            true => Ok(false),
            false => self.waited(self.owner.inbox.wait(ticket, self.owner.deadline), what),
        }
    }

    async fn wait_async(&self, ticket: u64, what: &str) -> Answer {
        match in_callback() {
            true => Ok(false),
            false => {
                let inbox = &self.owner.inbox;
                self.waited(inbox.wait_async(ticket, self.owner.deadline).await, what)
            }
        }
    }

    fn waited(&self, waited: Waited, what: &str) -> Answer {
        match waited {
            Waited::Answered(answer) => answer,
            Waited::OutOfTime => {
                let seconds = self.owner.deadline.as_secs_f64();
                let text =
                    format!("{what} takes longer than {seconds} s and goes on without its caller");
                let problem = Problem::new(ProblemKind::Unavailable, text);
                Err(ConfigError::to(
                    Failed::Refresh,
                    self.core.name(),
                    vec![problem],
                ))
            }
            Waited::Closed => Err(self.refused("the thread that follows the secrets has ended")),
        }
    }

    fn refused(&self, text: &str) -> ConfigError {
        ConfigError::to(
            Failed::Refresh,
            self.core.name(),
            vec![Problem::probe(text)],
        )
    }
}

impl<T: Send + Sync + 'static> Live<T> {
    /// Calls `f` after each swap, on the client's callback thread, one swap after the other.
    ///
    /// A panic is contained, and the listener stays registered. A call that still runs after 10 s keeps its
    /// thread, and other callbacks run on another one. A callback may drop handles, refresh, and stop
    /// listeners, including its own. Dropping the returned [`Listener`] does not remove it.
    ///
    /// A listener that captures a `Live` of this config, or a resource built from it, keeps everything running
    /// forever: capture what [`downgrade`](Live::downgrade) returns.
    ///
    /// ```
    /// use sikkerkey::Live;
    ///
    /// let (live, control) = Live::manual(1);
    /// live.on_change(|change| println!("{} became {}", change.before(), change.after()));
    /// control.swap(2);
    /// ```
    pub fn on_change(&self, f: impl Fn(&Change<T>) + Send + Sync + 'static) -> Listener {
        let notify = move |event| {
            if let LiveEvent::Changed(change) = event {
                f(&change);
            }
        };
        self.listen(notify, Arc::default())
    }

    fn listen(
        &self,
        notify: impl Fn(LiveEvent<T>) + Send + Sync + 'static,
        retry: Arc<AtomicBool>,
    ) -> Listener {
        let id = self.core.listen(Arc::new(notify), retry);
        let core = Arc::downgrade(&self.core);
        Listener::new(move || {
            if let Some(core) = core.upgrade() {
                core.unlisten(id);
            }
        })
    }

    /// Selects a part of the config, such as `live.select(|config| &config.db)`, whose listeners and resources
    /// follow only the swaps that change it; see [`Select`].
    pub fn select<U: ?Sized + 'static>(&self, part: fn(&T) -> &U) -> Select<T, U> {
        Select::new(self.clone(), part)
    }

    /// Builds a resource from the config now, such as a pool of connections, and again after each change. If
    /// only a part of the config matters, use [`Select::resource`]. See [`LiveResource`] for an example.
    ///
    /// The first build runs here. Later ones run on the client's callback thread, as
    /// [`on_change`](Live::on_change) says, and inside the tokio runtime that this method was called
    /// in, if there was one.
    ///
    /// # Errors
    /// The error of the first build. Later ones keep the old resource, show in
    /// [`LiveResource::last_error`] and in [`status`](Live::status), and are tried again at each poll.
    pub fn resource<R, E>(
        &self,
        build: impl Fn(&T) -> Result<R, E> + Send + Sync + 'static,
    ) -> Result<LiveResource<R>, E>
    where
        R: Send + Sync + 'static,
        E: 'static,
    {
        resource::build(self, |_, _| None, build)
    }

    /// Builds an async [`resource`](Live::resource) (feature `tokio`). A task on the tokio runtime in which it
    /// is awaited builds it again.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// use std::sync::Arc;
    /// use sikkerkey::Live;
    ///
    /// # struct Pool;
    /// # impl Pool { async fn connect(_: &str) -> Result<Pool, std::io::Error> { Ok(Pool) } }
    /// let live = Live::fixed("postgres://db.internal".to_owned());
    /// let connect = |url: Arc<String>| async move { Pool::connect(&url).await };
    /// let pool = live.resource_async(connect).await?;
    /// # let _: &Pool = &pool.load();
    /// # Ok::<(), std::io::Error>(())
    /// # })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// The error of the first build.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[cfg(feature = "tokio")]
    pub async fn resource_async<R, E, F>(
        &self,
        build: impl Fn(Arc<T>) -> F + Send + Sync + 'static,
    ) -> Result<LiveResource<R>, E>
    where
        R: Send + Sync + 'static,
        E: Send + 'static,
        F: Future<Output = Result<R, E>> + Send + 'static,
    {
        resource::build_async(self, |_, _| None, build).await
    }
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Live {
            core: Arc::clone(&self.core),
            owner: Arc::clone(&self.owner),
        }
    }
}

/// Shows the status; the config itself is left out.
impl<T> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.core.status();
        f.debug_struct("Live")
            .field("generation", &status.generation())
            .field("freshness", &status.freshness())
            .finish_non_exhaustive()
    }
}
