//! A connection as a stream of bytes: a socket, with TLS if the service uses it.
//!
//! This file decides when a connection may be used for another request. Bytes that the server has sent by
//! then belong to no request, and would be read as the response to the next one. They can be in two places:
//! in the socket, and decrypted inside rustls.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

/// How often a silent connection is read from for session tickets and key updates. A server sends only a few;
/// a connection with more is not silent.
const LATE_READS: usize = 16;

/// The socket of a connection: TCP, or a test's replacement.
pub trait Socket: Read + Write {
    /// Sets the moment after which reads and writes fail.
    fn set_deadline(&mut self, deadline: Instant);

    /// Reads bytes that have arrived, without blocking; `WouldBlock` if there are none.
    fn read_now(&mut self, bytes: &mut [u8]) -> io::Result<usize>;
}

/// A TCP socket that fails once its deadline has passed, even if bytes keep arriving slowly.
#[derive(Debug)]
pub(super) struct TcpSocket {
    tcp: TcpStream,
    deadline: Instant,
}

impl TcpSocket {
    pub(super) fn new(tcp: TcpStream, deadline: Instant) -> Self {
        TcpSocket { tcp, deadline }
    }
}

impl Socket for TcpSocket {
    fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    fn read_now(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.tcp.set_nonblocking(true)?;
        let read = self.tcp.read(bytes);
        self.tcp.set_nonblocking(false)?;
        read
    }
}

impl Read for TcpSocket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.tcp.set_read_timeout(Some(left(self.deadline)?))?;
        self.tcp.read(bytes)
    }
}

impl Write for TcpSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.set_write_timeout(Some(left(self.deadline)?))?;
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// Returns the time that is left, as a socket's timeout: never zero.
pub(super) fn left(deadline: Instant) -> io::Result<Duration> {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

/// A connection to the service.
#[derive(Debug)]
pub(super) enum Stream<S = TcpSocket> {
    Plain(S),
    // Boxed, because a TLS connection's state has some kilobytes.
    Tls(Box<Tls<S>>),
}

impl<S: Socket> Stream<S> {
    /// Makes the TLS handshake with `host` on a socket.
    pub(super) fn handshake(socket: S, config: &Arc<ClientConfig>, host: &str) -> io::Result<Self> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let session = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
        let mut tls = Tls {
            session,
            socket,
            records: Records::default(),
        };
        tls.handshake()?;
        Ok(Stream::Tls(Box::new(tls)))
    }

    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        self.socket().set_deadline(deadline);
    }

    /// Whether the connection is open, and the server has sent nothing except messages of TLS itself, so that
    /// the next byte belongs to the next response.
    pub(super) fn is_silent(&mut self) -> bool {
        match self {
            Stream::Plain(socket) => {
                matches!(socket.read_now(&mut [0]), Err(cause) if cause.kind() == io::ErrorKind::WouldBlock)
            }
            Stream::Tls(tls) => tls.is_silent(),
        }
    }

    pub(super) fn socket(&mut self) -> &mut S {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(tls) => &mut tls.socket,
        }
    }
}

impl<S: Socket> Read for Stream<S> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.read(bytes),
            Stream::Tls(tls) => tls.read(bytes),
        }
    }
}

impl<S: Socket> Write for Stream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.write(bytes),
            Stream::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(socket) => socket.flush(),
            Stream::Tls(tls) => tls.flush(),
        }
    }
}

/// A TLS session over a socket. Used in place of `rustls::StreamOwned`, which writes before it reads: after a
/// failed write it cannot read the response that the server sent before it closed.
#[derive(Debug)]
pub(super) struct Tls<S> {
    session: ClientConnection,
    socket: S,
    records: Records,
}

