//! From what a config says to the real ids: aliases first, then names by one list call.

use std::collections::{BTreeMap, BTreeSet};

use crate::client::SikkerKey;
use crate::config::requirement::SecretRef;
use crate::config::schema::Schema;
use crate::config::similar::near;
use crate::config::snapshot::{Candidate, Link, Snapshot, Unlisted};
use crate::error::Error;
use crate::protocol::listing::SecretListItem;

/// Where a schema's secrets are.
pub(crate) struct Resolved {
    /// The distinct real ids, which are to be read.
    pub(crate) ids: BTreeSet<String>,
    pub(crate) links: BTreeMap<SecretRef, Link>,
    /// Why there is no list of names, where one was needed.
    pub(crate) unlisted: Option<Error>,
}

/// The secrets that this machine sees: all of them, or those of a project.
pub(super) fn list(
    client: &SikkerKey,
    project: Option<&str>,
) -> Result<Vec<SecretListItem>, Error> {
    match project {
        Some(project) => client.list_secrets_by_project(project),
        None => client.list_secrets(),
    }
}

/// `names` is called at most once, and only where a name needs it.
pub(super) fn resolve(
    schema: &Schema,
    aliases: &BTreeMap<String, String>,
    names: impl FnOnce() -> Result<Vec<SecretListItem>, Error>,
) -> Resolved {
    let mut resolved = Resolved {
        ids: BTreeSet::new(),
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

fn by_name(items: &[SecretListItem], name: &str) -> Link {
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
    /// Keeps the ids to which names led before and now lead no more: because there was no list, or
    /// because the list does not show them. What became of such a secret, its own read says.
    pub(crate) fn keep(mut self, before: &Snapshot) -> Self {
        let lost = self.links.iter_mut();
        for (secret, link) in lost.filter(|(_, link)| !matches!(link, Link::To(_))) {
            if let Some(id) = before.id_of(secret) {
                self.ids.insert(id.to_owned());
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

impl From<&SecretListItem> for Candidate {
    fn from(item: &SecretListItem) -> Self {
        Candidate {
            id: item.id.clone(),
            name: item.name.clone(),
            project: item.project_id.clone(),
        }
    }
}
