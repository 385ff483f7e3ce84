//! Heads and bodies, taken from a stream of bytes.

use std::io::{self, Read};

use zeroize::Zeroizing;

use super::{Framing, Head, understand};
use crate::transport::wiped_buffer::WipedBuffer;
use crate::transport::{Body, TransportError};

/// The most bytes that the status line and the headers may have.
pub(super) const HEAD_LIMIT: usize = 32 * 1024;

/// The most headers that an answer may have.
pub(super) const HEADERS: usize = 100;

/// The most bytes of a chunk's first line, and of all trailers together.
const CHUNK_LINE_LIMIT: usize = 4 * 1024;

/// The most bytes that are set aside because a header promises them.
const TRUSTED_LENGTH: usize = 1024 * 1024;

/// Bytes that were read and not yet used, and where more come from.
pub(super) struct ResponseReader<'a, R> {
    from: &'a mut R,
    buffer: WipedBuffer,
    used: usize,
}

impl<'a, R: Read> ResponseReader<'a, R> {
    pub(super) fn new(from: &'a mut R) -> Self {
        ResponseReader {
            from,
            buffer: WipedBuffer::default(),
            used: 0,
        }
    }

    pub(super) fn pending(&self) -> &[u8] {
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

    pub(super) fn head(&mut self) -> Result<Head, TransportError> {
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
                        let head = understand(&parsed).ok_or_else(TransportError::not_http)?;
                        self.used += length;
                        return Ok(head);
                    }
                    Ok(httparse::Status::Partial) if pending.len() < HEAD_LIMIT => {}
                    Ok(httparse::Status::Partial) | Err(_) => {
                        return Err(TransportError::not_http());
                    }
                }
                if blank {
                    // The blank line's last byte may be the next one.
                    parse_from = 0;
                }
            }
            self.fill(4096).map_err(TransportError::after_sending)?;
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

pub(super) fn invalid() -> io::Error {
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
