pub(crate) mod places;

use std::collections::BTreeMap;
use std::fmt;

use figment::error::Result;
use figment::value::Value;
use figment::{Error, Figment};
use sikkerkey::{ExposeSecret, LoadOptions, Requirement, Schema, SikkerKey};

use self::places::{Found, Meaning};
use crate::origin::{self, Place};
use crate::reference::Reference;
use crate::source::{Reading, Taken};
use crate::typed;

/// A resolver of references: replaces the strings that name secrets by the secrets.
///
/// # Keys
///
/// Any key of any layer whose value is a string of the form of a [`Reference`], in tables and
/// arrays at any depth. The whole string is the reference. A reference inside a longer text, such
/// as `postgres://app:sikkerkey://sk_db/password@db`, is an error: store the whole URL as a secret,
/// or give the password a key of its own. So is a string that is almost a reference, such as
/// `sikkerkey:/sk_x`. For a string that is to stay as it is, write `sikkerkey:literal:` before it.
///
/// # Values
///
/// A string, or what `?as=` says. What a secret holds is taken as it is, whatever it looks like: a
/// secret that holds a reference is not resolved again. Each secret is read once, in parallel,
/// however often it is named.
///
/// Everything that is wrong is reported at once, each problem with its key and the file that it
/// stands in. Aliases that fit no reference are among the problems.
///
/// # Profile
///
/// What an extraction would give now is resolved: of the selected profile, the default and the
/// global one, the values that hold. A secret that only another profile names, or that a layer
/// above replaces, is not read. So select the profile and merge every layer first.
///
/// # When it is read
///
/// At once. The figment that is returned has the values; the one that was given is used up.
///
/// ```
/// # use sikkerkey_figment::figment;
/// # use sikkerkey_emulator::Emulator;
/// # use sikkerkey::SikkerKey;
/// use figment::Figment;
/// use figment::providers::{Format, Toml};
/// use sikkerkey_figment::References;
///
/// # let vault = Emulator::builder()
/// #     .structured("sk_db_prod", [("port", "5432"), ("password", "hunter2")])
/// #     .start()?;
/// # let sk = SikkerKey::new(vault.identity_path().display().to_string())?;
/// let figment = Figment::from(Toml::string(r#"
///     [db]
///     host = "db.example.com"
///     port = "sikkerkey://sk_db_prod/port?as=number"
///     password = "sikkerkey://sk_db_prod/password"
/// "#));
/// let figment = References::new(&sk).resolve(figment)?;
///
/// assert_eq!(figment.extract_inner::<u16>("db.port")?, 5432);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "references are resolved by `resolve`"]
pub struct References {
    reading: Reading,
}

impl References {
    /// Makes a resolver with a client. Each secret is read once, and no error holds a value.
    pub fn new(sk: impl AsRef<SikkerKey>) -> Self {
        References {
            reading: Reading::new(sk),
        }
    }

    pub(crate) fn of(reading: Reading) -> Self {
        References { reading }
    }

    crate::source::load_options!();

    fn change(self, change: impl FnOnce(LoadOptions) -> LoadOptions) -> Self {
        Self::of(self.reading.change(change))
    }

    /// Resolves every reference of a figment, and returns a figment with the secrets.
    ///
    /// # Errors
    ///
    /// Every malformed reference, every secret and field that is missing or denied, every value
    /// that is not what `?as=` says; one error each, in one chain.
    pub fn resolve(&self, figment: Figment) -> Result<Figment> {
        let found = places::find(&figment)?;
        let schema: Schema = found.iter().filter_map(requirement).collect();
        let followed = self.reading.followed(&schema);
        let taken = followed.unwrap_or_else(|| self.reading.read(&schema));
        if let Some(refusals) = taken.refusals() {
            return Err(refusals);
        }
        if taken.is_foretold() {
            return Ok(figment);
        }
        self.put(figment, found, &taken)
    }

    /// [`resolve`](Self::resolve) as a future, on any async runtime: threads of the client read.
    ///
    /// # Errors
    ///
    /// As `resolve`.
    pub fn resolve_async(
        &self,
        figment: Figment,
    ) -> impl Future<Output = Result<Figment>> + Send + use<> {
        let references = self.clone();
        async move {
            let found = places::find(&figment)?;
            let schema: Schema = found.iter().filter_map(requirement).collect();
            let taken = references.reading.read_async(&schema).await;
            references.put(figment, found, &taken)
        }
    }

    /// Puts what was taken in the place of what was found.
    fn put(&self, figment: Figment, found: Vec<Found>, taken: &Taken) -> Result<Figment> {
        let aliases = self.reading.aliases();
        let mut problems = Vec::new();
        let mut values = Vec::new();
        for found in found {
            match value(&found, taken, &aliases) {
                Ok(value) => values.push((found, value)),
                Err(said) => problems.push(found.problem(&figment, said)),
            }
        }
        if let Some(problems) = problems.into_iter().rev().reduce(Error::chain) {
            return Err(problems);
        }
        let given = figment.clone();
        values
            .into_iter()
            .try_fold(figment, |figment, (found, value)| {
                let metadata = match &found.written {
                    Ok(Meaning::Reference(reference)) => {
                        let name = format!("vault, named in {}", found.stands_in(&given));
                        let (path, from) = (found.path.clone(), reference.with_alias(&aliases));
                        origin::metadata(&name, self.reading.sk.vault_id(), move || {
                            let (path, from) = (path.clone(), from.clone());
                            vec![Place { path, from }]
                        })
                    }
                    _ => found.literal_metadata(&given),
                };
                found.replace(figment, value, metadata)
            })
    }
}

fn requirement(found: &Found) -> Option<Requirement> {
    match &found.written {
        Ok(Meaning::Reference(reference)) => Some(reference.requirement(&found.path.join("."))),
        _ => None,
    }
}

fn value(
    found: &Found,
    taken: &Taken,
    aliases: &BTreeMap<String, String>,
) -> std::result::Result<Value, String> {
    let reference: &Reference = match &found.written {
        Ok(Meaning::Reference(reference)) => reference,
        Ok(Meaning::Literal(text)) => return Ok(Value::from(text.as_str())),
        Err(malformed) => return Err(malformed.to_string()),
    };
    let requirement = reference.requirement(&found.path.join("."));
    let shown = || reference.with_alias(aliases);
    let text = taken
        .text(&requirement)
        .map_err(|problem| format!("{}: {}", shown(), problem.message()))?;
    typed::value(reference.kind, text.expose_secret())
        .map_err(|said| format!("{}: {said}", shown()))
}

/// Names the vault, and nothing that was read.
impl fmt::Debug for References {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("References")
            .field("vault", &self.reading.sk.vault_id())
            .finish_non_exhaustive()
    }
}
