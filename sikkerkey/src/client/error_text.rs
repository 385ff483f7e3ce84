//! Why a call failed, in words that say what to do.

use std::fmt;

use crate::error::{Error, ErrorKind};
use crate::protocol::api_url::ApiUrl;
use crate::protocol::{messages, skew};
use crate::text;
use crate::transport::{Body, Response, TransportError};

/// The purpose of a call, as errors and metrics name it.
#[derive(Clone, Copy)]
pub(crate) enum Purpose<'a> {
    Read(&'a str),
    #[cfg(all(feature = "rustls", feature = "live"))]
    Issue(&'a str),
    List,
    ListProject(&'a str),
    ListDetails,
    ListProjects,
    Export,
    ExportProject(&'a str),
    ExportApplication(&'a str),
    Poll,
    Enroll(&'a str),
}

impl Purpose<'_> {
    /// The secret that it reads.
    pub(super) fn secret(&self) -> Option<&str> {
        match self {
            Purpose::Read(id) => Some(id),
            // A certificate is issued by a read of its secret.
            #[cfg(all(feature = "rustls", feature = "live"))]
            Purpose::Issue(id) => Some(id),
            _ => None,
        }
    }

    /// The label of the call in metrics.
    #[cfg(feature = "metrics")]
    pub(super) fn label(&self) -> &'static str {
        match self {
            Purpose::Read(_) => "read",
            #[cfg(all(feature = "rustls", feature = "live"))]
            Purpose::Issue(_) => "issue",
            Purpose::List
            | Purpose::ListProject(_)
            | Purpose::ListDetails
            | Purpose::ListProjects => "list",
            Purpose::Export | Purpose::ExportProject(_) | Purpose::ExportApplication(_) => "export",
            Purpose::Poll => "poll",
            Purpose::Enroll(_) => "enroll",
        }
    }
}

impl fmt::Display for Purpose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Purpose::Read(id) => write!(f, "reading secret {id}"),
            #[cfg(all(feature = "rustls", feature = "live"))]
            Purpose::Issue(id) => write!(f, "asking for a certificate of {id}"),
            Purpose::List => f.write_str("listing secrets"),
            Purpose::ListProject(project) => write!(f, "listing the secrets of project {project}"),
            Purpose::ListDetails => f.write_str("listing secrets with their kinds"),
            Purpose::ListProjects => f.write_str("listing projects"),
            Purpose::Export => f.write_str("exporting secrets"),
            Purpose::ExportProject(project) => {
                write!(f, "exporting the secrets of project {project}")
            }
            Purpose::ExportApplication(application) => {
                write!(f, "exporting the secrets of application {application}")
            }
            Purpose::Poll => f.write_str("asking for changed secrets"),
            Purpose::Enroll(vault) => write!(f, "enrolling a machine in {vault}"),
        }
    }
}

pub(crate) fn out_of_time(purpose: Purpose<'_>) -> Error {
    Error::new(
        ErrorKind::Network,
        format!("no time was left for {purpose}: the deadline is over"),
    )
}

pub(crate) fn no_response(purpose: Purpose<'_>, url: &ApiUrl, failure: TransportError) -> Error {
    let error = Error::new(
        ErrorKind::Network,
        format!("no response from {url} while {purpose}: {failure}"),
    );
    let error = if failure.is_refusal() {
        error.refused()
    } else {
        error
    };
    let error = match failure.sent {
        true => error.sent(),
        false => error,
    };
    match failure.into_cause() {
        Some(cause) => error.with_source(cause),
        None => error,
    }
}

/// The error for a status other than 2xx.
pub(crate) fn refused(purpose: Purpose<'_>, reply: &Response, ahead: Option<i64>) -> Error {
    refused_with(purpose, reply, ahead, text::message)
}

