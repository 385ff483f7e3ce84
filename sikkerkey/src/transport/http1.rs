//! HTTP/1.1, as much of it as the protocol needs.

use std::io::{self, Read, Write};
use std::net::Ipv6Addr;
use std::time::{Duration, UNIX_EPOCH};

use zeroize::Zeroizing;

use super::body::WipedBuffer;
use super::{Body, Inner, NoAnswer, Outgoing, Reply, RetryAfter};

/// The most bytes that the status line and the headers may have.
const HEAD_LIMIT: usize = 32 * 1024;

/// The most headers that an answer may have.
const HEADERS: usize = 100;

/// The most bytes of an error's body that are looked at; its message is one line.
const ERROR_BODY_LIMIT: usize = 64 * 1024;

/// The most bytes of a chunk's first line, and of all trailers together.
const CHUNK_LINE_LIMIT: usize = 4 * 1024;

/// The most bytes that are set aside because a header promises them.
const TRUSTED_LENGTH: usize = 1024 * 1024;

/// Writes the whole request at once.
pub(super) fn write(to: &mut impl Write, inner: &Inner, request: &Outgoing<'_>) -> io::Result<()> {
    let body = request.body.unwrap_or_default();
    // An enrolment's body holds the token, so this memory is wiped too.
    let mut bytes = Zeroizing::new(Vec::with_capacity(2048 + body.len()));
    write!(
        bytes,
        "{} {}{} HTTP/1.1\r\n",
        request.method,
        inner.url.prefix(),
        request.path
    )?;
    write!(bytes, "Host: {}\r\n", inner.url.authority())?;
    write!(bytes, "User-Agent: {}\r\n", inner.user_agent)?;
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
pub(super) fn read(from: &mut impl Read, limit: usize) -> Result<(Reply, bool), NoAnswer> {
    let mut source = Source::new(from);
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
            Body::CutOff(NoAnswer::not_http())
        }
        Err(cause) => Body::CutOff(NoAnswer::after_sending(cause)),
    };
    // Whatever follows the body was not asked for.
    reusable &= matches!(body, Body::Whole(_)) && source.pending().is_empty();
    let reply = Reply {
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
    let head = Source::new(stream)
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

#[derive(Clone, Copy)]
enum Framing {
    Nothing,
    Length(u64),
    Chunked,
    UntilClose,
}

/// Bytes that were read and not yet used, and where more come from.
struct Source<'a, R> {
    from: &'a mut R,
    buffer: WipedBuffer,
    used: usize,
}

impl<'a, R: Read> Source<'a, R> {
    fn new(from: &'a mut R) -> Self {
        Source {
            from,
            buffer: WipedBuffer::default(),
            used: 0,
        }
    }

    fn pending(&self) -> &[u8] {
        &self.buffer.bytes()[self.used..]
    }

    /// Reads more; an end of the stream is an error.
    fn fill(&mut self, most: usize) -> io::Result<()> {
        if self.pending().is_empty() {
            self.buffer.clear();
            self.used = 0;
        }
        match self.buffer.read_once(self.from, most)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn head(&mut self) -> Result<Head, NoAnswer> {
        // Parsed when a blank line has come, and else each time there is twice as much as before:
        // nonsense shows early, and a head that drips in is not parsed for each byte.
        let mut parse_from = 0;
        let mut searched = 0;
        loop {
            let pending = self.pending();
            let blank = pending[searched..]
                .windows(2)
                .any(|pair| pair == b"\n\r" || pair == b"\n\n");
            searched = pending.len().saturating_sub(1);
            if blank || pending.len() >= parse_from {
                parse_from = 2 * pending.len();
                let mut headers = [httparse::EMPTY_HEADER; HEADERS];
                let mut parsed = httparse::Response::new(&mut headers);
                match parsed.parse(pending) {
                    Ok(httparse::Status::Complete(length)) => {
                        let head = understand(&parsed).ok_or_else(NoAnswer::not_http)?;
                        self.used += length;
                        return Ok(head);
                    }
                    Ok(httparse::Status::Partial) if pending.len() < HEAD_LIMIT => {}
                    Ok(httparse::Status::Partial) | Err(_) => return Err(NoAnswer::not_http()),
                }
                if blank {
                    // The blank line's last byte may be the next one.
                    parse_from = 0;
                }
            }
            self.fill(4096).map_err(NoAnswer::after_sending)?;
        }
    }

    fn body(&mut self, framing: Framing, limit: usize) -> io::Result<Body> {
        match framing {
            Framing::Nothing => Ok(Body::Whole(Zeroizing::default())),
            Framing::Length(length) => match usize::try_from(length) {
                Ok(length) if length <= limit => {
                    let mut body = WipedBuffer::with_capacity(length.min(TRUSTED_LENGTH));
                    self.copy(length, &mut body)?;
                    Ok(Body::Whole(body.into_inner()))
                }
                _ => Ok(Body::TooLarge),
            },
            Framing::Chunked => self.chunks(limit),
            Framing::UntilClose => self.until_close(limit),
        }
    }

    fn copy(&mut self, length: usize, to: &mut WipedBuffer) -> io::Result<()> {
        let ready = self.pending().len().min(length);
        to.extend(&self.pending()[..ready]);
        self.used += ready;
        let end = to.len() + length - ready;
        while to.len() < end {
            if to.read_once(self.from, end - to.len())? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    fn chunks(&mut self, limit: usize) -> io::Result<Body> {
        let mut body = WipedBuffer::default();
        loop {
            let length = chunk_length(&self.line()?).ok_or_else(invalid)?;
            if length == 0 {
                break;
            }
            if length > limit - body.len() {
                return Ok(Body::TooLarge);
            }
            self.copy(length, &mut body)?;
            if !self.line()?.is_empty() {
                return Err(invalid());
            }
        }
        // Trailers say nothing that matters here, and end with an empty line.
        let mut trailers = 0;
        loop {
            let line = self.line()?;
            trailers += line.len();
            if line.is_empty() {
                return Ok(Body::Whole(body.into_inner()));
            }
            if trailers > CHUNK_LINE_LIMIT {
                return Err(invalid());
            }
        }
    }

    /// One line without its end.
    fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = self.pending().iter().position(|&byte| byte == b'\n') {
                let line = &self.pending()[..end];
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.used += end + 1;
                return Ok(line);
            }
            if self.pending().len() > CHUNK_LINE_LIMIT {
                return Err(invalid());
            }
            self.fill(4096)?;
        }
    }

    fn until_close(&mut self, limit: usize) -> io::Result<Body> {
        let mut body = WipedBuffer::default();
        body.extend(self.pending());
        self.used = self.buffer.len();
        loop {
            // One byte more than allowed, to see whether there is one.
            let most = (limit + 1).saturating_sub(body.len());
            if most == 0 {
                return Ok(Body::TooLarge);
            }
            if body.read_once(self.from, most)? == 0 {
                return Ok(Body::UntilClose(body.into_inner()));
            }
        }
    }
}

fn invalid() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

fn chunk_length(line: &[u8]) -> Option<usize> {
    let digits = line.split(|&byte| byte == b';').next()?.trim_ascii();
    let digits = std::str::from_utf8(digits).ok()?;
    // A sign would be taken as part of the number.
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    usize::from_str_radix(digits, 16).ok()
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
