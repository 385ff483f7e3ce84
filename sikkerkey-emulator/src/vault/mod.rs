//! The vault: its secrets, machines and tokens. It does no I/O, except that it notes each secret for the search that
//! `canaries` describes; its owner holds the lock.

mod calls;
mod certificate;
mod enroll;
mod kind;
mod lease;
mod lists;
mod machine;
mod policy;
mod reads;
mod value;
mod window;

pub use certificate::CertificateProfile;
pub use enroll::Token;
pub use kind::{Kind, UnknownKind};
pub use lease::Lease;
pub use policy::Policy;
pub use window::{Window, WindowError};

pub(crate) use certificate::Subject;
pub(crate) use machine::Machine;
pub(crate) use reads::Reads;
pub(crate) use value::SecretValue;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::mpsc;

use crate::canaries;
use crate::switches::Switches;
use crate::webhook::News;
use certificate::Issuing;
use lease::Leased;
use policy::Usage;

/// The content and state of one vault.
pub(crate) struct Vault {
    pub(crate) id: String,
    pub(crate) url: String,
    pub(crate) switches: Switches,
    secrets: HashMap<String, Secret>,
    machines: HashMap<String, Machine>,
    tokens: HashMap<String, enroll::Issued>,
    projects: HashMap<String, Project>,
    application_names: HashMap<String, String>,
    pub(crate) reads: Reads,
    /// The sender of webhook events; `None` without a receiver.
    pub(crate) news: Option<mpsc::Sender<News>>,
    /// Counts the changes of all secrets, so that no two values share a revision.
    revision: u64,
}

/// The machine that sent a request, its address, and the time.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    /// The id of a machine that the vault knows.
    pub(crate) machine: &'a str,
    pub(crate) from: IpAddr,
    /// Milliseconds since the Unix epoch.
    pub(crate) now: i64,
}

/// A secret, present or deleted. A deleted one keeps its name, in case it returns.
#[derive(Clone)]
pub(crate) struct Secret {
    pub(crate) name: String,
    pub(crate) project: Option<String>,
    pub(crate) applications: Vec<String>,
    /// The kind that was set; without it, the content decides.
    pub(crate) kind: Option<Kind>,
    policy: Option<Policy>,
    /// The reads that its policy has counted.
    usage: Usage,
    leased: Option<Leased>,
    issuing: Option<Issuing>,
    value: SecretValue,
    revision: u64,
    /// Its position in lists, which are in the order in which secrets were first put.
    place: usize,
    denied: bool,
    deleted: bool,
}

