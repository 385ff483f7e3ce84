//! The gate: nonces that were used, and addresses that are locked out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

/// The largest allowed difference between a timestamp and the service's clock, in milliseconds.
pub(crate) const LEEWAY: i64 = 5 * 60 * 1000;
/// The number of failed authentications that locks an address out.
const FAILURES: u32 = 3;
/// How long failures count and how long a lock lasts, in milliseconds.
const LOCKED: i64 = 15 * 60 * 1000;
/// Expired nonces are removed after this many new ones.
const SWEEP: usize = 4096;

/// The used nonces, and the failures by address.
#[derive(Default)]
pub(crate) struct Gate {
    /// By machine and nonce: the time from which its timestamp is refused, so that it need not be kept.
    nonces: HashMap<(String, String), i64>,
    since_sweep: usize,
    /// By address: the number of failures and the time of the last one.
    failures: HashMap<IpAddr, (u32, i64)>,
}

impl Gate {
    /// Takes a nonce; false if this machine has used it before.
    pub(crate) fn take(&mut self, machine: &str, nonce: &str, timestamp: i64, now: i64) -> bool {
        self.since_sweep += 1;
        if self.since_sweep >= SWEEP {
            self.since_sweep = 0;
            self.nonces.retain(|_, until| *until >= now);
        }
        let until = timestamp.saturating_add(LEEWAY);
        self.nonces
            .insert((machine.to_owned(), nonce.to_owned()), until)
            .is_none()
    }

    pub(crate) fn failed(&mut self, address: IpAddr, now: i64) {
        let entry = self.failures.entry(one(address)).or_default();
        let count = if now.saturating_sub(entry.1) < LOCKED {
            entry.0
        } else {
            0
        };
        *entry = (count.saturating_add(1), now);
    }

    pub(crate) fn locked(&self, address: IpAddr, now: i64) -> bool {
        self.failures
            .get(&one(address))
            .is_some_and(|(count, last)| *count >= FAILURES && now.saturating_sub(*last) < LOCKED)
    }

    pub(crate) fn unlock(&mut self) {
        self.failures.clear();
    }
}

/// Maps the loopback addresses of IPv4 and IPv6 to one, because both are this machine.
fn one(address: IpAddr) -> IpAddr {
    if address.is_loopback() {
        Ipv4Addr::LOCALHOST.into()
    } else {
        address
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn three_failures_lock_until_their_time_is_over() {
        let mut gate = Gate::default();
        gate.failed(HERE, 0);
        gate.failed(IpAddr::V6(Ipv6Addr::LOCALHOST), 10);
        assert!(!gate.locked(HERE, 20));
        gate.failed(HERE, 20);
        assert!(gate.locked(HERE, 21));
        assert!(!gate.locked(HERE, 20 + LOCKED));
        gate.unlock();
        assert!(!gate.locked(HERE, 21));
    }

    #[test]
    fn failures_far_apart_do_not_add_up() {
        let mut gate = Gate::default();
        for n in 0..10 {
            gate.failed(HERE, n * LOCKED);
        }
        assert!(!gate.locked(HERE, 10 * LOCKED));
    }

    #[test]
    fn a_nonce_is_taken_once_by_each_machine_and_forgotten_in_time() {
        let mut gate = Gate::default();
        assert!(gate.take("a", "n", 0, 0));
        assert!(!gate.take("a", "n", 0, 0));
        assert!(gate.take("b", "n", 0, 0));
        for n in 0..SWEEP {
            gate.take("a", &n.to_string(), 2 * LEEWAY, 2 * LEEWAY);
        }
        assert!(gate.nonces.len() <= SWEEP);
    }
}
