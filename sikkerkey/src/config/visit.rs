//! Functions that the derive's code calls. One pass over the fields either describes a config or builds it,
//! so the schema and the fields that are read cannot differ.

use std::rc::Rc;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use super::error::{ConfigError, Problem, ProblemKind};
use super::lookup;
use super::lookup::Parsed;
use super::own_text::words_of;
use super::parser::Parser;
use super::places::Places;
use super::requirement::{Necessity, Requirement, SecretRef};
use super::schema::Schema;
use super::snapshot::Snapshot;
use crate::resync::Resync;

/// A struct that describes itself and builds itself in one pass over its fields. The derive implements it.
/// `nested` requires it if the outer struct has a secret to pass on.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a config",
    label = "`SikkerKeyConfig` is not implemented for `{Self}`",
    note = "if it is a struct without the derive, add `#[derive(SikkerKeyConfig)]` to it"
)]
pub trait VisitNested: Sized {
    /// Returns the config, or `None` if it is only described, or if a problem was reported.
    fn visit(from: &mut Reader<'_>) -> Option<Self>;

    /// Records the places of its fields.
    fn places(&self, to: &mut Places);
}

/// A config that names its own secrets, so it can be used alone. A struct with `inherit` does not implement
/// it. It seals [`SikkerKeyConfig`](crate::SikkerKeyConfig).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a config, or it cannot be used alone",
    label = "`SikkerKeyConfig` is not implemented for `{Self}`",
    note = "if it is a struct without the derive, add `#[derive(SikkerKeyConfig)]` to it",
    note = "if it has `#[sikkerkey(inherit)]`, its secret comes from the field that nests it: `#[sikkerkey(nested, secret = \"sk_…\")]`, or `nested` in a struct that names a secret",
    note = "if it is generic, each of its fields must be of a type that a secret can be read as"
)]
pub trait Visit: VisitNested {}

macro_rules! pointers {
    ($($pointer:ident)*) => {$(
        impl<T: VisitNested> VisitNested for $pointer<T> {
            fn visit(from: &mut Reader<'_>) -> Option<Self> {
                T::visit(from).map($pointer::new)
            }

            fn places(&self, to: &mut Places) {
                to.whole(self);
                (**self).places(to);
            }
        }

        impl<T: Visit> Visit for $pointer<T> {}
    )*};
}

pointers!(Box Rc Arc);

/// `None` if none of its values exists.
impl<T: VisitNested> VisitNested for Option<T> {
    fn visit(from: &mut Reader<'_>) -> Option<Self> {
        let begins = |build: &mut Build| !std::mem::replace(&mut build.looking, true);
        if from.build().is_some_and(begins) {
            // Look first: if no value exists, no default is made and no `validate` is called.
            from.build()?.anything = false;
            let _ = T::visit(&mut from.optional());
            let build = from.build()?;
            build.looking = false;
            if !build.anything {
                return Some(None);
            }
        }
        T::visit(&mut from.optional()).map(Some)
    }

    fn places(&self, to: &mut Places) {
        match self {
            Some(config) => config.places(to),
            None => to.whole(self),
        }
    }
}

impl<T: Visit> Visit for Option<T> {}

/// The deepest nesting of structs. Only a struct that nests itself reaches it.
const DEEPEST: usize = 64;

/// The current struct of a pass that describes or builds a config.
#[derive(Debug)]
pub struct Reader<'a> {
    pass: &'a mut Pass,
    /// The path of the struct, followed by a dot; empty for the outermost.
    prefix: String,
    /// The secret of fields that name none.
    secret: Option<SecretRef>,
    /// How often that secret is read again.
    resync: Option<Resync>,
    /// The secret of the struct around this one.
    outer: Option<SecretRef>,
    /// How often the outer secret is read again.
    outer_resync: Option<Resync>,
    depth: usize,
    /// The path of the innermost nested `Option` around the struct.
    group: Option<String>,
}

#[derive(Debug)]
struct Pass {
    /// The name of the outermost struct.
    config: &'static str,
    mode: Mode,
}

enum Mode {
    Describe(Schema),
    Build(Build),
}

struct Build {
    snapshot: Snapshot,
    parsed: Parsed,
    problems: Vec<Problem>,
    /// The time at which certificates must be valid; `None` to accept any.
    now: Option<i64>,
    /// The secrets of the config that runs already. A certificate in it may have expired since: the same one is
    /// accepted again, so that it does not block the changes of other secrets.
    running: Option<Snapshot>,
    /// Whether this pass only looks whether any value exists, valid or not.
    looking: bool,
    /// Whether it found a value.
    anything: bool,
}

