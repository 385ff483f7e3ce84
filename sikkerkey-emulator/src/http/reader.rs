//! Reads the requests of one connection, within limits.

use std::io::{self, Read, Write};

use super::request::{Framing, ReadError, Request, parse};

/// A head above this is refused: no client of this service sends a tenth of it.
const MAX_HEAD: usize = 64 * 1024;
/// A body above this is refused: a poll of 100,000 ids has about 2 MiB.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// Reads one request after another, and keeps bytes that belong to the next one.
#[derive(Default)]
pub(crate) struct Reader {
    buffer: Vec<u8>,
}

impl Reader {
    /// The head of the next request; `None` if the connection ended between two requests.
    pub(crate) fn head(&mut self, wire: &mut impl Read) -> Result<Option<Request>, ReadError> {
        loop {
            if let Some((request, length)) = parse(&self.buffer)? {
                self.buffer.drain(..length);
                return Ok(Some(request));
            }
            if self.buffer.len() >= MAX_HEAD {
                return Err(ReadError::Refused(
                    431,
                    "the head of the request is too large",
                ));
            }
            if !self.fill(wire)? {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(ReadError::Io)
                };
            }
        }
    }

    /// The body that follows this head.
    pub(crate) fn body(
        &mut self,
        wire: &mut (impl Read + Write),
        request: &mut Request,
    ) -> Result<(), ReadError> {
        let framing = Framing::of(request)?;
        if !matches!(framing, Framing::Length(0)) && request.header("expect").is_some() {
            wire.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            wire.flush()?;
        }
        request.body = match framing {
            Framing::Length(length) => self.take(wire, length)?,
            Framing::Chunked => self.chunks(wire)?,
        };
        Ok(())
    }

    /// Reads what has arrived, waiting for the first byte; false at the end of the stream.
    fn fill(&mut self, wire: &mut impl Read) -> io::Result<bool> {
        let mut piece = [0; 16 * 1024];
        loop {
            match wire.read(&mut piece) {
                Ok(0) => return Ok(false),
                Ok(n) => {
                    self.buffer.extend_from_slice(&piece[..n]);
                    return Ok(true);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn take(&mut self, wire: &mut impl Read, length: usize) -> Result<Vec<u8>, ReadError> {
        if length > MAX_BODY {
            return Err(ReadError::Refused(413, "the body is too large"));
        }
        while self.buffer.len() < length {
            if !self.fill(wire)? {
                return Err(ReadError::Io);
            }
        }
        let rest = self.buffer.split_off(length);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    fn line(&mut self, wire: &mut impl Read) -> Result<Vec<u8>, ReadError> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                let mut line = self.take(wire, end + 2)?;
                line.truncate(end);
                return Ok(line);
            }
            if self.buffer.len() > 1024 {
                return Err(ReadError::Refused(400, "a chunk of the body is malformed"));
            }
            if !self.fill(wire)? {
                return Err(ReadError::Io);
            }
        }
    }

    fn chunks(&mut self, wire: &mut impl Read) -> Result<Vec<u8>, ReadError> {
        let malformed = || ReadError::Refused(400, "a chunk of the body is malformed");
        let mut body = Vec::new();
        loop {
            let line = self.line(wire)?;
            let digits = line.split(|b| *b == b';').next().unwrap_or_default();
            let digits = std::str::from_utf8(digits).map_err(|_| malformed())?.trim();
            if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(malformed());
            }
            let length = usize::from_str_radix(digits, 16).map_err(|_| malformed())?;
            if length.saturating_add(body.len()) > MAX_BODY {
                return Err(ReadError::Refused(413, "the body is too large"));
            }
            if length == 0 {
                // Trailers are ignored, up to the empty line.
                while !self.line(wire)?.is_empty() {}
                return Ok(body);
            }
            body.append(&mut self.take(wire, length)?);
            if !self.line(wire)?.is_empty() {
                return Err(malformed());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::request::MAX_HEADERS;

    /// A wire that hands over a few bytes at a time.
    struct Slow<'a>(&'a [u8], usize, Vec<u8>);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(self.0.len());
            into[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    impl Write for Slow<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.2.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn read(bytes: &str) -> Result<Option<Request>, ReadError> {
        next(
            &mut Reader::default(),
            &mut Slow(bytes.as_bytes(), 4096, Vec::new()),
        )
    }

    fn next(reader: &mut Reader, wire: &mut Slow<'_>) -> Result<Option<Request>, ReadError> {
        let mut request = reader.head(wire)?;
        if let Some(request) = &mut request {
            reader.body(wire, request)?;
        }
        Ok(request)
    }

    #[track_caller]
    fn refused(bytes: &str, status: u16) {
        match read(bytes) {
            Err(ReadError::Refused(found, _)) => assert_eq!(found, status),
            other => panic!(
                "expected {status}, found {:?}",
                other.map(|r| r.map(|r| r.target))
            ),
        }
    }

    #[test]
    fn requests_follow_each_other_in_pieces_of_any_size() {
        let bytes = "GET /v1/secrets?a=b HTTP/1.1\r\nHost: x\r\n\r\n\
                     POST /v1/secrets/poll HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello\
                     POST /v1/secrets/list HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                     2;ext=1\r\nab\r\n3\r\ncde\r\n0\r\nTrailer: x\r\n\r\n";
        for size in [1, 2, 3, 7, 4096] {
            let mut wire = Slow(bytes.as_bytes(), size, Vec::new());
            let mut reader = Reader::default();
            let mut next = || next(&mut reader, &mut wire).unwrap();
            let first = next().unwrap();
            assert_eq!(
                (first.target.as_str(), first.path()),
                ("/v1/secrets?a=b", "/v1/secrets")
            );
            assert!(first.keep_alive && first.body.is_empty());
            assert_eq!(next().unwrap().body, b"hello");
            assert_eq!(next().unwrap().body, b"abcde");
            assert!(next().is_none());
        }
    }

    #[test]
    fn expect_continue_is_answered_with_100() {
        let bytes = b"POST / HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\nx";
        let mut wire = Slow(bytes, 4096, Vec::new());
        assert_eq!(
            next(&mut Reader::default(), &mut wire)
                .unwrap()
                .unwrap()
                .body,
            b"x"
        );
        assert_eq!(wire.2, b"HTTP/1.1 100 Continue\r\n\r\n");
    }

    #[test]
    fn the_end_of_a_connection_is_not_a_request() {
        assert!(read("").unwrap().is_none());
        assert!(matches!(read("GET / HT"), Err(ReadError::Io)));
        assert!(matches!(
            read("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"),
            Err(ReadError::Io)
        ));
    }

    #[test]
    fn http_1_0_and_connection_close_end_the_connection() {
        assert!(!read("GET / HTTP/1.0\r\n\r\n").unwrap().unwrap().keep_alive);
        assert!(
            !read("GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
                .unwrap()
                .unwrap()
                .keep_alive
        );
    }

    #[test]
    fn malformed_and_oversized_requests_are_refused() {
        refused("nonsense\r\n\r\n", 400);
        refused("GET http://localhost/ HTTP/1.1\r\n\r\n", 400);
        refused("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400);
        refused("POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\nx", 400);
        refused(
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            400,
        );
        refused(
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
            400,
        );
        refused("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nx", 400);
        refused(
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            400,
        );
        refused(
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n",
            400,
        );
        refused(
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            413,
        );
        refused("POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413);
        refused(
            &format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(MAX_HEAD)),
            431,
        );
        refused(
            &format!(
                "GET / HTTP/1.1\r\n{}\r\n",
                "A: b\r\n".repeat(MAX_HEADERS + 1)
            ),
            431,
        );
    }

    #[test]
    fn a_repeated_header_counts_as_missing() {
        let request = read("GET / HTTP/1.1\r\nX-Nonce: a\r\nx-nonce: b\r\nHost: x\r\n\r\n")
            .unwrap()
            .unwrap();
        assert_eq!(
            (request.header("X-Nonce"), request.header("host")),
            (None, Some("x"))
        );
    }
}
