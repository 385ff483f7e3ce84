use std::collections::{HashMap, HashSet};
use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

use super::fields::{Fields, NamedValues, named_value};
use super::listing::field_names;
use super::messages::{ExportEntry, Malformed};
use crate::log::log;
use crate::text;

/// The most names that an export may have.
const NAMES_LIMIT: usize = 100_000;

/// Secrets as names and values for an environment; from [`SikkerKey::export`](crate::SikkerKey::export).
///
/// A secret's display name becomes upper case, with `_` for each character outside `A-Z` and `0-9`. A
/// structured secret becomes one entry `NAME_FIELD` for each field. The names are those of the official
/// clients. If two secrets get one name, the last one counts, a warning is logged, and
/// [`collisions`](Self::collisions) lists them.
///
/// ```
/// # use sikkerkey_emulator::Emulator;
/// # use sikkerkey::SikkerKey;
/// # let vault = Emulator::builder().secret("sk_stripe_key", "sk-live-1").start()?;
/// # let sk = SikkerKey::new(vault.identity_path())?;
/// use std::process::Command;
///
/// let export = sk.export()?;
/// // For a child process; this process's own environment stays as it is.
/// let status = Command::new("true").envs(export.envs()).status()?;
/// # assert!(status.success());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Export {
    entries: Vec<(String, SecretString)>,
    collisions: Vec<Collision>,
    /// Names made of keys that may be secrets themselves.
    hidden: HashSet<String>,
}

/// Two or more secrets that get one name in an [`Export`]; from [`Export::collisions`].
///
/// ```
/// # use sikkerkey_emulator::Emulator;
/// # let vault = Emulator::builder()
/// #     .secret("sk_a1", "1").name("sk_a1", "Stripe key")
/// #     .secret("sk_b2", "2").name("sk_b2", "STRIPE_KEY")
/// #     .start()?;
/// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
/// let export = sk.export()?;
/// for collision in export.collisions() {
///     eprintln!("{} is ambiguous: {}", collision.name, collision.secrets.join(", "));
/// }
/// assert_eq!(export.collisions()[0].name, "STRIPE_KEY");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collision {
    /// The name that they share.
    pub name: String,
    /// The secrets, as `id` or `id/field`, escaped for a terminal. The value of the last one counts.
    pub secrets: Vec<String>,
    /// Whether the name is made of a key that may be a secret itself.
    hidden: bool,
}

impl Export {
    /// Returns the value of a name, or `None` if there is no such name.
    pub fn get(&self, name: &str) -> Option<&SecretString> {
        self.entries
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value)
    }

    /// Iterates over the names, in the order in which the service sent the secrets.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_str())
    }

    /// Iterates over all names with their values.
    pub fn iter(&self) -> NamedValues<'_> {
        self.entries.iter().map(named_value)
    }

    /// Iterates over all names with their values **in clear text**, for `Command::envs`.
    ///
    /// A display name without a letter or digit gives an empty name, which is left out here. A value with a
    /// NUL character makes starting the process fail.
    pub fn envs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter()
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, value)| (name, value.expose_secret()))
    }

    /// Whether a name may be shown: a field that the service does not list may be a part of a secret.
    #[doc(hidden)]
    pub fn is_shown(&self, name: &str) -> bool {
        !self.hidden.contains(name)
    }

    /// The number of names in the export.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the export is empty: this machine may read nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The names that several secrets or fields share, of which only the last value is here.
    pub fn collisions(&self) -> &[Collision] {
        &self.collisions
    }

    /// Flattens the entries. Gives up when `in_time` returns `false`.
    pub(crate) fn from_entries(
        entries: Vec<ExportEntry>,
        in_time: &dyn Fn() -> bool,
    ) -> Result<Self, Malformed> {
        let mut building = Building::default();
        for entry in entries {
            if !in_time() {
                return Err(Malformed::OutOfTime);
            }
            let name = env_name(entry.name.as_deref().unwrap_or_default());
            let listed = field_names(entry.field_names.as_deref());
            let fields = listed.as_ref().and_then(|_| Fields::parse(&entry.value));
            match fields.filter(|fields| !fields.is_empty()) {
                Some(fields) => {
                    let listed: HashSet<&str> =
                        listed.iter().flatten().map(String::as_str).collect();
                    for (field, value) in fields.iter() {
                        let name = format!("{name}_{}", env_name(field));
                        let is_name = listed.contains(field) || text::is_field_name(field);
                        let source = match is_name {
                            true => format!("{}/{}", entry.id, text::name(field)),
                            false => format!("{}/{NOT_SHOWN}", entry.id),
                        };
                        if !is_name {
                            building.hidden.insert(name.clone());
                        }
                        building.add(name, source, value.clone());
                    }
                }
                None => building.add(name, entry.id, entry.value),
            }
            if building.entries.len() > NAMES_LIMIT {
                return Err(Malformed::Shape);
            }
        }
        Ok(building.finish())
    }
}

