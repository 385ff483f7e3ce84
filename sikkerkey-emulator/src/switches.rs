//! Switches for what the service's documentation leaves open.

use std::time::Duration;

use crate::builder::EmulatorBuilder;

/// The answers to the open questions; see the methods of [`EmulatorBuilder`] of the same names.
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

/// What the rich list says of a secret's [`Kind`](crate::Kind).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TypeField {
    /// `type` names the kind.
    #[default]
    Shown,
    /// `type` is an empty text, as from some older services.
    Empty,
    /// There is no `type`, as from other older services.
    LeftOut,
}

/// What the response to an enrollment says about where to read from.
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

/// # Where the service's behavior is not published
///
/// The service's documentation leaves each of these questions open. A client must work with every answer, so each
/// answer can be chosen.
impl EmulatorBuilder {
    /// Whether three failed authentications lock the source address out, for 15 minutes of the service's time.
    /// Defaults to `true`; with `false`, every failure is just a 401. See also [`Emulator::unlock`](crate::Emulator::unlock).
    pub fn lock_out(mut self, on: bool) -> Self {
        self.switches.lock_out = on;
        self
    }

    /// The status for a locked-out address, 429 or 401. Defaults to 429.
    pub fn locked_out_status(mut self, status: u16) -> Self {
        self.switches.locked_status = status;
        self
    }

    /// The shortest time between two polls of one machine; an earlier poll is refused with 429 and `Retry-After`.
    /// The service has 10 s; here there is none by default, so that tests need not wait.
    pub fn poll_minimum(mut self, minimum: impl Into<Option<Duration>>) -> Self {
        self.switches.poll_minimum = minimum.into();
        self
    }

    /// Whether every poll reports a secret that is `deleted` or `access_denied` (`true`, the default), or
    /// only the first one after it became so.
    pub fn gone_in_every_poll(mut self, every: bool) -> Self {
        self.switches.repeat_gone = every;
        self
    }

    /// Whether a secret that this machine never read is `changed` in its first poll. By default it is not, and
    /// changes count from that poll on; `true` reports it at once and until it is read.
    pub fn unread_is_changed(mut self, changed: bool) -> Self {
        self.switches.unread_is_changed = changed;
        self
    }

    /// Whether every poll reports a `changed` secret until it is read (`true`, the default), or one poll
    /// alone, so that the loss of that poll's response loses the change.
    pub fn changed_until_read(mut self, until_read: bool) -> Self {
        self.switches.changed_until_read = until_read;
        self
    }

    /// Whether a secret that comes back, by a `put` after `delete` or by `allow` after `deny`, is `changed` in the
    /// next poll (`true`, the default), or left out as if it had never been gone.
    pub fn returned_is_changed(mut self, changed: bool) -> Self {
        self.switches.returned_is_changed = changed;
        self
    }

    /// Whether reading a secret that exists and is not granted is 404, as if it did not exist, instead of
    /// 403 (the default).
    pub fn hide_denied(mut self, hide: bool) -> Self {
        self.switches.hide_denied = hide;
        self
    }

    /// Whether `fieldNames` and `projectId` are `null` where there are none (`true`, the default), or left out.
    pub fn null_fields(mut self, null: bool) -> Self {
        self.switches.null_fields = null;
        self
    }

    /// Whether `expiresAt` counts milliseconds instead of seconds (the default).
    pub fn expiry_in_milliseconds(mut self, milliseconds: bool) -> Self {
        self.switches.expiry_in_millis = milliseconds;
        self
    }

    /// The `apiUrl` in the response to an enrollment; `None` leaves it out. Defaults to this emulator's URL.
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

    /// The status of a successful enrollment. Defaults to 201; the service promises a 2xx.
    pub fn enrollment_status(mut self, status: u16) -> Self {
        self.switches.enrollment_status = status;
        self
    }

    /// The status for an enrollment token that is unknown, expired or spent. Defaults to 401. Only a 401 counts as a
    /// failed authentication.
    pub fn token_refused_status(mut self, status: u16) -> Self {
        self.switches.token_refused_status = status;
        self
    }

    /// How long an enrolled machine lives. Defaults to one hour; with `None` it never expires, and the response has no
    /// `expiresAt`.
    pub fn machine_lifetime(mut self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.switches.machine_lifetime = lifetime.into();
        self
    }

    /// Whether the calls `/v1/cli/secrets` and `/v1/cli/projects` are offered (`true`, the default); `false` answers
    /// them with 404, as an older service may.
    pub fn cli_calls(mut self, offered: bool) -> Self {
        self.switches.cli_calls = offered;
        self
    }

    /// Whether certificates are issued (`true`, the default); `false` answers `{"value":"{}"}`, as a service that is older
    /// than certificates.
    pub fn certificates(mut self, issued: bool) -> Self {
        self.switches.certificates = issued;
        self
    }

    /// What the rich list says of a secret's kind: its name by default, or what an older service says.
    pub fn type_field(mut self, shown: TypeField) -> Self {
        self.switches.type_field = shown;
        self
    }
}
