use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::Live;
use super::change::{PartChange, part_changed};
use super::listener::Listener;
use super::loaded::Loaded;
use super::resource::{self, LiveResource};
use super::state::LiveState;

/// A part of a live config, whose listeners and resources follow only changes of its own keys; from
/// [`Live::select`].
///
/// # Which swaps count
///
/// A swap counts if it changes the key path of a field that the part spans, or lies within: `|c| &c.db` of a
/// nested struct for all of its fields, `|c| &c.db.password` for one, `|c| &c.flags.beta` for all of the
/// field `flags` that `json` reads. So a changed feature flag does not rebuild the database's pool.
///
/// Every swap counts if the fields of the part are unknown:
/// - for a value that a field keeps on the heap, such as `|c| c.host.as_str()` or an item of a `Vec` (select
///   the field instead; the fields of a nested struct are found in a `Box`, `Rc` or `Arc`, too);
/// - for a field with `skip`, and for a zero-sized field;
/// - for a config that does not derive `SikkerKeyConfig`: one of figment, [`fixed`](Live::fixed) or
///   [`manual`](Live::manual).
///
/// ```
/// # #[cfg(feature = "derive")] {
/// # let vault = sikkerkey_emulator::Emulator::builder()
/// #     .structured("sk_db", [("host", "db"), ("password", "hunter2-first")])
/// #     .secret("sk_flags", "off")
/// #     .start()?;
/// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
/// use sikkerkey::{Live, SecretString, SikkerKeyConfig};
///
/// #[derive(SikkerKeyConfig)]
/// struct Config {
///     #[sikkerkey(nested)]
///     db: Database,
///     #[sikkerkey(secret = "sk_flags")]
///     flags: String,
/// }
///
/// #[derive(SikkerKeyConfig)]
/// #[sikkerkey(secret = "sk_db")]
/// struct Database {
///     host: String,
///     password: SecretString,
/// }
///
/// struct Pool;
/// # impl Pool { fn connect(_: &Database) -> Result<Pool, std::io::Error> { Ok(Pool) } }
///
/// let live: Live<Config> = Config::live(&sk)?;
/// let pool = live.select(|c| &c.db).resource(|db| Pool::connect(db))?;
/// live.select(|c| &c.flags).on_change(|change| println!("flags: {}", change.after()));
/// # let _ = pool;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Select<T, U: ?Sized> {
    live: Live<T>,
    part: fn(&T) -> &U,
}

impl<T: Send + Sync + 'static, U: ?Sized + 'static> Select<T, U> {
    pub(super) fn new(live: Live<T>, part: fn(&T) -> &U) -> Self {
        Select { live, part }
    }

    /// Returns the current part: one atomic load, no lock.
    pub fn load(&self) -> LoadedPart<T, U> {
        LoadedPart {
            whole: self.live.load(),
            part: self.part,
        }
    }

    /// Calls `f` after each swap that counts for the part.
    ///
    /// Threads, panics, captured handles and the returned [`Listener`] are as with [`Live::on_change`].
    ///
    /// ```
    /// use sikkerkey::Live;
    ///
    /// let (live, control) = Live::manual(("db", 4));
    /// live.select(|config| &config.1)
    ///     .on_change(|change| println!("{} workers instead of {}", change.after(), change.before()));
    /// control.swap(("db", 8));
    /// ```
    pub fn on_change(&self, f: impl Fn(&PartChange<'_, U>) + Send + Sync + 'static) -> Listener {
        let part = self.part;
        let spanned = self.spanned();
        let core = Arc::downgrade(&self.live.core);
        self.live.on_change(move |change| {
            let Some(core) = core.upgrade() else {
                return;
            };
            let keys = |config: &T| spanned(&core, config);
            let (before, after) = (keys(change.before()), keys(change.after()));
            if part_changed(before.as_ref(), after.as_ref(), change.paths()) {
                f(&PartChange::of(change, part));
            }
        })
    }

    /// Builds a resource from the part now, and again after each swap that counts for it; see
    /// [`Live::resource`].
    ///
    /// # Errors
    /// The error of the first build.
    pub fn resource<R, E>(
        &self,
        build: impl Fn(&U) -> Result<R, E> + Send + Sync + 'static,
    ) -> Result<LiveResource<R>, E>
    where
        R: Send + Sync + 'static,
        E: 'static,
    {
        let part = self.part;
        resource::build(&self.live, self.spanned(), move |config: &T| {
            build(part(config))
        })
    }

    /// Builds an async [`resource`](Select::resource), whose builder gets a guard on the part; see
    /// [`Live::resource_async`].
    ///
    /// # Errors
    /// The error of the first build.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[cfg(feature = "tokio")]
    pub async fn resource_async<R, E, F>(
        &self,
        build: impl Fn(LoadedPart<T, U>) -> F + Send + Sync + 'static,
    ) -> Result<LiveResource<R>, E>
    where
        R: Send + Sync + 'static,
        E: Send + 'static,
        F: Future<Output = Result<R, E>> + Send + 'static,
    {
        let part = self.part;
        let build = move |config: Arc<T>| {
            build(LoadedPart {
                whole: Loaded::owned(config),
                part,
            })
        };
        resource::build_async(&self.live, self.spanned(), build).await
    }

    /// Returns a function that finds the keys of the part in a config.
    fn spanned(
        &self,
    ) -> impl Fn(&LiveState<T>, &T) -> Option<BTreeSet<String>> + Send + Sync + 'static {
        let part = self.part;
        move |core, config| core.spanned_by(config, part(config))
    }
}

impl<T, U: ?Sized> Clone for Select<T, U> {
    fn clone(&self) -> Self {
        Select {
            live: self.live.clone(),
            part: self.part,
        }
    }
}

impl<T, U: ?Sized> fmt::Debug for Select<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select").finish_non_exhaustive()
    }
}

/// A guard on a part of a config, as it was when it was loaded; dereferences to the part.
///
/// ```
/// use sikkerkey::Live;
///
/// struct Config {
///     db: Database,
/// }
///
/// struct Database {
///     host: String,
///     port: u16,
/// }
///
/// let live = Live::fixed(Config { db: Database { host: "db.internal".to_owned(), port: 5432 } });
/// let db = live.select(|config| &config.db);
/// let now = db.load(); // keep it for one piece of work: host and port are of one config
/// assert_eq!(format!("{}:{}", now.host, now.port), "db.internal:5432");
/// ```
pub struct LoadedPart<T, U: ?Sized> {
    whole: Loaded<T>,
    part: fn(&T) -> &U,
}

impl<T, U: ?Sized> Deref for LoadedPart<T, U> {
    type Target = U;

    fn deref(&self) -> &U {
        (self.part)(&self.whole)
    }
}

impl<T, U: ?Sized + fmt::Debug> fmt::Debug for LoadedPart<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
