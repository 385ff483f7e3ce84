//! The client of one vault: its methods, and the calls behind them.

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
/// A *vault* holds secrets. A *machine* is one enrolled host or process with an Ed25519 key. A *grant* lets
/// one machine read one secret. The service checks the signature of each read and writes it to the vault's
/// audit log.
///
/// A clone is cheap and is the same client: clones share connections, watches and the identity.
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
/// Ids are checked before anything is sent. Each attempt has a new signature, over the time and a random
/// nonce, and 15 s; the whole call has 30 s. After no response, 429 and 503 the call is retried as
/// [`RetryPolicy`](crate::RetryPolicy) says. Everything else is an [`Error`] at once.
///
/// A 401 is not retried, because the service locks an address out after three. There is one exception: if the
/// `Date` of the response shows that this machine's clock is more than a minute off, the call is signed once
/// more with the service's time, and a warning is logged
/// ([`clock_correction`](SikkerKeyBuilder::clock_correction) turns that off). After a 401 that stays, calls
/// fail at once with the same error; one call tries again after 10 s, 40 s, 160 s, then every 10 minutes. A
/// key or `identity.json` that has changed on disk is read and tried at once. Until the service has accepted
/// this identity once, at most two requests are under way.
///
/// # The network
///
/// Requests are HTTP/1.1 over TLS 1.2 or 1.3. Mozilla's certificate authorities are part of the program;
/// [`add_root_certificate_pem`](SikkerKeyBuilder::add_root_certificate_pem) adds to them, and
/// [`root_certificate_pem`](SikkerKeyBuilder::root_certificate_pem) replaces them. Plain http is allowed only
/// for loopback. A refused certificate is a final error, never an outage. Redirects are errors. A value has
/// at most 1 MiB (its JSON 3 MiB), a list or an export 64 MiB.
///
/// Up to 16 idle connections are kept, each for 45 s, and none for more than 5 minutes. A reused connection
/// that turns out to be dead is replaced at once, with a new signature; that does not count as an attempt. A
/// name is looked up again after 60 s, or after a connection fails. Its addresses are tried 250 ms apart, the
/// one that worked last first.
///
/// `HTTPS_PROXY` (or `ALL_PROXY`) names a proxy, as `http://user:password@host:port`; user and password are
/// optional and percent-encoded. `NO_PROXY` lists exceptions: `*`, names (and those below them), addresses,
/// networks such as `10.0.0.0/8`, each with a port if only that port is meant. Loopback never uses a proxy. A
/// variable that cannot be understood is an error when the client is built. A proxy that refuses to connect
/// (407, for instance) is a final error, never an outage.
///
/// # Forks
///
/// After a fork, the child uses connections and threads of its own: no request of one process gets a response
/// of the other. A [`Live`](crate::Live) follows its secrets only in the process that started it; its copy in
/// the child keeps what it had, and its status says so. Watches and a `Live` that the child starts work. To
/// the service both are one machine, and it reports a change once: the process that did not poll first finds
/// it by its [`resync`](SikkerKeyBuilder::resync). This holds for a fork while no other thread uses the
/// client; otherwise it is best effort.
///
/// # Events
///
/// The client's events are [`tracing`](https://docs.rs/tracing) events with the target `sikkerkey`:
/// at `debug` one for each attempt, with method, path, status and time; at `info` each config that was
/// swapped in (`AppConfig is at generation 2: db.password`) and each recovery; at `warn` a key file that
/// others can read, a clock that is off, export names that collide, a new config that was refused. Each
/// is one line. No event holds a value, a key or a token, at any level. A subscriber or logger may use
/// the client: the events that its own calls cause are left out. It never runs under a lock of the
/// client, and its panic is contained.
///
/// Each event is in one of these spans, at level `info`, whose fields are ids and paths:
///
/// | span | fields | what lies in it |
/// | --- | --- | --- |
/// | `call` | `method`, `path` | one call, with its retries and the fallback cache; a poll's is at `debug` |
/// | `load` | `config` | the first load of a config: its calls, its build, its probe |
/// | `swap` | `config`, `generation` | an attempt to swap in a newer config, including one that is refused |
/// | `probe` | `config` | the [probe](crate::Loader::probe) of a config |
///
/// A call of an async client lies in the span of the task that makes it. Metrics come with the feature
/// `metrics`, and are listed in the module `sikkerkey::metrics`.
///
/// With the
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
    /// Makes a client with an identity on this machine, by the id of its vault (`vault_` is added if it is
    /// missing), or by the path of its `identity.json`, which starts with `/` or contains `identity.json`.
    ///
    /// A vault's identity is in `vaults/VAULT/identity.json` of the folder `SIKKERKEY_HOME`, or
    /// of `~/.sikkerkey`.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().start()?;
    /// # let path = vault.identity_path();
    /// use sikkerkey::SikkerKey;
    ///
    /// let sk = SikkerKey::new(path)?; // or a vault's id: SikkerKey::new("vault_abc123")
    /// println!("{} in {}", sk.machine_id(), sk.vault_id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if the identity or its key is missing, unreadable or invalid, or if other
    /// users can change it.
    pub fn new(vault_or_path: impl AsRef<OsStr>) -> Result<Self, Error> {
        Self::builder().vault(vault_or_path).build()
    }

    /// Makes a client with the identity that `SIKKERKEY_IDENTITY` names, or else with the only one on this
    /// machine.
    ///
    /// ```no_run
    /// use sikkerkey::SikkerKey;
    ///
    /// let sk = SikkerKey::auto()?; // on a machine with one identity
    /// println!("vault {}", sk.vault_id());
    /// # Ok::<(), sikkerkey::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and if there are several identities and none was chosen.
    pub fn auto() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// Makes a client from the environment, so that one program starts on a laptop, in a container, in CI and
    /// as a function.
    ///
    /// It takes the first of these that it finds:
    ///
    /// 1. `SIKKERKEY_IDENTITY`: the path of an `identity.json`.
    /// 2. `SIKKERKEY_VAULT_ID`, `SIKKERKEY_MACHINE_ID` and `SIKKERKEY_PRIVATE_KEY` (PEM, with `\n`
    ///    or spaces for line ends if need be), and `SIKKERKEY_API_URL` if it is set.
    /// 3. `$CREDENTIALS_DIRECTORY/identity.json`: a credential of systemd.
    /// 4. The only vault on disk; of several, the one that `SIKKERKEY_VAULT_ID` names.
    /// 5. `SIKKERKEY_VAULT_ID` and `SIKKERKEY_ENROLLMENT_TOKEN`: a machine is enrolled in memory. It
    ///    takes one of the token's uses.
    ///
    /// An empty variable counts as not set.
    ///
    /// ```no_run
    /// use sikkerkey::SikkerKey;
    ///
    /// let sk = SikkerKey::from_env()?;
    /// println!("{} in {}", sk.machine_name(), sk.vault_id());
    /// # Ok::<(), sikkerkey::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if a set of variables is incomplete (the text names the missing one), if
    /// a variable is not UTF-8, and as [`new`](Self::new). If a machine is enrolled, as
    /// [`enroll`](Bootstrap::enroll).
    pub fn from_env() -> Result<Self, Error> {
        from_env::client()
    }

    /// Starts a builder, for a client with settings of its own.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().start()?;
    /// # let path = vault.identity_path();
    /// use std::time::Duration;
    /// use sikkerkey::SikkerKey;
    ///
    /// let sk = SikkerKey::builder().identity_file(path).deadline(Duration::from_secs(10)).build()?;
    /// # let _ = sk;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> SikkerKeyBuilder {
        SikkerKeyBuilder::new()
    }

    /// Starts a builder of a client whose machine is enrolled with a token, and whose key never leaves the
    /// memory of this process: for functions and containers without a disk.
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

    /// Lists the ids of the vaults for which this machine has an identity, sorted.
    ///
    /// ```no_run
    /// use sikkerkey::SikkerKey;
    ///
    /// for vault in SikkerKey::list_vaults()? {
    ///     println!("{vault}: {} secrets", SikkerKey::new(&vault)?.list_secrets()?.len());
    /// }
    /// # Ok::<(), sikkerkey::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if the folder of vaults exists and cannot be read.
    pub fn list_vaults() -> Result<Vec<String>, Error> {
        identity::list_vaults(&Environment::of_process()?)
    }

    /// The id of the vault, such as `vault_abc123`.
    pub fn vault_id(&self) -> &str {
        self.inner.vault_id()
    }

    /// The machine's id. A machine that is [enrolled again](Bootstrap::reenroll_when_expired) gets
    /// a new one.
    pub fn machine_id(&self) -> String {
        self.inner.session().identity.machine_id.clone()
    }

    /// The machine's name, with control, bidirectional and invisible characters escaped, cut to 64
    /// characters. Empty for a machine without a name.
    pub fn machine_name(&self) -> String {
        self.inner.session().identity.machine_name.clone()
    }

    /// The address of the service that requests go to.
    pub fn api_url(&self) -> String {
        self.inner.session().transport.url().as_str().to_owned()
    }

    /// Returns when this machine expires; `None` for an identity on disk, and if the service named no time.
    pub fn expires_at(&self) -> Option<SystemTime> {
        let Origin::Memory { expires_at, .. } = &self.inner.session().identity.origin else {
            return None;
        };
        let seconds = u64::try_from((*expires_at)?).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }

    /// Counts what this client has sent: requests, polls, retries, and the reads of each secret.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().secret("sk_key", "1").start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// sk.get_secret("sk_key")?;
    /// println!("{} requests, {} retries", sk.stats().requests(), sk.stats().retries());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stats(&self) -> Stats {
        self.inner.counters().stats()
    }

    /// Reads the value of a secret, by its id.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().secret("sk_stripe_key", "sk-live-1").start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// use sikkerkey::{ErrorKind, ExposeSecret};
    ///
    /// let key = sk.get_secret("sk_stripe_key")?;
    /// assert_eq!(key.expose_secret(), "sk-live-1");
    ///
    /// let error = sk.get_secret("sk_strip_key").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NotFound);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidId`] before anything is sent; [`ErrorKind::NotFound`] and
    /// [`ErrorKind::AccessDenied`] if the secret does not exist or is not granted to this machine; any other
    /// error of a request.
    pub fn get_secret(&self, id: &str) -> Result<SecretString, Error> {
        self.inner.read_secret(id)
    }

    /// Reads all fields of a structured secret.
    ///
    /// ```
    /// # let vault = sikkerkey_emulator::Emulator::builder()
    /// #     .structured("sk_db_prod", [("host", "db.internal")])
    /// #     .start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// let fields = sk.get_fields("sk_db_prod")?;
    /// assert_eq!(fields.names().collect::<Vec<_>>(), ["host"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get_secret`](Self::get_secret), and [`ErrorKind::SecretStructure`] if the value is not a JSON
    /// object.
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
    /// ```
    /// # let vault = sikkerkey_emulator::Emulator::builder()
    /// #     .structured("sk_db_prod", [("host", "db.internal")])
    /// #     .start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// use sikkerkey::ExposeSecret;
    ///
    /// let host = sk.get_field("sk_db_prod", "host")?;
    /// assert_eq!(host.expose_secret(), "db.internal");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get_fields`](Self::get_fields), and [`ErrorKind::FieldNotFound`], with the names of the fields in
    /// [`Error::available_fields`].
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

    /// Reads a secret whose value is JSON, into your own type.
    ///
    /// ```
    /// # let vault = sikkerkey_emulator::Emulator::builder().json("sk_ports", "[8080, 8081]").start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// let ports: Vec<u16> = sk.get_json("sk_ports")?;
    /// assert_eq!(ports, [8080, 8081]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get_secret`](Self::get_secret), and [`ErrorKind::SecretStructure`] if the value is not JSON, or
    /// does not fit `T`. The text names line and column only, because the parser's own text could quote the
    /// value.
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

    /// Lists the secrets that this machine may read. No value is read, so no canary (a secret that raises an
    /// alarm when it is read) is triggered.
    ///
    /// ```
    /// # let vault = sikkerkey_emulator::Emulator::builder().secret("sk_stripe_key", "sk-live-9a3").start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// for secret in sk.list_secrets()? {
    ///     println!("{}: {}", secret.id, secret.name);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

    /// Lists the secrets of one project that this machine may read, by the project's id.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().secret("sk_key", "1").project("sk_key", "proj_shop").start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// let secrets = sk.list_secrets_by_project("proj_shop")?;
    /// assert_eq!(secrets[0].id, "sk_key");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// environment. This reads canaries, too.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().secret("sk_key", "sk-live-1").name("sk_key", "Stripe key").start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// use sikkerkey::ExposeSecret;
    ///
    /// let export = sk.export()?;
    /// let key = export.get("STRIPE_KEY").ok_or("not granted")?;
    /// assert_eq!(key.expose_secret(), "sk-live-1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Any with which a request can end.
    pub fn export(&self) -> Result<Export, Error> {
        self.export_with(Purpose::Export, None)
    }

    /// Reads the secrets of one project that this machine may read, by the project's id, as
    /// [`export`](Self::export) does.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().secret("sk_a", "1").name("sk_a", "KEY").project("sk_a", "proj_shop").start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// let export = sk.export_project("proj_shop")?;
    /// assert_eq!(export.names().collect::<Vec<_>>(), ["KEY"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
        let _span = call.span();
        let answer = self.inner.call(&call, &self.inner.settings().retry)?;
        let secrets = answer.decode(call.purpose, messages::list)?;
        Ok(secrets.into_iter().map(SecretListItem::from).collect())
    }

    fn export_with(
        &self,
        purpose: Purpose<'_>,
        body: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Export, Error> {
        // The time to parse the response counts, too.
        let budget = self.inner.settings().budget();
        let call = Call {
            purpose,
            method: "POST",
            path: "/v1/secrets/export".to_owned(),
            headers: &[],
            body,
            limit: LIST_LIMIT,
        };
        let _span = call.span();
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
    /// The client polls the service at once, and then every [poll interval](Self::set_poll_interval), with
    /// one request for all watches. A change is a value that differs from the last one that this client read
    /// before the watch began, through any call: so read the secret first, then watch it. For a secret that
    /// this client has not read, the watch makes no extra read. It then compares with the first value that is
    /// read anyway: by you, after a reported change, or by the [resync](crate::SikkerKeyBuilder::resync).
    /// Earlier changes are delivered only if the service reports them.
    ///
    /// A change is delivered once, whichever process of this machine read the new value first: watched
    /// secrets are also read again from time to time ([`resync`](crate::SikkerKeyBuilder::resync)).
    ///
    /// # The callback
    ///
    /// It runs on a thread of its own, outside every lock: it may read secrets, watch and unwatch, close the
    /// client or drop it. Events of one secret are delivered one after the other, in order. A slow call
    /// delays other secrets by at most one poll cycle. A panic ends only that call.
    ///
    /// A callback that holds a handle of this client keeps the client and the watch alive: end it with
    /// [`Watch::stop`], [`unwatch`](Self::unwatch) or [`close`](Self::close). Otherwise, dropping the last
    /// handle ends the watch.
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
    /// [`InvalidId`](crate::ErrorKind::InvalidId); [`Configuration`](crate::ErrorKind::Configuration) if the
    /// operating system cannot start a thread. A secret that does not exist is not an error here: it shows
    /// later, as an event.
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

    /// Ends every watch on a secret; a `Live` that follows it continues. After it returns, no further call of
    /// their callbacks starts; one that has started may still run.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().secret("sk_flags", "on").start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// sk.watch("sk_flags", |event| println!("{event:?}"))?;
    /// sk.watch("sk_flags", |event| eprintln!("{event:?}"))?;
    /// sk.unwatch("sk_flags"); // both end
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unwatch(&self, id: &str) {
        self.inner.poller().unwatch(id);
    }

    /// Sets the time between two polls, ±20 %, counted from the last one. Defaults to 15 s.
    ///
    /// The service requires at least 10 s: a shorter interval is raised to that, with a warning in the log.
    /// Only an emulator on this machine takes any interval.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// use std::time::Duration;
    ///
    /// sk.set_poll_interval(Duration::from_secs(60)); // changes may be found later, with fewer requests
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_poll_interval(&self, interval: Duration) {
        self.inner.poller().set_interval(interval);
    }

    /// Ends every watch and every `Live` of this client, and its polls.
    ///
    /// It returns within a second, even while a request hangs, whose response is then ignored. Reads still
    /// work, and a new watch polls again. It may be called twice, and from inside a callback.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().secret("sk_flags", "on").start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// sk.watch("sk_flags", |event| println!("{event:?}"))?;
    /// sk.close();                  // before the program ends
    /// sk.get_secret("sk_flags")?;  // reads still work
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.inner.poller().close();
    }

    /// Follows many secrets at once, starting from the values that the follower already has.
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
    /// Removes every cached value of this vault (feature `cache`). Without a cache it removes nothing.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().secret("sk_key", "1").start()?;
    /// # let (path, folder) = (vault.identity_path(), vault.home().join("cache"));
    /// use sikkerkey::{CacheOptions, SikkerKey};
    ///
    /// let cache = CacheOptions::new();
    /// # let cache = cache.folder(folder);
    /// let sk = SikkerKey::builder().identity_file(path).cache(cache).build()?;
    /// sk.get_secret("sk_key")?;
    /// sk.clear_cache()?;
    /// assert_eq!(sk.cached_count()?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if the folder cannot be read, a file cannot be removed, or the cache was
    /// refused.
    pub fn clear_cache(&self) -> Result<(), Error> {
        self.inner.cache().map_or(Ok(()), Cache::clear)
    }

    /// Returns the number of this vault's secrets with a cached value, including values that other clients
    /// wrote (feature `cache`). Without a cache, 0.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().secret("sk_key", "1").start()?;
    /// # let (path, folder) = (vault.identity_path(), vault.home().join("cache"));
    /// use sikkerkey::{CacheOptions, SikkerKey};
    ///
    /// let cache = CacheOptions::new();
    /// # let cache = cache.folder(folder);
    /// let sk = SikkerKey::builder().identity_file(path).cache(cache).build()?;
    /// sk.get_secret("sk_key")?;
    /// assert_eq!(sk.cached_count()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if the folder cannot be read, or the cache was refused.
    pub fn cached_count(&self) -> Result<usize, Error> {
        self.inner.cache().map_or(Ok(0), Cache::count)
    }
}

/// Returns itself, so that a function can take this client or the async one.
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
