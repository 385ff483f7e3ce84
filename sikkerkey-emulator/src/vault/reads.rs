//! The reads by secret: the service's audit log in short.

use std::collections::BTreeMap;

/// Reads by id, with the alarms and rotations that they triggered.
#[derive(Default)]
pub(crate) struct Reads {
    /// Every id that machines asked for, and how many times its value was sent.
    counts: BTreeMap<String, u64>,
    alarms: Vec<String>,
    rotations: Vec<String>,
}

impl Reads {
    /// Records that a machine asked for this secret, whatever the outcome.
    pub(super) fn asked(&mut self, id: &str) {
        self.counts.entry(id.to_owned()).or_default();
    }

    /// Records that the value of this secret was sent.
    pub(super) fn served(&mut self, id: &str) {
        *self.counts.entry(id.to_owned()).or_default() += 1;
    }

    pub(super) fn alarm(&mut self, id: &str) {
        self.alarms.push(id.to_owned());
    }

    /// Records that reads rotated this secret.
    pub(super) fn rotated(&mut self, id: &str) {
        self.rotations.push(id.to_owned());
    }

    pub(crate) fn of(&self, id: &str) -> u64 {
        self.counts.get(id).copied().unwrap_or_default()
    }

    /// The secrets whose value was sent.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = self.counts.clone();
        counts.retain(|_, count| *count > 0);
        counts
    }

    pub(crate) fn alarms(&self) -> Vec<String> {
        self.alarms.clone()
    }

    pub(crate) fn rotations(&self) -> Vec<String> {
        self.rotations.clone()
    }

    /// Every id that machines asked for.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.counts.keys().map(String::as_str)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
