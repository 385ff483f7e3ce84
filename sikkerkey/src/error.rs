use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The class of an [`Error`], for a program to branch on.
///
/// ```
/// use sikkerkey::{Error, ErrorKind};
///
/// fn advice(error: &Error) -> &'static str {
///     match error.kind() {
///         ErrorKind::AccessDenied => "grant the secret to this machine",
///         ErrorKind::Network | ErrorKind::Unavailable => "try later",
///         _ => "see the message",
///     }
/// }
/// assert_eq!(advice(&ErrorKind::Network.into()), "try later");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The identity, the key or a setting is missing, unreadable or invalid. No request was sent.
    Configuration,
    /// The secret's value is not a JSON object, so it has no fields; or `get_json` cannot decode it.
    SecretStructure,
    /// The structured secret has no such field; [`Error::available_fields`] lists those it has.
    FieldNotFound,
    /// The id has a character that ids cannot have. No request was sent.
    InvalidId,
    /// 401: unknown or expired machine, wrong signature, or a wrong clock.
    Authentication,
    /// 403: the machine is not approved, is disabled, or has no grant for the secret.
    AccessDenied,
    /// 404: the secret does not exist.
    NotFound,
    /// 409: the request conflicts with the state of the service.
    Conflict,
    /// 429: too many requests.
    RateLimited,
    /// 503: the service is temporarily unavailable.
    Unavailable,
    /// No response: the name, the connection, TLS, a timeout, or a response that was cut off.
    Network,
    /// Any other status, also a redirect. Without a status: a failure inside the client.
    Api,
    /// The response is not what the service is documented to send.
    Decode,
}

/// An error of the client: why a call, or building a client, failed.
///
/// `Display` is one clause about what failed; the cause is in [`source`](StdError::source). None of
/// `Display`, `Debug` and the causes holds a secret's value, a key or a token. A clone is cheap.
///
/// ```
/// use sikkerkey::{ErrorKind, SikkerKey};
///
/// let error = SikkerKey::new("/nowhere/identity.json").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Configuration);
/// assert_eq!(error.http_status(), None);
/// ```
#[derive(Clone)]
pub struct Error(Arc<ErrorInner>);

#[derive(Clone)]
struct ErrorInner {
    kind: ErrorKind,
    message: String,
    status: Option<u16>,
    fields: Vec<String>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    /// A refused certificate or a proxy's refusal: the network works, and the same call would fail again.
    refused: bool,
    /// The status came without the service's own JSON: a proxy may have sent it.
    unconfirmed: bool,
    /// The request may have arrived although no response did.
    sent: bool,
    /// The `Retry-After` of the response.
    retry_after: Option<Duration>,
}

/// The service's own statement about a secret that a machine cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The secret does not exist.
    Missing,
    /// This machine may not read it.
    Denied,
}

impl Error {
    /// The class of the error, for a program to branch on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The HTTP status of the response, or `None` if there was no response or no request.
    pub fn http_status(&self) -> Option<u16> {
        self.0.status
    }

    /// Whether the same call may succeed a little later: 429, 503, or no response.
    ///
    /// The client has already retried the call before it returns such an error. A refused server
    /// certificate and a proxy that refuses to connect are [`ErrorKind::Network`], too, but are not
    /// retryable.
    pub fn is_retryable(&self) -> bool {
        match self.kind() {
            ErrorKind::RateLimited | ErrorKind::Unavailable => true,
            ErrorKind::Network => !self.0.refused,
            _ => false,
        }
    }

    /// Whether the service was unreachable: no response, or a gateway's status (502, 503, 504, 520 to
    /// 527, 530).
    ///
    /// False for a refused certificate, which may be an attack, and for a proxy that refuses to connect
    /// (407, for instance): neither is an outage.
    pub fn is_unavailable(&self) -> bool {
        match self.0.status {
            Some(status) => matches!(status, 502..=504 | 520..=527 | 530),
            None => self.kind() == ErrorKind::Network && !self.0.refused,
        }
    }

