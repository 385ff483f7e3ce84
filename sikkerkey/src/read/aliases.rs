//! Aliases: secrets of another environment in place of those that a config names.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::error::{Problem, ProblemKind};
use crate::config::requirement::SecretRef;
use crate::config::schema::Schema;
use crate::config::similar::near;
use crate::id::is_id;
use crate::identity::variable;
use crate::text::quoted;

/// A map from the config's names of secrets to the ids that are read, and the problems of the texts that it
/// was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Aliases {
    map: BTreeMap<String, String>,
    pub(super) strict: bool,
    mistakes: Vec<String>,
}

impl Aliases {
    pub(super) fn map(&self) -> &BTreeMap<String, String> {
        &self.map
    }

    /// Adds an alias. It replaces an earlier one of the same secret.
    pub(super) fn insert(&mut self, from: String, to: String) {
        self.map.insert(from, to);
    }

    /// Adds the aliases of one source, in which each secret may occur once.
    pub(super) fn extend(&mut self, source: &str, aliases: impl Iterator<Item = (String, String)>) {
        let mut said = BTreeSet::new();
        for (from, to) in aliases {
            if !said.insert(from.clone()) {
                let text = format!("{source} has more than one alias for {}", quoted(&from));
                self.mistakes.push(text);
            }
            self.insert(from, to);
        }
    }

    /// Adds the aliases of an environment variable, which may be unset.
    pub(super) fn extend_from_env(&mut self, name: &str) {
        match variable(name) {
            Ok(text) => self.extend_from_text(name, text.as_deref().unwrap_or_default()),
            Err(error) => self.mistakes.push(error.to_string()),
        }
    }

    /// `sk_db=sk_db_stg,sk_flags=sk_flags_stg`; white space around ids and a final comma are ignored.
    fn extend_from_text(&mut self, source: &str, text: &str) {
        let mut aliases = Vec::new();
        let entries = text.trim().trim_end_matches(',');
        for entry in entries.split(',').filter(|_| !entries.is_empty()) {
            let parts: Vec<&str> = entry.split('=').map(str::trim).collect();
            match parts[..] {
                [from, to] if !from.is_empty() && !to.is_empty() => {
                    aliases.push((from.to_owned(), to.to_owned()));
                }
                _ => self.mistakes.push(format!(
                    "{source}: {} is not an alias: one is written FROM=TO, and several are divided by commas",
                    quoted(entry.trim())
                )),
            }
        }
        self.extend(source, aliases.into_iter());
    }

    /// Removes the aliases of secrets outside this part, and turns `strict` off.
    pub(super) fn keep_those_of(&mut self, part: &Schema) {
        let secrets = part.secrets();
        let is_named = |from: &String| secrets.iter().any(|secret| secret.as_str() == from);
        self.map.retain(|from, _| is_named(from));
        self.strict = false;
    }

    /// Returns the problems of the aliases for a config. `names_are_scoped` says whether display names are
    /// looked up in one project or application.
    pub(super) fn problems(&self, schema: &Schema, names_are_scoped: bool) -> Vec<Problem> {
        let mut texts = self.mistakes.clone();
        for (from, to) in &self.map {
            let alias = format!("the alias {} -> {}", shown(from), shown(to));
            if !is_id(to) {
                texts.push(format!(
                    "{alias} leads to no id: an id has letters, digits, _ and - only"
                ));
            } else if from == to {
                texts.push(format!("{alias} leads to itself"));
            } else if let Some(circle) = self.circle(from) {
                texts.push(format!("the aliases go in a circle: {circle}"));
            }
            if let Some(text) = unmatched(schema, from, to) {
                texts.push(format!("{alias} {text}"));
            }
        }
        let problem = |text| Problem::new(ProblemKind::Conflict, text);
        let mut problems: Vec<Problem> = texts.into_iter().map(problem).collect();
        if self.strict {
            problems.extend(self.unaliased(schema, names_are_scoped));
        }
        problems
    }

    /// Describes the circle that an alias starts, only for the first of its secrets.
    fn circle(&self, first: &str) -> Option<String> {
        let mut circle = shown(first);
        let mut at = self.map.get(first)?;
        for _ in 0..self.map.len() {
            circle = format!("{circle} -> {}", shown(at));
            if at == first {
                return Some(circle);
            }
            if at.as_str() < first {
                return None;
            }
            at = self.map.get(at)?;
        }
        None
    }

