//! Where the words of a config and of a program lead in a snapshot.

use std::collections::BTreeMap;

use super::error::{Problem, ProblemKind};
use super::requirement::SecretRef;
use super::schema::Schema;
use super::similar::near;
use super::snapshot::{Link, Snapshot};
use crate::text::{list, name, quoted};

impl Snapshot {
    /// The id behind what a config says, whether or not anything was read: where a link leads, else
    /// the id itself.
    pub(crate) fn resolved_id<'a>(&'a self, secret: &'a SecretRef) -> Option<&'a str> {
        match (self.link(secret), secret) {
            (Some(link), _) => link.id(),
            (None, SecretRef::Id(id)) => Some(id),
            (None, SecretRef::Name(_)) => self.id_of(secret),
        }
    }

    /// The id of this snapshot that a text means: an id, what has an alias, or a display name of the
    /// config, in this order.
    ///
    /// # Errors
    /// A problem that says why the text leads to none, with the ids and names that are near it.
    #[allow(dead_code, reason = "a refresh of one secret asks for it")]
    pub(crate) fn followed_id(&self, text: &str) -> Result<&str, Problem> {
        if let Some(id) = self.ids().find(|id| *id == text) {
            return Ok(id);
        }
        let mut links = self.links().filter(|(secret, _)| secret.as_str() == text);
        let said = match links.next().map(|(_, link)| link) {
            Some(Link::To(id)) => return Ok(id),
            Some(Link::Canary(id)) => format!("{} is a canary, and is not read", name(id)),
            Some(Link::Ambiguous(secrets)) => {
                let secrets = list(secrets, |secret| secret.to_string());
                format!("{} is the name of several secrets: {secrets}", quoted(text))
            }
            Some(Link::Unlisted(error)) => {
                return Err(Problem::unavailable(&error.0));
            }
            Some(Link::Unknown(_)) => {
                format!("this machine sees no secret of the name {}", quoted(text))
            }
            None => {
                let known = self.ids().chain(self.links().map(|(s, _)| s.as_str()));
                let meant = match near(text, known).first() {
                    Some(meant) => format!(": did you mean {}?", quoted(meant)),
                    None => String::new(),
                };
                format!("no secret {} is followed{meant}", quoted(text))
            }
        };
        Err(Problem::new(ProblemKind::Missing, said))
    }

    /// The same snapshot for a part of a config that has aliases of its own.
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
    use crate::config::snapshot::{Candidate, ReadOutcome, Unlisted};
    use crate::error::{Error, ErrorKind};

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
            (name("GONE"), Link::Unknown(Vec::new())),
            (
                name("LATER"),
                Link::Unlisted(Unlisted(Error::from(ErrorKind::Unavailable))),
            ),
        ]))
    }

    #[test]
    fn a_text_leads_to_the_followed_id_or_to_the_nearest() {
        let snapshot = snapshot();
        for (text, expected) in [
            ("sk_flags_stg", Ok("sk_flags_stg")),
            ("sk_flags", Ok("sk_flags_stg")),
            ("SENTRY DSN", Ok("sk_dsn_1")),
            ("sk_plain", Ok("sk_plain")),
            (
                "sk_plian",
                Err(r#"no secret "sk_plian" is followed: did you mean "sk_plain"?"#),
            ),
            (
                "SENTRY-DNS",
                Err(r#"no secret "SENTRY-DNS" is followed: did you mean "SENTRY DSN"?"#),
            ),
            ("other", Err(r#"no secret "other" is followed"#)),
            ("", Err(r#"no secret "" is followed"#)),
            ("\u{1b}[2J", Err(r#"no secret "\u{1b}[2J" is followed"#)),
            ("sk_trap", Err("sk_trap is a canary, and is not read")),
            (
                "REGION",
                Err(r#""REGION" is the name of several secrets: sk_r1 "REGION", sk_r2 "REGION""#),
            ),
            (
                "GONE",
                Err(r#"this machine sees no secret of the name "GONE""#),
            ),
            ("LATER", Err("not read: temporarily unavailable")),
        ] {
            let found = snapshot.followed_id(text);
            assert_eq!(
                found.as_ref().map_err(Problem::message),
                expected.as_ref().map_err(|said| *said),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_said_leads_to_an_id_though_nothing_was_read() {
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
