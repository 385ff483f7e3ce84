//! The machinery that the derive calls. One pass over the fields either describes a config or
//! builds it, so that a schema and what is read can never differ.

use std::rc::Rc;
use std::sync::Arc;

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

/// A struct that describes itself and builds itself, in one pass over its fields; what the derive
/// writes. `nested` asks for it where the nesting struct has a secret to hand on.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a config",
    label = "`SikkerKeyConfig` is not implemented for `{Self}`",
    note = "if it is a struct without the derive, add `#[derive(SikkerKeyConfig)]` to it"
)]
pub trait VisitNested: Sized {
    /// The config, or `None` where it is only described or a problem was reported.
    fn visit(from: &mut Reader<'_>) -> Option<Self>;

    /// Says where its fields lie.
    fn places(&self, to: &mut Places);
}

/// One that names its secret itself, so that it stands alone; what a struct with `inherit` is not.
/// It seals [`SikkerKeyConfig`](crate::SikkerKeyConfig).
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

/// `None` where not one of its values is there.
impl<T: VisitNested> VisitNested for Option<T> {
    fn visit(from: &mut Reader<'_>) -> Option<Self> {
        let begins = |build: &mut Build| !std::mem::replace(&mut build.looking, true);
        if from.build().is_some_and(begins) {
            // A look before: where nothing is there, no default is made, no `validate` is called.
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

/// The most structs inside each other. Only a struct that nests itself comes here.
const DEEPEST: usize = 64;

/// A place in a config while it is described or built.
#[derive(Debug)]
pub struct Reader<'a> {
    pass: &'a mut Pass,
    /// The path of the struct, with a dot behind it; empty for the outermost.
    prefix: String,
    /// What a field reads that names no secret.
    secret: Option<SecretRef>,
    /// How often that secret is read again.
    resync: Option<Resync>,
    /// The secret of the struct around this one.
    outer: Option<SecretRef>,
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
    /// The time by which values are judged that have an end of their own; `None` to take any.
    now: Option<i64>,
    /// Whether this pass only looks whether anything is there, good or bad.
    looking: bool,
    /// What it found.
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

/// Where a field's value comes from.
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

/// A field: its name as Rust spells it, its doc comment, which may be empty, and where its value
/// comes from.
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

/// What `T` reads.
pub(crate) fn schema<T: Visit>() -> Schema {
    match described::<T>().mode {
        Mode::Describe(schema) => schema,
        Mode::Build(_) => Schema::new(),
    }
}

fn described<T: Visit>() -> Pass {
    let mut pass = Pass::new(Mode::Describe(Schema::new()));
    // Describing gives no value: each field answers that it has none.
    let _ = T::visit(&mut pass.reader());
    pass
}

/// `T`, or every problem. `now`, in seconds since 1970, is the time by which a certificate must be valid; without one, an expired
/// one is as good as any.
pub(crate) fn build<T: Visit>(snapshot: &Snapshot, now: Option<i64>) -> Result<T, ConfigError> {
    if !snapshot.refusals().is_empty() {
        let config = described::<T>().config;
        return Err(ConfigError::new(config, snapshot.refusals().to_vec()));
    }
    let mut pass = Pass::new(Mode::Build(Build {
        snapshot: snapshot.clone(),
        parsed: Parsed::default(),
        problems: Vec::new(),
        now,
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

/// Where the keys of this config lie.
#[cfg_attr(not(feature = "live"), allow(dead_code))]
pub(crate) fn places<T: VisitNested>(config: &T) -> Places {
    let mut places = Places::new();
    config.places(&mut places);
    places
}

/// Says which struct is read, and which secret its fields are of.
pub fn enter(from: &mut Reader<'_>, name: &'static str, secret: Option<Secret>) {
    if from.pass.config.is_empty() {
        from.pass.config = name;
    }
    // A secret that is set already is the override of the struct around this one.
    if from.secret.is_none() {
        from.secret = secret.map(SecretRef::from);
    }
}

/// Says that the struct's fields are of the secret of the struct around it, unless that one named
/// another for it.
pub fn inherit(from: &mut Reader<'_>) {
    if from.secret.is_none() {
        from.secret = from.outer.clone();
    }
}

/// Says how often the struct's secret is read again, unless the struct around it said so.
pub fn resync(from: &mut Reader<'_>, resync: Resync) {
    from.resync.get_or_insert(resync);
}

/// A value that must be there, unless its type says that it may be absent.
///
/// As its siblings, it takes a field that the program holds and functions by their addresses: what
/// is made for each field is then one call, which is quickly compiled.
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

/// A value that is `None` where nothing is there.
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

/// A value that is made where nothing is there.
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

/// A value that is never read.
pub fn skipped<T>(default: fn() -> T) -> T {
    default()
}

/// A config inside this one, as the derive writes it.
#[derive(Clone, Copy, Debug)]
pub struct Nesting {
    name: &'static str,
    secret: Option<Secret>,
    resync: Option<Resync>,
}

/// A config inside this one: the field's name, and what stands in place of the config's own secret.
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

/// Another config inside this one.
pub fn nested_inherit<T: VisitNested>() -> Nested<T> {
    Nested {
        visit: T::visit,
        places: T::places,
    }
}

// One type for both, so that a field whose type is no config is one error of the compiler.
impl<T> Nested<T> {
    /// The config, or `None`, as [`VisitNested::visit`].
    pub fn read(self, from: &mut Reader<'_>, nesting: Nesting) -> Option<T> {
        (self.visit)(&mut from.inside(nesting))
    }

    /// Says where the fields of the config lie.
    pub fn place(self, to: &mut Places, name: &'static str, field: &T) {
        to.inside(name, |to| (self.places)(field, to));
    }
}

/// The config, if the user's function accepts it.
pub fn validated<T, E: 'static>(
    from: &mut Reader<'_>,
    config: T,
    validate: impl FnOnce(&T) -> Result<(), E>,
) -> Option<T> {
    // A config that is only described or looked for has no values.
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

/// What a field's place in the snapshot holds.
enum FieldValue<T> {
    Present(T),
    /// Nothing; the problem that this is where something must be.
    Absent(Problem),
}

impl Reader<'_> {
    /// What is there, or `None` where that was reported as a problem, or where the config is only
    /// described.
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
        let now = build.now;
        let valid = |value: T| {
            let validity = (parser.validity)(&value);
            match validity.and_then(|validity| validity.refusal_at(now?)) {
                Some(reason) => Err(Problem::new(ProblemKind::Invalid, reason)),
                None => Ok(value),
            }
        };
        match found.and_then(|text| parser.parse(&text)).and_then(valid) {
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
                // The derive refuses a struct where there is none.
                let none = || SecretRef::Name(String::new());
                (self.secret.clone().unwrap_or_else(none), Some(field))
            }
        }
    }

    /// A place that is that of an `Option`.
    fn optional(&mut self) -> Reader<'_> {
        Reader {
            prefix: self.prefix.clone(),
            secret: self.secret.clone(),
            resync: self.resync,
            outer: self.outer.clone(),
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
