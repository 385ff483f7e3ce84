//! A fleet of clients through an outage of ten minutes, in virtual time, with the schedules that clients have.
//!
//! Every client follows a few secrets, as a `Live` does: it polls, reads what changed, and reads everything again from
//! time to time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use sikkerkey::__private::{
    DEFAULT_INTERVAL, LONGEST_GAP, PollOutcome, PollSchedule, ResyncSchedule,
};
use sikkerkey::{Resync, RetryPolicy};

const SECRETS: usize = 5;
/// The fleet starts at once, and has this long to find its rhythm.
pub const OUTAGE: Duration = Duration::from_secs(40 * 60);
/// The service is back.
pub const RECOVERY: Duration = Duration::from_secs(50 * 60);
/// The end of a run.
pub const END: Duration = Duration::from_secs(70 * 60);
/// Peaks are of a window so long: a third of the poll interval.
const WINDOW: u64 = 5;

/// How the service fails.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Outage {
    /// The connection is refused.
    Refused,
    /// Nobody answers, and each request takes its whole timeout.
    Silent,
    /// 503, with the wish to be left alone for half a minute.
    Sealed,
}

/// Requests a second, over the whole run.
#[derive(Debug)]
pub struct Load(Vec<u32>);

impl Load {
    fn new() -> Self {
        Load(vec![0; END.as_secs() as usize + 60])
    }

    fn add(&mut self, at: Duration, requests: usize) {
        if let Some(second) = self.0.get_mut(at.as_secs() as usize) {
            *second += requests as u32;
        }
    }

    /// The mean of these seconds, a second.
    pub fn mean(&self, from: Duration, to: Duration) -> f64 {
        let seconds = &self.0[from.as_secs() as usize..to.as_secs() as usize];
        f64::from(seconds.iter().sum::<u32>()) / seconds.len() as f64
    }

    /// The busiest window of these seconds, a second.
    pub fn peak(&self, from: Duration, to: Duration) -> f64 {
        let seconds = &self.0[from.as_secs() as usize..to.as_secs() as usize];
        let busiest = seconds
            .windows(WINDOW as usize)
            .map(|w| w.iter().sum::<u32>())
            .max();
        f64::from(busiest.unwrap_or(0)) / WINDOW as f64
    }
}

struct Client {
    schedule: PollSchedule,
    resync: ResyncSchedule,
    /// A secret that everybody shares was rotated meanwhile, and this client does not know yet.
    stale: bool,
    /// Its last poll failed.
    troubled: bool,
}

/// Polls, reads and re-reads of a fleet of followers.
pub fn followers(clients: usize, outage: Outage, seed: u64) -> Load {
    let mut random = Random(seed);
    let mut load = Load::new();
    let mut fleet: Vec<Client> = (0..clients)
        .map(|_| Client {
            schedule: PollSchedule::new(DEFAULT_INTERVAL, false),
            resync: ResyncSchedule::new(Resync::Adaptive, Duration::ZERO, random.next()),
            stale: false,
            troubled: false,
        })
        .collect();
    let mut due: BinaryHeap<_> = (0..clients).map(|n| Reverse((Duration::ZERO, n))).collect();
    let mut rotated = false;
    while let Some(Reverse((now, n))) = due.pop() {
        if now >= END {
            break;
        }
        if now >= OUTAGE && !rotated {
            rotated = true;
            fleet.iter_mut().for_each(|client| client.stale = true);
        }
        let client = &mut fleet[n];
        load.add(now, 1);
        let down = (OUTAGE..RECOVERY).contains(&now);
        let (end, outcome) = match outage {
            _ if !down => (now, PollOutcome::Answered),
            Outage::Refused => (now, PollOutcome::Failed),
            Outage::Silent => (now + Duration::from_secs(15), PollOutcome::Failed),
            Outage::Sealed => (now, PollOutcome::RetryAfter(Duration::from_secs(30))),
        };
        if down && !client.troubled && matches!(outage, Outage::Silent) {
            // The service may have reported something that did not arrive.
            client.resync.doubt(end, random.next());
        }
        if !down && client.troubled {
            client.resync.postpone(end, random.next());
        }
        client.troubled = down;
        if down {
            // The next answer says when to make up for it.
        } else if client.resync.is_due(end, DEFAULT_INTERVAL.mul_f64(1.2)) {
            client.resync.confirmed(end, random.next(), LONGEST_GAP);
            load.add(end, SECRETS);
            client.stale = false;
        } else if client.stale {
            load.add(end, 1);
            client.stale = false;
        }
        client.schedule.polled(end, outcome, random.next());
        due.push(Reverse((client.schedule.due(), n)));
    }
    load
}

/// Programs that read one secret a minute, with every repetition that a read has.
pub fn readers(clients: usize, seed: u64) -> Load {
    let mut random = Random(seed);
    let mut load = Load::new();
    let policy = RetryPolicy::default();
    for _ in 0..clients {
        let mut start = Duration::from_secs_f64(60.0 * random.next());
        while start < END {
            let mut now = start;
            let mut made = 0;
            loop {
                load.add(now, 1);
                made += 1;
                if !(OUTAGE..RECOVERY).contains(&now) {
                    break;
                }
                match policy.delay(made, None, random.next()) {
                    Some(delay) => now += delay,
                    None => break,
                }
            }
            start += Duration::from_secs(60);
        }
    }
    load
}

/// SplitMix64: the same run every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
