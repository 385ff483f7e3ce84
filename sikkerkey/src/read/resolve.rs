//! Resolves a config's names of secrets to real ids: aliases first, then display names by one list call.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::requirement::SecretRef;
use crate::config::schema::Schema;
use crate::config::similar::near;
#[cfg(feature = "live")]
use crate::config::snapshot::Snapshot;
use crate::config::snapshot::{Candidate, Link, Unlisted};
use crate::error::Error;
use crate::protocol::details::SecretDetails;

/// The resolved secrets of a schema.
pub(crate) struct Resolved {
    /// The distinct real ids to read.
    pub(crate) ids: BTreeSet<String>,
    /// Real ids that must not be read, because it is unknown whether they are canaries.
    pub(crate) unread: BTreeSet<String>,
    pub(crate) links: BTreeMap<SecretRef, Link>,
    /// Why the list of secrets failed, if it was needed.
    pub(crate) unlisted: Option<Error>,
}

/// Resolves the schema. `names` is called at most once, and only if a display name needs it.
pub(super) fn resolve(
    schema: &Schema,
    aliases: &BTreeMap<String, String>,
    names: impl FnOnce() -> Result<Vec<SecretDetails>, Error>,
) -> Resolved {
    let mut resolved = Resolved {
        ids: BTreeSet::new(),
        unread: BTreeSet::new(),
        links: BTreeMap::new(),
        unlisted: None,
    };
    let mut named = Vec::new();
    for secret in schema.secrets() {
        match (aliases.get(secret.as_str()), secret) {
            (Some(id), _) => resolved.link(secret, Link::To(id.clone())),
            (None, SecretRef::Id(id)) => {
                resolved.ids.insert(id.clone());
            }
            (None, SecretRef::Name(name)) => named.push((secret, name)),
        }
    }
    if named.is_empty() {
        return resolved;
    }
    let items = names();
    resolved.unlisted = items.as_ref().err().cloned();
    for (secret, name) in named {
        let link = match &items {
            Ok(items) => by_name(items, name),
            Err(error) => Link::Unlisted(Unlisted(error.clone())),
        };
        resolved.link(secret, link);
    }
    resolved
}

fn by_name(items: &[SecretDetails], name: &str) -> Link {
    let called = |name: &str| -> Vec<Candidate> {
        items
            .iter()
            .filter(|item| item.name == name)
            .map(Candidate::from)
            .collect()
    };
    let mut same = called(name);
    match same.len() {
        1 => Link::To(same.swap_remove(0).id),
        0 => {
            let alike = near(name, items.iter().map(|item| item.name.as_str()));
            Link::Unknown(alike.into_iter().flat_map(called).collect())
        }
        _ => Link::Ambiguous(same),
    }
}

impl Resolved {
    /// Removes each of these canaries, by whatever name the schema has for it.
    pub(super) fn refuse(mut self, schema: &Schema, canaries: &BTreeSet<&str>) -> Self {
        for secret in schema.secrets() {
            let id = match (self.links.get(secret), secret) {
                (Some(link), _) => link.id(),
                (None, secret) => Some(secret.as_str()),
            };
            if let Some(id) = id.filter(|id| canaries.contains(id)).map(str::to_owned) {
                self.ids.remove(&id);
                self.links.insert(secret.clone(), Link::Canary(id));
            }
        }
        self
    }

    /// Removes everything from the ids to read, because without the list canaries are unknown.
    pub(super) fn unread(mut self, unlisted: Error) -> Self {
        self.unread = std::mem::take(&mut self.ids);
        self.unlisted = Some(unlisted);
        self
    }

    /// Keeps the last ids of names that no longer lead to one, because the list failed or does not show them.
    /// The secret's own read then says what became of it.
    #[cfg(feature = "live")]
    pub(crate) fn keep(mut self, before: &Snapshot) -> Self {
        let ids = match self.unread.is_empty() {
            true => &mut self.ids,
            false => &mut self.unread,
        };
        let lost = self.links.iter_mut();
        for (secret, link) in lost.filter(|(_, link)| link.id().is_none()) {
            if let Some(id) = before.id_of(secret) {
                ids.insert(id.to_owned());
                *link = Link::To(id.to_owned());
            }
        }
        self
    }

    fn link(&mut self, secret: &SecretRef, link: Link) {
        if let Link::To(id) = &link {
            self.ids.insert(id.clone());
        }
        self.links.insert(secret.clone(), link);
    }
}

impl From<&SecretDetails> for Candidate {
    fn from(item: &SecretDetails) -> Self {
        Candidate {
            id: item.id.clone(),
            name: item.name.clone(),
            project: item.project_id.clone(),
        }
    }
}
