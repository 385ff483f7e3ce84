use std::error::Error as StdError;
use std::fmt;
use std::io;

use rustls::CertificateError;

/// Why there is no answer. It never names a value or a header, only what the network did.
#[derive(Debug)]
pub(crate) struct TransportError {
    kind: TransportErrorKind,
    /// Whether any byte of the request may have reached the service.
    pub(crate) sent: bool,
    cause: Option<io::Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TransportErrorKind {
    Name,
    Connect,
    Proxy,
    Timeout,
    Closed,
    Broken,
    Tls,
    Certificate(CertificateProblem),
    NotHttp,
}

/// What is wrong with a server's certificate.
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

    /// The handshake is over before the request is written, so nothing was sent.
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
        TransportError {
            kind: TransportErrorKind::NotHttp,
            sent: true,
            cause: None,
        }
    }

    fn new(kind: TransportErrorKind, sent: bool, cause: io::Error) -> Self {
        TransportError {
            kind,
            sent,
            cause: Some(cause),
        }
    }

    /// Whether somebody answered who must not be believed.
    pub(crate) fn is_untrusted(&self) -> bool {
        matches!(self.kind, TransportErrorKind::Certificate(_))
    }

    /// The cause, for `Error::source`: texts of the operating system and of rustls, which know
    /// nothing of requests.
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
            TransportErrorKind::Timeout => "it did not answer in time",
            TransportErrorKind::Closed => "the connection was closed before the answer was whole",
            TransportErrorKind::Broken => "the connection broke",
            TransportErrorKind::Tls => "no TLS connection could be agreed on",
            TransportErrorKind::NotHttp => "what came back is not HTTP",
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
        // A socket's own timeout is one or the other, by the operating system.
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
