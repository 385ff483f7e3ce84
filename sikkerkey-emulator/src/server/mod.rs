//! The server: two listeners on the loopback interface, one thread for each connection, and an end to all of them.

mod connection;
mod open;
mod stop;
mod wire;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::service::Service;
use open::Connections;
pub(crate) use open::Limits;
use stop::Stop;

/// Ports to try before IPv6 is given up: another program may hold `[::1]` on the one that IPv4 got.
const TRIES: usize = 16;

/// A running server; dropping it stops every thread and closes every socket.
pub(crate) struct Server {
    port: u16,
    addresses: Vec<SocketAddr>,
    acceptors: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
}

struct Shared {
    service: Arc<Service>,
    tls: Option<Arc<rustls::ServerConfig>>,
    stop: Stop,
    accepted: AtomicU64,
    connections: Connections,
}

impl Server {
    /// Listens on `localhost` at this port, any free one for 0.
    pub(crate) fn start(
        service: Arc<Service>,
        tls: Option<Arc<rustls::ServerConfig>>,
        port: u16,
        limits: Limits,
    ) -> io::Result<Self> {
        let listeners = listen(port)?;
        let addresses = listeners
            .iter()
            .map(TcpListener::local_addr)
            .collect::<io::Result<Vec<_>>>()?;
        let port = addresses.first().map_or(port, SocketAddr::port);
        let shared = Arc::new(Shared {
            service,
            tls,
            stop: Stop::default(),
            accepted: AtomicU64::new(0),
            connections: Connections::new(limits),
        });
        // Made before the threads: where one cannot be started, dropping this ends those that were.
        let mut server = Self {
            port,
            addresses,
            acceptors: Vec::new(),
            shared,
        };
        for listener in listeners {
            let shared = Arc::clone(&server.shared);
            let name = format!("emulator-{port}");
            server.acceptors.push(
                thread::Builder::new()
                    .name(name)
                    .spawn(move || shared.accept(&listener))?,
            );
        }
        Ok(server)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> u64 {
        self.shared.accepted.load(Ordering::Acquire)
    }

    /// Connections whose thread still serves them.
    pub(crate) fn open_connections(&self) -> usize {
        self.shared.connections.count()
    }

    /// Cuts every open connection; new ones are still accepted.
    pub(crate) fn cut_connections(&self) {
        self.shared.connections.cut();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.set();
        for (acceptor, address) in self.acceptors.drain(..).zip(&self.addresses) {
            // accept() has no time limit; a connection wakes it.
            while !acceptor.is_finished()
                && TcpStream::connect_timeout(address, Duration::from_secs(1)).is_err()
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = acceptor.join();
        }
        // No acceptor is left, so nothing is entered from here on.
        self.shared.connections.end();
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        loop {
            let accepted = listener.accept();
            if self.stop.is_set() {
                return;
            }
            match accepted {
                Ok((socket, from)) => self.connect(socket, from.ip()),
                // Out of file descriptors, say: give others a moment to end.
                Err(_) => {
                    self.stop.wait(Duration::from_millis(10));
                }
            }
        }
    }

    fn connect(self: &Arc<Self>, socket: TcpStream, from: IpAddr) {
        let number = self.accepted.fetch_add(1, Ordering::AcqRel) + 1;
        if self.service.in_outage() {
            return wire::reset(&socket);
        }
        let _ = socket.set_nodelay(true);
        let socket = Arc::new(socket);
        let weak = Arc::downgrade(&socket);
        let idle = self.connections.idle();
        let (shared, mark) = (Arc::clone(self), Arc::clone(&idle));
        let run = move || connection::serve(&shared, socket, from, number, &mark);
        let name = format!("emulator-conn-{number}");
        if let Ok(thread) = thread::Builder::new().name(name).spawn(run) {
            self.connections.enter(weak, thread, idle);
        }
    }
}

/// Listeners on 127.0.0.1 and, where this machine has it, on [::1] at the same port: `localhost` may be either.
fn listen(port: u16) -> io::Result<Vec<TcpListener>> {
    let mut tries = if port == 0 { TRIES } else { 1 };
    loop {
        tries -= 1;
        let four = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        match TcpListener::bind((Ipv6Addr::LOCALHOST, four.local_addr()?.port())) {
            Ok(six) => return Ok(vec![four, six]),
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            // Somebody else answers there: clients that try IPv6 first would talk to them.
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => return Err(e),
            Err(_) => return Ok(vec![four]),
        }
    }
}