/// A secret as the derive writes it.
#[derive(Clone, Copy, Debug)]
#[allow(
    clippy::exhaustive_enums,
    reason = "hidden: the derive of the same version writes it"
)]
pub enum Secret {
    /// By its id.
    Id(&'static str),
    /// By its display name.
    Name(&'static str),
}

/// The source of a field's value.
#[derive(Clone, Copy, Debug)]
#[allow(
    clippy::exhaustive_enums,
    reason = "hidden: the derive of the same version writes it"
)]
pub enum FieldSource {
    /// From a field of the struct's secret.
    FieldOfStruct(&'static str),
    /// From a field of a secret.
    FieldOf(Secret, &'static str),
    /// From a whole secret.
    Whole(Secret),
}

/// A field as the derive writes it.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    name: &'static str,
    description: &'static str,
    source: FieldSource,
    resync: Option<Resync>,
}

/// Describes a field: its name as Rust spells it, its doc comment (may be empty), and the source of its
/// value.
pub const fn field(name: &'static str, description: &'static str, source: FieldSource) -> Field {
    Field {
        name,
        description,
        source,
        resync: None,
    }
}

impl Field {
    /// Sets how often the secret is read again unasked.
    #[must_use]
    pub const fn resync(mut self, resync: Resync) -> Field {
        self.resync = Some(resync);
        self
    }
}

/// Returns the schema of `T`.
pub(crate) fn schema<T: Visit>() -> Schema {
    match described::<T>().mode {
        Mode::Describe(schema) => schema,
        Mode::Build(_) => Schema::new(),
    }
}

fn described<T: Visit>() -> Pass {
    let mut pass = Pass::new(Mode::Describe(Schema::new()));
    // Describing builds no value, so each field returns `None`.
    let _ = T::visit(&mut pass.reader());
    pass
}

/// Builds `T`, or returns every problem. `now`, in seconds since 1970, is the time at which certificates must
/// be valid; `None` also accepts expired ones.
pub(crate) fn build<T: Visit>(
    snapshot: &Snapshot,
    now: Option<i64>,
    running: Option<&Snapshot>,
) -> Result<T, ConfigError> {
    if !snapshot.refusals().is_empty() {
        let config = described::<T>().config;
        return Err(ConfigError::new(config, snapshot.refusals().to_vec()));
    }
    let mut pass = Pass::new(Mode::Build(Build {
        snapshot: snapshot.clone(),
        parsed: Parsed::default(),
        problems: Vec::new(),
        now,
        running: running.cloned(),
        looking: false,
        anything: false,
    }));
    let config = T::visit(&mut pass.reader());
    let mut problems = match pass.mode {
        Mode::Build(build) => build.problems,
        Mode::Describe(_) => Vec::new(),
    };
    problems.extend(schema::<T>().resyncs(snapshot).1);
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(ConfigError::new(pass.config, problems)),
    }
}

/// Returns the places of the config's keys.
#[cfg_attr(not(feature = "live"), allow(dead_code))]
pub(crate) fn places<T: VisitNested>(config: &T) -> Places {
    let mut places = Places::new();
    config.places(&mut places);
    places
}

/// Starts a struct: its name, and the secret that its fields are read from.
pub fn enter(from: &mut Reader<'_>, name: &'static str, secret: Option<Secret>) {
    if from.pass.config.is_empty() {
        from.pass.config = name;
    }
    // A secret that is already set comes from the outer struct, and takes precedence.
    if from.secret.is_none() {
        from.secret = secret.map(SecretRef::from);
    }
}

/// Reads the struct's fields from the secret of the outer struct, unless that struct named another secret for
/// it.
pub fn inherit(from: &mut Reader<'_>) {
    if from.secret.is_none() {
        from.secret = from.outer.clone();
        from.resync = from.resync.or(from.outer_resync);
    }
}

/// Sets how often the struct's secret is read again, unless the outer struct has set it.
pub fn resync(from: &mut Reader<'_>, resync: Resync) {
    from.resync.get_or_insert(resync);
}