    /// The names of the fields that the secret has, after [`ErrorKind::FieldNotFound`]; otherwise
    /// empty.
    ///
    /// Only names that look like names are listed, because a key of a JSON object can be a secret
    /// itself, as in `{"sk-live-4242": "tenant"}`. A listed name begins with a letter or `_`, and has at
    /// most 32 characters: letters, single `_`, `-` and `.`, and at most one number of up to three
    /// digits, such as `host`, `max_conn`, `oauth2-client`, `replica_2`. Names that begin with `sk_` or
    /// `sk-` are never listed. [`get_fields`](crate::SikkerKey::get_fields) returns all names.
    ///
    /// ```
    /// # let vault = sikkerkey_emulator::Emulator::builder()
    /// #     .structured("sk_db_prod", [("host", "db.internal")])
    /// #     .start()?;
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// let error = sk.get_field("sk_db_prod", "Host").unwrap_err();
    /// assert_eq!(error.available_fields(), ["host"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn available_fields(&self) -> &[String] {
        &self.0.fields
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Arc::new(ErrorInner {
            kind,
            message: message.into(),
            status: None,
            fields: Vec::new(),
            source: None,
            refused: false,
            unconfirmed: false,
            sent: false,
            retry_after: None,
        }))
    }

    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Configuration, message)
    }

    /// Only for causes whose text cannot quote a value, a key or a token.
    pub(crate) fn with_source(self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.with(|inner| inner.source = Some(Arc::new(source)))
    }

    pub(crate) fn with_status(self, status: u16) -> Self {
        self.with(|inner| inner.status = Some(status))
    }

    pub(crate) fn with_fields(self, fields: Vec<String>) -> Self {
        self.with(|inner| inner.fields = fields)
    }

    /// Adds a clause in front that says what failed because of this error.
    pub(crate) fn prefixed(self, clause: &str) -> Self {
        self.with(|inner| inner.message = format!("{clause}: {}", inner.message))
    }

    pub(crate) fn with_retry_after(self, wait: Option<Duration>) -> Self {
        self.with(|inner| inner.retry_after = wait)
    }

    /// The `Retry-After` of the response.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Marks a refused certificate or a proxy's refusal: no retry and no fallback follows.
    pub(crate) fn refused(self) -> Self {
        self.with(|inner| inner.refused = true)
    }

    /// Marks a status that came without the service's own JSON, such as a proxy's page.
    pub(crate) fn unconfirmed(self) -> Self {
        self.with(|inner| inner.unconfirmed = true)
    }

    /// Whether a status came with the service's own JSON, so that no proxy in between made it.
    pub(crate) fn is_from_service(&self) -> bool {
        self.0.status.is_some() && !self.0.unconfirmed
    }

    /// Marks a request that may have arrived although no response did.
    pub(crate) fn sent(self) -> Self {
        self.with(|inner| inner.sent = true)
    }

    /// Whether the service may have processed the request although its response was lost.
    pub(crate) fn may_have_been_done(&self) -> bool {
        match self.0.status {
            // Other gateway statuses are never the service's; a 503 can be.
            Some(status) => {
                self.kind() == ErrorKind::Decode || (status != 503 && self.is_unavailable())
            }
            None => self.0.sent || self.kind() == ErrorKind::Decode,
        }
    }

    /// The service's own statement about the secret. `None` for every other error, and for a 403 or 404 that
    /// a proxy may have sent: such a status deletes, ends and forgets nothing.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        match self.kind() {
            _ if self.0.unconfirmed => None,
            ErrorKind::NotFound => Some(Verdict::Missing),
            ErrorKind::AccessDenied => Some(Verdict::Denied),
            _ => None,
        }
    }

    fn with(mut self, change: impl FnOnce(&mut ErrorInner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

/// Makes an error of this kind, for a test. [`ErrorKind::NotFound`] counts as the service's own answer.
///
/// ```
/// use sikkerkey::{Error, ErrorKind};
///
/// let error = Error::from(ErrorKind::NotFound);
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert_eq!(error.to_string(), "not found");
/// ```
impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Error::new(kind, kind.to_string())
    }
}

/// Shows the kind in a few words: `access denied`.
impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::Configuration => "configuration error",
            ErrorKind::SecretStructure => "wrong structure of a secret",
            ErrorKind::FieldNotFound => "field not found",
            ErrorKind::InvalidId => "invalid id",
            ErrorKind::Authentication => "authentication failed",
            ErrorKind::AccessDenied => "access denied",
            ErrorKind::NotFound => "not found",
            ErrorKind::Conflict => "conflict",
            ErrorKind::RateLimited => "rate limited",
            ErrorKind::Unavailable => "temporarily unavailable",
            ErrorKind::Network => "no response",
            ErrorKind::Api => "unexpected response",
            ErrorKind::Decode => "malformed response",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug
            .field("kind", &self.0.kind)
            .field("message", &self.0.message);
        if let Some(status) = self.0.status {
            debug.field("status", &status);
        }
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unavailable_means_that_the_service_did_not_respond() {
        for (status, unavailable) in [
            (401, false),
            (403, false),
            (404, false),
            (409, false),
            (429, false),
            (500, false),
            (501, false),
            (502, true),
            (503, true),
            (504, true),
            (519, false),
            (520, true),
            (527, true),
            (528, false),
            (530, true),
        ] {
            let error = Error::new(ErrorKind::Api, "x").with_status(status);
            assert_eq!(error.is_unavailable(), unavailable, "{status}");
        }
        let silent = Error::new(ErrorKind::Network, "x");
        assert!(silent.is_unavailable() && silent.is_retryable());
        let refused = silent.refused();
        assert!(!refused.is_unavailable() && !refused.is_retryable());
    }
}
