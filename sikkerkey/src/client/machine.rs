use crate::error::Error;
use crate::id::normal_vault_id;
use crate::identity::{Claims, Expected, Identity, Origin, variable};
use crate::protocol::api_url::ApiUrl;
use crate::protocol::signing::Signer;

/// The service's address, unless the environment or the program sets another one.
const SERVICE: &str = "https://api.sikkerkey.com";

/// A machine given by values instead of files, for
/// [`SikkerKeyBuilder::machine`](crate::SikkerKeyBuilder::machine) together with its key.
///
/// A *machine* is one enrolled host or process. It has an id and an Ed25519 key of its own, and reads the
/// secrets that are granted to it.
///
/// ```
/// # use sikkerkey_emulator::Emulator;
/// # let vault = Emulator::builder().vault("vault_abc123").start()?;
/// # let pem = std::fs::read_to_string(vault.identity_path().with_file_name("private.pem"))?;
/// # let (id, url) = (vault.machine_id(), vault.url());
/// use sikkerkey::{Machine, SikkerKey};
///
/// let sk = SikkerKey::builder()
///     .machine(Machine::new(id, "vault_abc123").name("web-1").api_url(url))
///     .private_key_pem(pem)
///     .build()?;
/// assert_eq!(sk.machine_name(), "web-1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a machine does nothing until a builder is given it"]
pub struct Machine {
    id: String,
    vault_id: String,
    name: Option<String>,
    api_url: Option<String>,
}

impl Machine {
    /// Describes a machine with this id, in this vault; `vault_` is added to the vault's id if it is missing.
    pub fn new(id: impl Into<String>, vault_id: impl Into<String>) -> Self {
        Machine {
            id: id.into(),
            vault_id: vault_id.into(),
            name: None,
            api_url: None,
        }
    }

    /// Sets the name that [`SikkerKey::machine_name`](crate::SikkerKey::machine_name) returns. Defaults to
    /// an empty name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets where requests go. Defaults to the environment variable `SIKKERKEY_API_URL`, else to
    /// `https://api.sikkerkey.com`.
    pub fn api_url(mut self, url: impl Into<String>) -> Self {
        self.api_url = Some(url.into());
        self
    }

    pub(super) fn identity(&self, signer: Signer) -> Result<Identity, Error> {
        let vault_id = normal_vault_id(&self.vault_id)?;
        let api_url = service_url(self.api_url.as_deref())?;
        let claims = Claims {
            vault_id: &vault_id,
            machine_id: &self.id,
            machine_name: self.name.as_deref(),
            api_url: api_url.as_str(),
        };
        let checked = claims
            .check(Expected::default())
            .map_err(|problem| Error::configuration(format!("the machine {problem}")))?;
        let origin = Origin::Memory {
            expires_at: None,
            expires_monotonic: None,
        };
        Ok(Identity::new(checked, signer, origin))
    }
}

/// Returns the given address, else that of the environment, else the service's own.
pub(super) fn service_url(given: Option<&str>) -> Result<ApiUrl, Error> {
    let (text, source) = match given {
        Some(url) => (url.to_owned(), "the API URL"),
        None => match variable("SIKKERKEY_API_URL")? {
            Some(url) => (url, "the API URL in SIKKERKEY_API_URL"),
            None => (SERVICE.to_owned(), "the API URL"),
        },
    };
    ApiUrl::parse(&text).map_err(|problem| Error::configuration(format!("{source} {problem}")))
}
