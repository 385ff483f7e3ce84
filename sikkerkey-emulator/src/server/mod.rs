//! The server: two listeners on the loopback interface and one thread for each connection, all joined at its end.

mod connection;
mod intake;
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
use intake::Intake;
use open::Connections;
pub(crate) use open::Limits;
use stop::Stop;

/// The number of ports to try before IPv6 is given up: another program may hold the same port on `[::1]`.
const TRIES: usize = 16;

/// A running server; dropping it stops every thread and closes every socket.
pub(crate) struct Server {
    port: u16,
    listeners: Vec<Listener>,
    shared: Arc<Shared>,
}

/// A listening socket, and the thread that accepts from it.
struct Listener {
    address: SocketAddr,
    intake: Arc<Intake>,
    acceptor: JoinHandle<()>,
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
        let address = listeners.first().map(TcpListener::local_addr).transpose()?;
        let port = address.map_or(port, |address| address.port());
        let shared = Arc::new(Shared {
            service,
            tls,
            stop: Stop::default(),
            accepted: AtomicU64::new(0),
            connections: Connections::new(limits),
        });
        // Before the threads, so that its drop ends those that run if one cannot be started.
        let mut server = Self {
            port,
            listeners: Vec::new(),
            shared,
        };
        for listener in listeners {
            let address = listener.local_addr()?;
            let intake = Arc::new(Intake::new(listener));
            let (shared, accepting) = (Arc::clone(&server.shared), Arc::clone(&intake));
            let acceptor = thread::Builder::new()
                .name(format!("emulator-{port}"))
                .spawn(move || shared.accept(&accepting))?;
            server.listeners.push(Listener {
                address,
                intake,
                acceptor,
            });
        }
        Ok(server)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The number of connections accepted so far.
    pub(crate) fn connections(&self) -> u64 {
        self.shared.accepted.load(Ordering::Acquire)
    }

    /// The number of connections that are still served.
    pub(crate) fn open_connections(&self) -> usize {
        self.shared.connections.count()
    }

    /// Cuts every open connection; new ones are still accepted.
    pub(crate) fn cut_connections(&self) {
        self.shared.connections.cut();
    }

    /// Pauses or resumes serving new connections.
    pub(crate) fn pause_accepting(&self, on: bool) {
        for listener in &self.listeners {
            listener.intake.pause(on);
        }
    }

    /// Fills the accept queues, or empties them and resumes.
    pub(crate) fn fill_accept_queue(&self, on: bool) -> io::Result<()> {
        for listener in &self.listeners {
            if on {
                listener.intake.fill(listener.address)?;
            } else {
                listener.intake.empty()?;
            }
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.set();
        for listener in self.listeners.drain(..) {
            // accept() has no time limit, and a connection wakes it. A full queue has woken it already.
            while !listener.acceptor.is_finished()
                && TcpStream::connect_timeout(&listener.address, Duration::from_millis(100))
                    .is_err()
            {
                thread::sleep(Duration::from_millis(10));
            }
            let _ = listener.acceptor.join();
        }
        // No acceptor is left, so no connection is added from here on.
        self.shared.connections.end();
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, intake: &Intake) {
        loop {
            let accepted = intake.accept(|| self.stop.is_set());
            if self.stop.is_set() {
                return;
            }
            match accepted {
                Ok(Some((socket, from))) => self.connect(socket, from.ip()),
                Ok(None) => {}
                // Out of file descriptors, for instance: others get a moment to end.
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
        let line = Arc::new(wire::Line::new(socket));
        let weak = Arc::downgrade(&line);
        let idle = self.connections.idle();
        let (shared, mark) = (Arc::clone(self), Arc::clone(&idle));
        let run = move || connection::serve(&shared, line, from, number, &mark);
        let name = format!("emulator-conn-{number}");
        if let Ok(thread) = thread::Builder::new().name(name).spawn(run) {
            self.connections.enter(weak, thread, idle);
        }
    }
}

/// Listeners on 127.0.0.1 and, if this machine has IPv6, on [::1] at the same port: `localhost` may be either.
fn listen(port: u16) -> io::Result<Vec<TcpListener>> {
    let mut tries = if port == 0 { TRIES } else { 1 };
    loop {
        tries -= 1;
        let four = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        match TcpListener::bind((Ipv6Addr::LOCALHOST, four.local_addr()?.port())) {
            Ok(six) => return Ok(vec![four, six]),
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            // Another program listens there, and clients that try IPv6 first would reach it.
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => return Err(e),
            Err(_) => return Ok(vec![four]),
        }
    }
}
