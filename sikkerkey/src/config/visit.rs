//! The machinery that the derive calls. One pass over the fields either describes a config or
//! builds it, so that a schema and what is read can never differ.

use super::error::{ConfigError, Problem, ProblemKind};
use super::lookup;
use super::lookup::Parsed;
use super::parser::Parser;
use super::requirement::{Necessity, Requirement, SecretRef};
use super::schema::Schema;
use super::snapshot::Snapshot;
use super::traits::Words;

/// A struct that describes itself and builds itself, in one pass over its fields; what the derive
/// writes. It seals [`SikkerKeyConfig`](crate::SikkerKeyConfig).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a config",
    label = "`SikkerKeyConfig` is not implemented for `{Self}`",
    note = "add `#[derive(SikkerKeyConfig)]` to `{Self}`"
)]
pub trait Visit: Sized {
    /// The config, or `None` where it is only described or a problem was reported.
    fn visit(from: &mut Reader<'_>) -> Option<Self>;
}

/// A place in a config while it is described or built.
#[derive(Debug)]
pub struct Reader<'a> {
    pass: &'a mut Pass,
    /// The path of the struct, with a dot behind it; empty for the outermost.
    prefix: String,
    /// What a field reads that names no secret.
    secret: Option<SecretRef>,
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
    /// Whether anything was there, good or bad, since this was last cleared.
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
#[allow(
    clippy::exhaustive_structs,
    reason = "hidden: the derive of the same version writes it"
)]
pub struct Field {
    /// As Rust spells it.
    pub name: &'static str,
    /// From the doc comment; may be empty.
    pub description: &'static str,
    /// Where its value comes from.
    pub source: FieldSource,
}

/// What `T` reads.
pub(crate) fn schema<T: Visit>() -> Schema {
    let mut pass = Pass::new(Mode::Describe(Schema::new()));
    // Describing gives no value: each field answers that it has none.
    let _ = T::visit(&mut pass.reader());
    match pass.mode {
        Mode::Describe(schema) => schema,
        Mode::Build(_) => Schema::new(),
    }
}

/// `T`, or every problem.
pub(crate) fn build<T: Visit>(snapshot: &Snapshot) -> Result<T, ConfigError> {
    let mut pass = Pass::new(Mode::Build(Build {
        snapshot: snapshot.clone(),
        parsed: Parsed::default(),
        problems: Vec::new(),
        anything: false,
    }));
    let config = T::visit(&mut pass.reader());
    let problems = match pass.mode {
        Mode::Build(build) => build.problems,
        Mode::Describe(_) => Vec::new(),
    };
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(ConfigError::new(pass.config, problems)),
    }
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

/// A value that must be there, unless its type says that it may be absent.
pub fn required<T>(from: &mut Reader<'_>, field: Field, parser: Parser<'_, T>) -> Option<T> {
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
pub fn optional<T>(
    from: &mut Reader<'_>,
    field: Field,
    parser: Parser<'_, T>,
) -> Option<Option<T>> {
    match from.value(field, &parser, Necessity::Optional)? {
        FieldValue::Present(value) => Some(Some(value)),
        FieldValue::Absent(_) => Some(None),
    }
}

/// A value that is made where nothing is there.
pub fn or_default<T>(
    from: &mut Reader<'_>,
    field: Field,
    parser: Parser<'_, T>,
    default: impl FnOnce() -> T,
) -> Option<T> {
    match from.value(field, &parser, Necessity::Default)? {
        FieldValue::Present(value) => Some(value),
        FieldValue::Absent(_) => Some(default()),
    }
}

/// A value that is never read.
pub fn skipped<T>(default: impl FnOnce() -> T) -> T {
    default()
}

/// Another config inside this one.
pub fn nested<T: Visit>(
    from: &mut Reader<'_>,
    name: &'static str,
    secret: Option<Secret>,
) -> Option<T> {
    let group = from.group.clone();
    T::visit(&mut from.inside(name, secret, group))
}

/// Another config inside this one, which is `None` where not one of its values is there.
pub fn nested_optional<T: Visit>(
    from: &mut Reader<'_>,
    name: &'static str,
    secret: Option<Secret>,
) -> Option<Option<T>> {
    let path = format!("{}{name}", from.prefix);
    let before = from.build().map(|build| {
        let anything = std::mem::take(&mut build.anything);
        (anything, build.problems.len())
    });
    let config = T::visit(&mut from.inside(name, secret, Some(path)));
    let (anything_before, problems_before) = before?;
    let build = from.build()?;
    if std::mem::replace(&mut build.anything, anything_before) {
        build.anything = true;
        return config.map(Some);
    }
    build.problems.truncate(problems_before);
    Some(None)
}

/// The config, if the user's function accepts it.
pub fn validated<T, E: Words>(
    from: &mut Reader<'_>,
    config: T,
    validate: impl FnOnce(&T) -> Result<(), E>,
) -> Option<T> {
    // A config that is only described has no values to look at.
    from.build()?;
    match validate(&config) {
        Ok(()) => Some(config),
        Err(text) => {
            let problem = Problem::new(ProblemKind::Validation, text.words());
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
        field: Field,
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
                schema.push(match of {
                    Some(of) => requirement.with_field(of),
                    None => requirement,
                });
                return None;
            }
        };
        let found = lookup::find(&build.snapshot, &mut build.parsed, &secret, of);
        let nothing = matches!(&found, Err(problem) if problem.is_absence());
        build.anything |= !nothing;
        match found.and_then(|text| parser.parse(&text)) {
            Ok(value) => Some(FieldValue::Present(value)),
            Err(problem) => {
                let problem = problem.of(&secret, of).at(path);
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

    fn inside(
        &mut self,
        name: &'static str,
        secret: Option<Secret>,
        group: Option<String>,
    ) -> Reader<'_> {
        Reader {
            prefix: format!("{}{name}.", self.prefix),
            secret: secret.map(SecretRef::from),
            group,
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
