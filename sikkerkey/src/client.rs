use std::any::type_name;
use std::ffi::OsStr;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;

use crate::call::{Call, LIST_LIMIT};
use crate::identity::{self, Environment, Origin};
use crate::refusal::Purpose;
use crate::shared::{Handle, Shared, check_id};
use crate::wire::{self, ExportAnswer, ListAnswer, ListEntry, ProjectRequest};
use crate::{Bootstrap, Error, ErrorKind, Export, Fields, SikkerKeyBuilder};

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
/// nonce and the machine's key, and has 15 s; the whole call has 30 s. No answer, 429 and 503 are
/// tried again as [`RetryPolicy`](crate::RetryPolicy) says, everything else is an [`Error`] at
/// once. A 401 is never tried again, since the service locks an address out after three, with one
/// exception: where the service's own `Date` shows that this machine's clock is more than a minute
/// off, the call is signed once more with the right time, a warning is logged, and later calls use
/// the correction for as long as the clock needs it.
///
/// For the same reason at most two requests are on their way at once until the service has
/// accepted one; from then on there is no limit.
///
/// # The network
///
/// Requests are HTTP/1.1 over TLS 1.2 or 1.3. Mozilla's certificate authorities, bundled into the
/// program, vouch for the service, or else your own:
/// [`root_certificate_pem`](SikkerKeyBuilder::root_certificate_pem). Plain http is for this
/// machine alone. A certificate that is refused is an error that says why, is not tried again, and
/// is never taken for an outage. `HTTPS_PROXY` (or `ALL_PROXY`) names a proxy as
/// `http://host:port`, and `NO_PROXY` the hosts that need none; this machine is never reached
/// through one. Redirects are errors. A value may have 1 MiB (and its JSON 3 MiB), a list or an
/// export 64 MiB. Up to 16 idle connections are kept for 45 s, and a name that was looked up for
/// 60 s, or until a connection fails.
///
/// # Logging
///
/// Events go to the [`log`] crate under the target `sikkerkey`: at `debug` one line for each
/// attempt with method, path, status and time; at `warn` a key file that others can read, a clock
/// that is off, names of an export that fold into one. None ever holds a value, a key or a token,
/// at any level. With `env_logger`:
///
/// ```
/// env_logger::Builder::new().filter_module("sikkerkey", log::LevelFilter::Debug).init();
/// ```
///
/// With `tracing-subscriber`, whose default features read `log`'s events too:
///
/// ```ignore
/// tracing_subscriber::fmt().with_env_filter("info,sikkerkey=debug").init();
/// ```
#[derive(Clone)]
pub struct SikkerKey {
    shared: Arc<Handle>,
}

/// A secret that this machine may read, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecretListItem {
    /// The id, by which it is read.
    pub id: String,
    /// The name that people gave it.
    pub name: String,
    /// The names of its fields; `None` for a single value.
    pub field_names: Option<Vec<String>>,
    /// The project that it is in, where the service says so.
    pub project_id: Option<String>,
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

    /// A client with settings of your own.
    pub fn builder() -> SikkerKeyBuilder {
        SikkerKeyBuilder::new()
    }

    /// A client whose machine is enrolled now, with an enrolment token, and whose key never
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
        Bootstrap::new(vault, token)
    }

    /// The vaults for which this machine has an identity, sorted.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] where the folder of vaults exists and cannot be read.
    pub fn list_vaults() -> Result<Vec<String>, Error> {
        identity::list_vaults(&Environment::of_process())
    }

    /// The vault's id.
    pub fn vault_id(&self) -> &str {
        self.shared.vault_id()
    }

    /// The machine's id. A machine that is [enrolled again](Bootstrap::reenroll_when_expired) gets
    /// a new one.
    pub fn machine_id(&self) -> String {
        self.shared.session().identity.machine_id.clone()
    }

    /// The machine's name.
    pub fn machine_name(&self) -> String {
        self.shared.session().identity.machine_name.clone()
    }

    /// The address to which requests go.
    pub fn api_url(&self) -> String {
        self.shared.session().transport.url().as_str().to_owned()
    }

    /// When the service will stop knowing this machine; `None` for an identity on disk, and where
    /// the service gave no time.
    pub fn expires_at(&self) -> Option<SystemTime> {
        let Origin::Memory { expires_at, .. } = &self.shared.session().identity.origin else {
            return None;
        };
        let seconds = u64::try_from((*expires_at)?).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }

    /// Reads a secret's value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidId`] before anything is sent; [`ErrorKind::NotFound`] and
    /// [`ErrorKind::AccessDenied`] where this machine cannot have it; any of the others that a
    /// request can end with.
    pub fn get_secret(&self, id: &str) -> Result<SecretString, Error> {
        self.shared.read_secret(id)
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
            let names: Vec<String> = fields.names().map(str::to_owned).collect();
            let known = match names.as_slice() {
                [] => "it has none".to_owned(),
                names => format!("it has {}", names.join(", ")),
            };
            Error::new(
                ErrorKind::FieldNotFound,
                format!("secret {id} has no field {field:?}: {known}"),
            )
            .with_fields(names)
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
            body: Some(wire::encode(&ProjectRequest {
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
        self.export_with(Purpose::ExportProject(project), Some(project))
    }

    pub(crate) fn from_shared(shared: Shared) -> Self {
        SikkerKey {
            shared: Arc::new(Handle::new(shared)),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn list(&self, call: Call<'_>) -> Result<Vec<SecretListItem>, Error> {
        let answer = self.shared.call(&call, &self.shared.settings().retry)?;
        let ListAnswer { secrets } = answer.decode(call.purpose)?;
        Ok(secrets.into_iter().map(SecretListItem::from).collect())
    }

    fn export_with(&self, purpose: Purpose<'_>, project: Option<&str>) -> Result<Export, Error> {
        let call = Call {
            purpose,
            method: "POST",
            path: "/v1/secrets/export".to_owned(),
            body: project.map(|project_id| wire::encode(&ProjectRequest { project_id })),
            limit: LIST_LIMIT,
        };
        let answer = self.shared.call(&call, &self.shared.settings().retry)?;
        let ExportAnswer { secrets } = answer.decode(purpose)?;
        for entry in &secrets {
            self.shared.note_read(&entry.id, &entry.value);
        }
        Ok(Export::from_entries(secrets))
    }
}

impl fmt::Debug for SikkerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}

impl From<ListEntry> for SecretListItem {
    fn from(entry: ListEntry) -> Self {
        SecretListItem {
            id: entry.id,
            name: entry.name.unwrap_or_default(),
            field_names: entry
                .field_names
                .filter(|names| !names.trim().is_empty())
                .map(|names| {
                    names
                        .split(',')
                        .map(|name| name.trim().to_owned())
                        .collect()
                }),
            project_id: entry.project_id,
        }
    }
}
