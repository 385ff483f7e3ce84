//! The source of secrets for the layers of this crate: the service, or, while a live figment puts its layers together,
//! its snapshot.

use std::cell::RefCell;
use std::collections::BTreeMap;

use figment::Error;
use sikkerkey::{
    Export, Fetch, LoadOptions, Necessity, Problem, Requirement, Schema, SecretRef, SecretString,
    SikkerKey, Snapshot,
};

use crate::origin::PROBLEM;
/// The settings of a loader, for each type that has a method `change`.
macro_rules! load_options {
    () => {
        /// Replaces all options for finding and reading secrets. Defaults to [`LoadOptions::new`].
        pub fn options(self, options: LoadOptions) -> Self {
            self.change(|_| options)
        }

        /// Looks display names up in one project; see [`LoadOptions::project`]. Defaults to all projects.
        pub fn project(self, project: impl Into<String>) -> Self {
            self.change(|options| options.project(project))
        }

        /// Reads another secret in place of `from`; see [`LoadOptions::alias`]. Defaults to no alias.
        pub fn alias(self, from: impl Into<String>, to: impl Into<String>) -> Self {
            self.change(|options| options.alias(from, to))
        }

        /// Limits how many reads are under way at once; see [`LoadOptions::concurrency`]. Defaults to 8.
        pub fn concurrency(self, reads: usize) -> Self {
            self.change(|options| options.concurrency(reads))
        }
    };
}
pub(crate) use load_options;

/// A client, and the options for finding a schema's secrets.
#[derive(Clone)]
pub(crate) struct Reading {
    pub(crate) sk: SikkerKey,
    options: LoadOptions,
}

impl Reading {
    pub(crate) fn new(sk: impl AsRef<SikkerKey>) -> Self {
        Reading {
            sk: sk.as_ref().clone(),
            options: LoadOptions::new(),
        }
    }

    pub(crate) fn change(mut self, change: impl FnOnce(LoadOptions) -> LoadOptions) -> Self {
        self.options = change(self.options);
        self
    }

    /// The project and the application in which names are looked up.
    fn place(&self) -> Place {
        let owned = |name: Option<&str>| name.map(str::to_owned);
        let options = &self.options;
        (
            owned(options.project_name()),
            owned(options.application_name()),
        )
    }

    /// The project or the application of an export; `None` for everything.
    pub(crate) fn exported(&self) -> Option<&str> {
        let options = &self.options;
        options.project_name().or(options.application_name())
    }

    /// The aliases of these options, followed by those of the live figment that runs this.
    pub(crate) fn aliases(&self) -> BTreeMap<String, String> {
        SCOPE.with_borrow(|scope| {
            let scope = scope.as_ref().filter(|scope| scope.is_of(&self.sk));
            let outer = scope.map(|scope| scope.reading.options.alias_map());
            let mut aliases = outer.cloned().unwrap_or_default();
            for (from, to) in self.options.alias_map() {
                let to = outer.and_then(|outer| outer.get(to)).unwrap_or(to);
                aliases.insert(from.clone(), to.clone());
            }
            aliases
        })
    }

    /// A fetch with these options.
    pub(crate) fn fetch(&self) -> Fetch {
        Fetch::new(&self.sk).options(self.options.clone())
    }

    /// The secrets of `schema` from the live figment that runs this, if there is one.
    pub(crate) fn followed(&self, schema: &Schema) -> Option<Taken> {
        SCOPE.with_borrow_mut(|scope| scope.as_mut()?.take(self, schema))
    }

    /// The secrets of `schema`, read now.
    pub(crate) fn read(&self, schema: &Schema) -> Taken {
        Taken {
            snapshot: self.fetch().snapshot(schema),
            refusals: Vec::new(),
            foretold: false,
        }
    }

    /// Reads as a future, on any async runtime.
    pub(crate) async fn read_async(&self, schema: &Schema) -> Taken {
        Taken {
            snapshot: self.fetch().snapshot_async(schema).await,
            refusals: Vec::new(),
            foretold: false,
        }
    }

    /// Whether a live figment runs this. It keeps exports itself.
    pub(crate) fn is_followed(&self) -> bool {
        SCOPE.with_borrow(|scope| scope.as_ref().is_some_and(|scope| scope.is_of(&self.sk)))
    }

    /// An export: the one that a live figment keeps, or a new one.
    pub(crate) fn export(&self) -> Result<Export, sikkerkey::Error> {
        if let Some(export) = SCOPE.with_borrow(|scope| scope.as_ref()?.export(self)) {
            return Ok(export);
        }
        let place = self.place();
        let export = match &place {
            (Some(project), _) => self.sk.export_project(project),
            (None, Some(application)) => self.sk.export_application(application),
            (None, None) => self.sk.export(),
        }?;
        SCOPE.with_borrow_mut(|scope| {
            if let Some(scope) = scope.as_mut().filter(|scope| scope.is_of(&self.sk)) {
                scope.exports.insert(place, export.clone());
            }
        });
        Ok(export)
    }

