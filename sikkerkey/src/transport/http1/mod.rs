//! The part of HTTP/1.1 that the protocol needs.

mod reader;

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::net::Ipv6Addr;
use std::time::{Duration, UNIX_EPOCH};

use zeroize::Zeroizing;

use super::{Body, Endpoint, Request, Response, RetryAfter, TransportError};
use crate::text;
use reader::ResponseReader;

/// The most bytes of an error's body that are read; its message is one line.
const ERROR_BODY_LIMIT: usize = 64 * 1024;

/// How many informational responses may come before the response.
const INFORMATIONAL: usize = 8;

/// A response, and the state of its connection.
pub(super) struct Exchange {
    pub(super) response: Response,
    /// Whether HTTP allows another request on the connection.
    pub(super) reusable: bool,
}

/// An exchange without a response.
pub(super) struct Lost {
    pub(super) error: TransportError,
    /// Whether any byte of a response arrived.
    pub(super) received: bool,
}

/// Encodes a request, to be written at once.
pub(super) fn encode(endpoint: &Endpoint, request: &Request<'_>) -> Zeroizing<Vec<u8>> {
    let body = request.body.unwrap_or_default();
    let mut head = vec![
        request.method,
        " ",
        endpoint.url.prefix(),
        request.path,
        " HTTP/1.1\r\n",
    ];
    let authority = endpoint.url.authority();
    let length = body.len().to_string();
    let mut header = |name, value| head.extend([name, ": ", value, "\r\n"]);
    header("Host", &authority);
    header("User-Agent", &endpoint.user_agent);
    header("Accept", "application/json");
    header("Accept-Encoding", "identity");
    for (name, value) in request.headers {
        header(name, value);
    }
    if request.body.is_some() {
        header("Content-Type", "application/json");
    }
    if request.body.is_some() || request.method != "GET" {
        header("Content-Length", &length);
    }
    head.push("\r\n");
    // An enrollment's body contains the token, so this memory is wiped, and never grows.
    let size = head.iter().map(|part| part.len()).sum::<usize>() + body.len();
    let mut bytes = Zeroizing::new(Vec::with_capacity(size));
    for part in head {
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes.extend_from_slice(body);
    bytes
}

/// Writes a request and reads its response.
pub(super) fn exchange(
    stream: &mut (impl Read + Write),
    request: &[u8],
    limit: usize,
) -> Result<Exchange, Lost> {
    let written = stream.write_all(request).and_then(|()| stream.flush());
    match written {
        Ok(()) => read(stream, limit),
        Err(cause) => early_response(stream, TransportError::after_sending(cause), limit),
    }
}

/// Reads the response of a server that refused a request before it had read all of it, and closed the
/// connection.
fn early_response(
    from: &mut impl Read,
    error: TransportError,
    limit: usize,
) -> Result<Exchange, Lost> {
    let received = match error.is_closed() {
        false => false,
        true => match read(from, limit) {
            Ok(exchange) if exchange.response.status >= 400 => {
                return Ok(Exchange {
                    reusable: false,
                    ..exchange
                });
            }
            Ok(_) => true,
            Err(lost) => lost.received,
        },
    };
    Err(Lost { error, received })
}

/// Reads one response.
pub(super) fn read(from: &mut impl Read, limit: usize) -> Result<Exchange, Lost> {
    let mut reader = ResponseReader::new(from);
    let head = final_head(&mut reader).map_err(|error| Lost {
        error,
        received: reader.has_received(),
    })?;
    let limit = match head.status {
        200..=299 => limit,
        _ => ERROR_BODY_LIMIT,
    };
    let body = match reader.body(head.framing, limit) {
        Ok(body) => body,
        Err(cause) if reader::is_invalid(&cause) => Body::CutOff(TransportError::not_http()),
        Err(cause) => Body::CutOff(TransportError::after_sending(cause)),
    };
    // Bytes after the body belong to no request.
    let reusable = head.keep_alive && matches!(body, Body::Whole(_)) && reader.is_at_end();
    Ok(Exchange {
        response: Response {
            status: head.status,
            date: head.date,
            retry_after: head.retry_after,
            coding: head.coding,
            body,
        },
        reusable,
    })
}

/// Reads the final head, after informational ones.
fn final_head(reader: &mut ResponseReader<'_, impl Read>) -> Result<Head, TransportError> {
    for _ in 0..=INFORMATIONAL {
        let head = reader.head()?;
        match head.status {
            101 => return Err(TransportError::switched_protocols()),
            100..=199 => {}
            _ => return Ok(head),
        }
    }
    Err(TransportError::not_http())
}

/// Asks a proxy for a tunnel to the service.
pub(super) fn tunnel(
    stream: &mut (impl Read + Write),
    (host, port): (&str, u16),
    authorization: Option<&str>,
) -> Result<(), TransportError> {
    let target = match host.parse::<Ipv6Addr>() {
        Ok(_) => format!("[{host}]:{port}"),
        Err(_) => format!("{host}:{port}"),
    };
    let mut parts = vec!["CONNECT ", &target, " HTTP/1.1\r\nHost: ", &target, "\r\n"];
    if let Some(value) = authorization {
        parts.extend(["Proxy-Authorization: ", value, "\r\n"]);
    }
    parts.push("\r\n");
    let size = parts.iter().map(|part| part.len()).sum();
    let mut bytes = Zeroizing::new(Vec::with_capacity(size));
    for part in parts {
        bytes.extend_from_slice(part.as_bytes());
    }
    let written = stream.write_all(&bytes).and_then(|()| stream.flush());
    let mut reader = ResponseReader::new(stream);
    // A proxy that refuses may close before it has read the request. Its response can still be read.
    let head = match (final_head(&mut reader), written) {
        (Ok(head), Ok(())) => head,
        (Ok(head), Err(_)) if head.status >= 400 => head,
        (_, Err(cause)) => return Err(TransportError::proxy(cause)),
        (Err(error), Ok(())) => {
            let not_http = || io::ErrorKind::InvalidData.into();
            let cause = error.into_cause().unwrap_or_else(not_http);
            return Err(TransportError::proxy(cause));
        }
    };
    match head.status {
        // A TLS server sends nothing before the client's first message.
        200..=299 if !reader.is_at_end() => {
            Err(TransportError::proxy(io::ErrorKind::InvalidData.into()))
        }
        200..=299 => Ok(()),
        status => Err(TransportError::proxy_response(status)),
    }
}

struct Head {
    status: u16,
    framing: Framing,
    keep_alive: bool,
    date: Option<i64>,
    retry_after: Option<RetryAfter>,
    coding: Option<String>,
}

/// How the end of a body is determined.
#[derive(Clone, Copy)]
enum Framing {
    Nothing,
    Length(u64),
    Chunked,
    UntilClose,
}

/// Interprets the headers; `None` if they contradict each other or are invalid.
fn understand(parsed: &httparse::Response<'_, '_>) -> Option<Head> {
    let status = parsed.code.filter(|code| *code >= 100)?;
    let mut length = None;
    let mut chunked = false;
    let mut keep_alive = parsed.version? == 1;
    let mut date = None;
    let mut aged = false;
    let mut retry_after = None;
    let mut coding = None;
    for header in parsed.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let Ok(value) = std::str::from_utf8(header.value) else {
            let decides = ["content-length", "transfer-encoding", "content-encoding"];
            if is("connection") || decides.into_iter().any(is) {
                return None;
            }
            continue;
        };
        let value = &*unfolded(value);
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
            // HTTP/1.0 has no such header, so with it the end of the message is uncertain.
            if chunked || !value.eq_ignore_ascii_case("chunked") || parsed.version? == 0 {
                return None;
            }
            chunked = true;
        } else if is("connection") {
            keep_alive &= !value
                .split(',')
                .any(|v| v.trim().eq_ignore_ascii_case("close"));
        } else if is("content-encoding") {
            if !value.is_empty() && !value.eq_ignore_ascii_case("identity") {
                coding = Some(text::name(value));
            }
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
    // Both together can be an attempt to smuggle a message inside another, so such a connection is not kept.
    keep_alive &= !(chunked && length.is_some());
    Some(Head {
        status,
        framing,
        keep_alive,
        date: date.filter(|_| !aged),
        retry_after,
        coding,
    })
}

/// Joins a folded header's value into one line (RFC 9112, section 5.2).
fn unfolded(value: &str) -> Cow<'_, str> {
    if !value.contains(['\r', '\n']) {
        return Cow::Borrowed(value.trim());
    }
    let lines = value.split(['\r', '\n']).map(str::trim);
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    Cow::Owned(lines.join(" "))
}

fn read_retry_after(value: &str) -> Option<RetryAfter> {
    if !value.is_empty() && value.bytes().all(|digit| digit.is_ascii_digit()) {
        // A number that is too large to parse is a very long time.
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