impl<'a> IntoIterator for &'a Export {
    type Item = (&'a str, &'a SecretString);
    type IntoIter = NamedValues<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.names().map(|name| {
                let name = shown(name, self.hidden.contains(name));
                (name, format_args!("[REDACTED]"))
            }))
            .finish()
    }
}

impl fmt::Debug for Collision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collision")
            .field("name", &shown(&self.name, self.hidden))
            .field(
                "secrets",
                &format_args!("[{}]", text::quoted_names(&self.secrets)),
            )
            .finish()
    }
}

/// Shown in place of a name that may be a secret itself.
const NOT_SHOWN: &str = "(a name that is not shown)";

fn shown(name: &str, hidden: bool) -> String {
    match hidden {
        true => NOT_SHOWN.to_owned(),
        false => text::name(name),
    }
}

#[derive(Default)]
struct Building {
    places: HashMap<String, usize>,
    entries: Vec<(String, SecretString)>,
    /// For each entry, the secrets and fields that share its name.
    sources: Vec<Vec<String>>,
    hidden: HashSet<String>,
}

impl Building {
    fn add(&mut self, name: String, source: String, value: SecretString) {
        match self.places.get(&name) {
            Some(&place) => {
                self.entries[place].1 = value;
                self.sources[place].push(source);
            }
            None => {
                self.places.insert(name.clone(), self.entries.len());
                self.entries.push((name, value));
                self.sources.push(vec![source]);
            }
        }
    }

    fn finish(self) -> Export {
        let names = self.entries.iter().map(|(name, _)| name);
        let collisions: Vec<Collision> = names
            .zip(self.sources)
            .filter(|(_, secrets)| secrets.len() > 1)
            .map(|(name, secrets)| Collision {
                name: name.clone(),
                secrets,
                hidden: self.hidden.contains(name),
            })
            .collect();
        if !collisions.is_empty() {
            let names = text::list(&collisions, |collision| {
                let name = shown(&collision.name, collision.hidden);
                format!("{name:?} of {}", text::quoted_names(&collision.secrets))
            });
            log!(
                warn,
                "several secrets of the export fold into one name, of which the last one counts: {names}"
            );
        }
        if self.places.contains_key("") {
            log!(
                warn,
                "a secret of the export has a name without a letter or digit from A to Z and 0 to \
                 9: no environment can hold it"
            );
        }
        let steering: Vec<&String> = self
            .entries
            .iter()
            .map(|(name, _)| name)
            .filter(|name| steers_programs(name))
            .collect();
        if !steering.is_empty() {
            log!(
                warn,
                "names of the export decide what a program loads or where it connects, if they \
                 become its environment: {}",
                text::list(&steering, |name| format!(
                    "{:?}",
                    shown(name, self.hidden.contains(*name))
                ))
            );
        }
        Export {
            entries: self.entries,
            collisions,
            hidden: self.hidden,
        }
    }
}

