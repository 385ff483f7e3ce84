//! Names the values of this crate in a figment, and recognizes them.
//!
//! figment keeps one [`Metadata`] for each provider and prints it after every error: key, source, name. The names of
//! ours all begin with one word, their source is the vault, and their interpolater adds the secret's reference to the
//! key.

use figment::{Metadata, Profile};

const MARK: &str = "SikkerKey";

/// The start of this crate's own problems, which quote no value and so are never hidden.
pub(crate) const PROBLEM: &str = "SikkerKey: ";

/// The first key of a question to our own interpolaters: which of the other keys are in the schema? The rest are from
/// inside a value.
const QUESTION: &str = "\0sikkerkey";

/// A key path, and the source of its value: a reference, or a name of the export.
pub(crate) struct Place {
    pub(crate) path: Vec<String>,
    pub(crate) from: String,
}

/// The metadata for values of `vault`. `places` is called only when an error is printed.
pub(crate) fn metadata<F>(name: &str, vault: &str, places: F) -> Metadata
where
    F: Fn() -> Vec<Place> + Clone + Send + Sync + 'static,
{
    Metadata::named(format!("{MARK} {name}"))
        .source(vault)
        .interpolater(move |profile, keys| match keys.split_first() {
            Some((&QUESTION, keys)) => {
                let places = places();
                keys.iter().map(|key| known(&places, key)).collect()
            }
            _ => described(&places(), profile, keys),
        })
}

fn known(places: &[Place], key: &str) -> char {
    let known = places
        .iter()
        .any(|place| place.path.iter().any(|k| k == key));
    if known { '1' } else { '0' }
}

fn described(places: &[Place], profile: &Profile, keys: &[&str]) -> String {
    let key = format!("{profile}.{}", keys.join("."));
    match place(places, keys) {
        Some(from) => format!("{key} ({from})"),
        None => key,
    }
}

/// The reference of `keys`, or of a key above them if they lead into a JSON value. `extract_inner` puts its own keys
/// last and `focus` drops them, so the place is searched that way, too, if only one fits.
fn place<'a>(places: &'a [Place], keys: &[&str]) -> Option<&'a str> {
    let found = |wanted: &dyn Fn(&[String]) -> bool| {
        let mut found = places.iter().filter(|place| wanted(&place.path));
        match (found.next(), found.next()) {
            (Some(place), None) => Some(place.from.as_str()),
            _ => None,
        }
    };
    let begins = |keys: &[&str], path: &[String]| {
        path.len() <= keys.len() && path.iter().zip(keys).all(|(a, b)| a == b)
    };
    let rotated = |path: &[String]| {
        (1..keys.len()).any(|n| {
            let turned: Vec<&str> = keys[n..].iter().chain(&keys[..n]).copied().collect();
            begins(&turned, path)
        })
    };
    let ends =
        |path: &[String]| !keys.is_empty() && (1..path.len()).any(|n| begins(keys, &path[n..]));
    found(&|path| begins(keys, path))
        .or_else(|| found(&rotated))
        .or_else(|| found(&ends))
}

/// Whether the values that `metadata` describes came from SikkerKey through this crate.
pub(crate) fn is_ours(metadata: &Metadata) -> bool {
    let rest = metadata.name.strip_prefix(MARK);
    rest.is_some_and(|rest| rest.starts_with(' '))
}

/// For each of `keys`, whether it is a key of the config and not part of a value.
pub(crate) fn known_keys(metadata: &Metadata, keys: &[String]) -> Vec<bool> {
    let mut question = vec![QUESTION];
    question.extend(keys.iter().map(String::as_str));
    let answer = metadata.interpolate(&Profile::Default, &question);
    let mut answer = answer.chars();
    keys.iter().map(|_| answer.next() == Some('1')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(keys: &[&str]) -> String {
        let place = |path: &str, from: &str| Place {
            path: path.split('.').map(str::to_owned).collect(),
            from: from.to_owned(),
        };
        let places = move || {
            vec![
                place("db.port", "sikkerkey://sk_db/port"),
                place("db.flags", "sikkerkey://sk_flags"),
                place("port", "sikkerkey://sk_port"),
            ]
        };
        metadata("vault", "vault_x", places).interpolate(&Profile::Default, keys)
    }

    #[test]
    fn a_key_is_followed_by_its_reference() {
        assert_eq!(
            described(&["db", "port"]),
            "default.db.port (sikkerkey://sk_db/port)"
        );
        assert_eq!(described(&["port"]), "default.port (sikkerkey://sk_port)");
    }

    #[test]
    fn a_key_inside_a_json_value_is_of_the_secret_that_holds_it() {
        assert_eq!(
            described(&["db", "flags", "beta"]),
            "default.db.flags.beta (sikkerkey://sk_flags)"
        );
    }

    #[test]
    fn the_paths_of_extract_inner_and_focus_find_their_reference() {
        assert_eq!(
            described(&["port", "db"]),
            "default.port.db (sikkerkey://sk_port)"
        );
        assert_eq!(
            described(&["flags", "db"]),
            "default.flags.db (sikkerkey://sk_flags)"
        );
        assert_eq!(
            described(&["flags"]),
            "default.flags (sikkerkey://sk_flags)"
        );
        assert_eq!(described(&["beta"]), "default.beta");
        assert_eq!(described(&["db"]), "default.db");
        assert_eq!(described(&[]), "default.");
    }
}
