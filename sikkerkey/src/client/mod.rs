//! The client of one vault: its verbs, and the calls behind them.

pub(crate) mod asynchronous;
mod attempts;
pub(crate) mod bootstrap;
pub(crate) mod builder;
pub(crate) mod call_threads;
#[cfg(all(feature = "rustls", feature = "live"))]
mod certificate;
mod details;
pub(crate) mod error_text;
mod from_env;
pub(crate) mod inner;
mod key_source;
mod lockout;
pub(crate) mod machine;
mod process;
mod reenrollment;
mod refusals;
mod register;
mod reload;
pub(crate) mod retry;
mod session;
mod settings;
pub(crate) mod stats;

use std::any::type_name;
use std::ffi::OsStr;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use self::attempts::{Call, LIST_LIMIT};
use self::bootstrap::Bootstrap;
use self::builder::SikkerKeyBuilder;
use self::error_text::Purpose;
use self::inner::{ClientInner, Handle};
use self::stats::Stats;
#[cfg(feature = "cache")]
use crate::cache::Cache;
use crate::error::{Error, ErrorKind};
use crate::id::check_id;
use crate::identity::{self, Environment, Origin};
use crate::protocol::export::Export;
use crate::protocol::fields::Fields;
use crate::protocol::listing::SecretListItem;
use crate::protocol::messages::{self, ProjectRequest};
use crate::text;

#[cfg(feature = "live")]
use crate::watch::{Follow, Followed, Follower};
use crate::watch::{Upstream, Watch, WatchEvent};

/// A client of one vault, with the identity of one machine.
///
/// It is cheap to clone, and all clones are one client: they share connections, watches and the
/// identity. Every read is signed, checked and written to the vault's audit log by the service.
///
/// ```
/// # use sikkerkey_emulator::Emulator;
/// # let vault = Emulator::builder().secret("sk_stripe_key", "sk-live-1").start()?;
/// # let path = vault.identity_path();
/// use sikkerkey::{ExposeSecret, SikkerKey};
///
/// let sk = SikkerKey::new(path)?;                    // or a vault's id: "vault_abc123"
/// let key = sk.get_secret("sk_stripe_key")?;
/// assert_eq!(key.expose_secret(), "sk-live-1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What a call does
///
/// An id is checked before anything is sent. Each attempt is signed anew, with the time, a random
/// nonce and the machine's key, and has 15 s; the whole call has 30 s. No response, 429 and 503 are
/// tried again as [`RetryPolicy`](crate::RetryPolicy) says, everything else is an [`Error`] at
/// once. A 401 is never tried again, since the service locks an address out after three, with one
/// exception: where the service's own `Date` shows that this machine's clock is more than a minute
/// off, the call is signed once more with the right time, a warning is logged, and later calls use
/// the correction for as long as the clock needs it
/// ([`clock_correction`](SikkerKeyBuilder::clock_correction) turns that off).
///
/// After a 401 that stays, the next calls fail at once with the same error; after 10 s one call
/// tries again, then after 40 s, 160 s, and every 10 minutes. An identity on disk that has changed
/// meanwhile, key or `identity.json`, is read and tried at once.
///
/// For the same reason at most two requests are on their way at once until the service has
/// accepted one; from then on there is no limit.
///
/// # The network
///
/// Requests are HTTP/1.1 over TLS 1.2 or 1.3. Mozilla's certificate authorities, bundled into the
/// program, vouch for the service. Your own are added by
/// [`add_root_certificate_pem`](SikkerKeyBuilder::add_root_certificate_pem), or take their place by
/// [`root_certificate_pem`](SikkerKeyBuilder::root_certificate_pem). Plain http is for this
/// machine alone. A certificate that is refused is an error that says why, is not tried again, and
/// is never taken for an outage. Redirects are errors. A value may have 1 MiB (and its JSON 3 MiB), a list or an export 64 MiB.
///
/// Up to 16 idle connections are kept, each for 45 s, and none for more than 5 minutes. One that turns out to be dead as it is
/// used is replaced at once, with a new signature; that is none of the attempts of the retry policy. A name that was
/// looked up is kept for 60 s, or until a connection fails. Its addresses are tried 250 ms apart, the one that
/// worked last first.
///
/// `HTTPS_PROXY` (or `ALL_PROXY`) names a proxy as `http://user:password@host:port`, user and password optional and
/// percent-encoded. `NO_PROXY` lists the hosts that need none: `*`, names (which stand for those below them too), addresses,
/// networks such as `10.0.0.0/8`, each with a port if only that port is meant. This machine is never reached through a
/// proxy. A variable that cannot be read or understood is an error when the client is built. A proxy that refuses to
/// connect (407, for instance) is an error at once, and is never taken for an outage either.
///
/// # Forks
///
/// A child process that was forked uses the client with connections and threads of its own: no
/// request of one process gets a response of the other. A [`Live`](crate::Live) follows its secrets
/// in the process that started it; its copy in a child keeps what it had, and its status says so.
/// Watches and a `Live` of the child's own work. Both processes are one machine to the service, which
/// tells a machine of a change once: the process that did not ask first finds it by its
/// [`resync`](SikkerKeyBuilder::resync). All this is promised for a fork while no other thread uses
/// the client, and best effort otherwise.
///
/// # Events
///
/// The client's events are [`tracing`](https://docs.rs/tracing) events with the target `sikkerkey`:
/// at `debug` one for each attempt, with method, path, status and time; at `warn` a key file that
/// others can read, a clock that is off, export names that collide. No event holds a value, a key
/// or a token, at any level. A subscriber or logger may use the client: the events that its own calls
/// cause are left out. It never runs under a lock of the client, and its panic is contained. With the
/// `tracing-subscriber` crate:
///
/// ```
/// use tracing_subscriber::filter::{LevelFilter, Targets};
/// use tracing_subscriber::prelude::*;
///
/// tracing_subscriber::registry()
///     .with(tracing_subscriber::fmt::layer())
///     .with(Targets::new().with_target("sikkerkey", LevelFilter::DEBUG))
///     .init();
/// ```
///
/// Loggers of the [`log`](https://docs.rs/log) crate receive the same events, until the program
/// sets a `tracing` subscriber; from then on only the subscriber receives them. With `env_logger`:
///
/// ```
/// env_logger::Builder::new().filter_module("sikkerkey", log::LevelFilter::Debug).init();
/// ```
#[derive(Clone)]
pub struct SikkerKey {
    inner: Arc<Handle>,
}

