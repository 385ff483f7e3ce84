//! Reads heads and bodies from a stream of bytes.

use std::io::{self, Read};
use std::ops::Range;

use zeroize::Zeroizing;

use super::{Framing, Head, understand};
use crate::transport::wiped_buffer::WipedBuffer;
use crate::transport::{Body, TransportError};

/// The most bytes that the status line and the headers may have.
pub(super) const HEAD_LIMIT: usize = 32 * 1024;

/// The most headers that a response may have.
pub(super) const HEADERS: usize = 100;

/// The most bytes of one line between chunks.
const CHUNK_LINE_LIMIT: usize = 4 * 1024;

/// The most bytes of a chunked body that are neither content nor needed by its chunks: extensions, padded
/// sizes, trailers.
const OVERHEAD_LIMIT: usize = 16 * 1024;

/// The most digits that a chunk's size needs.
const SIZE_DIGITS: usize = 16;

/// The most bytes that are allocated in advance because a header promises them.
const TRUSTED_LENGTH: usize = 1024 * 1024;

/// Bytes that were read but not yet used, and the stream for more.
pub(super) struct ResponseReader<'a, R> {
    from: &'a mut R,
    buffer: WipedBuffer,
    used: usize,
    received: bool,
    /// Whether the message had a part that other software may parse differently.
    doubtful: bool,
}

impl<'a, R: Read> ResponseReader<'a, R> {
    pub(super) fn new(from: &'a mut R) -> Self {
        ResponseReader {
            from,
            buffer: WipedBuffer::default(),
            used: 0,
            received: false,
            doubtful: false,
        }
    }

    /// Whether any byte has arrived.
    pub(super) fn has_received(&self) -> bool {
        self.received
    }

    /// Whether the message certainly ends with the bytes that have arrived.
    pub(super) fn is_at_end(&self) -> bool {
        self.pending().is_empty() && !self.doubtful
    }

    /// The size of the buffer.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.buffer.capacity()
    }

    fn pending(&self) -> &[u8] {
        &self.buffer.bytes()[self.used..]
    }

    /// Reads more; an end of the stream is an error.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drop_front(self.used);
        self.used = 0;
        match self.buffer.read_once(self.from, 4096)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => {
                self.received = true;
                Ok(())
            }
        }
    }

    pub(super) fn head(&mut self) -> Result<Head, TransportError> {
        // Parsed when a blank line arrives, and otherwise each time the size has doubled. So invalid data is
        // found early, and a head that arrives slowly is not parsed again for each byte.
        let mut parse_from = 0;
        let mut searched = 0;
        loop {
            let pending = &self.buffer.bytes()[self.used..];
            let blank = pending[searched..]
                .windows(2)
                .any(|pair| pair == b"\n\r" || pair == b"\n\n");
            searched = pending.len().saturating_sub(1);
            if blank || pending.len() >= parse_from {
                parse_from = (2 * pending.len()).min(HEAD_LIMIT);
                let mut headers = [httparse::EMPTY_HEADER; HEADERS];
                let mut parsed = httparse::Response::new(&mut headers);
                let mut config = httparse::ParserConfig::default();
                config.allow_obsolete_multiline_headers_in_responses(true);
                match config.parse_response(&mut parsed, pending) {
                    Ok(httparse::Status::Complete(length)) if length <= HEAD_LIMIT => {
                        let head = understand(&parsed).ok_or_else(TransportError::not_http)?;
                        // Folded headers are deprecated, and software differs in how it parses them.
                        self.doubtful |= pending[..length]
                            .windows(2)
                            .any(|pair| pair == b"\n " || pair == b"\n\t");
                        self.used += length;
                        return Ok(head);
                    }
                    Ok(httparse::Status::Partial) if pending.len() < HEAD_LIMIT => {}
                    _ => {
                        return Err(TransportError::not_http());
                    }
                }
                if blank {
                    // The last byte of the blank line may come next.
                    parse_from = 0;
                }
            }
            self.fill().map_err(TransportError::after_sending)?;
        }
    }

    pub(super) fn body(&mut self, framing: Framing, limit: usize) -> io::Result<Body> {
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
        let mut overhead = 0;
        loop {
            let line = self.line()?;
            let (length, more) = chunk_size(&self.buffer.bytes()[line]).ok_or_else(invalid)?;
            overhead += more;
            if overhead > OVERHEAD_LIMIT {
                return Err(invalid());
            }
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
        // Trailers are not used here, and end with an empty line.
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(Body::Whole(body.into_inner()));
            }
            self.doubtful = true;
            overhead += line.len();
            if overhead > OVERHEAD_LIMIT {
                return Err(invalid());
            }
        }
    }

    /// Returns the range of the next line, without its end, which must be CRLF. A reader that accepts less
    /// could see another message than a proxy saw.
    fn line(&mut self) -> io::Result<Range<usize>> {
        loop {
            let line = self.pending().iter().position(|&byte| byte == b'\n');
            // However the bytes arrive: a line is refused for its length, not for its arrival in parts.
            if line.unwrap_or(self.pending().len()) > CHUNK_LINE_LIMIT {
                return Err(invalid());
            }
            if let Some(length) = line {
                let start = self.used;
                self.used += length + 1;
                return match self.buffer.bytes()[start..start + length].split_last() {
                    Some((b'\r', line)) if !line.contains(&b'\r') => Ok(start..start + line.len()),
                    _ => Err(invalid()),
                };
            }
            self.fill()?;
        }
    }

    fn until_close(&mut self, limit: usize) -> io::Result<Body> {
        let mut body = WipedBuffer::default();
        body.extend(self.pending());
        self.used = self.buffer.len();
        loop {
            // One byte more than allowed, to detect a body that is too long.
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

/// Whether the HTTP data was invalid. Errors of rustls, which carry an inner error, do not count.
pub(super) fn is_invalid(cause: &io::Error) -> bool {
    cause.kind() == io::ErrorKind::InvalidData && cause.get_ref().is_none()
}

/// Parses a chunk's size. Also returns how many bytes of its line were not needed.
fn chunk_size(line: &[u8]) -> Option<(usize, usize)> {
    let size = line.split(|&byte| byte == b';').next()?;
    let size = std::str::from_utf8(size).ok()?;
    let digits = size.trim_end_matches([' ', '\t']);
    // The parser would accept a sign.
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let extension = line.len() - size.len();
    let padding = size.len().saturating_sub(SIZE_DIGITS);
    Some((usize::from_str_radix(digits, 16).ok()?, extension + padding))
}