/// Reads a required value. A missing value is a problem, unless its type allows it.
///
/// Like the functions below, it takes a static description of the field, and functions by address. So the
/// derive's code is one call for each field, which compiles quickly.
pub fn required<'p, T>(
    from: &mut Reader<'_>,
    field: &'static Field,
    parser: fn() -> Parser<'p, T>,
) -> Option<T> {
    let parser = parser();
    let necessity = match (parser.absent)() {
        Some(_) => Necessity::Optional,
        None => Necessity::Required,
    };
    let found = from.value(field, &parser, necessity)?;
    match found {
        FieldValue::Present(value) => Some(value),
        FieldValue::Absent(problem) => (parser.absent)().or_else(|| from.report(problem)),
    }
}

/// Reads an optional value, which is `None` if it is missing.
pub fn optional<'p, T>(
    from: &mut Reader<'_>,
    field: &'static Field,
    parser: fn() -> Parser<'p, T>,
) -> Option<Option<T>> {
    match from.value(field, &parser(), Necessity::Optional)? {
        FieldValue::Present(value) => Some(Some(value)),
        FieldValue::Absent(_) => Some(None),
    }
}

/// Reads a value with a default, which is made if the value is missing.
pub fn or_default<'p, T>(
    from: &mut Reader<'_>,
    field: &'static Field,
    parser: fn() -> Parser<'p, T>,
    default: fn() -> T,
) -> Option<T> {
    match from.value(field, &parser(), Necessity::Default)? {
        FieldValue::Present(value) => Some(value),
        FieldValue::Absent(_) => Some(default()),
    }
}

/// Makes a value that is never read from a secret, for `skip`.
pub fn skipped<T>(default: fn() -> T) -> T {
    default()
}

/// A nested config as the derive describes it.
#[derive(Clone, Copy, Debug)]
pub struct Nesting {
    name: &'static str,
    secret: Option<Secret>,
    resync: Option<Resync>,
}

/// Describes a nested config: the field's name, and the secret that replaces the config's own.
pub const fn nesting(name: &'static str, secret: Option<Secret>) -> Nesting {
    Nesting {
        name,
        secret,
        resync: None,
    }
}

impl Nesting {
    /// Sets how often the secret is read again unasked.
    #[must_use]
    pub const fn resync(mut self, resync: Resync) -> Nesting {
        self.resync = Some(resync);
        self
    }
}

/// How to visit the config in a field.
#[derive(Clone, Copy, Debug)]
pub struct Nested<T> {
    visit: fn(&mut Reader<'_>) -> Option<T>,
    places: fn(&T, &mut Places),
}

/// Reads a nested config that can inherit no secret.
pub fn nested<T: Visit>() -> Nested<T> {
    nested_inherit()
}

/// Reads a nested config that may inherit its secret.
pub fn nested_inherit<T: VisitNested>() -> Nested<T> {
    Nested {
        visit: T::visit,
        places: T::places,
    }
}

// One type for both, so a field whose type is not a config gives one compile error.
impl<T> Nested<T> {
    /// Returns the config or `None`, as [`VisitNested::visit`] does.
    pub fn read(self, from: &mut Reader<'_>, nesting: Nesting) -> Option<T> {
        (self.visit)(&mut from.inside(nesting))
    }

    /// Records the places of the config's fields.
    pub fn place(self, to: &mut Places, name: &'static str, field: &T) {
        to.inside(name, |to| (self.places)(field, to));
    }
}

/// Returns the config if the user's `validate` accepts it.
pub fn validated<T, E: 'static>(
    from: &mut Reader<'_>,
    config: T,
    validate: impl FnOnce(&T) -> Result<(), E>,
) -> Option<T> {
    // A pass that only describes or looks has no values to validate.
    from.build().filter(|build| !build.looking)?;
    match validate(&config) {
        Ok(()) => Some(config),
        Err(error) => {
            let words = words_of(&error, "`validate` refused it");
            let problem = Problem::new(ProblemKind::Validation, words);
            let path = from.prefix.trim_end_matches('.').to_owned();
            from.report(problem.at(path))
        }
    }
}

/// The result of reading a field.
enum FieldValue<T> {
    Present(T),
    /// The value is missing; the problem is reported if the field is required.
    Absent(Problem),
}