impl SikkerKey {
    /// A client with an identity of this machine: the id of its vault (`vault_` is added if it is
    /// missing), or the path of its `identity.json`, which starts with `/` or contains
    /// `identity.json`.
    ///
    /// A vault's identity is in `vaults/VAULT/identity.json` of the folder `SIKKERKEY_HOME`, or
    /// of `~/.sikkerkey`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] where the identity or its key is missing, unreadable, wrong or
    /// can be changed by other users.
    pub fn new(vault_or_path: impl AsRef<OsStr>) -> Result<Self, Error> {
        Self::builder().vault(vault_or_path).build()
    }

    /// A client with the identity that the environment variable `SIKKERKEY_IDENTITY` names, or
    /// else the only one on this machine.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and where there are several identities and none was chosen.
    pub fn auto() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// A client from whatever the environment offers: the same program starts on a laptop, in a
    /// container, in CI and as a function.
    ///
    /// The first of these that is there is taken:
    ///
    /// 1. `SIKKERKEY_IDENTITY`: the path of an `identity.json`.
    /// 2. `SIKKERKEY_VAULT_ID`, `SIKKERKEY_MACHINE_ID` and `SIKKERKEY_PRIVATE_KEY` (PEM, with `\n`
    ///    or spaces for line ends if need be), and `SIKKERKEY_API_URL` if it is set.
    /// 3. `$CREDENTIALS_DIRECTORY/identity.json`: a credential of systemd.
    /// 4. The only vault on disk; of several, the one that `SIKKERKEY_VAULT_ID` names.
    /// 5. `SIKKERKEY_VAULT_ID` and `SIKKERKEY_ENROLLMENT_TOKEN`: a machine is enrolled in memory. It
    ///    takes one of the token's uses.
    ///
    /// A variable that is set to nothing counts as not set.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] for a part of a set, naming what is missing, for a variable that
    /// is not UTF-8, and as [`new`](Self::new); where a machine is enrolled, as
    /// [`enroll`](Bootstrap::enroll).
    pub fn from_env() -> Result<Self, Error> {
        from_env::client()
    }

    /// A client with settings of your own.
    pub fn builder() -> SikkerKeyBuilder {
        SikkerKeyBuilder::new()
    }

