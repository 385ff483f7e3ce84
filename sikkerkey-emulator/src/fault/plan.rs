//! The plan of faults: which one the next request meets.

use std::collections::VecDeque;

use super::{Fault, Reply};

/// The scheduled faults: a queue, then standing rules, then chance.
#[derive(Default)]
pub(crate) struct Plan {
    queue: VecDeque<(String, Fault)>,
    rules: Vec<(String, Fault)>,
    chance: Option<Chance>,
}

struct Chance {
    state: u64,
    percent: u8,
    faults: Vec<Fault>,
}

impl Plan {
    /// Queues a fault for one request whose path starts with `prefix`.
    pub(crate) fn queue(&mut self, prefix: &str, fault: Fault) {
        self.queue.push_back((prefix.into(), fault));
    }

    /// Adds a rule for every request whose path starts with `prefix`; the newest rule that fits applies.
    pub(crate) fn rule(&mut self, prefix: &str, fault: Fault) {
        self.rules.push((prefix.into(), fault));
    }

    /// Lets this percentage of requests meet one of these; the same seed gives the same sequence.
    pub(crate) fn chance(&mut self, seed: u64, percent: u8, faults: Vec<Fault>) {
        self.chance = (!faults.is_empty()).then_some(Chance {
            state: seed,
            percent,
            faults,
        });
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The number of faults that are still queued.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Takes the fault for a complete request; `reused` says whether its connection has served another one before.
    pub(crate) fn take(&mut self, path: &str, reused: bool) -> Fault {
        if let Some((at, fault)) = self.queued_for(path, reused) {
            self.queue.remove(at);
            return fault;
        }
        if let Some(fault) = self.rule_for(path, reused) {
            return fault;
        }
        let fault = self.chance.as_mut().map_or(Fault::Pass, Chance::next);
        fault.meets(reused).cloned().unwrap_or(Fault::Pass)
    }

    /// Takes the reply for a request of which only the head has arrived, if its fault is [`Fault::Early`].
    pub(crate) fn take_early(&mut self, path: &str, reused: bool) -> Option<Reply> {
        match self.queued_for(path, reused) {
            Some((at, Fault::Early(reply))) => {
                self.queue.remove(at);
                Some(reply)
            }
            Some(_) => None,
            None => match self.rule_for(path, reused) {
                Some(Fault::Early(reply)) => Some(reply),
                _ => None,
            },
        }
    }

    fn queued_for(&self, path: &str, reused: bool) -> Option<(usize, Fault)> {
        self.queue
            .iter()
            .enumerate()
            .find_map(|(at, (prefix, fault))| {
                let fault = fault.meets(reused)?;
                path.starts_with(prefix.as_str())
                    .then(|| (at, fault.clone()))
            })
    }

    fn rule_for(&self, path: &str, reused: bool) -> Option<Fault> {
        self.rules.iter().rev().find_map(|(prefix, fault)| {
            let fault = fault.meets(reused)?;
            path.starts_with(prefix.as_str()).then(|| fault.clone())
        })
    }
}

impl Chance {
    fn next(&mut self) -> Fault {
        if self.random() % 100 >= u64::from(self.percent) {
            return Fault::Pass;
        }
        let n = self.random() as usize % self.faults.len();
        self.faults[n].clone()
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): one number a step, from any seed.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_comes_before_rules_and_rules_before_chance() {
        let mut plan = Plan::default();
        plan.chance(1, 100, vec![Fault::Hang]);
        plan.rule("", Fault::Status(500));
        plan.rule("/v1/secret/", Fault::Status(501));
        plan.queue("/v1/secrets/poll", Fault::Close);
        plan.queue("", Fault::Reset);
        plan.queue("", Fault::Pass);
        assert_eq!(plan.queued(), 3);
        assert_eq!(plan.take("/v1/secret/a", false), Fault::Reset);
        assert_eq!(plan.take("/v1/secrets/poll", false), Fault::Close);
        assert_eq!(plan.take("/v1/secret/a", false), Fault::Pass);
        assert_eq!(plan.take("/v1/secret/a", false), Fault::Status(501));
        assert_eq!(plan.take("/v1/secrets", false), Fault::Status(500));
        plan.clear();
        assert_eq!(plan.take("/v1/secrets", false), Fault::Pass);
    }

    #[test]
    fn only_a_reused_connection_meets_what_is_meant_for_one() {
        let mut plan = Plan::default();
        plan.queue("", Fault::on_reused(Fault::Close));
        plan.queue("", Fault::Reset);
        assert_eq!(plan.take("/", false), Fault::Reset);
        assert_eq!(plan.take("/", false), Fault::Pass);
        assert_eq!(plan.take("/", true), Fault::Close);
        plan.rule("", Fault::on_reused(Fault::Hang));
        plan.chance(1, 100, vec![Fault::on_reused(Fault::Close)]);
        assert_eq!(plan.take("/", false), Fault::Pass);
        assert_eq!(plan.take("/", true), Fault::Hang);
    }

    #[test]
    fn an_early_reply_does_not_overtake_what_was_queued_before_it() {
        let mut plan = Plan::default();
        plan.queue("", Fault::Close);
        plan.queue("", Fault::Early(Reply::new(401)));
        assert_eq!(plan.take_early("/", false), None);
        assert_eq!(plan.take("/", false), Fault::Close);
        assert_eq!(plan.take_early("/", false), Some(Reply::new(401)));
        assert_eq!(plan.take_early("/", false), None);
        plan.rule("/a", Fault::Early(Reply::new(413)));
        assert_eq!(plan.take_early("/a", false), Some(Reply::new(413)));
        assert_eq!(plan.take_early("/b", false), None);
    }

    #[test]
    fn chance_repeats_with_its_seed_and_keeps_its_share() {
        let row = |seed| {
            let mut plan = Plan::default();
            plan.chance(seed, 30, vec![Fault::Close, Fault::Reset]);
            (0..10_000)
                .map(|_| plan.take("/", false))
                .collect::<Vec<_>>()
        };
        assert_eq!(row(7), row(7));
        assert_ne!(row(7), row(8));
        let share = |fault| row(7).iter().filter(|f| **f == fault).count();
        assert!((6_500..7_500).contains(&share(Fault::Pass)));
        assert!((1_000..2_000).contains(&share(Fault::Close)));
        assert!((1_000..2_000).contains(&share(Fault::Reset)));
    }
}
