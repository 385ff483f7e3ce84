//! Finds the references of a figment, and replaces them by values. No secret is read here.

use figment::error::{Kind, Result};
use figment::value::{Dict, Map, Tag, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};

use crate::origin::{self, PROBLEM};
use crate::reference::{MalformedReference, Reference, Written};

/// The end of a literal's metadata name, which marks it so that resolving again does not change it.
const LITERAL: &str = " (literal)";

/// A string of a figment that is a reference, a literal, or malformed.
pub(crate) struct Found {
    pub(crate) profile: Profile,
    pub(crate) path: Vec<String>,
    tag: Tag,
    pub(crate) written: std::result::Result<Meaning, MalformedReference>,
}

pub(crate) enum Meaning {
    Literal(String),
    Reference(Reference),
}

/// The references that an extraction of `figment` would see now. If several profiles set a key, only the value that
/// takes effect counts, because a secret that is not needed must not be read.
pub(crate) fn find(figment: &Figment) -> Result<Vec<Found>> {
    // First, because its error names the broken layer.
    let root: Value = figment.extract()?;
    let data = figment.data()?;
    let mut found = Vec::new();
    let mut path = Vec::new();
    walk(&root, &mut path, &mut |path, tag, text| {
        let metadata = figment.get_metadata(tag);
        if metadata.is_some_and(|m| origin::is_ours(m) || m.name.ends_with(LITERAL)) {
            return;
        }
        let written = match Written::of(text) {
            Ok(Written::Plain) => return,
            Ok(Written::Literal(text)) => Ok(Meaning::Literal(text.to_owned())),
            Ok(Written::Reference(reference)) => Ok(Meaning::Reference(reference)),
            Err(malformed) => Err(malformed),
        };
        found.push(Found {
            profile: profile_of(&data, figment.profile(), path),
            path: path.to_vec(),
            tag,
            written,
        });
    });
    Ok(found)
}

fn walk(value: &Value, path: &mut Vec<String>, each: &mut impl FnMut(&[String], Tag, &str)) {
    let mut inside = |key: String, value: &Value| {
        path.push(key);
        walk(value, path, each);
        path.pop();
    };
    match value {
        Value::Dict(_, dict) => dict.iter().for_each(|(k, v)| inside(k.clone(), v)),
        Value::Array(_, array) => {
            let numbered = array.iter().enumerate();
            numbered.for_each(|(i, v)| inside(i.to_string(), v));
        }
        Value::String(tag, text) => each(path, *tag, text),
        _ => {}
    }
}

/// The profile whose value takes effect at `path`: figment lays global over selected over default.
fn profile_of(data: &Map<Profile, Dict>, selected: &Profile, path: &[String]) -> Profile {
    let has = |profile: &&Profile| {
        let dict = data.get(*profile);
        let first = dict.and_then(|dict| dict.get(path.first()?));
        first.is_some_and(|first| inside(first, &path[1..]).is_some())
    };
    let order = [&Profile::Global, selected, &Profile::Default];
    order.into_iter().find(has).unwrap_or(selected).clone()
}

fn inside<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| match value {
        Value::Dict(_, dict) => dict.get(key),
        Value::Array(_, array) => array.get(key.parse::<usize>().ok()?),
        _ => None,
    })
}

impl Found {
    /// A problem with this string, which figment prints with its key and its file.
    pub(crate) fn problem(&self, figment: &Figment, text: impl std::fmt::Display) -> Error {
        let mut error = Error::from(Kind::Message(format!("{PROBLEM}{text}")));
        error.metadata = figment.get_metadata(self.tag).cloned();
        error.profile = Some(self.profile.clone());
        error.path = self.path.clone();
        error
    }

    /// The source of the string, in figment's words: `App.toml TOML file`.
    pub(crate) fn stands_in(&self, figment: &Figment) -> String {
        match figment.get_metadata(self.tag) {
            None => "unknown provider".to_owned(),
            Some(metadata) => match &metadata.source {
                Some(source) => format!("{source} {}", metadata.name),
                None => metadata.name.clone().into_owned(),
            },
        }
    }

    /// The metadata of a literal, from its layer.
    pub(crate) fn literal_metadata(&self, figment: &Figment) -> Metadata {
        let mut metadata = figment.get_metadata(self.tag).cloned().unwrap_or_default();
        metadata.name = format!("{}{LITERAL}", metadata.name).into();
        metadata
    }

    /// `figment` with `value` instead of this string. Everything else stays, with its metadata.
    pub(crate) fn replace(
        &self,
        figment: Figment,
        value: Value,
        metadata: Metadata,
    ) -> Result<Figment> {
        let mut data = figment.data()?;
        let mut dict = data.remove(&self.profile).unwrap_or_default();
        let Some((key, rest)) = self.path.split_first() else {
            return Ok(figment);
        };
        let Some(top) = dict.remove(key) else {
            return Ok(figment);
        };
        let top = replaced(top, rest, value);
        let layer = Layer {
            metadata,
            data: self.profile.collect(Dict::from([(key.clone(), top)])),
        };
        Ok(figment.merge(layer))
    }
}

