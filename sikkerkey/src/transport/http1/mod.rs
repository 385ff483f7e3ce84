//! HTTP/1.1, as much of it as the protocol needs.

mod reader;

use std::io::{self, Read, Write};
use std::net::Ipv6Addr;
use std::time::{Duration, UNIX_EPOCH};

use zeroize::Zeroizing;

use super::{Body, Endpoint, Request, Response, RetryAfter, TransportError};
use reader::{ResponseReader, invalid};

/// The most bytes of an error's body that are looked at; its message is one line.
const ERROR_BODY_LIMIT: usize = 64 * 1024;

/// Writes the whole request at once.
pub(super) fn write(
    to: &mut impl Write,
    endpoint: &Endpoint,
    request: &Request<'_>,
) -> io::Result<()> {
    let body = request.body.unwrap_or_default();
    // An enrollment's body holds the token, so this memory is wiped too.
    let mut bytes = Zeroizing::new(Vec::with_capacity(2048 + body.len()));
    write!(
        bytes,
        "{} {}{} HTTP/1.1\r\n",
        request.method,
        endpoint.url.prefix(),
        request.path
    )?;
    write!(bytes, "Host: {}\r\n", endpoint.url.authority())?;
    write!(bytes, "User-Agent: {}\r\n", endpoint.user_agent)?;
    bytes.extend_from_slice(b"Accept: application/json\r\n");
    for (name, value) in request.headers {
        write!(bytes, "{name}: {value}\r\n")?;
    }
    if request.body.is_some() {
        bytes.extend_from_slice(b"Content-Type: application/json\r\n");
    }
    if request.body.is_some() || request.method != "GET" {
        write!(bytes, "Content-Length: {}\r\n", body.len())?;
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    to.write_all(&bytes)?;
    to.flush()
}

/// Reads one answer. Also says whether the connection can carry another request.
pub(super) fn read(from: &mut impl Read, limit: usize) -> Result<(Response, bool), TransportError> {
    let mut source = ResponseReader::new(from);
    let head = loop {
        let head = source.head()?;
        // 1xx announces the answer that follows.
        if !(100..200).contains(&head.status) {
            break head;
        }
    };
    let limit = match head.status {
        200..=299 => limit,
        _ => ERROR_BODY_LIMIT,
    };
    let mut reusable = head.keep_alive;
    let body = match source.body(head.framing, limit) {
        Ok(body) => body,
        Err(cause) if cause.kind() == io::ErrorKind::InvalidData => {
            Body::CutOff(TransportError::not_http())
        }
        Err(cause) => Body::CutOff(TransportError::after_sending(cause)),
    };
    // Whatever follows the body was not asked for.
    reusable &= matches!(body, Body::Whole(_)) && source.pending().is_empty();
    let reply = Response {
        status: head.status,
        date: head.date,
        retry_after: head.retry_after,
        body,
    };
    Ok((reply, reusable))
}

/// Asks a proxy for a connection to the service.
pub(super) fn tunnel(
    stream: &mut (impl Read + Write),
    (host, port): (&str, u16),
    authorization: Option<&str>,
) -> io::Result<()> {
    let target = match host.parse::<Ipv6Addr>() {
        Ok(_) => format!("[{host}]:{port}"),
        Err(_) => format!("{host}:{port}"),
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(1024));
    write!(bytes, "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n")?;
    if let Some(value) = authorization {
        write!(bytes, "Proxy-Authorization: {value}\r\n")?;
    }
    bytes.extend_from_slice(b"\r\n");
    stream.write_all(&bytes)?;
    stream.flush()?;
    let head = ResponseReader::new(stream)
        .head()
        .map_err(|failure| failure.into_cause().unwrap_or_else(invalid))?;
    match head.status {
        200..=299 => Ok(()),
        status => Err(io::Error::other(format!("the proxy answered {status}"))),
    }
}

struct Head {
    status: u16,
    framing: Framing,
    keep_alive: bool,
    date: Option<i64>,
    retry_after: Option<RetryAfter>,
}

/// What tells where a body ends.
#[derive(Clone, Copy)]
enum Framing {
    Nothing,
    Length(u64),
    Chunked,
    UntilClose,
}

/// What the headers mean; `None` where they contradict themselves.
fn understand(parsed: &httparse::Response<'_, '_>) -> Option<Head> {
    let status = parsed.code?;
    let mut length = None;
    let mut chunked = false;
    let mut keep_alive = parsed.version? == 1;
    let mut date = None;
    let mut aged = false;
    let mut retry_after = None;
    for header in parsed.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let Ok(value) = std::str::from_utf8(header.value) else {
            continue;
        };
        let value = value.trim();
        if is("content-length") {
            if value.is_empty() || !value.bytes().all(|digit| digit.is_ascii_digit()) {
                return None;
            }
            let stated: u64 = value.parse().ok()?;
            if length.is_some_and(|length| length != stated) {
                return None;
            }
            length = Some(stated);
        } else if is("transfer-encoding") {
            if chunked || !value.eq_ignore_ascii_case("chunked") {
                return None;
            }
            chunked = true;
        } else if is("connection") {
            keep_alive &= !value
                .split(',')
                .any(|v| v.trim().eq_ignore_ascii_case("close"));
        } else if is("date") {
            date = unix_seconds(value);
        } else if is("age") {
            aged = true;
        } else if is("retry-after") {
            retry_after = read_retry_after(value);
        }
    }
    let framing = match (status, chunked, length) {
        (100..=199 | 204 | 304, _, _) => Framing::Nothing,
        (_, true, _) => Framing::Chunked,
        (_, false, Some(length)) => Framing::Length(length),
        (_, false, None) => Framing::UntilClose,
    };
    // Both at once is how one request is smuggled inside another: such a connection is not kept.
    keep_alive &= !(chunked && length.is_some());
    Some(Head {
        status,
        framing,
        keep_alive,
        date: date.filter(|_| !aged),
        retry_after,
    })
}

fn read_retry_after(value: &str) -> Option<RetryAfter> {
    if !value.is_empty() && value.bytes().all(|digit| digit.is_ascii_digit()) {
        // A number too large to read is a very long time.
        let seconds = value.parse().unwrap_or(u64::from(u32::MAX));
        return Some(RetryAfter::In(Duration::from_secs(seconds)));
    }
    unix_seconds(value).map(RetryAfter::At)
}

fn unix_seconds(value: &str) -> Option<i64> {
    let time = httpdate::parse_http_date(value).ok()?;
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

#[cfg(test)]
mod tests;