    /// Returns the secrets that `strict_aliases` refuses, because this environment would share them with the
    /// one that the config was written for.
    fn unaliased(&self, schema: &Schema, names_are_scoped: bool) -> Vec<Problem> {
        let mut problems = Vec::new();
        let named: BTreeSet<&SecretRef> = schema.secrets().into_iter().collect();
        let mut told = BTreeSet::new();
        for requirement in schema {
            let secret = requirement.secret();
            if !told.insert(secret) {
                continue;
            }
            let to = self.map.get(secret.as_str());
            let text = match (to, secret) {
                (Some(to), _) if named.contains(&SecretRef::Id(to.clone())) => {
                    "strict aliases: it leads to an id that the config names itself"
                }
                (Some(_), _) => continue,
                (None, SecretRef::Name(_)) if names_are_scoped => continue,
                (None, SecretRef::Name(_)) => {
                    "strict aliases: it has no alias, and no project or application is set"
                }
                (None, SecretRef::Id(_)) => "strict aliases: it has no alias",
            };
            let problem = Problem::new(ProblemKind::Conflict, text).of(secret, None);
            let problem = problem.resolved(to.map(String::as_str));
            problems.push(problem.at(requirement.path()));
        }
        problems
    }
}

/// Says why an alias has no effect; `None` if it has one.
fn unmatched(schema: &Schema, from: &str, to: &str) -> Option<String> {
    let secrets = schema.secrets();
    let known = || secrets.iter().map(|secret| secret.as_str());
    if known().any(|secret| secret == from) {
        return None;
    }
    let advice = match near(from, known()).first() {
        _ if known().any(|secret| secret == to) => format!(
            ", which names {}: an alias goes from what the config names to what is read instead",
            shown(to)
        ),
        Some(meant) => format!(": did you mean {}?", shown(meant)),
        None => String::new(),
    };
    Some(format!("fits no secret of the config{advice}"))
}

/// Shows an id as it is, and any other text in quotes.
fn shown(secret: &str) -> String {
    match is_id(secret) {
        true => secret.to_owned(),
        false => quoted(secret),
    }
}

