use std::any::type_name;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{BuildHasher, RandomState};

use figment::error::Result;
use figment::value::Value;
use figment::{Error, Figment};
use serde::de::DeserializeOwned;
use sikkerkey::__private::{self, ConfigSource, Fingerprint};
use sikkerkey::{ConfigError, Live, LoadOptions, Loader, Schema, SecretRef, SikkerKey, Snapshot};

use crate::FigmentExt;
use crate::origin::PROBLEM;
use crate::redact;
use crate::references::References;
use crate::source::{Exports, Reading, Scope};

/// A figment that follows its secrets: files, environment and secrets, extracted again after each change.
///
/// A closure puts the layers together. It is called at the start, after each change and on each
/// [`refresh`](Live::refresh), and reads files and environment anew each time. [`References`] in its figment are
/// resolved automatically. The result is a [`Live`] with all its guarantees: one swap for everything that changed at
/// once, one read of each secret that changed, and the last good config stays if anything is wrong with the new one.
///
/// # Which secrets are followed
///
/// It follows the secrets of [`Secrets`](crate::Secrets) and of references, if they use this client. A secret that a
/// file names later is followed from the next change or refresh on. An [`Exported`](crate::Exported) is exported again
/// whenever the layers are put together, but polls do not look for changes of its secrets: combine it with secrets that
/// are followed, or call [`refresh`](Live::refresh).
///
/// # Parts
///
/// With serde, the place of a key's value inside `T` is not known. So listeners and resources of a
/// [`select`](Live::select) run after every swap. [`Change::touches`](sikkerkey::Change::touches) says whether a key
/// changed.
///
/// # Changes of files
///
/// Files are not watched. Call [`Live::refresh`] after one has changed, from a signal handler's thread or a file
/// watcher.
///
/// # The closure
///
/// The closure should only put layers together, and extract nothing: before the first secret is read, it is called once
/// with empty values, to learn which secrets the layers name. [Aliases](LoadOptions) of the live figment apply to every
/// secret that the layers name, after the aliases of a layer itself.
///
/// ```
/// # use sikkerkey_figment::figment;
/// # use sikkerkey_emulator::Emulator;
/// use figment::Figment;
/// use figment::providers::{Format, Serialized, Toml};
/// use serde::Deserialize;
/// use sikkerkey::{Live, SecretString, SikkerKey};
/// use sikkerkey_figment::LiveFigment;
///
/// #[derive(Deserialize)]
/// struct Config {
///     workers: usize,
///     password: SecretString,
/// }
///
/// # let vault = Emulator::builder()
/// #     .structured("sk_db_prod", [("password", "hunter2")])
/// #     .start()?;
/// # let sk = SikkerKey::new(vault.identity_path().display().to_string())?;
/// # let folder = tempfile::tempdir()?;
/// # std::env::set_current_dir(&folder)?;
/// std::fs::write("App.toml", "password = 'sikkerkey://sk_db_prod/password'")?;
/// let layers = || {
///     Figment::from(Serialized::default("workers", 4)).merge(Toml::file("App.toml"))
/// };
/// let live: Live<Config> = LiveFigment::new(&sk, layers).live()?;
/// assert_eq!(live.load().workers, 4);
/// # let _ = &live.load().password;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing is followed until live() is called"]
pub struct LiveFigment<F> {
    reading: Reading,
    layers: F,
}