    /// A client whose machine is enrolled now, with an enrollment token, and whose key never
    /// leaves the memory of this process: for functions and containers without a disk of their
    /// own.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # use std::time::Duration;
    /// # let vault = Emulator::builder().vault("vault_abc123").start()?;
    /// # let token = vault.enrollment_token(1, Duration::from_secs(600));
    /// # let url = vault.url();
    /// use sikkerkey::SikkerKey;
    ///
    /// let sk = SikkerKey::bootstrap_in_memory("vault_abc123", &token)
    ///     .hostname("worker-1")
    /// #   .api_url(url)
    ///     .enroll()?;
    /// # let _ = sk;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bootstrap_in_memory(vault: &str, token: &str) -> Bootstrap {
        Bootstrap::in_memory(vault, token)
    }

    /// The vaults for which this machine has an identity, sorted.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] where the folder of vaults exists and cannot be read.
    pub fn list_vaults() -> Result<Vec<String>, Error> {
        identity::list_vaults(&Environment::of_process()?)
    }

    /// The vault's id.
    pub fn vault_id(&self) -> &str {
        self.inner.vault_id()
    }

    /// The machine's id. A machine that is [enrolled again](Bootstrap::reenroll_when_expired) gets
    /// a new one.
    pub fn machine_id(&self) -> String {
        self.inner.session().identity.machine_id.clone()
    }

    /// The machine's name, fit to be shown: control, bidirectional and invisible characters are
    /// escaped, and 64 characters are kept. Empty for a machine without one.
    pub fn machine_name(&self) -> String {
        self.inner.session().identity.machine_name.clone()
    }

    /// The address to which requests go.
    pub fn api_url(&self) -> String {
        self.inner.session().transport.url().as_str().to_owned()
    }

    /// When the service will stop knowing this machine; `None` for an identity on disk, and where
    /// the service gave no time.
    pub fn expires_at(&self) -> Option<SystemTime> {
        let Origin::Memory { expires_at, .. } = &self.inner.session().identity.origin else {
            return None;
        };
        let seconds = u64::try_from((*expires_at)?).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }

    /// What this client has sent: requests, polls, repetitions, and the reads of each secret.
    pub fn stats(&self) -> Stats {
        self.inner.counters().stats()
    }

    /// Reads a secret's value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidId`] before anything is sent; [`ErrorKind::NotFound`] and
    /// [`ErrorKind::AccessDenied`] where this machine cannot have it; any of the others that a
    /// request can end with.
    pub fn get_secret(&self, id: &str) -> Result<SecretString, Error> {
        self.inner.read_secret(id)
    }

    /// Reads a structured secret: its fields, by name.
    ///
    /// # Errors
    ///
    /// As [`get_secret`](Self::get_secret), and [`ErrorKind::SecretStructure`] where the value is
    /// not a JSON object.
    pub fn get_fields(&self, id: &str) -> Result<Fields, Error> {
        let value = self.get_secret(id)?;
        Fields::parse(&value).ok_or_else(|| {
            Error::new(
                ErrorKind::SecretStructure,
                format!("secret {id} has no fields: its value is not a JSON object"),
            )
        })
    }

    /// Reads one field of a structured secret.
    ///
    /// # Errors
    ///
    /// As [`get_fields`](Self::get_fields), and [`ErrorKind::FieldNotFound`], which names the
    /// fields that there are: [`Error::available_fields`].
    pub fn get_field(&self, id: &str, field: &str) -> Result<SecretString, Error> {
        let fields = self.get_fields(id)?;
        fields.get(field).cloned().ok_or_else(|| {
            let known = match fields.is_empty() {
                true => "none".to_owned(),
                false => text::field_names(fields.names(), text::name),
            };
            let field = text::quoted(field);
            let shown = fields.names().filter(|name| text::is_field_name(name));
            Error::new(
                ErrorKind::FieldNotFound,
                format!("secret {id} has no field {field}: it has {known}"),
            )
            .with_fields(shown.map(str::to_owned).collect())
        })
    }

    /// Reads a secret whose value is JSON, as a type of yours.
    ///
    /// # Errors
    ///
    /// As [`get_secret`](Self::get_secret), and [`ErrorKind::SecretStructure`] where the value is
    /// not JSON or not what `T` needs. The text says where, and never what: the parser's own text
    /// could quote the value.
    pub fn get_json<T: DeserializeOwned>(&self, id: &str) -> Result<T, Error> {
        let value = self.get_secret(id)?;
        serde_json::from_str(value.expose_secret()).map_err(|cause| {
            let problem = match cause.is_data() {
                true => format!("does not fit {}", type_name::<T>()),
                false => "is not JSON".to_owned(),
            };
            let (line, column) = (cause.line(), cause.column());
            Error::new(
                ErrorKind::SecretStructure,
                format!("the value of secret {id} {problem} (line {line}, column {column})"),
            )
        })
    }

    /// The secrets that this machine may read, without their values. No value is read, so no
    /// alarm of a canary rings.
    ///
    /// # Errors
    ///
    /// Any with which a request can end.
    pub fn list_secrets(&self) -> Result<Vec<SecretListItem>, Error> {
        self.list(Call {
            purpose: Purpose::List,
            method: "GET",
            path: "/v1/secrets".to_owned(),
            headers: &[],
            body: None,
            limit: LIST_LIMIT,
        })
    }

    /// The same for one project.
    ///
    /// # Errors
    ///
    /// As [`list_secrets`](Self::list_secrets), and [`ErrorKind::InvalidId`] for the project.
    pub fn list_secrets_by_project(&self, project: &str) -> Result<Vec<SecretListItem>, Error> {
        check_id(project)?;
        self.list(Call {
            purpose: Purpose::ListProject(project),
            method: "POST",
            path: "/v1/secrets/list".to_owned(),
            headers: &[],
            body: Some(messages::encode(&ProjectRequest {
                project_id: project,
            })),
            limit: LIST_LIMIT,
        })
    }

    /// Reads every secret that this machine may read, in one request, as names and values for an
    /// environment.
    ///
    /// # Errors
    ///
    /// Any with which a request can end.
    pub fn export(&self) -> Result<Export, Error> {
        self.export_with(Purpose::Export, None)
    }

    /// The same for one project.
    ///
    /// # Errors
    ///
    /// As [`export`](Self::export), and [`ErrorKind::InvalidId`] for the project.
    pub fn export_project(&self, project: &str) -> Result<Export, Error> {
        check_id(project)?;
        let body = messages::encode(&ProjectRequest {
            project_id: project,
        });
        self.export_with(Purpose::ExportProject(project), Some(body))
    }

    pub(crate) fn from_inner(inner: ClientInner) -> Self {
        SikkerKey {
            inner: Arc::new(Handle::new(inner)),
        }
    }

    pub(crate) fn inner(&self) -> &Arc<ClientInner> {
        &self.inner
    }

    fn list(&self, call: Call<'_>) -> Result<Vec<SecretListItem>, Error> {
        let answer = self.inner.call(&call, &self.inner.settings().retry)?;
        let secrets = answer.decode(call.purpose, messages::list)?;
        Ok(secrets.into_iter().map(SecretListItem::from).collect())
    }

    fn export_with(
        &self,
        purpose: Purpose<'_>,
        body: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Export, Error> {
        // Reading what came counts too.
        let budget = self.inner.settings().budget();
        let call = Call {
            purpose,
            method: "POST",
            path: "/v1/secrets/export".to_owned(),
            headers: &[],
            body,
            limit: LIST_LIMIT,
        };
        let answer = self.inner.call(&call, &self.inner.settings().retry)?;
        let in_time = || budget.attempt(self.inner.clock()).is_some();
        let secrets = answer.decode(purpose, |body| messages::export(body, &in_time))?;
        for entry in &secrets {
            self.inner.note_read(&entry.id, &entry.value);
        }
        answer.decode(purpose, |_| Export::from_entries(secrets, &in_time))
    }
}

