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

/// A resolver of references: it replaces strings that name secrets by the secrets.
///
/// # Keys
///
/// A reference can be the value of any key in any layer, in tables and arrays at any depth: a string in the form of a
/// [`Reference`]. The whole string must be the reference. A reference inside a longer text, such as
/// `postgres://app:sikkerkey://sk_db/password@db`, is an error: store the whole URL as a secret, or give the password a
/// key of its own. A string that is almost a reference, such as `sikkerkey:/sk_x`, is an error, too. To keep such a
/// string as it is, write `sikkerkey:literal:` before it.
///
/// # Values
///
/// A value is a string, or of the type that `?as=` names. The value of a secret is used as it is: if it looks like a
/// reference, it is not resolved again. Each secret is read once, however often it is named, and secrets are read in
/// parallel.
///
/// All problems are reported together, each with its key and its file. An alias that fits no reference is a problem,
/// too.
///
/// # Profile
///
/// Only references that an extraction would see now are resolved: those that take effect in the selected, the default
/// and the global profile. A secret that only another profile names, or that a later layer replaces, is not read. So
/// select the profile and merge every layer first.
///
/// # When it is read
///
/// `resolve` reads at once, and returns a figment that has the values.
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
    /// Returns a resolver that reads with this client.
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

    /// Resolves every reference of a figment, and returns the figment with the secrets.
    ///
    /// # Errors
    ///
    /// One error in the chain for each malformed reference, each secret or field that is missing or denied, and each
    /// value that is not of the type that `?as=` names. No error contains a value.
    ///
    /// ```
    /// # use sikkerkey_figment::figment::Figment;
    /// # use sikkerkey_emulator::Emulator;
    /// # use sikkerkey::SikkerKey;
    /// use sikkerkey_figment::References;
    ///
    /// # let vault = Emulator::builder().start()?;
    /// # let sk = SikkerKey::new(vault.identity_path().display().to_string())?;
    /// let figment = Figment::from(("password", "sikkerkey://sk_db_prod/password"));
    /// let error = References::new(&sk).resolve(figment).unwrap_err(); // the vault has no such secret
    /// assert!(error.to_string().contains("sikkerkey://sk_db_prod/password"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resolve(&self, figment: Figment) -> Result<Figment> {
        let found = places::find(&figment)?;
        let schema: Schema = found.iter().filter_map(requirement).collect();
        let followed = self.reading.followed(&schema);
        let taken = followed.unwrap_or_else(|| self.reading.read(&schema));
        self.put(figment, found, &taken)
    }

    /// Resolves as [`resolve`](Self::resolve) does, as a future on any async runtime. Threads of the client read.
    ///
    /// # Errors
    ///
    /// Those of `resolve`.
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

    /// Replaces the references that were found by the secrets that were read.
    fn put(&self, figment: Figment, found: Vec<Found>, taken: &Taken) -> Result<Figment> {
        if let Some(refusals) = taken.refusals() {
            return Err(refusals);
        }
        if taken.is_foretold() {
            return Ok(figment);
        }
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

/// Shows the vault's id, never a value.
impl fmt::Debug for References {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("References")
            .field("vault", &self.reading.sk.vault_id())
            .finish_non_exhaustive()
    }
}
