//! Switches for behavior that the service's documentation leaves open.

use std::time::Duration;

use crate::builder::EmulatorBuilder;

/// One value for each open question; see the methods of [`EmulatorBuilder`] of the same names.
#[derive(Debug, Clone)]
pub(crate) struct Switches {
    pub(crate) lock_out: bool,
    pub(crate) locked_status: u16,
    pub(crate) poll_minimum: Option<Duration>,
    pub(crate) repeat_gone: bool,
    pub(crate) unread_is_changed: bool,
    pub(crate) changed_until_read: bool,
    pub(crate) returned_is_changed: bool,
    pub(crate) hide_denied: bool,
    pub(crate) null_fields: bool,
    pub(crate) expiry_in_millis: bool,
    pub(crate) enrolled_api_url: ApiUrl,
    pub(crate) enrollment_status: u16,
    pub(crate) token_refused_status: u16,
    pub(crate) machine_lifetime: Option<Duration>,
    pub(crate) cli_calls: bool,
    pub(crate) type_field: TypeField,
    pub(crate) certificates: bool,
}

/// How the detailed list (`GET /v1/cli/secrets`) shows the [`Kind`](crate::Kind) of a secret.
///
/// ```
/// use sikkerkey_emulator::{Emulator, TypeField};
///
/// let older = Emulator::builder()
///     .secret("sk_a", "1")
///     .type_field(TypeField::LeftOut)
///     .start()?; // a client must not depend on `type`
/// # Ok::<(), sikkerkey_emulator::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TypeField {
    /// `type` names the kind.
    #[default]
    Shown,
    /// `type` is an empty text, as some older services write it.
    Empty,
    /// `type` is left out, as other older services do.
    LeftOut,
}

/// The `apiUrl` in the response to an enrollment.
#[derive(Debug, Clone)]
pub(crate) enum ApiUrl {
    Own,
    Other(String),
    LeftOut,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            lock_out: true,
            locked_status: 429,
            poll_minimum: None,
            repeat_gone: true,
            unread_is_changed: false,
            changed_until_read: true,
            returned_is_changed: true,
            hide_denied: false,
            null_fields: true,
            expiry_in_millis: false,
            enrolled_api_url: ApiUrl::Own,
            enrollment_status: 201,
            token_refused_status: 401,
            machine_lifetime: Some(Duration::from_secs(3600)),
            cli_calls: true,
            type_field: TypeField::Shown,
            certificates: true,
        }
    }
}

/// # Behavior that the service does not document
///
/// The service's documentation leaves each of these questions open. A client must work with every answer, so a test can
/// choose each.
impl EmulatorBuilder {
    /// Sets whether three failed authentications lock the source address out, for 15 minutes of the service's time.
    /// With `false`, every failure is a plain 401. See also [`Emulator::unlock`](crate::Emulator::unlock). Defaults to
    /// `true`.
    pub fn lock_out(mut self, on: bool) -> Self {
        self.switches.lock_out = on;
        self
    }

    /// Sets the status for a locked-out address, 429 or 401. Defaults to 429.
    pub fn locked_out_status(mut self, status: u16) -> Self {
        self.switches.locked_status = status;
        self
    }

    /// Sets the shortest time between two polls of one machine; an earlier poll gets 429 with `Retry-After`. The
    /// service has 10 s. Defaults to none, so that tests need not wait.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sikkerkey_emulator::Emulator;
    /// let vault = Emulator::builder().poll_minimum(Duration::from_secs(10)).start()?;
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
    pub fn poll_minimum(mut self, minimum: impl Into<Option<Duration>>) -> Self {
        self.switches.poll_minimum = minimum.into();
        self
    }

    /// Sets whether every poll reports a secret that is `deleted` or `access_denied`, or only the first poll after it
    /// became so. Defaults to `true`: every poll.
    pub fn gone_in_every_poll(mut self, every: bool) -> Self {
        self.switches.repeat_gone = every;
        self
    }

