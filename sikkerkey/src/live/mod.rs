//! A config that follows its secrets: [`Live`].
//!
//! A live config is one `T` at a time. A thread of its own takes what the client's poller finds,
//! builds the next `T` from all of it, validates and probes it, and swaps it in with one atomic
//! store. It promises:
//!
//! - All that changed in one poll is one swap: no reader sees half of a rotation. While one of the
//!   values cannot be read, the others wait for it, for [`max_stale`](crate::Loader::max_stale) at
//!   most. (A rotation of several secrets that begins after a poll, and before the reads that follow
//!   from it, is two polls' and may be two swaps.)
//! - Whatever fails (a read, a value that does not parse, a validation, a probe) keeps the last good
//!   config, shows in [`Live::status`], reaches subscribers as [`RecvError::Refused`], and is tried
//!   again at each poll.
//! - Equal values swap nothing.
//! - A change that another process of the same identity swallowed is found by the next resync.
//! - Code of yours that panics, hangs or calls back ends nothing. A build or a probe has 30 s
//!   ([`probe_timeout`](crate::Loader::probe_timeout)); a caller of [`Live::refresh`] waits no longer
//!   than the client's deadline.
//!
//! # What reads, and how often
//!
//! A read is never free: the service audits each, and a policy can limit, rotate or end a secret by the
//! number of its reads. A poll reads nothing.
//!
//! | what | requests | reads |
//! | --- | --- | --- |
//! | `load`, and `live` at the start | one for each distinct secret | the same |
//! | a poll | one a cycle for all that is watched, every 15 s ± 20 % | none, then one for each secret that changed |
//! | several secrets of one config changed in one poll | | at most two more each, so that all are of one moment; not those with a `resync` of their own |
//! | resync, [`Adaptive`](crate::Resync::Adaptive) (the default) | | after 5 minutes, then ever later, up to an hour apart, while nothing was swallowed: about 28 a day |
//! | resync, [`Never`](crate::Resync::Never) or [`Every(d)`](crate::Resync::Every) | | none, or one each `d` |
//! | `check`, `list_*` | one | none |
//! | a response that was lost and is asked for again | one more | the service may count both |
//!
//! A resync finds a change whose report was lost. The service reports a change once to each *machine*,
//! so a second process of the same identity can take the report. A resync that finds such a swallowed
//! change brings all adaptive ones back to 5 minutes for a day; after a second one they stay there,
//! a warning is logged, and [`LiveStatus::identity_shared`] says so. Give each replica an identity of
//! its own, or set a shorter [`resync`](crate::Loader::resync).
//!
//! Set a secret's own resync on its field or struct, `#[sikkerkey(resync = "never")]`, or with
//! [`resync_secret`](crate::Loader::resync_secret).
//!
//! # Leased credentials
//!
//! A leased credential is minted by a read, lives as long as its lease, and is extended or replaced by
//! the next read. Set a resync of two thirds of the lease:
//!
//! ```
//! # #[cfg(feature = "derive")] {
//! use sikkerkey::{SecretString, SikkerKeyConfig};
//!
//! #[derive(SikkerKeyConfig)]
//! #[sikkerkey(secret = "sk_pg", resync = "40m")]     // the lease is an hour
//! struct Database {
//!     username: String,
//!     password: SecretString,
//! }
//! # }
//! ```
//!
//! A [`resource`](Live::resource) built from it follows. When the server refuses the login before that,
//! [`Live::refresh_secret`] mints the next one, once for all callers that meet the refusal.
//!
//! # Running it for months
//!
//! **Rotation order.** First make the new credential valid where it is used (a database takes the
//! old and the new password, or changes it), then change the secret. A [probe](crate::Loader::probe)
//! makes the wrong order harmless: the new config waits until the database takes it. For the moment
//! between the two steps, wrap the call that is refused in [`Live::retry_on_refused`]. A
//! service that *checks* credentials keeps accepting the old ones through [`Live::previous_all`] for the
//! [grace](crate::Loader::grace) that it sets.
//!
//! **Display names** are looked up at the start and with each full refresh, not at each poll. A name
//! that leads nowhere, because the list fails or a grant was taken, keeps the secret that it led to. At
//! the start the service cannot tell a name that is denied from one that does not exist.
//!
//! **What happens in each outage.**
//!
//! | outage | the config | `status()` |
//! | --- | --- | --- |
//! | the service does not answer | stays | failures count up; [`Stale`](Freshness::Stale) after `max_stale` |
//! | a secret was deleted, or its grant taken | stays, with the last value; an optional secret that is deleted becomes `None` | [`Degraded`](Freshness::Degraded); the secret says which, and is asked for again, up to an hour apart |
//! | a value does not fit its type, fails validation or the probe | stays, whole | `Degraded`; `last_error()` says where |
//! | 401: the machine expired or was removed | stays | failures count up, polls back off to minutes; `Stale` |
//! | the process starts during an outage | none: `live` returns the error | with the client's cache (feature `cache`): the cached config, as old as its oldest value |
//!
//! A service that must not use a revoked credential sets [`fail_closed`](crate::Loader::fail_closed) and
//! calls [`Live::try_load`].
//!
//! **Webhooks.** With the feature `webhook`, `Live::on_webhook` reads a secret when the service tells of its rotation. Secrets
//! that rotate together are told of one by one, and are one swap each: let a `validate` refuse a mixed pair, or keep what belongs
//! together in one structured secret.
//!
//! **Alerts.** Page on `Stale`: nobody knows what the secrets are now. Warn on `Degraded` and on
//! [`consecutive_failures`](LiveStatus::consecutive_failures): a rotation went wrong, and the service
//! runs on what it had. [`LiveStatus`] prints as one line without values. Answer `/healthz` with 200 as
//! long as a config serves: all replicas lose a service that is down at the same moment, and a restart
//! in that moment fails.
//!
//! **Threads.** One for each live config, one for the client's poller, whatever the number of
//! secrets; one more while it reads, builds or probes. Listeners and builds of resources run on the
//! client's callback thread, one after the other: long work belongs behind a [`Subscription`].

