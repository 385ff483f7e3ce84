//! One request: its head, and the framing of its body.

use std::io;

/// The limit for headers: more than any client sends.
pub(super) const MAX_HEADERS: usize = 100;

/// One request, as it arrived: the target with its query, the body's bytes.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the connection may serve another request after this one.
    pub(crate) keep_alive: bool,
}

impl Request {
    /// The values of the headers of that name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The only header of that name; `None` if it is missing or repeated.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self
            .headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name));
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    /// The target without its query.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// The reason for which no request could be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The connection broke, or ended inside a request.
    Io,
    /// The request is refused, with this status and reason.
    Refused(u16, &'static str),
}

impl From<io::Error> for ReadError {
    fn from(_: io::Error) -> Self {
        Self::Io
    }
}

/// How the end of the body is found.
pub(super) enum Framing {
    Length(usize),
    Chunked,
}

impl Framing {
    pub(super) fn of(request: &Request) -> Result<Self, ReadError> {
        let named = |name| request.all(name).count();
        match (named("transfer-encoding"), named("content-length")) {
            (0, 0) => Ok(Self::Length(0)),
            (0, 1) => {
                let length = request.header("content-length").unwrap_or_default();
                let digits = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
                match length.parse() {
                    Ok(length) if digits => Ok(Self::Length(length)),
                    _ => Err(ReadError::Refused(400, "Content-Length is not a number")),
                }
            }
            (1, 0)
                if request
                    .header("transfer-encoding")
                    .is_some_and(|v| v.eq_ignore_ascii_case("chunked")) =>
            {
                Ok(Self::Chunked)
            }
            // Both at once would allow request smuggling.
            _ => Err(ReadError::Refused(
                400,
                "the length of the body is ambiguous",
            )),
        }
    }
}

/// The head at the start of `bytes` and its length; `None` while it is incomplete.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, ReadError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(ReadError::Refused(431, "too many headers"));
        }
        Err(_) => return Err(ReadError::Refused(400, "not an HTTP/1.1 request")),
    };
    let mut request = Request {
        method: head.method.unwrap_or_default().into(),
        target: head.path.unwrap_or_default().into(),
        headers: Vec::with_capacity(head.headers.len()),
        body: Vec::new(),
        keep_alive: head.version == Some(1),
    };
    if !request.target.starts_with('/') {
        return Err(ReadError::Refused(
            400,
            "the request's target must be a path",
        ));
    }
    for header in head.headers.iter() {
        let Ok(value) = std::str::from_utf8(header.value) else {
            return Err(ReadError::Refused(400, "a header is not UTF-8"));
        };
        if header.name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close") {
            request.keep_alive = false;
        }
        request.headers.push((header.name.into(), value.into()));
    }
    Ok(Some((request, length)))
}