impl<F: Fn() -> Figment + Send + 'static> LiveFigment<F> {
    /// Returns a live figment of the layers that `layers` puts together. Nothing is read yet.
    pub fn new(sk: impl AsRef<SikkerKey>, layers: F) -> Self {
        LiveFigment {
            reading: Reading::new(sk),
            layers,
        }
    }

    crate::source::load_options!();

    fn change(self, change: impl FnOnce(LoadOptions) -> LoadOptions) -> Self {
        LiveFigment {
            reading: self.reading.change(change),
            ..self
        }
    }

    /// Returns the figment as it is now, with its references resolved. It is for settings that are read once at the
    /// start, such as Rocket's own configuration.
    ///
    /// # Errors
    ///
    /// Those of [`References::resolve`].
    pub fn figment(&self) -> Result<Figment> {
        let mut layers = Layers::new(self.reading.clone(), &self.layers);
        let schema = layers.foretold()?;
        let snapshot = self.reading.fetch().snapshot(&schema);
        layers.of(&snapshot)
    }

    /// Extracts a `T` and follows its secrets: returns a [`Live`].
    ///
    /// # Errors
    ///
    /// All problems of the first extraction, without values.
    pub fn live<T>(self) -> std::result::Result<Live<T>, ConfigError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        self.live_with(|loader| loader)
    }

    /// Extracts and follows as [`live`](Self::live) does, with settings of a loader: a probe, `max_stale`, `grace`.
    ///
    /// ```no_run
    /// # use sikkerkey_figment::figment::Figment;
    /// # use sikkerkey::{ConfigError, Live, SikkerKey};
    /// # use sikkerkey_figment::LiveFigment;
    /// # #[derive(serde::Deserialize)]
    /// # struct Config { url: String }
    /// # fn answers(_: &str) -> bool { true }
    /// # fn live(sk: &SikkerKey, layers: fn() -> Figment) -> Result<Live<Config>, ConfigError> {
    /// LiveFigment::new(sk, layers).live_with(|loader| {
    ///     loader.probe(|config: &Config| match answers(&config.url) {
    ///         true => Ok(()),
    ///         false => Err("the database does not answer"),
    ///     })
    /// })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `live`, and the probe's.
    pub fn live_with<T>(
        self,
        settings: impl FnOnce(Loader<T>) -> Loader<T>,
    ) -> std::result::Result<Live<T>, ConfigError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let (source, loader) = self.parts(settings);
        __private::live_from(source, loader)
    }

    /// Extracts and follows as [`live`](Self::live) does, as a future on any async runtime. A thread of the client
    /// calls the closure, reads and extracts.
    ///
    /// # Errors
    ///
    /// Those of `live`.
    pub fn live_async<T>(
        self,
    ) -> impl Future<Output = std::result::Result<Live<T>, ConfigError>> + Send + 'static
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        self.live_with_async(|loader| loader)
    }

    /// Extracts and follows as [`live_with`](Self::live_with) does, as a future on any async runtime.
    ///
    /// # Errors
    ///
    /// Those of `live_with`.
    pub fn live_with_async<T>(
        self,
        settings: impl FnOnce(Loader<T>) -> Loader<T>,
    ) -> impl Future<Output = std::result::Result<Live<T>, ConfigError>> + Send + 'static
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let (source, loader) = self.parts(settings);
        __private::live_from_async(source, loader)
    }

    fn parts<T>(
        self,
        settings: impl FnOnce(Loader<T>) -> Loader<T>,
    ) -> (Box<dyn ConfigSource<T>>, Loader<T>)
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let loader = settings(__private::loader(self.reading.fetch()));
        let source = Layers::new(self.reading, self.layers);
        (Box::new(source), loader)
    }
}

/// Shows the vault's id, never a value.
impl<F> fmt::Debug for LiveFigment<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveFigment")
            .field("vault", &self.reading.sk.vault_id())
            .finish_non_exhaustive()
    }
}

struct Layers<F> {
    reading: Reading,
    layers: F,
    /// The snapshot of the last config: it tells which optional secrets exist.
    last: Snapshot,
    exports: Exports,
    /// The secrets that the last schema named.
    named: BTreeSet<SecretRef>,
    hasher: RandomState,
    /// The fingerprint of the last config.
    built: Fingerprint,
}

impl<F: Fn() -> Figment> Layers<F> {
    fn new(reading: Reading, layers: F) -> Self {
        Layers {
            reading,
            layers,
            last: Snapshot::default(),
            exports: Exports::new(),
            named: BTreeSet::new(),
            hasher: RandomState::new(),
            built: Fingerprint::default(),
        }
    }

    /// The layers with the secrets of a snapshot.
    fn of(&self, snapshot: &Snapshot) -> Result<Figment> {
        let exports = self.exports.clone();
        let scope = Scope::following(&self.reading, snapshot.clone(), exports);
        self.figment(scope).0
    }