mod builder;
mod change;
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
/// A clone is another handle on the same config. The work ends when the last one is dropped, and
/// with it every [`Subscription`].
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

/// What ends the work when the last handle is dropped.
struct Owner {
    inbox: Arc<Inbox>,
    close: Box<dyn Fn() + Send + Sync>,
    following: Following,
    /// How long a caller waits.
    deadline: Duration,
}

impl Drop for Owner {
    fn drop(&mut self) {
        // The worker ends after what it is doing; it is not waited for, since it may be the one
        // that drops this, or be in a probe that hangs.
        self.inbox.close();
        let follow = lock(&self.following).take();
        drop(follow);
        (self.close)();
    }
}

impl<T> Live<T> {
    /// The config as it is now: one atomic load, no lock.
    ///
    /// Load once for each piece of work and use that throughout: two loads may straddle a swap.
    #[inline]
    pub fn load(&self) -> Loaded<T> {
        Loaded::new(self.core.current.load())
    }

    /// The config as it is now, to keep or to send to another thread.
    pub fn get(&self) -> Arc<T> {
        self.core.current.load_full()
    }

    /// The config as it is now, unless the rules of [`fail_closed`](crate::Loader::fail_closed) refuse
    /// it. Without rules it is never refused.
    ///
    /// # Errors
    /// Every rule that refuses it, with the secrets because of which it does.
    pub fn try_load(&self) -> Result<Loaded<T>, ConfigError> {
        self.core.permit()?;
        Ok(self.load())
    }

    /// The config before the last swap, while [`grace`](crate::Loader::grace) lasts; then it
    /// is let go, and its secrets are wiped with its last holder.
    ///
    /// For a service that checks credentials and accepts those of the last rotation too. Where any
    /// secret of the config may rotate within the grace, accept what any of
    /// [`previous_all`](Live::previous_all) accepts.
    pub fn previous(&self) -> Option<Arc<T>> {
        self.core.previous().into_iter().next()
    }

    /// Every config that was replaced less than [`grace`](crate::Loader::grace) ago, newest first, 64
    /// at most, without the running one.
    pub fn previous_all(&self) -> Vec<Arc<T>> {
        self.core.previous()
    }

    /// The state at this instant: generation, age, what fails and which secrets are degraded.
    pub fn status(&self) -> LiveStatus {
        self.core.status()
    }

    /// A place in the sequence of changes, beginning now: to wait on, in a thread or a future.
    pub fn subscribe(&self) -> Subscription<T> {
        Subscription::new(Arc::clone(&self.core))
    }

