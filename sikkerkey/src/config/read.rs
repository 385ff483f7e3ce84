//! The machinery that the derive calls. One pass over the fields either describes a config or
//! builds it, so that a schema and what is read can never differ.

use super::SikkerKeyConfig;
use super::error::{ConfigError, Problem, ProblemKind};
use super::find::{self, Parsed};
use super::parser::{Optional, Parser};
use super::schema::{Necessity, Requirement, Schema, SecretRef};
use super::snapshot::Snapshot;

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
pub enum Secret {
    /// By its id.
    Id(&'static str),
    /// By its display name.
    Name(&'static str),
}

/// Where a field's value comes from.
#[derive(Clone, Copy, Debug)]
pub enum Source {
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
    /// As Rust spells it.
    pub name: &'static str,
    /// From the doc comment; may be empty.
    pub description: &'static str,
    /// Where its value comes from.
    pub source: Source,
}

/// What `T` reads.
pub(super) fn schema<T: SikkerKeyConfig>() -> Schema {
    let mut pass = Pass::new(Mode::Describe(Schema::new()));
    // Describing gives no value: each field answers that it has none.
    let _ = T::__read(&mut pass.reader());
    match pass.mode {
        Mode::Describe(schema) => schema,
        Mode::Build(_) => Schema::new(),
    }
}

/// `T`, or every problem.
pub(super) fn build<T: SikkerKeyConfig>(snapshot: &Snapshot) -> Result<T, ConfigError> {
    let mut pass = Pass::new(Mode::Build(Build {
        snapshot: snapshot.clone(),
        parsed: Parsed::default(),
        problems: Vec::new(),
        anything: false,
    }));
    let config = T::__read(&mut pass.reader());
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
pub fn required<P: Parser>(from: &mut Reader<'_>, field: Field, parser: P) -> Option<P::Value> {
    let necessity = match P::absent() {
        Some(_) => Necessity::Optional,
        None => Necessity::Required,
    };
    from.value(field, parser, necessity, P::absent)
}

/// A value that is `None` where nothing is there.
pub fn optional<P: Parser>(
    from: &mut Reader<'_>,
    field: Field,
    parser: P,
) -> Option<Option<P::Value>> {
    from.value(field, Optional(parser), Necessity::Optional, || Some(None))
}

/// A value that is made where nothing is there.
pub fn or_default<P: Parser>(
    from: &mut Reader<'_>,
    field: Field,
    parser: P,
    default: impl FnOnce() -> P::Value,
) -> Option<P::Value> {
    from.value(field, parser, Necessity::Default, || Some(default()))
}

/// A value that is never read.
pub fn skipped<T>(default: impl FnOnce() -> T) -> T {
    default()
}

/// Another config inside this one.
pub fn nested<T: SikkerKeyConfig>(
    from: &mut Reader<'_>,
    name: &'static str,
    secret: Option<Secret>,
) -> Option<T> {
    let group = from.group.clone();
    T::__read(&mut from.inside(name, secret, group))
}

/// Another config inside this one, which is `None` where not one of its values is there.
pub fn nested_optional<T: SikkerKeyConfig>(
    from: &mut Reader<'_>,
    name: &'static str,
    secret: Option<Secret>,
) -> Option<Option<T>> {
    let path = format!("{}{name}", from.prefix);
    let before = from.build().map(|build| {
        let anything = std::mem::take(&mut build.anything);
        (anything, build.problems.len())
    });
    let config = T::__read(&mut from.inside(name, secret, Some(path)));
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
pub fn validated<T, E: Into<std::borrow::Cow<'static, str>>>(
    from: &mut Reader<'_>,
    config: T,
    validate: impl FnOnce(&T) -> Result<(), E>,
) -> Option<T> {
    let path = from.prefix.trim_end_matches('.').to_owned();
    let build = from.build()?;
    match validate(&config) {
        Ok(()) => Some(config),
        Err(text) => {
            let problem = Problem::new(ProblemKind::Validation, text.into());
            build.problems.push(problem.at(path));
            None
        }
    }
}

impl Reader<'_> {
    fn value<P: Parser>(
        &mut self,
        field: Field,
        parser: P,
        necessity: Necessity,
        absent: impl FnOnce() -> Option<P::Value>,
    ) -> Option<P::Value> {
        let path = format!("{}{}", self.prefix, field.name);
        let (secret, of) = self.source(field.source);
        let build = match &mut self.pass.mode {
            Mode::Build(build) => build,
            Mode::Describe(schema) => {
                let mut requirement = Requirement::new(path, secret)
                    .with_kind(parser.kind(), parser.expected())
                    .with_necessity(necessity)
                    .with_delimiter(parser.delimiter())
                    .with_description(field.description)
                    .with_group(self.group.clone());
                if let Some(of) = of {
                    requirement = requirement.with_field(of);
                }
                schema.push(requirement);
                return None;
            }
        };
        let found = find::find(&build.snapshot, &mut build.parsed, &secret, of);
        build.anything |= !matches!(&found, Err(problem) if problem.is_absence());
        let problem = match found {
            Ok(text) => match parser.parse(&text) {
                Ok(value) => return Some(value),
                Err(problem) => problem,
            },
            Err(problem) if problem.is_absence() => match absent() {
                Some(value) => return Some(value),
                None => problem,
            },
            Err(problem) => problem,
        };
        build.problems.push(problem.of(&secret, of).at(path));
        None
    }

    fn source(&self, source: Source) -> (SecretRef, Option<&'static str>) {
        match source {
            Source::Whole(secret) => (secret.into(), None),
            Source::FieldOf(secret, field) => (secret.into(), Some(field)),
            Source::FieldOfStruct(field) => {
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
