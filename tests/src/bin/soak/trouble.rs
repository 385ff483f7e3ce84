//! What goes wrong when: a fault in one of twenty requests, and a plan for each minute.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use sikkerkey_emulator::Emulator;

use crate::disk::Disk;
use crate::kinds::{self, Kind};
use crate::rotations::READ;
use crate::service::Handle;

/// 5 % of the requests.
const ONE_OF: u64 = 20;

/// What happens once a minute, and at which second of it.
const PLAN: [(u64, Event); 13] = [
    (4, Event::Fork),
    (8, Event::DiskFull),
    (14, Event::Outage(true)),
    (17, Event::Outage(false)),
    (20, Event::DiskFree),
    (24, Event::HangProbe),
    (30, Event::Unauthorized(0)),
    (44, Event::Unauthorized(1)),
    (55, Event::PauseAccepting(true)),
    (56, Event::PauseAccepting(false)),
    (57, Event::DropPackets(true)),
    (58, Event::DropPackets(false)),
    (59, Event::CutConnections),
];

#[derive(Clone, Copy)]
enum Event {
    /// The service forks, and parent and child read.
    Fork,
    DiskFull,
    DiskFree,
    /// Connections are cut, new ones reset.
    Outage(bool),
    /// The next probe takes longer than it may.
    HangProbe,
    Unauthorized(usize),
    PauseAccepting(bool),
    /// As an address that swallows packets.
    DropPackets(bool),
    /// Idle connections are stale.
    CutConnections,
}

pub(crate) struct Trouble<'a> {
    vault: &'a Emulator,
    disk: &'a Disk,
    kinds: Vec<Kind>,
    unauthorized: [Kind; 2],
    /// The kind that the next request that fits meets.
    queued: Option<&'static str>,
    urgent: VecDeque<usize>,
    turn: usize,
    /// At this count of requests the next fault is due.
    due: u64,
    /// How many events of the plan have been.
    done: u64,
    full: bool,
    strikes: BTreeMap<String, u64>,
}

impl<'a> Trouble<'a> {
    pub(crate) fn new(vault: &'a Emulator, disk: &'a Disk) -> Self {
        let (kinds, unauthorized) = (kinds::all(), kinds::unauthorized());
        let names = kinds.iter().chain(&unauthorized).map(|kind| kind.name);
        let events = [
            "fork",
            "hanging probe",
            "outage",
            "connections not served",
            "packets dropped",
            "stale idle connections",
        ];
        let full = disk.can_be_full().then_some("full disk");
        let names = names.chain(events).chain(full);
        let strikes = names.map(|name| (name.to_owned(), 0)).collect();
        Trouble {
            vault,
            disk,
            kinds,
            unauthorized,
            queued: None,
            urgent: VecDeque::new(),
            turn: 0,
            due: 0,
            done: 0,
            full: false,
            strikes,
        }
    }

    pub(crate) fn tick(&mut self, now: Duration, service: &mut Handle) {
        let length = PLAN.len() as u64;
        loop {
            let (second, event) = PLAN[(self.done % length) as usize];
            if now.as_secs() < 60 * (self.done / length) + second {
                break;
            }
            self.done += 1;
            self.happens(event, service);
        }
        if self.full && !self.disk.folder().join(format!("{READ}.skc")).exists() {
            // A value was read, and could not be written.
            self.full = false;
            self.struck("full disk");
        }
        self.spoil_a_request();
    }

    fn spoil_a_request(&mut self) {
        let requests = self.vault.request_count();
        if self.vault.queued_faults() > 0 {
            return;
        }
        if let Some(kind) = self.queued.take() {
            self.struck(kind);
            self.due = requests + ONE_OF;
        }
        let kind = match self.urgent.pop_front() {
            Some(place) => &self.unauthorized[place],
            None if requests < self.due => return,
            None => {
                self.turn += 1;
                &self.kinds[self.turn % self.kinds.len()]
            }
        };
        self.vault.fail_next_matching(kind.path, kind.fault.clone());
        self.queued = Some(kind.name);
    }

    fn happens(&mut self, event: Event, service: &mut Handle) {
        match event {
            Event::Fork => service.order("fork"),
            Event::HangProbe => service.order("hang"),
            Event::DiskFull => {
                self.disk.fill();
                self.full = self.disk.can_be_full();
            }
            Event::DiskFree => {
                self.full = false;
                self.disk.empty();
            }
            Event::Outage(on) => {
                self.vault.outage(on);
                self.strike_if(on, "outage");
            }
            Event::Unauthorized(place) => self.urgent.push_back(place),
            Event::PauseAccepting(on) => {
                self.vault.pause_accepting(on);
                self.strike_if(on, "connections not served");
            }
            Event::DropPackets(on) => {
                let filled = self.vault.fill_accept_queue(on).is_ok();
                self.strike_if(on && filled, "packets dropped");
            }
            Event::CutConnections => {
                self.vault.cut_connections();
                self.struck("stale idle connections");
            }
        }
    }

    fn strike_if(&mut self, on: bool, kind: &str) {
        if on {
            self.struck(kind);
        }
    }

    fn struck(&mut self, kind: &str) {
        *self.strikes.entry(kind.to_owned()).or_default() += 1;
    }

    /// All is well again; how often each kind struck.
    pub(crate) fn end(self) -> BTreeMap<String, u64> {
        self.vault.clear_faults();
        self.vault.outage(false);
        self.vault.pause_accepting(false);
        let _ = self.vault.fill_accept_queue(false);
        self.strikes
    }
}
