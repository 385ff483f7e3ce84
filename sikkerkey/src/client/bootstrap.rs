//! Machines in memory: enrolled with a token, and re-enrolled when they expire, if asked for.

use std::env;
use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

use super::SikkerKey;
use super::builder::SikkerKeyBuilder;
use super::inner::{ClientInner, Renewal};
use super::machine::service_url;
use super::reenrollment::Reenrollment;
use super::register::MachineRegistration;
use super::settings::Settings;
use crate::error::Error;
use crate::id::normal_vault_id;
use crate::transport::Transport;

/// A builder of a client whose machine is enrolled in memory; from
/// [`SikkerKey::bootstrap_in_memory`].
///
/// *Enrolling* registers a new machine with an enrollment token. The request goes to
/// `https://api.sikkerkey.com`, or to `SIKKERKEY_API_URL` if that variable is set. Later requests go where
/// the service says.
///
/// ```
/// # use sikkerkey_emulator::Emulator;
/// # let vault = Emulator::builder().vault("vault_abc123").start()?;
/// # let token = vault.enrollment_token(2, Duration::from_secs(600));
/// # let url = vault.url();
/// use std::time::Duration;
/// use sikkerkey::{Bootstrap, SikkerKey};
///
/// let machine: Bootstrap = SikkerKey::bootstrap_in_memory("vault_abc123", &token)
///     .hostname("resize-images")         // shown in the list of machines
///     .reenroll_when_expired(true)
///     .timeout(Duration::from_secs(5));  // and every other setting of requests
/// # let machine = machine.api_url(url);
/// let sk = machine.enroll()?;
/// assert_eq!(sk.vault_id(), "vault_abc123");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Bootstrap = SikkerKeyBuilder<NewMachine>;

/// The part of a [`Bootstrap`] that describes the machine to enroll.
pub struct NewMachine {
    vault: String,
    token: SecretString,
    hostname: Option<String>,
    name: Option<String>,
    api_url: Option<String>,
    reenroll: bool,
}

/// # The machine
impl Bootstrap {
    pub(crate) fn in_memory(vault: &str, token: &str) -> Self {
        SikkerKeyBuilder {
            identity: NewMachine {
                vault: vault.to_owned(),
                // A token that was read from a file may end with a line break.
                token: token.trim().into(),
                hostname: None,
                name: None,
                api_url: None,
                reenroll: false,
            },
            settings: Settings::default(),
        }
    }

    /// Sets the host name that the list of machines shows. Defaults to `$HOSTNAME`, else `serverless`.
    pub fn hostname(mut self, hostname: impl Into<String>) -> Self {
        self.identity.hostname = Some(hostname.into());
        self
    }

    /// Sets the machine's name. A name pattern of the token replaces it. Defaults to none.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.identity.name = Some(name.into());
        self
    }

    /// Enrolls a new machine with the same token after this one has expired. Defaults to off.
    ///
    /// Each enrollment takes one of the token's uses. If many calls fail at the same time, one machine is
    /// enrolled, and each call is sent once more with it. If the token is spent or refused, that error is
    /// returned by this call and, at once, by every later one. Only the service's own JSON counts: the page of a
    /// proxy neither enrolls a machine nor ends the enrollments, which are tried again after 30 s.
    ///
    /// In the last minute of the machine's life the client has at most two requests under way: the service
    /// locks an address out after three failed authentications, and each request that is under way when a
    /// machine expires is one of them.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().vault("vault_abc123").secret("sk_key", "1").start()?;
    /// # let token = vault.enrollment_token(2, std::time::Duration::from_secs(600));
    /// # let url = vault.url();
    /// use sikkerkey::SikkerKey;
    ///
    /// let machine = SikkerKey::bootstrap_in_memory("vault_abc123", &token).reenroll_when_expired(true);
    /// # let machine = machine.api_url(url);
    /// let sk = machine.enroll()?;
    /// let first = sk.machine_id();
    /// sk.get_secret("sk_key")?;
    /// # vault.expire_machines();
    /// // Later, after the machine has expired:
    /// sk.get_secret("sk_key")?;
    /// assert_ne!(sk.machine_id(), first);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reenroll_when_expired(mut self, reenroll: bool) -> Self {
        self.identity.reenroll = reenroll;
        self
    }

    /// Sets where the machine is enrolled. Defaults to `SIKKERKEY_API_URL`, else to
    /// `https://api.sikkerkey.com`.
    pub fn api_url(mut self, url: impl Into<String>) -> Self {
        self.identity.api_url = Some(url.into());
        self
    }

    /// Makes a key, enrolls a machine with it, and returns its client. The key never leaves memory.
    ///
    /// The request is retried only after 429, or if it certainly did not reach the service: a lost response
    /// may have taken one of the token's uses.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().vault("vault_abc123").start()?;
    /// # let url = vault.url();
    /// use sikkerkey::{ErrorKind, SikkerKey};
    ///
    /// let machine = SikkerKey::bootstrap_in_memory("vault_abc123", "a token that has expired");
    /// # let machine = machine.api_url(url);
    /// let error = machine.enroll().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Authentication);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration) for a setting, the vault's id or an empty token;
    /// [`Authentication`](crate::ErrorKind::Authentication) or
    /// [`AccessDenied`](crate::ErrorKind::AccessDenied) if the service refuses the token; any other error of
    /// a request. No error contains the token.
    pub fn enroll(self) -> Result<SikkerKey, Error> {
        let SikkerKeyBuilder {
            identity: machine,
            settings,
        } = self;
        let connections = settings.connections()?;
        let base = service_url(machine.api_url.as_deref())?;
        if machine.token.expose_secret().is_empty() {
            return Err(Error::configuration(
                "the enrollment token is empty: is the variable that should hold it set?",
            ));
        }
        let registration = MachineRegistration {
            vault: normal_vault_id(&machine.vault)?,
            token: machine.token,
            hostname: machine
                .hostname
                .or_else(|| env::var("HOSTNAME").ok().filter(|name| !name.is_empty()))
                .unwrap_or_else(|| "serverless".to_owned()),
            name: machine.name,
            transport: Transport::new(&base, &connections)?,
            connections,
            replaceable: machine.reenroll,
        };
        let budget = settings.budget();
        let session = registration.enroll(&settings, budget)?;
        let renewal = match machine.reenroll {
            true => Renewal::Enrollment(Reenrollment::new(registration)),
            false => Renewal::None,
        };
        Ok(SikkerKey::from_inner(ClientInner::new(
            session,
            settings,
            renewal,
            #[cfg(feature = "cache")]
            None,
        )))
    }
}

impl fmt::Debug for NewMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewMachine")
            .field("vault", &self.vault)
            .field("hostname", &self.hostname)
            .field("name", &self.name)
            .field("reenroll", &self.reenroll)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_token() {
        let bootstrap = Bootstrap::in_memory("vault_abc123", "hunter2").hostname("h");
        assert!(!format!("{bootstrap:?}").contains("hunter2"));
    }
}
