//! Opens a connection: TCP, the proxy's tunnel, TLS; all steps within one deadline.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::stream::{Stream, TcpSocket, left};
use super::{Endpoint, TransportError, http1};

/// How long an address has before the next one is tried in parallel (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// How many addresses are tried in parallel.
const ATTEMPTS: usize = 4;

/// Opens a new connection to the service.
pub(super) fn open(endpoint: &Endpoint, deadline: Instant) -> Result<Stream, TransportError> {
    let opened = open_to(endpoint, deadline);
    if opened.is_err() {
        // The service may have moved.
        endpoint.names.forget();
    }
    opened
}

fn open_to(endpoint: &Endpoint, deadline: Instant) -> Result<Stream, TransportError> {
    let (host, port) = match &endpoint.proxy {
        Some(proxy) => (proxy.host(), proxy.port()),
        None => (endpoint.url.host(), endpoint.url.port()),
    };
    // Clear text is only for this machine, even if a resolver returns other addresses.
    let loopback_only = endpoint.proxy.is_none() && !endpoint.url.is_tls();
    let addresses = endpoint
        .names
        .look_up(host, port, loopback_only, deadline)
        .map_err(TransportError::name)?;
    let (address, tcp) =
        connect_any(&addresses, deadline).map_err(|cause| match endpoint.proxy {
            Some(_) => TransportError::proxy(cause),
            None => TransportError::connecting(cause),
        })?;
    endpoint.names.prefer(address);
    // Each request is one write, so Nagle's algorithm would only delay it.
    tcp.set_nodelay(true).map_err(TransportError::connecting)?;
    let mut socket = TcpSocket::new(tcp, deadline);
    if let Some(proxy) = &endpoint.proxy {
        let target = (endpoint.url.host(), endpoint.url.port());
        http1::tunnel(&mut socket, target, proxy.authorization())?;
    }
    match &endpoint.tls {
        Some(config) => Stream::handshake(socket, config, endpoint.url.host())
            .map_err(TransportError::handshake),
        None => Ok(Stream::Plain(socket)),
    }
}

fn connect_any(addresses: &[SocketAddr], deadline: Instant) -> io::Result<(SocketAddr, TcpStream)> {
    let connect = |address: SocketAddr, timeout| TcpStream::connect_timeout(&address, timeout);
    match addresses {
        [only] => Ok((*only, connect(*only, left(deadline)?)?)),
        _ => race(addresses, deadline, ATTEMPT_DELAY, connect),
    }
}

