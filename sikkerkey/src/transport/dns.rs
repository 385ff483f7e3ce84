//! Resolved host names, kept for a minute.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::stream::left;
use crate::sync::lock;

/// How long a result is used. Moving a service to other addresses takes longer.
const KEPT: Duration = Duration::from_secs(60);

/// The addresses of the one host that a transport connects to.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    addresses: Vec<SocketAddr>,
    /// When they were looked up.
    since: Option<Instant>,
    /// The address of the last successful connection.
    preferred: Option<SocketAddr>,
}

impl Names {
    /// Returns the addresses, in the order in which to try them.
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
        if let Some(known) = self.known() {
            return Ok(known);
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
        let mut known = lock(&self.0);
        known.addresses = interleaved(addresses);
        known.since = Some(Instant::now());
        Ok(known.in_order())
    }

    fn known(&self) -> Option<Vec<SocketAddr>> {
        let known = lock(&self.0);
        let is_fresh = known.since.is_some_and(|since| since.elapsed() < KEPT);
        is_fresh.then(|| known.in_order())
    }

    /// Sets the address to try first from now on.
    pub(super) fn prefer(&self, address: SocketAddr) {
        lock(&self.0).preferred = Some(address);
    }

    /// Forgets the addresses, after a failed connection: the service may have moved.
    pub(super) fn forget(&self) {
        *lock(&self.0) = Known::default();
    }

    /// Sets the addresses, in place of the system's resolver.
    #[cfg(test)]
    pub(super) fn set(&self, addresses: Vec<SocketAddr>) {
        let mut known = lock(&self.0);
        known.addresses = addresses;
        known.since = Some(Instant::now());
    }
}

impl Known {
    fn in_order(&self) -> Vec<SocketAddr> {
        let mut addresses = self.addresses.clone();
        if let Some(place) = addresses
            .iter()
            .position(|&address| Some(address) == self.preferred)
        {
            addresses[..=place].rotate_right(1);
        }
        addresses
    }
}

/// Alternates between IPv6 and IPv4, so that a broken network for one of them costs only one attempt. The
/// family of the resolver's first address comes first (RFC 8305, section 4).
fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut these, mut others): (VecDeque<_>, VecDeque<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first);
    let mut ordered = Vec::with_capacity(these.len() + others.len());
    while let Some(address) = these.pop_front() {
        ordered.push(address);
        ordered.extend(others.pop_front());
    }
    ordered.extend(others);
    ordered
}

/// Resolves a host on a thread of its own, because the system's resolver has no timeout.
fn resolve(host: String, port: u16, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
    let (answer, wait) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("sikkerkey-resolve".to_owned())
        .spawn(move || {
            let found = (host.as_str(), port).to_socket_addrs();
            // After a timeout the receiver is gone.
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
        assert!(names.known().is_none());
    }

    fn marked() -> Vec<SocketAddr> {
        vec![SocketAddr::from(([127, 0, 0, 9], 7))]
    }

    #[test]
    fn a_name_is_kept_until_it_is_forgotten() {
        let names = Names::default();
        let found = names.look_up("localhost", 7, true, soon()).unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback()));
        names.set(marked());
        assert_eq!(
            names.look_up("localhost", 7, true, soon()).unwrap(),
            marked()
        );
        names.forget();
        assert_ne!(
            names.look_up("localhost", 7, true, soon()).unwrap(),
            marked()
        );
    }

    #[test]
    fn old_addresses_are_looked_up_again() {
        let names = Names::default();
        let Some(long_ago) = Instant::now().checked_sub(KEPT) else {
            return; // A machine that has run for less than a minute.
        };
        names.set(marked());
        lock(&names.0).since = Some(long_ago);
        assert_ne!(
            names.look_up("localhost", 7, true, soon()).unwrap(),
            marked()
        );
    }

    #[test]
    fn the_families_take_turns_and_the_last_winner_comes_first() {
        let v4 = |last| SocketAddr::from(([192, 0, 2, last], 443));
        let v6 = |last| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, last], 443));
        let ordered = interleaved(vec![v6(1), v6(2), v6(3), v4(1)]);
        assert_eq!(ordered, [v6(1), v4(1), v6(2), v6(3)]);
        let ordered = interleaved(vec![v4(1), v6(1), v6(2)]);
        assert_eq!(ordered, [v4(1), v6(1), v6(2)]);
        assert_eq!(interleaved(vec![]), []);

        let names = Names::default();
        names.set(vec![v6(1), v4(1), v6(2)]);
        names.prefer(v6(2));
        assert_eq!(names.known().unwrap(), [v6(2), v6(1), v4(1)]);
        // A preferred address that the name no longer has is not tried.
        names.prefer(v4(9));
        assert_eq!(names.known().unwrap(), [v6(1), v4(1), v6(2)]);
    }
}
