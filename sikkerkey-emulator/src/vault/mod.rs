//! The vault: its secrets, machines and tokens at one instant. No I/O and no lock: who holds it changes it.
//! Only what must never show is written down, where a search was asked for.

mod calls;
mod enroll;
mod machine;
mod value;

pub use enroll::Token;
pub(crate) use machine::Machine;
pub(crate) use value::SecretValue;

use std::collections::HashMap;

use crate::canaries;
use crate::switches::Switches;

/// Everything one vault holds.
pub(crate) struct Vault {
    pub(crate) id: String,
    pub(crate) url: String,
    pub(crate) switches: Switches,
    secrets: HashMap<String, Secret>,
    machines: HashMap<String, Machine>,
    tokens: HashMap<String, enroll::Issued>,
    /// Counts every change of every secret, so that no two values share a revision.
    revision: u64,
}

/// A secret, also one that was deleted: it keeps its name for when it comes back.
#[derive(Clone)]
pub(crate) struct Secret {
    pub(crate) name: String,
    pub(crate) project: Option<String>,
    pub(crate) applications: Vec<String>,
    value: SecretValue,
    revision: u64,
    /// Its place in lists: the order in which secrets were first put.
    place: usize,
    denied: bool,
    deleted: bool,
}

impl Vault {
    pub(crate) fn new(id: String, switches: Switches) -> Self {
        Self {
            id,
            url: String::new(),
            switches,
            secrets: HashMap::new(),
            machines: HashMap::new(),
            tokens: HashMap::new(),
            revision: 0,
        }
    }

    /// A new value, of a new secret or an old one; also where it equals the one before.
    pub(crate) fn put(&mut self, id: &str, value: SecretValue) {
        canaries::note(&value.text);
        self.revision += 1;
        let revision = self.revision;
        let secret = self.entry(id);
        let returned = std::mem::take(&mut secret.deleted) && secret.revision > 0;
        secret.value = value;
        secret.revision = revision;
        if returned {
            self.returned(id);
        }
    }

    pub(crate) fn delete(&mut self, id: &str) {
        if let Some(secret) = self.secrets.get_mut(id) {
            secret.deleted = true;
            secret.value = SecretValue::single(String::new());
        }
    }

    pub(crate) fn deny(&mut self, id: &str) {
        self.entry(id).denied = true;
    }

    pub(crate) fn allow(&mut self, id: &str) {
        if std::mem::take(&mut self.entry(id).denied) {
            self.returned(id);
        }
    }

    /// Every machine has just read it.
    pub(crate) fn read_elsewhere(&mut self, id: &str) {
        let revision = self.entry(id).revision;
        self.each_machine(|machine| machine.read(id, revision));
    }

    /// Changes what is known about a secret besides its value.
    pub(crate) fn describe(&mut self, id: &str, change: impl FnOnce(&mut Secret)) {
        change(self.entry(id));
    }

    pub(crate) fn secret_count(&self) -> usize {
        self.secrets.values().filter(|s| !s.deleted).count()
    }

    pub(crate) fn enter(&mut self, id: String, machine: Machine) {
        self.machines.insert(id, machine);
    }

    pub(crate) fn machine(&self, id: &str) -> Option<&Machine> {
        self.machines.get(id)
    }

    pub(crate) fn machine_ids(&self) -> Vec<String> {
        let mut ids: Vec<_> = self.machines.keys().cloned().collect();
        ids.sort();
        ids
    }

    pub(crate) fn each_machine(&mut self, change: impl FnMut(&mut Machine)) {
        self.machines.values_mut().for_each(change);
    }

    /// The secret of that id; one that was never put counts as deleted.
    fn entry(&mut self, id: &str) -> &mut Secret {
        let place = self.secrets.len();
        self.secrets.entry(id.to_owned()).or_insert_with(|| Secret {
            name: id.to_owned(),
            project: None,
            applications: Vec::new(),
            value: SecretValue::single(String::new()),
            revision: 0,
            place,
            denied: false,
            deleted: true,
        })
    }

    fn returned(&mut self, id: &str) {
        let (revision, changed) = (self.entry(id).revision, self.switches.returned_is_changed);
        self.each_machine(|machine| machine.returned(id, revision, changed));
    }
}
