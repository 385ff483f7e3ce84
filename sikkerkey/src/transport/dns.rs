//! Looked-up names, kept for a minute.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::connect::left;
use crate::sync::lock;

/// How long an answer is used. Moving a service to other addresses takes longer than that.
const KEPT: Duration = Duration::from_secs(60);

/// The addresses of the one host that a transport connects to.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<Option<Known>>);

#[derive(Debug)]
struct Known {
    addresses: Vec<SocketAddr>,
    since: Instant,
}

impl Names {
    pub(super) fn look_up(
        &self,
        host: &str,
        port: u16,
        loopback_only: bool,
        deadline: Instant,
    ) -> io::Result<Vec<SocketAddr>> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        if let Some(known) = &*self.lock()
            && known.since.elapsed() < KEPT
        {
            return Ok(known.addresses.clone());
        }
        let mut addresses = resolve(host.to_owned(), port, deadline)?;
        if loopback_only {
            addresses.retain(|address| address.ip().is_loopback());
        }
        if addresses.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the name has no usable address",
            ));
        }
        *self.lock() = Some(Known {
            addresses: addresses.clone(),
            since: Instant::now(),
        });
        Ok(addresses)
    }

    /// After a failed connection: the service may have moved.
    pub(super) fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Known>> {
        lock(&self.0)
    }
}

/// The system's resolver has no timeout, so it waits in a thread of its own.
fn resolve(host: String, port: u16, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
    let (answer, wait) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("sikkerkey-resolve".to_owned())
        .spawn(move || {
            let found = (host.as_str(), port).to_socket_addrs();
            // Nobody waits any more after a timeout.
            let _ = answer.send(found.map(Vec::from_iter));
        })?;
    match wait.recv_timeout(left(deadline)?) {
        Ok(found) => found,
        Err(RecvTimeoutError::Timeout) => Err(io::ErrorKind::TimedOut.into()),
        Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("the resolver stopped")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[test]
    fn addresses_are_not_looked_up() {
        let names = Names::default();
        for host in ["127.0.0.1", "::1"] {
            let found = names.look_up(host, 7, false, soon()).unwrap();
            assert_eq!(found, [SocketAddr::new(host.parse().unwrap(), 7)]);
        }
        assert!(names.lock().is_none());
    }

    #[test]
    fn a_name_is_kept_until_it_is_forgotten() {
        let names = Names::default();
        let found = names.look_up("localhost", 7, true, soon()).unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback()));
        let marked = vec![SocketAddr::from(([127, 0, 0, 9], 7))];
        names.lock().as_mut().unwrap().addresses = marked.clone();
        assert_eq!(names.look_up("localhost", 7, true, soon()).unwrap(), marked);
        names.forget();
        assert_ne!(names.look_up("localhost", 7, true, soon()).unwrap(), marked);
    }

    #[test]
    fn an_old_answer_is_asked_for_again() {
        let names = Names::default();
        names.look_up("localhost", 7, true, soon()).unwrap();
        let marked = vec![SocketAddr::from(([127, 0, 0, 9], 7))];
        let Some(long_ago) = Instant::now().checked_sub(KEPT) else {
            return; // A machine that has run for less than a minute.
        };
        *names.lock() = Some(Known {
            addresses: marked.clone(),
            since: long_ago,
        });
        assert_ne!(names.look_up("localhost", 7, true, soon()).unwrap(), marked);
    }
}
