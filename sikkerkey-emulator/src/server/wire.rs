//! A connection's bytes, plain or under TLS, and the ways in which it ends.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The limit for bytes that a refused client may still send before its connection closes.
const MAX_DRAIN: usize = 64 * 1024 * 1024;

/// Both directions of one connection.
pub(super) enum Wire {
    Plain(Socket),
    Tls(Box<StreamOwned<ServerConnection, Socket>>),
}

/// The connection as its own thread reads and writes it.
pub(super) struct Socket(Arc<Line>);

/// A socket that the server can cut from its own thread.
pub(super) struct Line {
    socket: TcpStream,
    cut: AtomicBool,
}

impl Line {
    pub(super) fn new(socket: TcpStream) -> Self {
        // On Windows, cutting a connection does not wake a thread that reads, so reads are short there and repeated.
        #[cfg(windows)]
        let _ = socket.set_read_timeout(Some(Duration::from_millis(50)));
        Self {
            socket,
            cut: AtomicBool::new(false),
        }
    }

    /// Ends the connection from another thread: its reads and writes return at once.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = (&self.socket).read(into);
            let timed_out = |e: &io::Error| {
                matches!(
                    e.kind(),
                    io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
                )
            };
            let again = cfg!(windows) && read.as_ref().is_err_and(timed_out);
            if !again || self.cut.load(Ordering::Acquire) {
                return read;
            }
        }
    }
}

impl Wire {
    pub(super) fn new(line: Arc<Line>, tls: Option<&Arc<ServerConfig>>) -> Option<Self> {
        let socket = Socket(line);
        match tls {
            None => Some(Self::Plain(socket)),
            Some(config) => {
                let session = ServerConnection::new(Arc::clone(config)).ok()?;
                Some(Self::Tls(Box::new(StreamOwned::new(session, socket))))
            }
        }
    }

    /// The socket itself, below TLS.
    pub(super) fn socket(&self) -> &TcpStream {
        &self.line().socket
    }

    fn line(&self) -> &Line {
        match self {
            Self::Plain(socket) => &socket.0,
            Self::Tls(stream) => &stream.sock.0,
        }
    }

    /// Ends the connection in order, as a server does after its last response.
    pub(super) fn finish(&mut self) {
        if let Self::Tls(stream) = self {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
        let _ = self.socket().shutdown(Shutdown::Write);
    }

    /// Discards what the other side is still sending. Closing with unread bytes would reset the connection, and the
    /// response could be lost.
    pub(super) fn drain(&mut self) {
        let mut socket = self.socket();
        let _ = socket.set_read_timeout(Some(Duration::from_secs(1)));
        let mut piece = [0; 16 * 1024];
        let mut read = 0;
        while let Ok(n) = socket.read(&mut piece) {
            read += n;
            if n == 0 || read > MAX_DRAIN {
                break;
            }
        }
    }

    /// Waits until the other side ends the connection, or until it is cut.
    pub(super) fn hang(&mut self) {
        let mut piece = [0; 1024];
        while self.line().read(&mut piece).is_ok_and(|n| n > 0) {}
    }
}

/// Makes closing this socket a reset (TCP RST) instead of an orderly end.
pub(super) fn reset(socket: &TcpStream) {
    let _ = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&self.0.socket).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(into),
            Self::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