/// Returns the error, with the server's text passed through `clean`.
pub(crate) fn refused_with(
    purpose: Purpose<'_>,
    reply: &Response,
    ahead: Option<i64>,
    clean: impl Fn(&str) -> String,
) -> Error {
    let status = reply.status;
    let (kind, meaning) = meaning(purpose, status);
    let mut text = match kind {
        ErrorKind::Api => format!("{meaning} {status} while {purpose}"),
        _ => format!("{meaning} while {purpose} ({status})"),
    };
    if let Some(advice) = advice(purpose, status) {
        text.push_str(": ");
        text.push_str(advice);
    }
    if let Some(ahead) = ahead {
        text.push_str("; ");
        text.push_str(&skew::describe(ahead));
    }
    let body = body(reply);
    let message = messages::error_message(body);
    match &message {
        _ if let Some(coding) = &reply.coding => {
            text.push_str("; its body has the content coding ");
            text.push_str(coding);
        }
        Some(message) if message.trim().is_empty() => {}
        Some(message) => {
            text.push_str("; the service says: ");
            text.push_str(&clean(message));
        }
        None if matches!(status, 403 | 404) => text.push_str(
            "; it has no message in the service's JSON, so a proxy may have answered instead",
        ),
        None if body.is_empty() => {}
        None => text.push_str("; its body has no message in JSON"),
    }
    let error = Error::new(kind, text).with_status(status);
    match message {
        Some(_) => error,
        None => error.unconfirmed(),
    }
}

/// Whether an error response is the service's own.
pub(crate) fn is_from_service(reply: &Response) -> bool {
    messages::error_message(body(reply)).is_some()
}

fn body(reply: &Response) -> &[u8] {
    match &reply.body {
        Body::Whole(bytes) | Body::UntilClose(bytes) => bytes,
        Body::TooLarge | Body::CutOff(_) => &[],
    }
}

fn meaning(purpose: Purpose<'_>, status: u16) -> (ErrorKind, &'static str) {
    match status {
        401 => (ErrorKind::Authentication, "authentication failed"),
        403 => (ErrorKind::AccessDenied, "access was denied"),
        404 => match purpose {
            Purpose::Read(_) => (ErrorKind::NotFound, "no such secret"),
            #[cfg(all(feature = "rustls", feature = "live"))]
            Purpose::Issue(_) => (ErrorKind::NotFound, "no such secret"),
            Purpose::Enroll(_) => (ErrorKind::NotFound, "no such vault"),
            _ => (ErrorKind::NotFound, "nothing was found"),
        },
        409 => (ErrorKind::Conflict, "the service reports a conflict"),
        429 => (ErrorKind::RateLimited, "too many requests"),
        503 => (
            ErrorKind::Unavailable,
            "the service is temporarily unavailable",
        ),
        300..=399 => (ErrorKind::Api, "the service answered with a redirect,"),
        _ => (ErrorKind::Api, "the service answered"),
    }
}

fn advice(purpose: Purpose<'_>, status: u16) -> Option<&'static str> {
    Some(match (purpose, status) {
        (Purpose::Enroll(_), 401 | 403) => {
            "the enrollment token is unknown, spent, expired, or not for this vault or address"
        }
        (_, 401) => {
            "the service does not know this machine, or it has expired, or its key or clock is wrong"
        }
        (Purpose::Read(_), 403) => {
            "this machine is not approved, is disabled, or has no grant for this secret"
        }
        (_, 403) => "this machine is not approved or is disabled",
        (Purpose::ListDetails | Purpose::ListProjects, 404) => {
            "the service may be too old for this call"
        }
        (_, 300..=399) => "redirects are never followed; correct the API URL",
        _ => return None,
    })
}

/// The error of a call that waited for a permit while the service refused this identity.
pub(crate) fn locked_out(purpose: Purpose<'_>) -> Error {
    Error::new(
        ErrorKind::Authentication,
        format!(
            "authentication failed for another call, so nothing was sent while {purpose}: the \
             service locks an address out after three failures"
        ),
    )
}
