use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use figment::error::Result;
use figment::value::{Dict, Map};
use figment::{Error, Metadata, Profile, Provider};
use sikkerkey::{Export, ExposeSecret, LoadOptions, SikkerKey, ValueKind};
use uncased::{Uncased, UncasedStr};

use crate::keys::Keys;
use crate::nest;
use crate::origin::{self, PROBLEM, Place};
use crate::source::Reading;
use crate::typed;

/// A provider of an export: the name of each secret, and of each field, becomes a key.
///
/// # Keys
///
/// The field `host` of a secret `DB_CREDS` is exported as `DB_CREDS_HOST`. Its key is the name in lower case,
/// `db_creds_host`. As in figment's `Env`, [`split`](Self::split) makes nested keys of names, [`map`](Self::map) and
/// [`filter_map`](Self::filter_map) change them, and [`only`](Self::only), [`ignore`](Self::ignore),
/// [`filter`](Self::filter) and [`prefixed`](Self::prefixed) choose among them. The steps apply in the order in which
/// they are called. Names are compared without regard to case.
///
/// # Values
///
/// Every value is a string, even a password `12345`. For numbers, `bool`s and lists, name their keys with
/// [`json`](Self::json), or use figment's `extract_lossy`. If several names become one key, the last one of the export
/// counts.
///
/// # Profile
///
/// The keys are in figment's default profile, unless [`profile`](Self::profile) or [`global`](Self::global) set
/// another.
///
/// # When it is read
///
/// The export is one request, made when the provider is first merged into a figment. Clones share its result. It reads
/// every secret in it, canaries (traps that raise an alarm) included. If you know which secrets you need, use
/// [`Secrets`](crate::Secrets) or [`References`](crate::References).
///
/// ```
/// # use sikkerkey_figment::figment;
/// # use sikkerkey_emulator::Emulator;
/// # use sikkerkey::SikkerKey;
/// use figment::Figment;
/// use sikkerkey_figment::Exported;
///
/// # let vault = Emulator::builder()
/// #     .structured("sk_db", [("host", "db.example.com"), ("port", "5432")])
/// #     .name("sk_db", "DB")
/// #     .project("sk_db", "proj_x")
/// #     .start()?;
/// # let sk = SikkerKey::new(vault.identity_path().display().to_string())?;
/// let figment = Figment::new()
///     .merge(Exported::project(&sk, "proj_x").split("_").json(&["db.port"]));
///
/// assert_eq!(figment.extract_inner::<String>("db.host")?, "db.example.com");
/// assert_eq!(figment.extract_inner::<u16>("db.port")?, 5432);
///
/// let hosts = Figment::new().merge(Exported::all(&sk).prefixed("DB_").only(&["host"]));
/// assert_eq!(hosts.extract_inner::<String>("host")?, "db.example.com");
/// assert!(hosts.find_value("port").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "a provider does nothing until a figment merges it"]
pub struct Exported {
    reading: Reading,
    keys: Keys,
    json: Vec<String>,
    profile: Profile,
    fetched: Arc<OnceLock<std::result::Result<Export, sikkerkey::Error>>>,
}

impl Exported {
    /// Returns a provider of every secret that this machine may read.
    pub fn all(sk: impl AsRef<SikkerKey>) -> Self {
        Exported {
            reading: Reading::new(sk),
            keys: Keys::new(),
            json: Vec::new(),
            profile: Profile::Default,
            fetched: Arc::default(),
        }
    }

    /// Returns a provider of the secrets of one project, given by id, that this machine may read.
    pub fn project(sk: impl AsRef<SikkerKey>, project: impl Into<String>) -> Self {
        Self::all(sk).options(LoadOptions::new().project(project))
    }

    /// Returns a provider of the secrets of one application, given by id, that this machine may read; see
    /// [`SikkerKey::export_application`].
    pub fn application(sk: impl AsRef<SikkerKey>, application: impl Into<String>) -> Self {
        Self::all(sk).options(LoadOptions::new().application(application))
    }

    /// Sets the project or the application of the export. Other options have no effect, because an export is one call
    /// with the service's own names. Defaults to the constructor's.
    pub fn options(self, options: LoadOptions) -> Self {
        Exported {
            reading: self.reading.change(|_| options),
            // A new cell, because earlier clones share the old one and its export.
            fetched: Arc::default(),
            ..self
        }
    }

    /// Keeps only names that begin with `prefix`, and strips the prefix. Defaults to all names.
    pub fn prefixed(self, prefix: impl Into<String>) -> Self {
        let prefix = prefix.into();
        self.filter_map(move |key| {
            let begins = key.starts_with(&prefix);
            begins.then(|| key.as_str()[prefix.len()..].into())
        })
    }

    /// Makes nested keys: each `pattern` in a name separates a table from its key. Defaults to flat keys.
    ///
    /// With `"_"`, `DB_HOST` becomes `db.host`.
    pub fn split(self, pattern: impl Into<String>) -> Self {
        let pattern = pattern.into();
        self.map(move |key| key.as_str().replace(&pattern, ".").into())
    }

