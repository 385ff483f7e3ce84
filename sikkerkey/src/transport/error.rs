use std::error::Error as StdError;
use std::fmt;
use std::io;

use rustls::CertificateError;

/// The reason why no response came. Its text never contains a value or a header, only what the network did.
#[derive(Debug)]
pub(crate) struct TransportError {
    kind: TransportErrorKind,
    /// Whether any byte of the request may have reached the service.
    pub(crate) sent: bool,
    /// Whether the connection was a reused one that returned nothing, so that the request can be sent on a
    /// new one at once.
    pub(crate) stale: bool,
    cause: Option<io::Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TransportErrorKind {
    Name,
    Connect,
    Proxy,
    ProxyRefused(u16),
    Timeout,
    Closed,
    Broken,
    Tls,
    Certificate(CertificateProblem),
    NotHttp,
    SwitchedProtocols,
}

/// The problem of a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CertificateProblem {
    Expired,
    NotYetValid,
    OtherHost,
    UnknownIssuer,
    Revoked,
    Invalid,
}

impl TransportError {
    pub(super) fn name(cause: io::Error) -> Self {
        Self::new(TransportErrorKind::Name, false, cause)
    }

    pub(super) fn connecting(cause: io::Error) -> Self {
        match classify(&cause) {
            TransportErrorKind::Closed | TransportErrorKind::Broken => {
                Self::new(TransportErrorKind::Connect, false, cause)
            }
            problem => Self::new(problem, false, cause),
        }
    }

    pub(super) fn proxy(cause: io::Error) -> Self {
        Self::new(TransportErrorKind::Proxy, false, cause)
    }

    /// The error of a proxy's response to `CONNECT`. A 5xx means that it cannot reach the service; any other
    /// status, that it refuses to.
    pub(super) fn proxy_response(status: u16) -> Self {
        match status {
            500..=599 => Self::proxy(io::Error::other(format!("the proxy's status was {status}"))),
            _ => TransportError {
                kind: TransportErrorKind::ProxyRefused(status),
                sent: false,
                stale: false,
                cause: None,
            },
        }
    }

    /// The error of a TLS handshake. It ends before the request is written, so nothing was sent.
    pub(super) fn handshake(cause: io::Error) -> Self {
        match classify(&cause) {
            TransportErrorKind::Broken => Self::new(TransportErrorKind::Tls, false, cause),
            problem => Self::new(problem, false, cause),
        }
    }

    pub(super) fn after_sending(cause: io::Error) -> Self {
        Self::new(classify(&cause), true, cause)
    }

    pub(super) fn not_http() -> Self {
        Self::of_response(TransportErrorKind::NotHttp)
    }

    pub(super) fn switched_protocols() -> Self {
        Self::of_response(TransportErrorKind::SwitchedProtocols)
    }

    /// The error of a reused connection that the server closed because it was idle for too long (408).
    pub(super) fn idle_for_too_long() -> Self {
        Self::of_response(TransportErrorKind::Closed).on_stale_connection()
    }

    fn of_response(kind: TransportErrorKind) -> Self {
        TransportError {
            kind,
            sent: true,
            stale: false,
            cause: None,
        }
    }

    fn new(kind: TransportErrorKind, sent: bool, cause: io::Error) -> Self {
        TransportError {
            kind,
            sent,
            stale: false,
            cause: Some(cause),
        }
    }

    /// Marks a reused connection that returned nothing.
    pub(super) fn on_stale_connection(self) -> Self {
        TransportError {
            stale: true,
            ..self
        }
    }

    /// Whether the other side ended the connection.
    pub(super) fn is_closed(&self) -> bool {
        self.kind == TransportErrorKind::Closed
    }

    /// Whether a server or a proxy was reached, but is the wrong one or refuses. This does not count as an
    /// outage, and a retry cannot help.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(
            self.kind,
            TransportErrorKind::Certificate(_) | TransportErrorKind::ProxyRefused(_)
        )
    }

    /// Returns the cause for `Error::source`: an error of the operating system or of rustls, whose text
    /// contains nothing of a request.
    pub(crate) fn into_cause(self) -> Option<io::Error> {
        self.cause
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            TransportErrorKind::Name => "its name could not be looked up",
            TransportErrorKind::Connect => "no connection could be made",
            TransportErrorKind::Proxy => "the proxy that the environment names made no connection",
            TransportErrorKind::ProxyRefused(status) => {
                return write!(
                    f,
                    "the proxy that the environment names refused the connection with {status}{}",
                    match status {
                        401 | 407 => ": it wants a user name and a password, or other ones",
                        403 => ": it does not allow this host and port",
                        _ => "",
                    }
                );
            }
            TransportErrorKind::Timeout => "the response did not arrive in time",
            TransportErrorKind::Closed => {
                "the connection was closed before the response was complete"
            }
            TransportErrorKind::Broken => "the connection broke",
            TransportErrorKind::Tls => "no TLS connection could be agreed on",
            TransportErrorKind::NotHttp => "the response is not HTTP",
            TransportErrorKind::SwitchedProtocols => {
                "the server switched to another protocol (101), which was not asked for"
            }
            TransportErrorKind::Certificate(problem) => match problem {
                CertificateProblem::Expired => {
                    "its certificate has expired (or this machine's clock is ahead)"
                }
                CertificateProblem::NotYetValid => {
                    "its certificate is not valid yet (or this machine's clock is behind)"
                }
                CertificateProblem::OtherHost => "its certificate is for another host",
                CertificateProblem::UnknownIssuer => {
                    "its certificate is self-signed or from an authority that this client does \
                     not know (add_root_certificate_pem makes one known; platform_roots, of the \
                     feature platform-roots, those of the operating system)"
                }
                CertificateProblem::Revoked => "its certificate was revoked",
                CertificateProblem::Invalid => "its certificate is invalid",
            },
        })
    }
}

impl StdError for TransportError {}

fn classify(cause: &io::Error) -> TransportErrorKind {
    if let Some(tls) = cause
        .get_ref()
        .and_then(|e| e.downcast_ref::<rustls::Error>())
    {
        return match tls {
            rustls::Error::InvalidCertificate(problem) => {
                TransportErrorKind::Certificate(classify_certificate(problem))
            }
            _ => TransportErrorKind::Tls,
        };
    }
    match cause.kind() {
        // A socket's timeout is one or the other, depending on the operating system.
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => TransportErrorKind::Timeout,
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => TransportErrorKind::Closed,
        _ => TransportErrorKind::Broken,
    }
}

fn classify_certificate(problem: &CertificateError) -> CertificateProblem {
    match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            CertificateProblem::Expired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            CertificateProblem::NotYetValid
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            CertificateProblem::OtherHost
        }
        CertificateError::UnknownIssuer => CertificateProblem::UnknownIssuer,
        CertificateError::Revoked => CertificateProblem::Revoked,
        // webpki's name for a certificate authority that is used as a server's certificate,
        // which is what most tools make when asked for a self-signed one.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            CertificateProblem::UnknownIssuer
        }
        _ => CertificateProblem::Invalid,
    }
}
