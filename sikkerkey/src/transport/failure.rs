use std::error::Error as StdError;
use std::fmt;
use std::io;

use rustls::CertificateError;

/// Why there is no answer. It never names a value or a header, only what the network did.
#[derive(Debug)]
pub(crate) struct NoAnswer {
    what: Problem,
    /// Whether any byte of the request may have reached the service.
    pub(crate) sent: bool,
    cause: Option<io::Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Problem {
    Name,
    Connect,
    Proxy,
    Timeout,
    Closed,
    Broken,
    Tls,
    Certificate(Certificate),
    NotHttp,
}

/// What is wrong with a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certificate {
    Expired,
    NotYetValid,
    OtherHost,
    UnknownIssuer,
    Revoked,
    Invalid,
}

impl NoAnswer {
    pub(super) fn name(cause: io::Error) -> Self {
        Self::new(Problem::Name, false, cause)
    }

    pub(super) fn connecting(cause: io::Error) -> Self {
        match classify(&cause) {
            Problem::Closed | Problem::Broken => Self::new(Problem::Connect, false, cause),
            problem => Self::new(problem, false, cause),
        }
    }

    pub(super) fn proxy(cause: io::Error) -> Self {
        Self::new(Problem::Proxy, false, cause)
    }

    /// The handshake is over before the request is written, so nothing was sent.
    pub(super) fn handshake(cause: io::Error) -> Self {
        match classify(&cause) {
            Problem::Broken => Self::new(Problem::Tls, false, cause),
            problem => Self::new(problem, false, cause),
        }
    }

    pub(super) fn after_sending(cause: io::Error) -> Self {
        Self::new(classify(&cause), true, cause)
    }

    pub(super) fn not_http() -> Self {
        NoAnswer {
            what: Problem::NotHttp,
            sent: true,
            cause: None,
        }
    }

    fn new(what: Problem, sent: bool, cause: io::Error) -> Self {
        NoAnswer {
            what,
            sent,
            cause: Some(cause),
        }
    }

    /// Whether somebody answered who must not be believed.
    pub(crate) fn is_untrusted(&self) -> bool {
        matches!(self.what, Problem::Certificate(_))
    }

    /// The cause, for `Error::source`: texts of the operating system and of rustls, which know
    /// nothing of requests.
    pub(crate) fn into_cause(self) -> Option<io::Error> {
        self.cause
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.what {
            Problem::Name => "its name could not be looked up",
            Problem::Connect => "no connection could be made",
            Problem::Proxy => "the proxy that the environment names made no connection",
            Problem::Timeout => "it did not answer in time",
            Problem::Closed => "the connection was closed before the answer was whole",
            Problem::Broken => "the connection broke",
            Problem::Tls => "no TLS connection could be agreed on",
            Problem::NotHttp => "what came back is not HTTP",
            Problem::Certificate(problem) => match problem {
                Certificate::Expired => {
                    "its certificate has expired (or this machine's clock is ahead)"
                }
                Certificate::NotYetValid => {
                    "its certificate is not valid yet (or this machine's clock is behind)"
                }
                Certificate::OtherHost => "its certificate is for another host",
                Certificate::UnknownIssuer => {
                    "its certificate is self-signed or from an authority that this client does \
                     not know (root_certificate_pem makes one known)"
                }
                Certificate::Revoked => "its certificate was revoked",
                Certificate::Invalid => "its certificate is invalid",
            },
        })
    }
}

impl StdError for NoAnswer {}

fn classify(cause: &io::Error) -> Problem {
    if let Some(tls) = cause
        .get_ref()
        .and_then(|e| e.downcast_ref::<rustls::Error>())
    {
        return match tls {
            rustls::Error::InvalidCertificate(problem) => {
                Problem::Certificate(classify_certificate(problem))
            }
            _ => Problem::Tls,
        };
    }
    match cause.kind() {
        // A socket's own timeout is one or the other, by the operating system.
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Problem::Timeout,
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => Problem::Closed,
        _ => Problem::Broken,
    }
}

fn classify_certificate(problem: &CertificateError) -> Certificate {
    match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Certificate::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Certificate::NotYetValid
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Certificate::OtherHost
        }
        CertificateError::UnknownIssuer => Certificate::UnknownIssuer,
        CertificateError::Revoked => Certificate::Revoked,
        // webpki's name for a certificate authority that is used as a server's certificate,
        // which is what most tools make when asked for a self-signed one.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            Certificate::UnknownIssuer
        }
        _ => Certificate::Invalid,
    }
}