    /// `requirement` with the id that its alias leads to.
    fn unaliased(&self, requirement: &Requirement) -> Requirement {
        let Some(id) = self.options.alias_map().get(requirement.secret().as_str()) else {
            return requirement.clone();
        };
        let by_id = Requirement::new(requirement.path(), SecretRef::Id(id.clone()))
            .with_kind(requirement.kind(), requirement.expected().to_owned())
            .with_necessity(requirement.necessity());
        let by_id = match requirement.field() {
            Some(field) => by_id.with_field(field),
            None => by_id,
        };
        match requirement.resync() {
            Some(resync) => by_id.with_resync(resync),
            None => by_id,
        }
    }
}

/// The secrets of one schema.
#[derive(Clone)]
pub(crate) struct Taken {
    snapshot: Snapshot,
    /// The problems of the options, if a live figment reads.
    refusals: Vec<Problem>,
    foretold: bool,
}

impl Taken {
    /// The text of `requirement`, or the problem with it.
    pub(crate) fn text(&self, requirement: &Requirement) -> Result<SecretString, Problem> {
        self.snapshot.text(requirement)
    }

    /// The problems of the options; with any, nothing is read.
    pub(crate) fn refusals(&self) -> Option<Error> {
        let problems = self.snapshot.refusals().iter().chain(&self.refusals);
        let error = |problem: &Problem| Error::from(format!("{PROBLEM}{problem}"));
        problems.map(error).rev().reduce(Error::chain)
    }

    /// Whether this run of the layers only finds out which secrets they name, before any is read.
    pub(crate) fn is_foretold(&self) -> bool {
        self.foretold
    }

    /// Whether a value is expected, as far as that is known before it is read.
    pub(crate) fn expects(&self, requirement: &Requirement) -> bool {
        requirement.necessity() == Necessity::Required || self.text(requirement).is_ok()
    }
}

thread_local! {
    /// Set while a live figment puts its layers together on this thread. The program's closure and figment make the
    /// layers, so it cannot be passed to them as an argument.
    static SCOPE: RefCell<Option<Scope>> = const { RefCell::new(None) };
}

/// The secrets for the layers of a live figment, and the ones that they name.
pub(crate) struct Scope {
    /// The client and the options of the live figment.
    reading: Reading,
    snapshot: Snapshot,
    foretell: bool,
    pub(crate) asked: Vec<Requirement>,
    pub(crate) exports: Exports,
}

/// The exports so far.
pub(crate) type Exports = BTreeMap<Place, Export>;

/// A project and an application.
type Place = (Option<String>, Option<String>);

impl Scope {
    /// A scope in which layers only name their secrets; those of `snapshot` are known.
    pub(crate) fn foretelling(reading: &Reading, snapshot: Snapshot) -> Self {
        Scope {
            reading: reading.clone(),
            snapshot,
            foretell: true,
            asked: Vec::new(),
            exports: Exports::new(),
        }
    }

    /// A scope in which layers take their secrets from `snapshot` and `exports`.
    pub(crate) fn following(reading: &Reading, snapshot: Snapshot, exports: Exports) -> Self {
        Scope {
            foretell: false,
            exports,
            ..Scope::foretelling(reading, snapshot)
        }
    }

    /// Runs `layers` in this scope.
    pub(crate) fn run<R>(self, layers: impl FnOnce() -> R) -> (R, Scope) {
        /// Restores the previous scope, also after a panic of the program's closure.
        struct Restore(Option<Scope>);
        impl Drop for Restore {
            fn drop(&mut self) {
                SCOPE.set(self.0.take());
            }
        }
        let empty = Scope::foretelling(&self.reading, Snapshot::default());
        let restore = Restore(SCOPE.replace(Some(self)));
        let result = layers();
        let ended = SCOPE.take().unwrap_or(empty);
        drop(restore);
        (result, ended)
    }

    /// Whether a client is of the same machine and vault, so that it reads the same.
    fn is_of(&self, sk: &SikkerKey) -> bool {
        let own = &self.reading.sk;
        own.vault_id() == sk.vault_id() && own.machine_id() == sk.machine_id()
    }

    fn take(&mut self, reading: &Reading, schema: &Schema) -> Option<Taken> {
        if !self.is_of(&reading.sk) {
            return None;
        }
        // A name of another project cannot be followed, because the snapshot has one place for a name. And one reader
        // cannot refuse canaries for all.
        let place = reading.place();
        let elsewhere = place != (None, None) && place != self.reading.place();
        if reading.options.refuses_canaries() && !self.reading.options.refuses_canaries() {
            return None;
        }
        let asked: Vec<_> = schema.iter().map(|r| reading.unaliased(r)).collect();
        let by_name = |r: &Requirement| matches!(r.secret(), SecretRef::Name(_));
        if elsewhere && asked.iter().any(by_name) {
            return None;
        }
        self.asked.extend(asked);
        Some(Taken {
            snapshot: self.snapshot.aliased(reading.options.alias_map(), schema),
            refusals: reading.options.problems(schema),
            foretold: self.foretell,
        })
    }

    fn export(&self, reading: &Reading) -> Option<Export> {
        let known = self.exports.get(&reading.place());
        known.filter(|_| self.is_of(&reading.sk)).cloned()
    }
}
