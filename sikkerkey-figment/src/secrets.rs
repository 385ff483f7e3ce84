use std::fmt;
use std::sync::{Arc, OnceLock};

use figment::error::Result;
use figment::value::{Dict, Empty, Map, Value};
use figment::{Error, Metadata, Profile, Provider};
use sikkerkey::{
    ExposeSecret, LoadOptions, Problem, ProblemKind, Requirement, Schema, SecretString, SikkerKey,
    SikkerKeyConfig,
};

use crate::nest;
use crate::origin::{self, PROBLEM, Place};
use crate::reference::Reference;
use crate::source::{Reading, Taken};
use crate::typed;

/// A provider of exactly the keys that a config struct reads from SikkerKey.
///
/// # Keys
///
/// The keys are the paths of [`schema`](SikkerKeyConfig::schema): the Rust names of the struct's fields, with a table
/// for each nested struct. The names of the secret's own fields do not matter here: `rename_all` and `field` of the
/// derive map them. The struct that is extracted names its keys with serde's attributes. Both can be the same struct.
///
/// # Values
///
/// Values have the types of the fields: a password `12345` stays a string, a port becomes a number, a `json` field
/// becomes a table. A missing value that is optional or has a default is left out, so that another layer can provide
/// it. If an optional nested struct has any of its values, it must have all that it requires. All problems are reported
/// together, as one error of the figment; each names key, secret and field, and for an alias both ids. An alias that
/// fits no secret of this provider is a problem, too, so give each provider its own aliases.
///
/// # Profile
///
/// The keys are in figment's default profile, unless [`profile`](Self::profile) or [`global`](Self::global) set
/// another.
///
/// # When it is read
///
/// Each secret is read once, in parallel with others, when the provider is first merged into a figment. Clones share
/// the values. To read again, make a new provider; to follow changes, use [`LiveFigment`](crate::LiveFigment).
///
/// ```
/// # use sikkerkey_figment::figment;
/// # use sikkerkey_emulator::Emulator;
/// use figment::Figment;
/// use figment::providers::{Format, Toml};
/// use serde::Deserialize;
/// use sikkerkey::{SecretString, SikkerKey, SikkerKeyConfig};
/// use sikkerkey_figment::Secrets;
///
/// #[derive(Deserialize, SikkerKeyConfig)]
/// #[sikkerkey(secret = "sk_db_prod")]
/// struct Database {
///     #[sikkerkey(default = 5432)]
///     port: u16,
///     password: SecretString,
/// }
///
/// # let vault = Emulator::builder()
/// #     .structured("sk_db_prod", [("password", "12345")])
/// #     .start()?;
/// # let sk = SikkerKey::new(vault.identity_path().display().to_string())?;
/// let database: Database = Figment::new()
///     .merge(Toml::string("port = 5433"))
///     .merge(Secrets::of::<Database>(&sk))
///     .extract()?;
/// assert_eq!(database.port, 5433);
/// # let _ = database.password;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "a provider does nothing until a figment merges it"]
pub struct Secrets {
    reading: Reading,
    schema: Arc<Schema>,
    profile: Profile,
    taken: Arc<OnceLock<Taken>>,
}

impl Secrets {
    /// Returns a provider of the secrets that `T` reads. Nothing is read yet.
    pub fn of<T: SikkerKeyConfig>(sk: impl AsRef<SikkerKey>) -> Self {
        Secrets {
            reading: Reading::new(sk),
            schema: Arc::new(T::schema()),
            profile: Profile::Default,
            taken: Arc::default(),
        }
    }

    crate::source::load_options!();

    /// Puts the keys into `profile`. Defaults to figment's default profile.
    pub fn profile(mut self, profile: impl Into<Profile>) -> Self {
        self.profile = profile.into();
        self
    }

    /// Puts the keys into the global profile, which no other overrides. Defaults to figment's default profile.
    pub fn global(self) -> Self {
        self.profile(Profile::Global)
    }

    /// Changes the options. Other options can name other secrets, so earlier clones keep their own values.
    fn change(self, change: impl FnOnce(LoadOptions) -> LoadOptions) -> Self {
        Secrets {
            reading: self.reading.change(change),
            taken: Arc::default(),
            ..self
        }
    }
}

impl Provider for Secrets {
    fn metadata(&self) -> Metadata {
        let schema = Arc::clone(&self.schema);
        let aliases = self.reading.aliases();
        let places = move || {
            let place = |requirement: &Requirement| Place {
                path: keys(requirement).map(str::to_owned).collect(),
                from: Reference::of(requirement).with_alias(&aliases),
            };
            schema.iter().map(place).collect()
        };
        origin::metadata("vault", self.reading.sk.vault_id(), places)
    }

    fn data(&self) -> Result<Map<Profile, Dict>> {
        let followed = self.reading.followed(&self.schema);
        let taken = match &followed {
            Some(taken) => taken,
            None => self.taken.get_or_init(|| self.reading.read(&self.schema)),
        };
        if let Some(refusals) = taken.refusals() {
            return Err(refusals);
        }
        let aliases = self.reading.aliases();
        let mut dict = Dict::new();
        if taken.is_foretold() {
            for requirement in self.schema.iter().filter(|one| taken.expects(one)) {
                let path: Vec<&str> = keys(requirement).collect();
                nest::insert(&mut dict, &path, Value::from(Empty::None));
            }
            return Ok(self.profile.collect(dict));
        }
        let texts: Vec<_> = self.schema.iter().map(|one| taken.text(one)).collect();
        let there: Vec<bool> = texts.iter().map(is_there).collect();
        let may_be_absent = self.schema.may_be_absent(&there);
        let mut problems = Vec::new();
        for (i, (requirement, text)) in self.schema.iter().zip(texts).enumerate() {
            let path: Vec<&str> = keys(requirement).collect();
            let text = match text {
                Ok(text) => text,
                Err(_) if !there[i] && may_be_absent[i] => continue,
                Err(problem) => {
                    problems.push(format!("{PROBLEM}{problem}"));
                    continue;
                }
            };
            match typed::of(requirement, text.expose_secret()) {
                Ok(value) => nest::insert(&mut dict, &path, value),
                Err(said) => {
                    let path = requirement.path();
                    let reference = Reference::of(requirement).with_alias(&aliases);
                    problems.push(format!("{PROBLEM}{path}: {reference}: {said}"));
                }
            }
        }
        let problems = problems.into_iter().map(Error::from).rev();
        match problems.reduce(Error::chain) {
            Some(problems) => Err(problems),
            None => Ok(self.profile.collect(dict)),
        }
    }
}

fn keys(requirement: &Requirement) -> impl Iterator<Item = &str> {
    requirement.path().split('.')
}

/// Whether a value exists, usable or not.
fn is_there(text: &std::result::Result<SecretString, Problem>) -> bool {
    let absent = [ProblemKind::Missing, ProblemKind::FieldMissing];
    text.as_ref()
        .map_or_else(|problem| !absent.contains(&problem.kind()), |_| true)
}

/// Shows the keys with their references, never a value.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_map();
        let aliases = self.reading.aliases();
        for requirement in self.schema.iter() {
            let reference = Reference::of(requirement).with_alias(&aliases);
            debug.entry(&requirement.path(), &reference);
        }
        debug.finish()
    }
}