/// Whether a variable of this name changes what a program runs, loads or trusts, so that a user who may name
/// a secret could take over the program.
fn steers_programs(name: &str) -> bool {
    const NAMES: [&str; 41] = [
        "ALL_PROXY",
        "BASHOPTS",
        "BASH_ENV",
        "CDPATH",
        "CLASSPATH",
        "CURL_CA_BUNDLE",
        "EDITOR",
        "ENV",
        "GCONV_PATH",
        "GLIBC_TUNABLES",
        "HOME",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "IFS",
        "JAVA_OPTIONS",
        "JAVA_TOOL_OPTIONS",
        "JDK_JAVA_OPTIONS",
        "NODE_EXTRA_CA_CERTS",
        "NODE_OPTIONS",
        "NODE_PATH",
        "NO_PROXY",
        "PAGER",
        "PATH",
        "PERL5DB",
        "PERL5LIB",
        "PERL5OPT",
        "PERLLIB",
        "PROMPT_COMMAND",
        "PS4",
        "PYTHONHOME",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "REQUESTS_CA_BUNDLE",
        "RUBYLIB",
        "RUBYOPT",
        "SHELL",
        "SHELLOPTS",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        "TMPDIR",
        "ZDOTDIR",
    ];
    const PREFIXES: [&str; 5] = ["LD_", "DYLD_", "GIT_", "SIKKERKEY_", "BASH_FUNC_"];
    NAMES.binary_search(&name).is_ok() || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Makes the name of an environment variable: upper case by Unicode's rules, each run of characters outside
/// `A-Z0-9` as one `_`, and no `_` at the ends.
fn env_name(name: &str) -> String {
    let mut env = String::with_capacity(name.len());
    let mut gap = false;
    for c in name.chars().flat_map(char::to_uppercase) {
        if c.is_ascii_uppercase() || c.is_ascii_digit() {
            if gap && !env.is_empty() {
                env.push('_');
            }
            gap = false;
            env.push(c);
        } else {
            gap = true;
        }
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Vector {
        name: String,
        env: String,
    }

    #[test]
    fn names_fold_as_in_the_official_clients() {
        let vectors: Vec<Vector> =
            serde_json::from_str(include_str!("../../tests/vectors/env_names.json")).unwrap();
        assert!(!vectors.is_empty());
        for vector in vectors {
            assert_eq!(env_name(&vector.name), vector.env, "{:?}", vector.name);
        }
    }

    fn entry(id: &str, name: &str, value: &str, structured: bool) -> ExportEntry {
        ExportEntry {
            id: id.to_owned(),
            name: Some(name.to_owned()),
            value: value.into(),
            field_names: structured.then(|| "ho st,ho-st,a,b".to_owned()),
        }
    }

    fn export(entries: Vec<ExportEntry>) -> Export {
        Export::from_entries(entries, &|| true).unwrap()
    }

    fn plain(export: &Export) -> Vec<(&str, &str)> {
        export
            .iter()
            .map(|(name, value)| (name, value.expose_secret()))
            .collect()
    }

    #[test]
    fn structured_secrets_are_flattened_and_others_are_not() {
        let export = self::export(vec![
            entry("sk_1", "api key", "x", false),
            entry("sk_2", "DB Creds", r#"{"host":"h","max-conn":5}"#, true),
            entry("sk_3", "json", r#"{"a":"1"}"#, false),
            entry("sk_4", "empty", "{}", true),
            entry("sk_5", "list", "[1]", true),
            entry("sk_6", "broken", "{", true),
        ]);
        assert_eq!(
            plain(&export),
            [
                ("API_KEY", "x"),
                ("DB_CREDS_HOST", "h"),
                ("DB_CREDS_MAX_CONN", "5"),
                ("JSON", r#"{"a":"1"}"#),
                ("EMPTY", "{}"),
                ("LIST", "[1]"),
                ("BROKEN", "{"),
            ]
        );
        assert!(export.collisions().is_empty());
        assert_eq!(export.get("API_KEY").unwrap().expose_secret(), "x");
        assert!(export.get("api key").is_none());
        assert_eq!(export.len(), 7);
    }

    #[test]
    fn secrets_that_share_a_name_are_reported() {
        let export = self::export(vec![
            entry("sk_1", "db-host", "1", false),
            entry("sk_2", "other", "2", false),
            entry(
                "sk_3",
                "db",
                r#"{"host":"3","ho-st":"4","ho st":"5"}"#,
                true,
            ),
        ]);
        assert_eq!(
            plain(&export),
            [("DB_HOST", "3"), ("OTHER", "2"), ("DB_HO_ST", "5")]
        );
        let collisions: Vec<_> = export
            .collisions()
            .iter()
            .map(|c| (c.name.as_str(), c.secrets.join(" ")))
            .collect();
        assert_eq!(
            collisions,
            [
                ("DB_HOST", "sk_1 sk_3/host".to_owned()),
                ("DB_HO_ST", "sk_3/ho-st sk_3/ho st".to_owned()),
            ]
        );
    }

    #[test]
    fn an_empty_name_is_kept_and_never_becomes_a_variable() {
        let export = self::export(vec![
            entry("sk_1", "日本語", "x", false),
            entry("sk_2", "ok", "y", false),
        ]);
        assert_eq!(plain(&export), [("", "x"), ("OK", "y")]);
        assert_eq!(export.envs().collect::<Vec<_>>(), [("OK", "y")]);
    }

    #[test]
    fn field_names_that_name_nothing_make_a_single_value() {
        for names in [None, Some(""), Some(" , ")] {
            let entry = ExportEntry {
                field_names: names.map(str::to_owned),
                ..entry("sk_1", "db", r#"{"a":"1"}"#, false)
            };
            assert_eq!(plain(&export(vec![entry])), [("DB", r#"{"a":"1"}"#)]);
        }
    }

    #[test]
    fn a_key_that_is_not_listed_as_a_name_is_not_shown() {
        let value = r#"{"sk-live-4242":"1","sk live 4242":"2","a":"3","A":"4"}"#;
        let export = export(vec![entry("sk_1", "db", value, true)]);
        let shown = format!("{export:?} {:?}", export.collisions());
        assert!(
            !shown.contains("4242") && shown.contains("sk_1/a"),
            "{shown}"
        );
        assert!(export.get("DB_SK_LIVE_4242").is_some());
    }

    #[test]
    fn names_that_steer_programs_are_known() {
        for name in [
            "LD_PRELOAD",
            "PATH",
            "NODE_OPTIONS",
            "SIKKERKEY_API_URL",
            "ZDOTDIR",
        ] {
            assert!(steers_programs(name), "{name}");
        }
        for name in ["API_KEY", "DB_PATH", "PATHS", "HOMEPAGE", ""] {
            assert!(!steers_programs(name), "{name}");
        }
    }

    #[test]
    fn an_export_has_bounds_and_a_deadline() {
        let fields: Vec<String> = (0..9_000).map(|n| format!(r#""f{n}":1"#)).collect();
        let value = format!("{{{}}}", fields.join(","));
        let entries = |count: usize| -> Vec<ExportEntry> {
            let entry = |n| entry(&format!("sk_{n}"), &format!("n{n}"), &value, true);
            (0..count).map(entry).collect()
        };
        let large = Export::from_entries(entries(11), &|| true).unwrap();
        assert_eq!(large.len(), 99_000);
        let larger = Export::from_entries(entries(12), &|| true);
        assert!(matches!(larger, Err(Malformed::Shape)));
        let late = Export::from_entries(entries(1), &|| false);
        assert!(matches!(late, Err(Malformed::OutOfTime)));
    }

    #[test]
    fn debug_shows_names_only() {
        let export = self::export(vec![entry("sk_1", "a", "hunter2", false)]);
        assert_eq!(format!("{export:?}"), r#"{"A": [REDACTED]}"#);
    }
}