/// Parses the text of an environment variable: its aliases and its problems; for fuzzing.
#[cfg(fuzzing)]
pub(crate) fn fuzz_aliases(text: &str) -> (BTreeMap<String, String>, Vec<String>) {
    let mut aliases = Aliases::default();
    aliases.extend_from_text("SIKKERKEY_ALIASES", text);
    let problems = aliases.problems(&Schema::new(), false);
    (
        aliases.map,
        problems.iter().map(Problem::to_string).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::requirement::Requirement;

    fn schema() -> Schema {
        let id = |text: &str| SecretRef::Id(text.into());
        [
            Requirement::new("db.host", id("sk_db")).with_field("host"),
            Requirement::new("db.port", id("sk_db")).with_field("port"),
            Requirement::new("flags", id("sk_flags")),
            Requirement::new("dsn", SecretRef::Name("SENTRY DSN".into())),
        ]
        .into_iter()
        .collect()
    }

    fn said(aliases: &Aliases) -> Vec<String> {
        let problems = aliases.problems(&schema(), false);
        assert!(problems.iter().all(|p| p.kind() == ProblemKind::Conflict));
        problems.iter().map(Problem::to_string).collect()
    }

    fn of_text(text: &str) -> Aliases {
        let mut aliases = Aliases::default();
        aliases.extend_from_text("ALIASES", text);
        aliases
    }

    #[test]
    fn a_text_of_aliases() {
        for (text, expected) in [
            ("", vec![]),
            (" ", vec![]),
            ("sk_db=sk_db_stg", vec![("sk_db", "sk_db_stg")]),
            (
                "sk_db=sk_db_stg,sk_flags=sk_flags_stg",
                vec![("sk_db", "sk_db_stg"), ("sk_flags", "sk_flags_stg")],
            ),
            (
                " sk_db = sk_db_stg ,\n SENTRY DSN = sk_1 ,\n",
                vec![("SENTRY DSN", "sk_1"), ("sk_db", "sk_db_stg")],
            ),
            // Two secrets may lead to one id in another environment.
            (
                "sk_db=sk_one,sk_flags=sk_one",
                vec![("sk_db", "sk_one"), ("sk_flags", "sk_one")],
            ),
        ] {
            let aliases = of_text(text);
            let found = aliases.map().iter().map(|(a, b)| (a.as_str(), b.as_str()));
            assert_eq!(found.collect::<Vec<_>>(), expected, "{text:?}");
            assert_eq!(said(&aliases), [""; 0], "{text:?}");
        }
    }

    #[test]
    fn a_malformed_text_is_a_problem_that_names_the_entry() {
        const FORM: &str =
            "is not an alias: one is written FROM=TO, and several are divided by commas";
        for (text, entry) in [
            ("sk_db", r#""sk_db""#),
            ("sk_db=sk_db_stg,sk_flags", r#""sk_flags""#),
            ("sk_db=sk_db_stg,=x", r#""=x""#),
            ("sk_db=", r#""sk_db=""#),
            ("sk_db=sk_db_stg=x", r#""sk_db=sk_db_stg=x""#),
            ("sk_db=sk_db_stg,,sk_flags=sk_f", r#""""#),
            ("sk_db:sk_db_stg", r#""sk_db:sk_db_stg""#),
            ("sk_db\u{1b}[31m", r#""sk_db\u{1b}[31m""#),
        ] {
            assert_eq!(
                said(&of_text(text)),
                [format!("ALIASES: {entry} {FORM}")],
                "{text:?}"
            );
        }
        let both = of_text("sk_db,=");
        assert_eq!(said(&both).len(), 2);
        for twice in ["sk_db=sk_x,sk_db=sk_y", "sk_db=sk_x,sk_db=sk_x"] {
            assert_eq!(
                said(&of_text(twice)),
                [r#"ALIASES has more than one alias for "sk_db""#]
            );
        }
    }

    #[test]
    fn an_alias_leads_from_a_secret_of_the_config_to_another_id() {
        for (aliases, expected) in [
            (vec![("sk_db", "sk_x"), ("sk_flags", "sk_x")], vec![]),
            // One step each: for `sk_db`, `sk_flags` is read.
            (vec![("sk_db", "sk_flags"), ("sk_flags", "sk_x")], vec![]),
            (
                vec![("sk_flag", "sk_x")],
                vec![
                    "the alias sk_flag -> sk_x fits no secret of the config: did you mean sk_flags?",
                ],
            ),
            (
                vec![("SENTRY-DNS", "sk_x")],
                vec![
                    r#"the alias SENTRY-DNS -> sk_x fits no secret of the config: did you mean "SENTRY DSN"?"#,
                ],
            ),
            (
                vec![("nothing like it", "sk_x")],
                vec![r#"the alias "nothing like it" -> sk_x fits no secret of the config"#],
            ),
            (
                vec![("sk_flags_stg", "sk_flags")],
                vec![
                    "the alias sk_flags_stg -> sk_flags fits no secret of the config, which names sk_flags: \
                     an alias goes from what the config names to what is read instead",
                ],
            ),
            (
                vec![("sk_db", "Prod DB/2")],
                vec![
                    r#"the alias sk_db -> "Prod DB/2" leads to no id: an id has letters, digits, _ and - only"#,
                ],
            ),
            (
                vec![("sk_db", "")],
                vec![
                    r#"the alias sk_db -> "" leads to no id: an id has letters, digits, _ and - only"#,
                ],
            ),
            (
                vec![("sk_db", "sk_db")],
                vec!["the alias sk_db -> sk_db leads to itself"],
            ),
            (
                vec![("sk_db", "sk_flags"), ("sk_flags", "sk_db")],
                vec!["the aliases go in a circle: sk_db -> sk_flags -> sk_db"],
            ),
        ] {
            let mut all = Aliases::default();
            let owned = aliases
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
            all.extend("aliases", owned);
            assert_eq!(said(&all), expected, "{aliases:?}");
        }
    }

    #[test]
    fn a_long_circle_is_reported_once_and_an_alias_that_leads_into_it_is_not_in_it() {
        let ids: Vec<String> = (0..300).map(|n| format!("sk_{n}")).collect();
        let next = |n: usize| ids[(n + 1) % ids.len()].clone();
        let mut aliases = Aliases::default();
        aliases.extend("x", (0..300).map(|n| (ids[n].clone(), next(n))));
        aliases.insert("into".into(), "sk_7".into());
        let circles: Vec<_> = said(&aliases)
            .into_iter()
            .filter(|text| text.contains("circle"))
            .collect();
        assert_eq!(circles.len(), 1);
        assert!(circles[0].starts_with("the aliases go in a circle: sk_0 -> sk_1 -> "));
    }

    #[test]
    fn strict_aliases_share_no_secret() {
        let strict = |text: &str| Aliases {
            strict: true,
            ..of_text(text)
        };
        assert_eq!(
            said(&strict("sk_db=sk_db_stg")),
            [
                "flags: sk_flags: strict aliases: it has no alias",
                r#"dsn: "SENTRY DSN": strict aliases: it has no alias, and no project or application is set"#,
            ]
        );
        let all = strict("sk_db=sk_db_stg,sk_flags=sk_flags_stg");
        assert_eq!(said(&all).len(), 1);
        assert!(all.problems(&schema(), true).is_empty());
        assert_eq!(
            said(&strict("sk_db=sk_1,sk_flags=sk_2,SENTRY DSN=sk_3")),
            [""; 0]
        );
        assert_eq!(
            said(&strict("sk_db=sk_flags,sk_flags=sk_2,SENTRY DSN=sk_3")),
            [
                "db.host: sk_db -> sk_flags: strict aliases: it leads to an id that the config names itself"
            ]
        );
        assert!(strict("").problems(&Schema::new(), false).is_empty());
    }
}