impl Reader<'_> {
    /// Reads a field. Returns `None` if a problem was reported, or if the config is only described.
    fn value<T>(
        &mut self,
        field: &Field,
        parser: &Parser<'_, T>,
        necessity: Necessity,
    ) -> Option<FieldValue<T>> {
        let path = format!("{}{}", self.prefix, field.name);
        let (secret, of) = self.source(field.source);
        let build = match &mut self.pass.mode {
            Mode::Build(build) => build,
            Mode::Describe(schema) => {
                let requirement = Requirement::new(path, secret)
                    .with_kind(parser.kind, parser.expected())
                    .with_necessity(necessity)
                    .with_delimiter(parser.delimiter)
                    .with_items(parser.items)
                    .with_description(field.description)
                    .with_group(self.group.clone());
                let requirement = match of {
                    Some(of) => requirement.with_field(of),
                    None => requirement,
                };
                let inherited = match field.source {
                    FieldSource::FieldOfStruct(_) => self.resync,
                    FieldSource::FieldOf(..) | FieldSource::Whole(_) => None,
                };
                schema.push(match field.resync.or(inherited) {
                    Some(resync) => requirement.with_resync(resync),
                    None => requirement,
                });
                return None;
            }
        };
        let found = lookup::find(&build.snapshot, &mut build.parsed, &secret, of);
        let nothing = matches!(&found, Err(problem) if problem.is_absence());
        build.anything |= !nothing;
        if build.looking {
            return None;
        }
        let (now, running) = (build.now, build.running.as_ref());
        let runs = |text: &SecretString| {
            let before = |running| lookup::find(running, &mut Parsed::default(), &secret, of).ok();
            let before = running.and_then(before);
            before.is_some_and(|before| before.expose_secret() == text.expose_secret())
        };
        let parsed = found.and_then(|text| {
            let value = parser.parse(&text)?;
            let validity = (parser.validity)(&value);
            match validity.and_then(|validity| validity.refusal_at(now?)) {
                Some(reason) if !runs(&text) => Err(Problem::new(ProblemKind::Invalid, reason)),
                _ => Ok(value),
            }
        });
        match parsed {
            Ok(value) => Some(FieldValue::Present(value)),
            Err(problem) => {
                let problem = problem.of(&secret, of).at(path);
                let problem = problem.resolved(build.snapshot.resolved_id(&secret));
                match nothing {
                    true => Some(FieldValue::Absent(problem)),
                    false => self.report(problem),
                }
            }
        }
    }

    fn report<T>(&mut self, problem: Problem) -> Option<T> {
        if let Some(build) = self.build() {
            build.problems.push(problem);
        }
        None
    }

    fn source(&self, source: FieldSource) -> (SecretRef, Option<&'static str>) {
        match source {
            FieldSource::Whole(secret) => (secret.into(), None),
            FieldSource::FieldOf(secret, field) => (secret.into(), Some(field)),
            FieldSource::FieldOfStruct(field) => {
                // The derive refuses such a struct without a secret.
                let none = || SecretRef::Name(String::new());
                (self.secret.clone().unwrap_or_else(none), Some(field))
            }
        }
    }

    /// Returns the reader for a struct inside an `Option`.
    fn optional(&mut self) -> Reader<'_> {
        Reader {
            prefix: self.prefix.clone(),
            secret: self.secret.clone(),
            resync: self.resync,
            outer: self.outer.clone(),
            outer_resync: self.outer_resync,
            depth: self.depth,
            group: Some(self.prefix.trim_end_matches('.').to_owned()),
            pass: self.pass,
        }
    }

    fn inside(&mut self, nesting: Nesting) -> Reader<'_> {
        let prefix = format!("{}{}.", self.prefix, nesting.name);
        assert!(
            self.depth < DEEPEST,
            "the config {} nests itself: {prefix}",
            self.pass.config
        );
        Reader {
            prefix,
            secret: nesting.secret.map(SecretRef::from),
            resync: nesting.resync,
            outer: self.secret.clone(),
            outer_resync: self.resync,
            depth: self.depth + 1,
            group: self.group.clone(),
            pass: self.pass,
        }
    }

    fn build(&mut self) -> Option<&mut Build> {
        match &mut self.pass.mode {
            Mode::Build(build) => Some(build),
            Mode::Describe(_) => None,
        }
    }
}

impl Pass {
    fn new(mode: Mode) -> Self {
        Pass { config: "", mode }
    }

    fn reader(&mut self) -> Reader<'_> {
        Reader {
            pass: self,
            prefix: String::new(),
            secret: None,
            resync: None,
            outer: None,
            outer_resync: None,
            depth: 0,
            group: None,
        }
    }
}

impl std::fmt::Debug for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Mode::Describe(_) => "Describe",
            Mode::Build(_) => "Build",
        })
    }
}

impl From<Secret> for SecretRef {
    fn from(secret: Secret) -> Self {
        match secret {
            Secret::Id(id) => SecretRef::Id(id.to_owned()),
            Secret::Name(name) => SecretRef::Name(name.to_owned()),
        }
    }
}