impl SikkerKey {
    /// Calls `notify` each time the secret's value changes, is deleted, or is taken away from this
    /// machine.
    ///
    /// The service is asked at once and then every [poll interval](Self::set_poll_interval), with
    /// one request for everything that is watched. What counts as a change is a value that differs
    /// from the one that this client read last, through any call, before the watch began: so read
    /// the secret first, then watch it. For a secret that this client has not read, no read is made to
    /// have something to compare with: the first read that is made anyway, by you, after a reported
    /// change, or by the [resync](crate::SikkerKeyBuilder::resync), is that. Changes before it are told
    /// as far as the service reports them.
    ///
    /// A change is told once, whoever read the new value first, this process, or another one of the
    /// same machine: what is watched is also read again from time to time
    /// ([`resync`](crate::SikkerKeyBuilder::resync)).
    ///
    /// # The callback
    ///
    /// It runs on a thread of its own, outside every lock: it may read secrets, watch and unwatch,
    /// close the client or drop it. Events of one secret come one after the other, in order. A call
    /// that takes long delays other secrets by at most one cycle. A panic ends that call alone.
    ///
    /// A callback that holds a handle of this client keeps it alive, and the watch with it: end
    /// that with [`Watch::stop`], [`unwatch`](Self::unwatch) or [`close`](Self::close). Without
    /// one, dropping the last handle ends the watch.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().secret("sk_db_prod", "1").start()?;
    /// # let path = vault.identity_path();
    /// use std::sync::mpsc::channel;
    /// use sikkerkey::{SikkerKey, WatchKind};
    ///
    /// let sk = SikkerKey::builder()
    ///     .identity_file(path)
    ///     .poll_interval(Duration::from_millis(5))       // an emulator takes it; the service wants 10 s
    ///     .build()?;
    /// let password = sk.get_secret("sk_db_prod")?;
    /// # let _ = password;
    ///
    /// let (changed, changes) = channel();
    /// let watch = sk.watch("sk_db_prod", move |event| match &event.kind {
    ///     WatchKind::Changed { value, fields } => {
    ///         let _ = (value, fields);                   // connect again with the new one
    ///         let _ = changed.send(event.secret_id.clone());
    ///     }
    ///     WatchKind::Deleted | WatchKind::AccessDenied => eprintln!("{event:?}: the watch has ended"),
    ///     other => eprintln!("{}: {other:?}", event.secret_id),
    /// })?;
    /// # vault.put("sk_db_prod", "2");
    /// assert_eq!(changes.recv()?, "sk_db_prod");
    /// watch.stop();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidId`](crate::ErrorKind::InvalidId); [`Configuration`](crate::ErrorKind::Configuration)
    /// where the operating system gives no thread. Whether the secret exists shows later, as an
    /// event.
    pub fn watch(
        &self,
        id: &str,
        notify: impl FnMut(&WatchEvent) + Send + 'static,
    ) -> Result<Watch, Error> {
        check_id(id)?;
        let poller = self.inner.poller();
        let (party, registration) = poller.watch(self.source(), id, Box::new(notify))?;
        Ok(Watch::new(poller, party, &registration))
    }