/// A project's name and application.
#[derive(Default)]
pub(crate) struct Project {
    pub(crate) name: Option<String>,
    pub(crate) application: Option<String>,
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
            projects: HashMap::new(),
            application_names: HashMap::new(),
            reads: Reads::default(),
            news: None,
            revision: 0,
        }
    }

    /// Sets the value of a new or an existing secret. An equal value is a change, too.
    pub(crate) fn put(&mut self, id: &str, value: SecretValue) {
        canaries::note(&value.text);
        self.revision += 1;
        let revision = self.revision;
        let secret = self.entry(id);
        let existed = secret.revision > 0;
        let returned = std::mem::take(&mut secret.deleted) && existed;
        secret.value = value;
        secret.usage.rotated();
        secret.revision = revision;
        if returned {
            self.returned(id);
        } else if existed {
            self.tell("secret_rotate", id);
        }
    }

    pub(crate) fn delete(&mut self, id: &str) {
        if let Some(secret) = self.secrets.get_mut(id) {
            let existed = !std::mem::replace(&mut secret.deleted, true);
            secret.value = SecretValue::single(String::new());
            secret.leased.iter_mut().for_each(Leased::end);
            if existed {
                self.tell("secret_delete", id);
            }
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

    /// Marks the secret as read by every machine.
    pub(crate) fn read_elsewhere(&mut self, id: &str) {
        let revision = self.entry(id).revision;
        self.each_machine(|machine| machine.read(id, revision));
    }

    /// Changes the description of a secret, and not its value.
    pub(crate) fn describe(&mut self, id: &str, change: impl FnOnce(&mut Secret)) {
        change(self.entry(id));
    }

    /// Sets or removes the policy of a secret; its counts start at zero.
    pub(crate) fn set_policy(&mut self, id: &str, policy: Option<Policy>) {
        let secret = self.entry(id);
        secret.policy = policy;
        secret.usage = Usage::default();
    }

    /// Records that a second machine co-signs the reads of a secret until this time.
    pub(crate) fn co_sign(&mut self, id: &str, until: i64) {
        self.entry(id).usage.co_signed(until);
    }

    /// Makes a secret leased, or with `None` a plain one.
    pub(crate) fn set_lease(&mut self, id: &str, lease: Option<Lease>) {
        self.entry(id).leased = lease.map(Leased::new);
    }

    /// Lets a secret issue certificates, with a new authority of its own, or with `None` stops that.
    pub(crate) fn set_certificate(&mut self, id: &str, profile: Option<CertificateProfile>) {
        // Generating a key fails only without randomness, and then `random::bytes` panics, too.
        self.entry(id).issuing = profile.map(|profile| {
            Issuing::new(profile).expect("the operating system gives randomness for a key")
        });
    }

    /// The certificate of a secret's authority, in PEM.
    pub(crate) fn authority_pem(&self, id: &str) -> Option<String> {
        let issuing = self.secrets.get(id)?.issuing.as_ref()?;
        Some(issuing.authority_pem())
    }

    /// Ends every login of a leased secret.
    pub(crate) fn end_leases(&mut self, id: &str) {
        self.entry(id).leased.iter_mut().for_each(Leased::end);
    }

    /// Whether this login of a leased secret was minted and has not ended.
    pub(crate) fn accepts_login(&self, id: &str, username: &str, password: &str, now: i64) -> bool {
        let leased = self.secrets.get(id).and_then(|s| s.leased.as_ref());
        leased.is_some_and(|leased| leased.accepts(username, password, now))
    }

    /// The number of logins that a leased secret has minted.
    pub(crate) fn minted(&self, id: &str) -> u64 {
        let leased = self.secrets.get(id).and_then(|s| s.leased.as_ref());
        leased.map_or(0, Leased::minted)
    }

    pub(crate) fn project(&mut self, id: &str) -> &mut Project {
        self.projects.entry(id.to_owned()).or_default()
    }

    pub(crate) fn name_application(&mut self, id: String, name: Option<String>) {
        match name {
            Some(name) => self.application_names.insert(id, name),
            None => self.application_names.remove(&id),
        };
    }

    /// Disables every machine, and ends the logins that their leases end with it.
    pub(crate) fn disable_machines(&mut self) {
        self.each_machine(|machine| machine.enabled = false);
        let leased = self.secrets.values_mut().filter_map(|s| s.leased.as_mut());
        leased
            .filter(|leased| leased.revoked_on_disable())
            .for_each(Leased::end);
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

    /// The secret of that id. One that was never put counts as deleted.
    fn entry(&mut self, id: &str) -> &mut Secret {
        let place = self.secrets.len();
        self.secrets.entry(id.to_owned()).or_insert_with(|| Secret {
            name: id.to_owned(),
            project: None,
            applications: Vec::new(),
            kind: None,
            policy: None,
            usage: Usage::default(),
            leased: None,
            issuing: None,
            value: SecretValue::single(String::new()),
            revision: 0,
            place,
            denied: false,
            deleted: true,
        })
    }

    fn tell(&self, event: &str, id: &str) {
        if let Some(news) = &self.news {
            let _ = news.send(News::Event(event.to_owned(), id.to_owned()));
        }
    }

    fn returned(&mut self, id: &str) {
        let (revision, changed) = (self.entry(id).revision, self.switches.returned_is_changed);
        self.each_machine(|machine| machine.returned(id, revision, changed));
    }
}