    /// Reads every secret of the config again, now, and swaps if anything differs: for the moment
    /// in which a server refuses a credential. Returns whether the config was swapped.
    ///
    /// All who call before it starts share one refresh, and refreshes begin at least
    /// [`refresh_gap`](crate::Loader::refresh_gap) apart: a call waits for that. All reads have one
    /// deadline, the client's [`deadline`](crate::SikkerKeyBuilder::deadline), and so has the caller:
    /// a refresh that takes longer goes on without it. From inside a listener, a probe or a build of
    /// any live config it only asks for the refresh, and returns `Ok(false)` at once.
    ///
    /// # Errors
    /// What kept the secrets from being read, or the new config from being adopted; a secret that the
    /// config must have and that is deleted or denied; that the caller's time is up.
    pub fn refresh(&self) -> Result<bool, ConfigError> {
        let ticket = self.ask(Scope::All)?;
        self.wait(ticket, "the refresh")
    }

    /// [`refresh`](Live::refresh) as a future, on any async runtime.
    ///
    /// # Errors
    /// As `refresh`.
    pub async fn refresh_async(&self) -> Result<bool, ConfigError> {
        let ticket = self.ask(Scope::All)?;
        self.wait_async(ticket, "the refresh").await
    }

    /// [`refresh`](Live::refresh) for one secret: its id, or the alias or display name by which the
    /// config reads it.
    ///
    /// A refresh of this secret that began less than [`refresh_gap`](crate::Loader::refresh_gap) ago
    /// and found another value is shared: however many callers meet a rejected login, the next one
    /// is minted once.
    ///
    /// # Errors
    /// As `refresh`, and for a secret that the config does not read.
    pub fn refresh_secret(&self, id: &str) -> Result<bool, ConfigError> {
        match self.ask_secret(id)? {
            Some(ticket) => self.wait(ticket, "the refresh"),
            None => Ok(true),
        }
    }

    /// [`refresh_secret`](Live::refresh_secret) as a future, on any async runtime.
    ///
    /// # Errors
    /// As `refresh_secret`.
    pub async fn refresh_secret_async(&self, id: &str) -> Result<bool, ConfigError> {
        match self.ask_secret(id)? {
            Some(ticket) => self.wait_async(ticket, "the refresh").await,
            None => Ok(true),
        }
    }

    /// Tries a value that is not installed: parses it, builds and validates a config with it in place
    /// of the secret's own, and asks the probe. Nothing is swapped, read or written.
    ///
    /// `id` is what [`refresh_secret`](Live::refresh_secret) takes. A rotation begins with it: the new
    /// password is good before the secret is changed.
    ///
    /// # Errors
    /// Why the config would be refused; a secret that the config does not read; that the client's
    /// deadline is over; that it is called from inside a listener, a probe or a build, which may be
    /// what it would wait for.
    pub fn rehearse(&self, id: &str, value: impl Into<SecretString>) -> Result<(), ConfigError> {
        let ticket = self.ask_rehearsal(id, value.into())?;
        self.wait(ticket, "the rehearsal").map(|_| ())
    }

    /// [`rehearse`](Live::rehearse) as a future, on any async runtime.
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
        match self.core.forked() {
            Some(error) => Err(error),
            None => Ok(self.owner.inbox.ask(scope)),
        }
    }

    /// `None` where a refresh of this secret has just found another value.
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
    /// A panic in it is contained, and it stays registered. A call that is still running after 10 s
    /// keeps its thread, and other callbacks go on without it. It may drop handles, refresh and stop
    /// listeners, itself included. Dropping the returned [`Listener`] leaves it registered.
    ///
    /// A listener that captures a `Live` of this config, or a resource built from it, keeps
    /// everything running for ever: capture what [`downgrade`](Live::downgrade) returns.
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

    /// One part of the config: `live.select(|config| &config.db)`. What is registered on it looks
    /// at the swaps that change a key of the part; see [`Select`].
    pub fn select<U: ?Sized + 'static>(&self, part: fn(&T) -> &U) -> Select<T, U> {
        Select::new(self.clone(), part)
    }

    /// Builds something from the config now, and again after each change: a pool of connections.
    /// For one that only a part of the config matters to, see [`Select::resource`].
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

    /// The async twin of [`resource`](Live::resource): a task on the tokio runtime that this is
    /// awaited in builds again.
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
