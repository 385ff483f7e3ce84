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
/// The key paths of [`schema`](SikkerKeyConfig::schema): the names of the struct's fields as Rust
/// has them, with a table for each nested struct, whatever the secret's own fields are called.
/// `rename_all` and `field` of the derive name the secret's side; the struct that is extracted
/// names the figment's side, with serde's attributes. Both can be the same struct.
///
/// # Values
///
/// Typed by the field: a password `12345` stays a string, a port becomes a number, a `json` field
/// becomes a table. A missing value that is optional or has a default is left out, so that another
/// layer can provide it. If an optional nested struct has some of its values, each one that it
/// requires must be there. All problems are one error of the figment; each names key, secret and
/// field, and of an alias both ids. Aliases that fit no secret of this provider are among the problems:
/// give each provider its own.
///
/// # Profile
///
/// The default one, unless [`profile`](Self::profile) or [`global`](Self::global) say otherwise.
///
/// # When it is read
///
/// When the provider is first merged into a figment: each secret once, in parallel. Clones share
/// what was read. To read again, make a new one; to follow changes, see
/// [`LiveFigment`](crate::LiveFigment).
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
    /// Makes a provider of the secrets that `T` reads.
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

    /// Puts the keys into the global profile, which no other overrides.
    pub fn global(self) -> Self {
        self.profile(Profile::Global)
    }

    /// Other settings read other secrets, so nothing is shared with earlier clones any more.
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

/// Whether something is there, good or bad.
fn is_there(text: &std::result::Result<SecretString, Problem>) -> bool {
    let absent = [ProblemKind::Missing, ProblemKind::FieldMissing];
    text.as_ref()
        .map_or_else(|problem| !absent.contains(&problem.kind()), |_| true)
}

/// Names the keys and where they come from, and no value.
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
