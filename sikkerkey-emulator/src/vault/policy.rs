//! Access policies: limits on the reads of a granted secret, and the rotation that reads trigger.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Asker;
use super::window::Window;
use crate::clock::millis;
use crate::http::Response;

const MINUTE: i64 = 60 * 1000;
const DAY: i64 = 24 * 60 * MINUTE;

/// An access policy: limits on the reads of one secret, and the rotation that reads trigger.
///
/// [`EmulatorBuilder::policy`](crate::EmulatorBuilder::policy) and
/// [`Emulator::set_policy`](crate::Emulator::set_policy) give it to a secret. Every limit is off until it is set.
/// Limits follow the service's clock, which [`Emulator::advance`](crate::Emulator::advance) moves. Only successful
/// reads count. An export reads each of its secrets, and leaves out those that their policies refuse. Lists and polls
/// are not reads.
///
/// The service's documentation leaves some behavior open. These settings choose it: [`Policy::count_per_machine`],
/// [`Policy::cap_status`], [`Policy::spent_status`], [`Policy::in_polls`].
///
/// ```
/// use sikkerkey_emulator::{Emulator, Policy};
///
/// let vault = Emulator::builder()
///     .secret("sk_a", "1")
///     .policy("sk_a", Policy::new().reads_per_day(100).ttl_max_reads(1000))
///     .start()?;
/// # Ok::<(), sikkerkey_emulator::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a policy holds once a secret has it"]
pub struct Policy {
    windows: Vec<Window>,
    sources: Vec<(IpAddr, u8)>,
    co_sign: bool,
    per_minute: Option<u64>,
    per_day: Option<u64>,
    max_reads: Option<u64>,
    expires_at: Option<i64>,
    rotate_after: Option<u64>,
    per_machine: bool,
    cap_status: u16,
    spent_status: u16,
    in_polls: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            windows: Vec::new(),
            sources: Vec::new(),
            co_sign: false,
            per_minute: None,
            per_day: None,
            max_reads: None,
            expires_at: None,
            rotate_after: None,
            per_machine: false,
            cap_status: 429,
            spent_status: 403,
            in_polls: false,
        }
    }
}

/// # Limits
impl Policy {
    /// Returns a policy that limits nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a weekly window; reads outside it get 403. With several windows, one of them must be open. Defaults to
    /// none.
    ///
    /// ```
    /// # use sikkerkey_emulator::Policy;
    /// let office = Policy::new().window("mon-fri 08:00-18:00 Europe/Oslo".parse()?);
    /// # Ok::<(), sikkerkey_emulator::WindowError>(())
    /// ```
    pub fn window(mut self, window: Window) -> Self {
        self.windows.push(window);
        self
    }

    /// Adds a network of allowed addresses: `source([10, 0, 0, 0], 8)` is 10.0.0.0/8. Reads from other addresses get
    /// 403. With several networks, one of them must contain the address. Requests to an emulator come from loopback
    /// addresses. Defaults to all addresses.
    pub fn source(mut self, network: impl Into<IpAddr>, prefix: u8) -> Self {
        self.sources.push((network.into(), prefix));
        self
    }

    /// Sets whether reads get 403 until a second machine co-signs. How a machine does that is not documented;
    /// [`Emulator::co_sign`](crate::Emulator::co_sign) stands for it. Defaults to `false`.
    pub fn co_sign(mut self, on: bool) -> Self {
        self.co_sign = on;
        self
    }

    /// Limits the reads in each minute of the clock: the service's `maxReadsPerMinute`. Defaults to no limit.
    pub fn reads_per_minute(mut self, most: u64) -> Self {
        self.per_minute = Some(most);
        self
    }

    /// Limits the reads in each UTC day: the service's `maxReadsPerDay`. Defaults to no limit.
    pub fn reads_per_day(mut self, most: u64) -> Self {
        self.per_day = Some(most);
        self
    }

    /// Limits the reads altogether; then the secret is spent. The service's `ttlMaxReads`. Defaults to no limit.
    pub fn ttl_max_reads(mut self, most: u64) -> Self {
        self.max_reads = Some(most);
        self
    }

    /// Sets the time from which the secret is spent: the service's `ttlExpiresAt`. Defaults to never.
    pub fn ttl_expires_at(mut self, time: SystemTime) -> Self {
        self.expires_at = Some(match time.duration_since(UNIX_EPOCH) {
            Ok(after) => millis(after),
            Err(before) => -millis(before.duration()),
        });
        self
    }

    /// Sets the number of reads after which the service rotates the secret, its `rotateAfterReads`. The last of these
    /// reads still gets the old value. The new value is random text; in a structured secret, the field `password` gets
    /// it, or every text field if no field has that name. Leased secrets and certificates do not rotate. Defaults to no
    /// rotation.
    pub fn rotate_after_reads(mut self, reads: u64) -> Self {
        self.rotate_after = Some(reads);
        self
    }
}

/// # Behavior that the service does not document
impl Policy {
    /// Sets whether each machine has its own count of reads, or all machines share one. Defaults to `false`: one count.
    pub fn count_per_machine(mut self, on: bool) -> Self {
        self.per_machine = on;
        self
    }

    /// Sets the status of a read beyond [`Policy::reads_per_minute`] or [`Policy::reads_per_day`]. Defaults to 429.
    pub fn cap_status(mut self, status: u16) -> Self {
        self.cap_status = status;
        self
    }

    /// Sets the status of a read beyond [`Policy::ttl_max_reads`] or after [`Policy::ttl_expires_at`]; 404 and 410 are
    /// possible, too. Defaults to 403.
    pub fn spent_status(mut self, status: u16) -> Self {
        self.spent_status = status;
        self
    }

