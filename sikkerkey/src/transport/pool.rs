//! Connections that wait for the next request.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::stream::Stream;
use crate::sync::lock;

/// The most idle connections: as many as a burst of parallel reads leaves. The service would close more.
const MOST: usize = 16;

/// The longest time without a request: shorter than the minute after which common servers and gateways close
/// a silent connection.
const IDLE: Duration = Duration::from_secs(45);

/// The longest life of a connection, so that a service that moves to other addresses is found again.
const LIFE: Duration = Duration::from_secs(5 * 60);

/// A connection that waits for a request.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) stream: Stream,
    opened: Instant,
    /// When it was last taken from the pool; `None` for a new one.
    taken: Option<Instant>,
}

impl Connection {
    pub(super) fn new(stream: Stream) -> Self {
        Connection {
            stream,
            opened: Instant::now(),
            taken: None,
        }
    }

    /// When it was last taken from the pool; `None` for a new one.
    pub(super) fn taken(&self) -> Option<Instant> {
        self.taken
    }

    /// Returns the connection, idle since then, if it can still be used.
    pub(super) fn after_wait(self, since: Instant, now: Instant) -> Option<Self> {
        let idle = Idle {
            since,
            connection: self,
        };
        idle.take(now)
    }
}

#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<Idle>>);

#[derive(Debug)]
struct Idle {
    since: Instant,
    connection: Connection,
}

impl Idle {
    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < IDLE
            && now.saturating_duration_since(self.connection.opened) < LIFE
    }

    fn take(mut self, now: Instant) -> Option<Connection> {
        if !self.is_fresh(now) || !self.connection.stream.is_silent() {
            return None;
        }
        self.connection.taken = Some(now);
        Some(self.connection)
    }
}

impl Pool {
    /// Takes the connection that was used last and is still open and silent.
    pub(super) fn take(&self, now: Instant) -> Option<Connection> {
        loop {
            let idle = lock(&self.0).pop()?;
            if let Some(connection) = idle.take(now) {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection, if the server has sent no unexpected bytes.
    pub(super) fn put(&self, mut connection: Connection, now: Instant) {
        if !connection.stream.is_silent() {
            return;
        }
        let idle = Idle {
            since: now,
            connection,
        };
        let mut all = lock(&self.0);
        all.retain(|idle| idle.is_fresh(now));
        if all.len() < MOST && idle.is_fresh(now) {
            all.push(idle);
        }
    }

    /// Drops the connections that were idle at that moment. One of them turned out to be dead, and the cause,
    /// a restart of the service or a gateway's timeout, has ended the others, too.
    pub(super) fn drop_idle_at(&self, moment: Instant) {
        lock(&self.0).retain(|idle| idle.since > moment);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::transport::stream::TcpSocket;

    /// Makes both sides of a connection.
    fn sockets() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    /// Makes a connection, and the server's side of it.
    fn connection() -> (Connection, TcpStream) {
        let (client, server) = sockets();
        let socket = TcpSocket::new(client, Instant::now());
        (Connection::new(Stream::Plain(socket)), server)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_connection_lives_five_minutes_and_waits_45_seconds() {
        let pool = Pool::default();
        let (connection, _server) = connection();
        let opened = connection.opened;
        pool.put(connection, opened);
        let mut now = opened;
        while now < opened + LIFE - SECOND {
            now = (now + IDLE - SECOND).min(opened + LIFE - SECOND);
            let connection = pool.take(now).unwrap();
            assert_eq!(connection.taken(), Some(now));
            pool.put(connection, now);
        }
        assert!(pool.take(opened + LIFE).is_none(), "it lived too long");

        let (connection, _server) = self::connection();
        let opened = connection.opened;
        pool.put(connection, opened);
        assert!(pool.take(opened + IDLE).is_none(), "it waited too long");
    }

    #[test]
    fn a_connection_that_is_not_silent_is_not_kept() {
        for sent in ["x", ""] {
            let pool = Pool::default();
            let now = Instant::now();
            let (client, mut server) = sockets();
            let arrival = client.try_clone().unwrap();
            let socket = TcpSocket::new(client, now);
            pool.put(Connection::new(Stream::Plain(socket)), now);
            server.write_all(sent.as_bytes()).unwrap();
            drop(server);
            // Waits until the byte or the end of the stream has arrived.
            let _ = arrival.peek(&mut [0]);
            assert!(pool.take(now).is_none(), "{sent:?}");
        }
    }

    #[test]
    fn the_idle_ones_of_a_moment_are_dropped() {
        let pool = Pool::default();
        let (old, _a) = connection();
        let (new, _b) = connection();
        let moment = new.opened;
        pool.put(old, moment);
        pool.put(new, moment + SECOND);
        pool.drop_idle_at(moment);
        assert!(pool.take(moment + SECOND).is_some());
        assert!(pool.take(moment + SECOND).is_none());
    }
}