impl<S: Socket> Tls<S> {
    fn handshake(&mut self) -> io::Result<()> {
        loop {
            self.flush()?;
            if !self.session.is_handshaking() {
                return Ok(());
            }
            match self.receive(S::read) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                // A signal of the process; the deadline is the socket's.
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
    }

    /// Reads once from the socket with `read`, and decrypts the bytes. Returns 0 at the end of the stream.
    fn receive(&mut self, read: fn(&mut S, &mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
        let read = self.session.read_tls(&mut Metered {
            socket: &mut self.socket,
            records: &mut self.records,
            read,
        })?;
        if let Err(error) = self.session.process_new_packets() {
            // Send the alert that tells the server why, if that is still possible.
            let _ = self.flush();
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        Ok(read)
    }

    fn is_silent(&mut self) -> bool {
        for _ in 0..LATE_READS {
            match self.session.process_new_packets() {
                Ok(state) if state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed() => {}
                _ => return false,
            }
            match self.receive(S::read_now) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                // A partial record may hold anything.
                Err(cause) => {
                    return cause.kind() == io::ErrorKind::WouldBlock && self.records.are_whole();
                }
            }
        }
        false
    }
}

impl<S: Socket> Read for Tls<S> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(bytes) {
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            // At the end of the stream the reader distinguishes a TLS close from a cut.
            self.receive(S::read)?;
        }
    }
}

impl<S: Socket> Write for Tls<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.session.writer().write(bytes)?;
        self.flush()?;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.socket) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Err(cause) if cause.kind() != io::ErrorKind::Interrupted => return Err(cause),
                _ => {}
            }
        }
        self.socket.flush()
    }
}

/// Reads for rustls, and tracks the TLS records.
struct Metered<'a, S> {
    socket: &'a mut S,
    records: &'a mut Records,
    read: fn(&mut S, &mut [u8]) -> io::Result<usize>,
}

impl<S: Socket> Read for Metered<'_, S> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = (self.read)(self.socket, bytes)?;
        self.records.pass(&bytes[..read]);
        Ok(read)
    }
}

/// The size of a TLS record's header: one byte of type, two of version, two of length.
const RECORD_HEADER: u8 = 5;

/// Tracks the records of a TLS stream, because rustls does not say whether it holds a partial one.
#[derive(Debug, Default)]
struct Records {
    /// How many bytes of the header have arrived.
    header: u8,
    /// The last two bytes of the header.
    length: u16,
    /// How many bytes of the record are still to come.
    left: usize,
}

impl Records {
    fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let passed = self.left.min(bytes.len());
                self.left -= passed;
                bytes = &bytes[passed..];
                continue;
            }
            self.length = self.length << 8 | u16::from(first);
            self.header += 1;
            if self.header == RECORD_HEADER {
                self.header = 0;
                self.left = usize::from(self.length);
            }
            bytes = rest;
        }
    }

    fn are_whole(&self) -> bool {
        self.header == 0 && self.left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket whose first reads a signal interrupts, and whose peer then closes it.
    struct Interrupted(usize);

    impl Read for Interrupted {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            match self.0 {
                0 => Ok(0),
                _ => {
                    self.0 -= 1;
                    Err(io::ErrorKind::Interrupted.into())
                }
            }
        }
    }

    impl Write for Interrupted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Socket for Interrupted {
        fn set_deadline(&mut self, _: Instant) {}

        fn read_now(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }

    #[test]
    fn a_signal_does_not_end_a_handshake() {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let ended = Stream::handshake(Interrupted(3), &Arc::new(config), "localhost");
        let cause = ended.err().unwrap();
        assert_eq!(cause.kind(), io::ErrorKind::UnexpectedEof, "{cause}");
    }

    #[test]
    fn records_are_followed_however_they_are_cut() {
        let mut bytes = vec![22, 3, 3, 1, 2];
        bytes.extend([7; 258]);
        bytes.extend([23, 3, 3, 0, 0, 21, 3, 3, 0, 1, 0]);
        let ends = [0, 263, 268, bytes.len()];
        for size in [1, 2, 5, 100, bytes.len()] {
            let mut records = Records::default();
            let mut passed = 0;
            for part in bytes.chunks(size) {
                assert_eq!(records.are_whole(), ends.contains(&passed), "{passed}");
                records.pass(part);
                passed += part.len();
            }
            assert!(records.are_whole());
        }
    }
}
