//! Resolution of a config's names and aliases in a snapshot.

use std::collections::BTreeMap;

use super::requirement::SecretRef;
use super::schema::Schema;
use super::snapshot::{Link, Snapshot};

impl Snapshot {
    /// Returns the id behind a config's name of a secret, whether or not it was read: the target of a link,
    /// else the id itself.
    pub(crate) fn resolved_id<'a>(&'a self, secret: &'a SecretRef) -> Option<&'a str> {
        match (self.link(secret), secret) {
            (Some(link), _) => link.id(),
            (None, SecretRef::Id(id)) => Some(id),
            (None, SecretRef::Name(_)) => self.id_of(secret),
        }
    }

    /// Returns the snapshot for a part of a config with aliases of its own.
    #[doc(hidden)]
    pub fn aliased(&self, aliases: &BTreeMap<String, String>, schema: &Schema) -> Self {
        let links = schema.secrets().into_iter().filter_map(|secret| {
            let id = aliases.get(secret.as_str())?;
            let link = self.link(&SecretRef::Id(id.clone()));
            let link = link.cloned().unwrap_or_else(|| Link::To(id.clone()));
            Some((secret.clone(), link))
        });
        self.with_links(links.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::requirement::Requirement;
    use crate::config::snapshot::{Candidate, ReadOutcome};

    fn name(text: &str) -> SecretRef {
        SecretRef::Name(text.into())
    }

    fn id(text: &str) -> SecretRef {
        SecretRef::Id(text.into())
    }

    fn snapshot() -> Snapshot {
        let candidate = |id: &str| Candidate {
            id: id.into(),
            name: "REGION".into(),
            project: None,
        };
        let read = [
            ("sk_flags_stg", ReadOutcome::Value("1".into())),
            ("sk_dsn_1", ReadOutcome::Denied),
            ("sk_plain", ReadOutcome::Missing),
        ];
        Snapshot::default().with(read).with_links(BTreeMap::from([
            (id("sk_flags"), Link::To("sk_flags_stg".into())),
            (name("SENTRY DSN"), Link::To("sk_dsn_1".into())),
            (id("sk_trap"), Link::Canary("sk_trap".into())),
            (
                name("REGION"),
                Link::Ambiguous(vec![candidate("sk_r1"), candidate("sk_r2")]),
            ),
        ]))
    }

    #[test]
    fn names_resolve_to_ids_even_if_nothing_was_read() {
        let snapshot = snapshot();
        for (secret, expected) in [
            (id("sk_flags"), Some("sk_flags_stg")),
            (id("sk_trap"), Some("sk_trap")),
            (id("sk_elsewhere"), Some("sk_elsewhere")),
            (name("SENTRY DSN"), Some("sk_dsn_1")),
            (name("REGION"), None),
            (name("nothing"), None),
        ] {
            assert_eq!(snapshot.resolved_id(&secret), expected, "{secret}");
        }
    }

    #[test]
    fn a_part_with_aliases_of_its_own_sees_their_secrets() {
        let aliases = BTreeMap::from([
            ("sk_x".to_owned(), "sk_plain".to_owned()),
            ("sk_y".to_owned(), "sk_trap".to_owned()),
            ("sk_not_asked".to_owned(), "sk_plain".to_owned()),
        ]);
        let asked = ["sk_x", "sk_y", "sk_flags"].map(|text| Requirement::new("path", id(text)));
        let view = snapshot().aliased(&aliases, &Schema::from_iter(asked));
        assert_eq!(view.resolved_id(&id("sk_x")), Some("sk_plain"));
        assert_eq!(
            view.link(&id("sk_y")),
            Some(&Link::Canary("sk_trap".into()))
        );
        assert_eq!(view.resolved_id(&id("sk_flags")), Some("sk_flags_stg"));
        assert_eq!(view.link(&id("sk_not_asked")), None);
    }
}
