//! From an address to a stream: TCP, the proxy's tunnel, TLS; every step within one deadline.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::{Endpoint, TransportError, http1};

/// A connection to the service, or to a proxy that leads there.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(Timed),
    // A TLS connection's state is some kilobytes.
    Tls(Box<StreamOwned<ClientConnection, Timed>>),
}

impl Stream {
    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        self.socket().deadline = deadline;
    }

    /// Whether the other side still keeps the connection, as far as is known without asking it.
    pub(super) fn is_idle_and_open(&mut self) -> bool {
        let tcp = &self.socket().tcp;
        if tcp.set_nonblocking(true).is_err() {
            return false;
        }
        // Nothing to read is the only good sign: an end, an error, and bytes that nobody asked
        // for all mean that the next answer would not be ours.
        let quiet = matches!(
            tcp.peek(&mut [0]),
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock
        );
        tcp.set_nonblocking(false).is_ok() && quiet
    }

    fn socket(&mut self) -> &mut Timed {
        match self {
            Stream::Plain(timed) => timed,
            Stream::Tls(tls) => &mut tls.sock,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(timed) => timed.read(bytes),
            Stream::Tls(tls) => tls.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(timed) => timed.write(bytes),
            Stream::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(timed) => timed.flush(),
            Stream::Tls(tls) => tls.flush(),
        }
    }
}

/// A socket that fails once its deadline has passed, however slowly bytes drip in.
#[derive(Debug)]
pub(super) struct Timed {
    tcp: TcpStream,
    deadline: Instant,
}

impl Read for Timed {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.tcp.set_read_timeout(Some(left(self.deadline)?))?;
        self.tcp.read(bytes)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.set_write_timeout(Some(left(self.deadline)?))?;
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// The time that is left, which a socket takes as a timeout: never zero.
pub(super) fn left(deadline: Instant) -> io::Result<Duration> {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

/// Opens a new connection to the service.
pub(super) fn open(endpoint: &Endpoint, deadline: Instant) -> Result<Stream, TransportError> {
    let (host, port) = match &endpoint.proxy {
        Some(proxy) => (proxy.host(), proxy.port()),
        None => (endpoint.url.host(), endpoint.url.port()),
    };
    // In clear text, only this machine: a resolver that says otherwise is not believed.
    let loopback_only = endpoint.proxy.is_none() && !endpoint.url.is_tls();
    let addresses = endpoint
        .names
        .look_up(host, port, loopback_only, deadline)
        .map_err(TransportError::name)?;
    let tcp = match connect_any(&addresses, deadline) {
        Ok(tcp) => tcp,
        Err(cause) => {
            endpoint.names.forget();
            return Err(match endpoint.proxy {
                Some(_) => TransportError::proxy(cause),
                None => TransportError::connecting(cause),
            });
        }
    };
    // Requests are one write each; waiting for more would only delay them.
    tcp.set_nodelay(true).map_err(TransportError::connecting)?;
    let mut timed = Timed { tcp, deadline };
    if let Some(proxy) = &endpoint.proxy {
        let target = (endpoint.url.host(), endpoint.url.port());
        http1::tunnel(&mut timed, target, proxy.authorization()).map_err(TransportError::proxy)?;
    }
    match &endpoint.tls {
        Some(config) => {
            handshake(timed, config, endpoint.url.host()).map_err(TransportError::handshake)
        }
        None => Ok(Stream::Plain(timed)),
    }
}

fn handshake(
    mut timed: Timed,
    config: &Arc<rustls::ClientConfig>,
    host: &str,
) -> io::Result<Stream> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let mut tls = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut timed)?;
    }
    Ok(Stream::Tls(Box::new(StreamOwned::new(tls, timed))))
}

/// Tries each address in turn. Each but the last gets half of the time that is left, so that one
/// that swallows packets does not use up the time of those behind it.
fn connect_any(addresses: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (place, address) in addresses.iter().enumerate() {
        let left = left(deadline)?;
        let share = if place + 1 == addresses.len() {
            left
        } else {
            left / 2
        };
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
            Ok(tcp) => return Ok(tcp),
            Err(cause) => failure = cause,
        }
    }
    Err(failure)
}