    fn figment(&self, scope: Scope) -> (Result<Figment>, Scope) {
        scope.run(|| {
            // The worker must survive a panic of the program's closure.
            let figment = __private::contain(|| (self.layers)()).map_err(|_| {
                Error::from(format!(
                    "{PROBLEM}the closure that puts the layers together panicked"
                ))
            })?;
            // Without aliases: one schema reads every secret, and applies them.
            let reading = self.reading.clone();
            References::of(reading.change(LoadOptions::without_aliases)).resolve(figment)
        })
    }

    /// The secrets that the layers name now.
    fn foretold(&mut self) -> Result<Schema> {
        let scope = Scope::foretelling(&self.reading, self.last.clone());
        let (figment, scope) = self.figment(scope);
        let figment = figment?;
        // A broken layer is an error now, because its secrets are unknown.
        figment.extract::<Value>().map_err(|e| figment.redact(e))?;
        self.exports = scope.exports;
        Ok(scope.asked.into_iter().collect())
    }

    fn fingerprint_of(&self, figment: &Figment) -> Result<Fingerprint> {
        let mut keys = BTreeMap::new();
        flatten(
            figment,
            &figment.extract()?,
            &mut Vec::new(),
            &mut |path, value| {
                keys.insert(
                    path.join("."),
                    Some(self.hasher.hash_one(format!("{value:?}"))),
                );
            },
        );
        Ok(keys.into_iter().collect())
    }
}

/// Calls `each` with the keys of the config and their values. The keys inside a JSON value are a part of the secret,
/// so the value counts as one.
fn flatten(
    figment: &Figment,
    value: &Value,
    path: &mut Vec<String>,
    each: &mut impl FnMut(&[String], &dyn fmt::Debug),
) {
    match value {
        Value::Dict(_, dict) if !dict.is_empty() => {
            let (secret, known) = redact::split(figment, dict, path);
            if known.is_empty() && !path.is_empty() {
                return each(path, value);
            }
            for (key, value) in known {
                path.push(key.clone());
                flatten(figment, value, path, each);
                path.pop();
            }
            if !secret.is_empty() {
                path.push(redact::HIDDEN.to_owned());
                each(path, &secret);
                path.pop();
            }
        }
        Value::Array(_, array) if !array.is_empty() => {
            for (i, value) in array.iter().enumerate() {
                path.push(i.to_string());
                flatten(figment, value, path, each);
                path.pop();
            }
        }
        leaf => each(path, leaf),
    }
}

impl<T: DeserializeOwned, F: Fn() -> Figment + Send + 'static> ConfigSource<T> for Layers<F> {
    fn name(&self) -> &'static str {
        name::<T>()
    }

    fn schema(&mut self) -> std::result::Result<Schema, ConfigError> {
        let schema = self.foretold().map_err(problems::<T>)?;
        self.named = schema.secrets().into_iter().cloned().collect();
        Ok(schema)
    }

    fn build(
        &mut self,
        snapshot: &Snapshot,
        _running: Option<&Snapshot>,
    ) -> std::result::Result<T, ConfigError> {
        let figment = self.of(snapshot).map_err(problems::<T>)?;
        let config = figment.extract_secret().map_err(problems::<T>)?;
        self.built = self.fingerprint_of(&figment).map_err(problems::<T>)?;
        self.last = snapshot.clone();
        Ok(config)
    }

    fn fingerprint(&mut self, _: &Snapshot) -> Fingerprint {
        self.built.clone()
    }

    fn has_more_than_secrets(&self) -> bool {
        true
    }

    fn names_more(&mut self) -> bool {
        // The build reports what is wrong with the layers.
        let schema = self.foretold().unwrap_or_default();
        schema
            .secrets()
            .into_iter()
            .any(|secret| !self.named.contains(secret))
    }
}

/// The problems of a chain of redacted errors, each with its key and its source.
fn problems<T>(error: Error) -> ConfigError {
    let problems = error
        .into_iter()
        .map(|error| (error.path.join("."), error.to_string()));
    __private::config_error(name::<T>(), problems.collect())
}

/// `AppConfig` of `my_service::config::AppConfig<T>`.
fn name<T>() -> &'static str {
    let path = type_name::<T>().split('<').next().unwrap_or_default();
    path.rsplit("::").next().unwrap_or(path)
}