    /// Ends every watch on a secret; a `Live` that follows it goes on. After it returns, no call
    /// of theirs is taken up any more; one that had been taken up may still be running.
    pub fn unwatch(&self, id: &str) {
        self.inner.poller().unwatch(id);
    }

    /// How often everything that is watched is asked for, ±20 %: 15 s unless set. It acts at once,
    /// counted from the last poll.
    ///
    /// The service refuses polls that are closer together than 10 s, so anything below is raised to
    /// 10 s, with a warning in the log. Against an emulator on this machine any interval goes.
    pub fn set_poll_interval(&self, interval: Duration) {
        self.inner.poller().set_interval(interval);
    }

    /// Ends every watch and every `Live` of this client, and the thread that polls.
    ///
    /// It returns within a second, even while a request hangs, and that request's answer is then
    /// ignored. Reads still work, and a new watch starts polling again. Closing twice is fine, and
    /// so is closing from inside a callback.
    pub fn close(&self) {
        self.inner.poller().close();
    }

    /// Follows many secrets at once, from the values that the follower has.
    #[cfg(feature = "live")]
    pub(crate) fn follow(
        &self,
        secrets: &[Followed<SecretString>],
        follower: Arc<dyn Follower>,
    ) -> Follow {
        let poller = self.inner.poller();
        let party = poller.follow(self.source(), secrets, follower);
        Follow::new(poller, party)
    }

    fn source(&self) -> Weak<dyn Upstream> {
        let source: Arc<dyn Upstream> = Arc::<ClientInner>::clone(&self.inner);
        Arc::downgrade(&source)
    }
}

#[cfg(feature = "cache")]
impl SikkerKey {
    /// Removes every cached value of this vault; nothing where the cache is off.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] where the folder cannot be read or a file not be removed, or the
    /// cache was refused.
    pub fn clear_cache(&self) -> Result<(), Error> {
        self.inner.cache().map_or(Ok(()), Cache::clear)
    }

    /// How many secrets have a value in the cache of this vault, whoever wrote it; 0 where the
    /// cache is off.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] where the folder cannot be read, or the cache was refused.
    pub fn cached_count(&self) -> Result<usize, Error> {
        self.inner.cache().map_or(Ok(0), Cache::count)
    }
}

/// Itself, so that a function takes this client and the async one alike.
impl AsRef<SikkerKey> for SikkerKey {
    fn as_ref(&self) -> &SikkerKey {
        self
    }
}

impl fmt::Debug for SikkerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[cfg(test)]
mod watch_tests;