    /// Replaces each name by the result of `map`. Defaults to the names of the export.
    pub fn map<F>(self, map: F) -> Self
    where
        F: Fn(&UncasedStr) -> Uncased<'_> + Send + Sync + 'static,
    {
        self.filter_map(move |key| Some(map(key)))
    }

    /// Leaves out each name for which `filter` returns false. Defaults to all names.
    pub fn filter<F>(self, filter: F) -> Self
    where
        F: Fn(&UncasedStr) -> bool + Send + Sync + 'static,
    {
        self.filter_map(move |key| filter(key).then(|| key.into()))
    }

    /// Replaces each name by the result of `map`, or leaves it out for `None`. Defaults to all names, unchanged.
    pub fn filter_map<F>(mut self, map: F) -> Self
    where
        F: Fn(&UncasedStr) -> Option<Uncased<'_>> + Send + Sync + 'static,
    {
        self.keys = self.keys.then(map);
        self
    }

    /// Keeps only these names. Defaults to all names.
    pub fn only(self, names: &[&str]) -> Self {
        let names = owned(names);
        self.filter(move |key| names.iter().any(|name| name == key))
    }

    /// Leaves out these names. Defaults to none.
    pub fn ignore(self, names: &[&str]) -> Self {
        let names = owned(names);
        self.filter(move |key| !names.iter().any(|name| name == key))
    }

    /// Sets whether keys are in lower case. Defaults to true.
    pub fn lowercase(mut self, lowercase: bool) -> Self {
        self.keys = self.keys.lowercase(lowercase);
        self
    }

    /// Parses the values of these keys as JSON: numbers, `bool`s, lists and tables. Write the keys as they are after
    /// all steps, such as `db.port`. Defaults to none: every value is a string.
    pub fn json(mut self, keys: &[&str]) -> Self {
        self.json.extend(keys.iter().map(|key| (*key).to_owned()));
        self
    }

    /// Puts the keys into `profile`. Defaults to figment's default profile.
    pub fn profile(mut self, profile: impl Into<Profile>) -> Self {
        self.profile = profile.into();
        self
    }

    /// Puts the keys into the global profile, which no other overrides. Defaults to figment's default profile.
    pub fn global(self) -> Self {
        self.profile(Profile::Global)
    }

    fn fetch(&self) -> Result<Export> {
        let exported = match self.reading.is_followed() {
            true => self.reading.export(),
            false => self.fetched.get_or_init(|| self.reading.export()).clone(),
        };
        // For the metadata, which has the names of the export.
        self.fetched.get_or_init(|| exported.clone());
        exported.map_err(|error| Error::from(format!("{PROBLEM}the export failed: {error}")))
    }
}

fn owned(names: &[&str]) -> Vec<Uncased<'static>> {
    let owned = |name: &&str| Uncased::from((*name).to_owned());
    names.iter().map(owned).collect()
}

impl Provider for Exported {
    fn metadata(&self) -> Metadata {
        let (fetched, keys) = (Arc::clone(&self.fetched), self.keys.clone());
        let places = move || {
            // By key, because the last of several names that become one key counts.
            let mut places = BTreeMap::new();
            if let Some(Ok(export)) = fetched.get() {
                // A name that may be a part of a secret is not shown.
                let names = export.iter().map(|(name, _)| name);
                let names = names.filter(|name| export.is_shown(name));
                places.extend(names.filter_map(|name| Some((keys.path(name)?, name.to_owned()))));
            }
            let place = |(path, from)| Place { path, from };
            places.into_iter().map(place).collect()
        };
        let name = match self.reading.exported() {
            Some(of) => format!("export of {of}"),
            None => "export".to_owned(),
        };
        origin::metadata(&name, self.reading.sk.vault_id(), places)
    }

    fn data(&self) -> Result<Map<Profile, Dict>> {
        let mut dict = Dict::new();
        let mut problems = None::<Error>;
        for (name, value) in self.fetch()?.iter() {
            let Some(path) = self.keys.path(name) else {
                continue;
            };
            let json = self.json.contains(&path.join("."));
            let kind = if json {
                ValueKind::Json
            } else {
                ValueKind::String
            };
            match typed::value(kind, value.expose_secret()) {
                Ok(value) => {
                    let path: Vec<&str> = path.iter().map(String::as_str).collect();
                    nest::insert(&mut dict, &path, value);
                }
                Err(said) => {
                    // figment keeps only the metadata of the first error of a chain.
                    let key = path.join(".");
                    let problem = Error::from(format!("{PROBLEM}{key} ({name}): {said}"));
                    problems = Some(match problems {
                        Some(earlier) => earlier.chain(problem),
                        None => problem,
                    });
                }
            }
        }
        match problems {
            Some(problems) => Err(problems),
            None => Ok(self.profile.collect(dict)),
        }
    }
}

/// Shows the project or application of the export, never a value.
impl fmt::Debug for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exported")
            .field("of", &self.reading.exported())
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}