    /// Sets whether a secret that the machine has never read is `changed` in its first poll, and until it is read. With
    /// `false`, changes count from that poll on. Defaults to `false`.
    pub fn unread_is_changed(mut self, changed: bool) -> Self {
        self.switches.unread_is_changed = changed;
        self
    }

    /// Sets whether every poll reports a `changed` secret until it is read, or a single poll does. With a single one, a
    /// lost response loses the change. Defaults to `true`: until it is read.
    pub fn changed_until_read(mut self, until_read: bool) -> Self {
        self.switches.changed_until_read = until_read;
        self
    }

    /// Sets whether a secret that returns, by `put` after `delete` or by `allow` after `deny`, is `changed` in the next
    /// poll. With `false`, the poll does not mention it. Defaults to `true`.
    pub fn returned_is_changed(mut self, changed: bool) -> Self {
        self.switches.returned_is_changed = changed;
        self
    }

    /// Sets whether the read of a secret without a grant gets 404, as if it did not exist, instead of 403. Defaults to
    /// `false`: 403.
    pub fn hide_denied(mut self, hide: bool) -> Self {
        self.switches.hide_denied = hide;
        self
    }

    /// Sets whether empty `fieldNames` and `projectId` are `null` in lists, or left out. Defaults to `true`: `null`.
    pub fn null_fields(mut self, null: bool) -> Self {
        self.switches.null_fields = null;
        self
    }

    /// Sets whether `expiresAt` is in milliseconds instead of seconds. Defaults to `false`: seconds.
    pub fn expiry_in_milliseconds(mut self, milliseconds: bool) -> Self {
        self.switches.expiry_in_millis = milliseconds;
        self
    }

    /// Sets the `apiUrl` in the response to an enrollment; `None` leaves it out. Defaults to this emulator's URL.
    ///
    /// ```
    /// use sikkerkey_emulator::Emulator;
    ///
    /// Emulator::builder().enrolled_api_url(Some("https://eu.example"));
    /// Emulator::builder().enrolled_api_url(None);
    /// ```
    pub fn enrolled_api_url(mut self, url: Option<&str>) -> Self {
        self.switches.enrolled_api_url = match url {
            Some(url) => ApiUrl::Other(url.into()),
            None => ApiUrl::LeftOut,
        };
        self
    }

    /// Sets the status of a successful enrollment; the service promises a 2xx. Defaults to 201.
    pub fn enrollment_status(mut self, status: u16) -> Self {
        self.switches.enrollment_status = status;
        self
    }

    /// Sets the status for an enrollment token that is unknown, expired or used up. Only a 401 counts as a failed
    /// authentication. Defaults to 401.
    pub fn token_refused_status(mut self, status: u16) -> Self {
        self.switches.token_refused_status = status;
        self
    }

    /// Sets the lifetime of enrolled machines. With `None` they never expire, and the response has no `expiresAt`.
    /// Defaults to one hour.
    pub fn machine_lifetime(mut self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.switches.machine_lifetime = lifetime.into();
        self
    }

    /// Sets whether the service has the calls `/v1/cli/secrets` and `/v1/cli/projects`. With `false` they get 404, as
    /// an older service may respond. Defaults to `true`.
    pub fn cli_calls(mut self, offered: bool) -> Self {
        self.switches.cli_calls = offered;
        self
    }

    /// Sets whether certificates are issued. With `false`, the response is `{"value":"{}"}`, as of a service that is
    /// older than certificates. Defaults to `true`.
    pub fn certificates(mut self, issued: bool) -> Self {
        self.switches.certificates = issued;
        self
    }

    /// Sets how the detailed list shows the kind of a secret. Defaults to [`TypeField::Shown`].
    pub fn type_field(mut self, shown: TypeField) -> Self {
        self.switches.type_field = shown;
        self
    }
}