/// Connects to the first address that responds. Each is tried on a thread of its own, which ends with the
/// deadline, so an address that drops packets costs only `delay`. After a failure the next address is tried
/// at once.
fn race<T: Send + 'static>(
    addresses: &[SocketAddr],
    deadline: Instant,
    delay: Duration,
    connect: impl Fn(SocketAddr, Duration) -> io::Result<T> + Clone + Send + 'static,
) -> io::Result<(SocketAddr, T)> {
    let (tell, told) = mpsc::channel();
    let mut waiting = addresses.iter().copied();
    let mut under_way = 0;
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        let timeout = left(deadline)?;
        if under_way < ATTEMPTS
            && let Some(address) = waiting.next()
        {
            let (tell, connect) = (tell.clone(), connect.clone());
            let started = thread::Builder::new()
                .name("sikkerkey-connect".to_owned())
                // After the first success the channel is closed, and a late connection is dropped.
                .spawn(move || drop(tell.send((address, connect(address, timeout)))));
            match started {
                Ok(_) => under_way += 1,
                Err(cause) => {
                    failure = cause;
                    continue;
                }
            }
        }
        if under_way == 0 {
            return Err(failure);
        }
        let may_start_another = under_way < ATTEMPTS && waiting.len() > 0;
        let wait = if may_start_another {
            timeout.min(delay)
        } else {
            timeout
        };
        match told.recv_timeout(wait) {
            Ok((address, Ok(connected))) => return Ok((address, connected)),
            Ok((_, Err(cause))) => {
                under_way -= 1;
                failure = cause;
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::{Arc, Condvar, Mutex};

    #[cfg(target_os = "linux")]
    use socket2::{Domain, Socket, Type};

    use super::*;
    use crate::sync::{lock, wait_timeout};

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 443))
    }

    /// Addresses that do not respond until the test releases them.
    #[derive(Clone, Default)]
    struct Silent(Arc<(Mutex<Tried>, Condvar)>);

    #[derive(Default)]
    struct Tried {
        addresses: Vec<SocketAddr>,
        waiting: usize,
        most: usize,
        released: bool,
    }

    impl Silent {
        fn connect(&self, address: SocketAddr) -> io::Result<()> {
            let mut tried = lock(&self.0.0);
            tried.addresses.push(address);
            tried.waiting += 1;
            tried.most = tried.most.max(tried.waiting);
            self.0.1.notify_all();
            while !tried.released {
                tried = wait_timeout(&self.0.1, tried, LONG);
            }
            tried.waiting -= 1;
            Err(io::ErrorKind::TimedOut.into())
        }

        fn wait_for(&self, number: usize) {
            let mut tried = lock(&self.0.0);
            while tried.addresses.len() < number {
                tried = wait_timeout(&self.0.1, tried, LONG);
            }
        }

        fn release(&self) {
            lock(&self.0.0).released = true;
            self.0.1.notify_all();
        }
    }

    const LONG: Duration = Duration::from_secs(3600);
    const SHORT: Duration = Duration::from_millis(1);

    #[test]
    fn an_address_that_swallows_packets_costs_a_delay_and_not_the_deadline() {
        let silent = Silent::default();
        let connect = {
            let silent = silent.clone();
            move |to: SocketAddr, _| match to == address(3) {
                true => Ok(()),
                false => silent.connect(to),
            }
        };
        let addresses = [1, 2, 3, 4].map(address);
        let connected = race(&addresses, Instant::now() + LONG, SHORT, connect);
        assert_eq!(connected.unwrap().0, address(3));
        silent.release();
    }

    #[test]
    fn a_failure_starts_the_next_attempt_without_a_delay() {
        let connect = |to: SocketAddr, _| match to == address(9) {
            true => Ok(()),
            false => Err(io::ErrorKind::ConnectionRefused.into()),
        };
        let addresses: Vec<_> = (1..=9).map(address).collect();
        let connected = race(&addresses, Instant::now() + LONG, LONG, connect);
        assert_eq!(connected.unwrap().0, address(9));

        let failed = race(&addresses[..8], Instant::now() + LONG, LONG, connect);
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let none = race(&[], Instant::now() + LONG, LONG, connect);
        assert_eq!(none.unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn four_attempts_are_made_side_by_side() {
        let silent = Silent::default();
        let addresses: Vec<_> = (1..=7).map(address).collect();
        thread::scope(|scope| {
            let racing = scope.spawn(|| {
                let silent = silent.clone();
                let connect = move |to, _| silent.connect(to);
                race(&addresses, Instant::now() + LONG, SHORT, connect)
            });
            silent.wait_for(ATTEMPTS);
            silent.release();
            let failed = racing.join().unwrap();
            assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::TimedOut);
        });
        let tried = lock(&silent.0.0);
        assert_eq!(tried.most, ATTEMPTS);
        assert_eq!(tried.addresses.len(), addresses.len());
    }

    #[test]
    fn the_deadline_ends_the_race() {
        let silent = Silent::default();
        let connect = {
            let silent = silent.clone();
            move |to, _| silent.connect(to)
        };
        let soon = Instant::now() + Duration::from_millis(20);
        let failed = race(&[address(1), address(2)], soon, LONG, connect);
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::TimedOut);
        silent.release();
    }

    #[test]
    fn one_address_is_connected_to_on_the_callers_thread() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let only = listener.local_addr().unwrap();
        let (address, tcp) = connect_any(&[only], Instant::now() + LONG).unwrap();
        assert_eq!((address, tcp.peer_addr().unwrap()), (only, only));
    }

    /// A real socket that drops packets, because its queue of connections is full.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_listener_with_a_full_queue_does_not_keep_the_others_waiting() {
        let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        full.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        full.listen(0).unwrap();
        let swallows = full.local_addr().unwrap().as_socket().unwrap();
        let _fills_the_queue = TcpStream::connect(swallows).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let answers = listener.local_addr().unwrap();
        // When each address got half of the remaining time, seven such addresses used up 14.9 of 15 s.
        let mut addresses = vec![swallows; 3];
        addresses.push(answers);
        let deadline = Instant::now() + LONG;
        let (address, _) = connect_any(&addresses, deadline).unwrap();
        assert_eq!(address, answers);
    }
}