    /// Sets whether polls report a secret that its policy refuses: as `deleted` if it is spent and its status is 404 or
    /// 410, otherwise as `access_denied`. A limit per minute or day is never reported. Defaults to `false`.
    pub fn in_polls(mut self, on: bool) -> Self {
        self.in_polls = on;
        self
    }
}

/// The reason for which a policy refuses a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Elsewhere,
    Unsigned,
    Closed,
    Capped,
    Spent,
}

/// The report of a poll on a secret that its policy refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Polled {
    Denied,
    Deleted,
}

/// The counted reads of one secret, by machine or together, and the end of its co-signature.
#[derive(Default, Clone)]
pub(super) struct Usage {
    counts: HashMap<String, Counts>,
    signed_until: i64,
}

#[derive(Default, Clone, Copy)]
struct Counts {
    /// The number of a minute, and the reads in it.
    minute: (i64, u64),
    day: (i64, u64),
    all: u64,
    since_rotation: u64,
}

impl Usage {
    /// Records that the secret has a new value.
    pub(super) fn rotated(&mut self) {
        self.counts
            .values_mut()
            .for_each(|counts| counts.since_rotation = 0);
    }

    /// Records that a second machine co-signs reads until this time.
    pub(super) fn co_signed(&mut self, until: i64) {
        self.signed_until = until;
    }
}

impl Policy {
    /// The reason to refuse a read now; `None` if it is allowed.
    pub(super) fn refuses(&self, usage: &Usage, asker: Asker<'_>) -> Option<Refusal> {
        let now = asker.now;
        let counts = usage
            .counts
            .get(self.counter(asker.machine))
            .copied()
            .unwrap_or_default();
        let reached = |most: Option<u64>, count| most.is_some_and(|most| count >= most);
        let within = |(at, count): (i64, u64), length| {
            if at == now.div_euclid(length) {
                count
            } else {
                0
            }
        };
        if self.expires_at.is_some_and(|at| now >= at) || reached(self.max_reads, counts.all) {
            Some(Refusal::Spent)
        } else if !self.sources.is_empty() && !self.sources.iter().any(|s| holds(*s, asker.from)) {
            Some(Refusal::Elsewhere)
        } else if self.co_sign && now >= usage.signed_until {
            Some(Refusal::Unsigned)
        } else if !self.windows.is_empty() && !self.windows.iter().any(|w| w.is_open(now)) {
            Some(Refusal::Closed)
        } else if reached(self.per_minute, within(counts.minute, MINUTE))
            || reached(self.per_day, within(counts.day, DAY))
        {
            Some(Refusal::Capped)
        } else {
            None
        }
    }

    /// Counts a read. Returns true if the service rotates the secret after it.
    pub(super) fn count(&self, usage: &mut Usage, asker: Asker<'_>) -> bool {
        let counter = self.counter(asker.machine).to_owned();
        let counts = usage.counts.entry(counter).or_default();
        for (counter, length) in [(&mut counts.minute, MINUTE), (&mut counts.day, DAY)] {
            let at = asker.now.div_euclid(length);
            *counter = (at, if counter.0 == at { counter.1 + 1 } else { 1 });
        }
        counts.all += 1;
        counts.since_rotation += 1;
        self.rotate_after
            .is_some_and(|after| counts.since_rotation >= after)
    }

    pub(super) fn response(&self, refusal: Refusal) -> Response {
        match refusal {
            Refusal::Elsewhere => Response::error(403, "Source address is not allowed"),
            Refusal::Unsigned => Response::error(403, "A second machine must co-sign"),
            Refusal::Closed => Response::error(403, "Outside the access window"),
            Refusal::Capped => Response::error(self.cap_status, "Read limit reached"),
            Refusal::Spent => {
                Response::error(self.spent_status, "Secret has reached the end of its life")
            }
        }
    }

    /// The report of a poll on this refusal; `None` if polls do not report it.
    pub(super) fn polled(&self, refusal: Refusal) -> Option<Polled> {
        match refusal {
            _ if !self.in_polls => None,
            Refusal::Capped => None,
            Refusal::Spent if matches!(self.spent_status, 404 | 410) => Some(Polled::Deleted),
            _ => Some(Polled::Denied),
        }
    }

    fn counter<'a>(&self, machine: &'a str) -> &'a str {
        if self.per_machine { machine } else { "" }
    }
}

/// Whether the network of this address and prefix contains an address.
fn holds((network, prefix): (IpAddr, u8), address: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(four) => (u128::from(four.to_bits()) << 96, 32),
        IpAddr::V6(six) => (six.to_bits(), 128),
    };
    let ((network, most), (address, length)) = (bits(network), bits(address));
    // A shift by all 128 bits would overflow.
    let outside = (network ^ address)
        .checked_shr(128 - u32::from(prefix.min(most)))
        .unwrap_or(0);
    length == most && outside == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_the_addresses_with_its_prefix() {
        for (network, prefix, address, expected) in [
            ("10.0.0.0", 8, "10.255.3.4", true),
            ("10.0.0.0", 8, "11.0.0.0", false),
            ("10.1.2.3", 32, "10.1.2.3", true),
            ("10.1.2.3", 32, "10.1.2.2", false),
            ("10.1.2.3", 255, "10.1.2.2", false),
            ("0.0.0.0", 0, "203.0.113.9", true),
            ("0.0.0.0", 0, "::1", false),
            ("2001:db8::", 32, "2001:db8:1::5", true),
            ("2001:db8::", 32, "2001:db9::", false),
            ("::", 0, "::1", true),
            ("::", 0, "127.0.0.1", false),
        ] {
            let found = holds((network.parse().unwrap(), prefix), address.parse().unwrap());
            assert_eq!(found, expected, "{network}/{prefix} {address}");
        }
    }
}