/// `whole` with `value` at `path`. figment adds metadata to values that have none yet, which is only `value`.
fn replaced(whole: Value, path: &[String], value: Value) -> Value {
    let Some((key, rest)) = path.split_first() else {
        return value;
    };
    match whole {
        Value::Dict(tag, mut dict) => {
            if let Some(old) = dict.remove(key) {
                dict.insert(key.clone(), replaced(old, rest, value));
            }
            Value::Dict(tag, dict)
        }
        Value::Array(tag, mut array) => {
            if let Some(place) = key.parse().ok().and_then(|i: usize| array.get_mut(i)) {
                let old = std::mem::replace(place, Value::from(false));
                *place = replaced(old, rest, value);
            }
            Value::Array(tag, array)
        }
        other => other,
    }
}

struct Layer {
    metadata: Metadata,
    data: Map<Profile, Dict>,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn data(&self) -> Result<Map<Profile, Dict>> {
        Ok(self.data.clone())
    }
}

#[cfg(test)]
mod tests {
    use figment::providers::{Format, Toml};

    use super::*;

    const FILE: &str = r#"
        [default]
        plain = "x"
        shadowed = "sikkerkey://sk_not_asked_for"
        list = ["a", "sikkerkey://sk_b", { c = ["sikkerkey://sk_c"] }]
        [default.db]
        host = "localhost"
        password = "sikkerkey://sk_db/password"
        [default.db."odd.key"]
        x = "sikkerkey://sk_odd"
        [staging]
        shadowed = "of staging"
        own = "sikkerkey://sk_staging"
        [other]
        own = "sikkerkey://sk_not_selected"
        [global]
        everywhere = "sikkerkey://sk_global"
    "#;

    fn figment() -> Figment {
        Figment::from(Toml::string(FILE).nested()).select("staging")
    }

    #[test]
    fn what_holds_in_the_selected_profile_is_found_and_nothing_else() {
        let found = find(&figment()).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|found| format!("{} {}", found.profile, found.path.join("/")))
            .collect();
        assert_eq!(
            found,
            [
                "default db/odd.key/x",
                "default db/password",
                "global everywhere",
                "default list/1",
                "default list/2/c/0",
                "staging own",
            ]
        );
    }

    #[test]
    fn a_replaced_value_has_its_own_metadata_and_its_neighbours_keep_theirs() {
        let mut figment = figment();
        let sources: Vec<_> = figment.metadata().map(|m| m.name.clone()).collect();
        for (i, found) in find(&figment).unwrap().into_iter().enumerate() {
            let metadata = Metadata::named(format!("number {i}"));
            figment = found.replace(figment, Value::from(i), metadata).unwrap();
        }
        assert_eq!(figment.profile(), "staging");
        let root: Value = figment.extract().unwrap();
        let name = |path: &str| {
            let path: Vec<String> = path.split('/').map(str::to_owned).collect();
            let value = inside(&root, &path).unwrap();
            (
                figment
                    .get_metadata(value.tag())
                    .unwrap()
                    .name
                    .clone()
                    .into_owned(),
                value.to_u128(),
            )
        };
        let of_file = (sources[0].clone().into_owned(), None);
        for path in [
            "plain", "list", "list/0", "list/2", "list/2/c", "db", "db/host", "shadowed",
        ] {
            assert_eq!(name(path), of_file, "{path}");
        }
        for (path, number) in [
            ("db/odd.key/x", 0),
            ("db/password", 1),
            ("everywhere", 2),
            ("list/1", 3),
            ("list/2/c/0", 4),
            ("own", 5),
        ] {
            assert_eq!(
                name(path),
                (format!("number {number}"), Some(number)),
                "{path}"
            );
        }
        assert!(find(&figment.select("other")).unwrap().len() == 2);
    }

    #[test]
    fn a_problem_says_where_the_string_stands() {
        let figment = figment();
        let found = find(&figment).unwrap();
        let error = found[3].problem(&figment, "no such secret");
        assert_eq!(
            error.to_string(),
            "SikkerKey: no such secret for key \"default.list.1\" in TOML source string"
        );
    }

    #[test]
    fn values_of_ours_and_literals_are_left_alone() {
        let ours = origin::metadata("vault", "vault_x", Vec::new);
        let figment = Figment::from(Toml::string(
            "a = 'sikkerkey://sk_a'\nb = 'sikkerkey:literal:sikkerkey://sk_b'",
        ));
        let found = find(&figment).unwrap();
        assert_eq!(found.len(), 2);
        let of_literal = found[1].literal_metadata(&figment);
        let reference = Value::from("sikkerkey://sk_a");
        let figment = found[0].replace(figment, reference.clone(), ours).unwrap();
        let figment = found[1].replace(figment, reference, of_literal).unwrap();
        assert!(find(&figment).unwrap().is_empty());
        let literal = figment.find_metadata("b").unwrap();
        assert_eq!(literal.name, "TOML source string (literal)");
    }
}
