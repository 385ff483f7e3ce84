use std::any::type_name;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use super::requirement::SecretRef;
use crate::error::{Error, ErrorKind, Verdict};
use crate::text::one_line;

/// Every reason why a config could not be built, in the order of its fields.
///
/// `Display` is a report with one line for each problem. `{:#}` is the same on a single line, for a
/// log; it has at most the first 12 problems. `Debug` is the report too, because
/// `fn main() -> Result<(), ConfigError>` and a failed `expect` print that. None of them contains a
/// secret value, and neither does [`source`](StdError::source): the client's error for the first
/// secret that could not be read. A clone is cheap.
///
/// ```
/// # #[cfg(feature = "derive")] {
/// use sikkerkey::{ProblemKind, SikkerKeyConfig, Snapshot};
///
/// #[derive(Debug, SikkerKeyConfig)]
/// #[sikkerkey(secret = "sk_db_prod")]
/// struct Database {
///     host: String,
///     port: u16,
///     password: String,
/// }
///
/// let snapshot = Snapshot::from_iter([("sk_db_prod", r#"{"host": "db", "port": "65536"}"#)]);
/// let error = Database::from_snapshot(&snapshot).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "\
/// cannot build Database: 2 problems
///   port      sk_db_prod/port      not a u16: above 65535
///   password  sk_db_prod/password  no field \"password\"; the secret has \"host\", \"port\""
/// );
/// assert_eq!(
///     format!("{error:#}"),
///     "cannot build Database: 2 problems: port: sk_db_prod/port: not a u16: above 65535; \
///      password: sk_db_prod/password: no field \"password\"; the secret has \"host\", \"port\""
/// );
/// assert_eq!(error.problems()[0].kind(), ProblemKind::Invalid);
/// # }
/// ```
#[derive(Clone)]
pub struct ConfigError(Arc<ConfigErrorInner>);

struct ConfigErrorInner {
    failed: Failed,
    config: &'static str,
    problems: Vec<Problem>,
}

/// The operation that failed, for the report's first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    Build,
    /// A live config could not be refreshed.
    #[cfg_attr(not(feature = "live"), allow(dead_code))]
    Refresh,
    /// A live config was not returned, because its rules refuse it.
    #[cfg_attr(not(feature = "live"), allow(dead_code))]
    Use,
}

impl Failed {
    pub(super) fn verb(self) -> &'static str {
        match self {
            Failed::Build => "build",
            Failed::Refresh => "refresh",
            Failed::Use => "use",
        }
    }
}

impl ConfigError {
    pub(crate) fn new(config: &'static str, problems: Vec<Problem>) -> Self {
        Self::to(Failed::Build, config, problems)
    }

    /// Makes an error of another operation than building the config.
    pub(crate) fn to(failed: Failed, config: &'static str, problems: Vec<Problem>) -> Self {
        ConfigError(Arc::new(ConfigErrorInner {
            failed,
            config,
            problems,
        }))
    }

    /// The operation that failed.
    pub(super) fn failed(&self) -> Failed {
        self.0.failed
    }

    /// Makes the error of the config `T`, which could not be built.
    pub(crate) fn of<T: ?Sized>(problems: Vec<Problem>) -> Self {
        Self::new(short_name(type_name::<T>()), problems)
    }

    /// The config's name in the report.
    pub(super) fn config(&self) -> &'static str {
        self.0.config
    }

    /// Every problem, in the order of the fields; never empty.
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// Whether the service was unreachable for at least one secret, and nothing else is wrong.
    ///
    /// Each problem is then a secret whose read failed with [`Error::is_unavailable`]. False if one
    /// problem is of another kind, such as a denied secret: the config could not be built even if
    /// the service were reachable.
    ///
    /// ```
    /// use sikkerkey::{ConfigError, ErrorKind};
    ///
    /// assert!(ConfigError::from(ErrorKind::Network).is_unavailable());
    /// assert!(!ConfigError::from(ErrorKind::NotFound).is_unavailable());
    /// ```
    pub fn is_unavailable(&self) -> bool {
        self.is_made_of(Error::is_unavailable)
    }

    /// Whether the same load may succeed a little later: each problem is a secret whose read failed
    /// with [`Error::is_retryable`].
    ///
    /// The client has already repeated those reads when a load returns such an error.
    ///
    /// ```
    /// use sikkerkey::{ConfigError, ErrorKind};
    ///
    /// assert!(ConfigError::from(ErrorKind::RateLimited).is_retryable());
    /// assert!(!ConfigError::from(ErrorKind::AccessDenied).is_retryable());
    /// ```
    pub fn is_retryable(&self) -> bool {
        self.is_made_of(Error::is_retryable)
    }

    fn is_made_of(&self, failure: impl Fn(&Error) -> bool) -> bool {
        let failed = |problem: &Problem| problem.client_error().is_some_and(&failure);
        !self.problems().is_empty() && self.problems().iter().all(failed)
    }
}

/// Makes the error of a config that could not be built because of this error, for a test.
///
/// It has one problem without a path, whose kind is [`Missing`](ProblemKind::Missing) for
/// [`ErrorKind::NotFound`], [`Denied`](ProblemKind::Denied) for [`ErrorKind::AccessDenied`], and
/// [`Unavailable`](ProblemKind::Unavailable) otherwise. [`Problem::client_error`] returns the error.
///
/// ```
/// use sikkerkey::{ConfigError, Error, ErrorKind, ProblemKind};
///
/// let error = ConfigError::from(Error::from(ErrorKind::RateLimited));
/// assert_eq!(error.problems()[0].kind(), ProblemKind::Unavailable);
/// assert!(error.is_retryable() && !error.is_unavailable());
/// ```
impl From<Error> for ConfigError {
    fn from(error: Error) -> Self {
        ConfigError::new("the config", vec![Problem::caused_by(&error)])
    }
}

/// Makes an error of this kind, as [`From<Error>`](#impl-From<Error>-for-ConfigError) does.
impl From<ErrorKind> for ConfigError {
    fn from(kind: ErrorKind) -> Self {
        Error::from(kind).into()
    }
}

/// Shortens a type's name: `AppConfig` for `my_service::config::AppConfig<T>`.
pub(crate) fn short_name(full: &'static str) -> &'static str {
    let path = full.split('<').next().unwrap_or(full);
    path.rsplit("::").next().unwrap_or(path)
}

/// Makes an error of a config that another crate builds. Each problem is a key path and a text without a
/// secret value.
pub fn config_error(config: &'static str, problems: Vec<(String, String)>) -> ConfigError {
    let problems = problems.into_iter();
    let problem = |(path, text)| Problem::new(ProblemKind::Invalid, text).at(path);
    ConfigError::new(config, problems.map(problem).collect::<Vec<Problem>>())
}

/// Shows the report, also for `{:#?}`.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl StdError for ConfigError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.problems()
            .iter()
            .find_map(Problem::client_error)
            .map(|error| error as &(dyn StdError + 'static))
    }
}

/// The report's text for a secret that does not exist.
pub(super) const MISSING: &str = "missing: there is no such secret";

/// The report's text for a secret that this machine may not read.
pub(super) const DENIED: &str = "denied: this machine is not approved, or has no grant for it";

/// One reason why a config was refused; from [`ConfigError::problems`].
///
/// `Display` is one line: path, secret and field, and what is wrong.
///
/// ```
/// # #[cfg(feature = "derive")] {
/// use sikkerkey::{SikkerKeyConfig, Snapshot};
///
/// #[derive(Debug, SikkerKeyConfig)]
/// #[sikkerkey(secret = "sk_db_prod")]
/// struct Database {
///     port: u16,
/// }
///
/// let error = Database::from_snapshot(&Snapshot::from_iter([("sk_db_prod", "{}")])).unwrap_err();
/// let problem = &error.problems()[0];
/// assert_eq!((problem.path(), problem.field()), ("port", Some("port")));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Problem {
    path: Box<str>,
    secret: Option<SecretRef>,
    resolved_id: Option<Box<str>>,
    field: Option<Box<str>>,
    kind: ProblemKind,
    text: Box<str>,
    error: Option<Error>,
}

/// The class of a [`Problem`], for a program to branch on.
///
/// ```
/// use sikkerkey::{ConfigError, ErrorKind, Problem, ProblemKind};
///
/// /// What the person who reads the log has to do.
/// fn advice(problem: &Problem) -> String {
///     let secret = problem.resolved_id().unwrap_or("the secret");
///     match problem.kind() {
///         ProblemKind::Missing | ProblemKind::FieldMissing => format!("add {secret} to the vault"),
///         ProblemKind::Denied => format!("grant {secret} to this machine"),
///         ProblemKind::Unavailable => "wait for the service".to_owned(),
///         _ => problem.message().to_owned(),
///     }
/// }
///
/// let error = ConfigError::from(ErrorKind::AccessDenied);
/// assert_eq!(advice(&error.problems()[0]), "grant the secret to this machine");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The secret does not exist, or this machine does not see it by name.
    Missing,
    /// This machine may not read the secret.
    Denied,
    /// Several secrets have this display name.
    Ambiguous,
    /// The config reads a field, and the secret's value is not a JSON object.
    NotStructured,
    /// The secret has no such field, or it is `null`.
    FieldMissing,
    /// The text is not what the field's type expects.
    Invalid,
    /// The struct's `validate` refused it.
    Validation,
    /// Two values of the config contradict each other (such as two different `resync` for one secret), or a
    /// setting is impossible (such as an alias that fits no secret of the config).
    Conflict,
    /// The [probe](crate::Loader::probe) of a live config refused it.
    Probe,
    /// The secret is a canary, and [`LoadOptions::refuse_canaries`](crate::LoadOptions::refuse_canaries)
    /// was asked for. It was not read.
    Canary,
    /// The secret could not be read; [`Problem::client_error`] says why.
    Unavailable,
}

impl Problem {
    pub(crate) fn new(kind: ProblemKind, text: impl Into<Box<str>>) -> Self {
        Problem {
            path: Box::default(),
            secret: None,
            resolved_id: None,
            field: None,
            kind,
            text: text.into(),
            error: None,
        }
    }

    pub(crate) fn unavailable(error: &Error) -> Self {
        Self::of_error(
            ProblemKind::Unavailable,
            format!("not read: {error}"),
            error,
        )
    }

    /// The problem of a secret whose read failed.
    fn caused_by(error: &Error) -> Self {
        match error.verdict() {
            Some(Verdict::Missing) => Self::of_error(ProblemKind::Missing, MISSING, error),
            Some(Verdict::Denied) => Self::of_error(ProblemKind::Denied, DENIED, error),
            None => Self::unavailable(error),
        }
    }

    fn of_error(kind: ProblemKind, text: impl Into<Box<str>>, error: &Error) -> Self {
        let mut problem = Self::new(kind, text);
        problem.error = Some(error.clone());
        problem
    }

    /// The problem of a live config whose secret was deleted.
    #[cfg(feature = "live")]
    pub(crate) fn deleted() -> Self {
        Self::new(
            ProblemKind::Missing,
            "the secret was deleted; the last value stays in use",
        )
    }

    /// The problem of a live config whose secret this machine may no longer read.
    #[cfg(feature = "live")]
    pub(crate) fn denied() -> Self {
        Self::new(
            ProblemKind::Denied,
            "this machine may no longer read the secret; the last value stays in use",
        )
    }

    /// The problem of a config that is refused as a whole before it is swapped in.
    #[cfg(feature = "live")]
    pub(crate) fn probe(text: impl Into<Box<str>>) -> Self {
        Self::new(ProblemKind::Probe, text)
    }

    pub(crate) fn of(mut self, secret: &SecretRef, field: Option<&str>) -> Self {
        self.secret = Some(secret.clone());
        self.field = field.map(Box::from);
        self
    }

    /// Sets the id that an alias or a display name led to.
    pub(crate) fn resolved(mut self, id: Option<&str>) -> Self {
        self.resolved_id = id.map(Box::from);
        self
    }

    pub(crate) fn at(mut self, path: impl AsRef<str>) -> Self {
        // A key of a file or of the environment may hold anything.
        self.path = one_line(path.as_ref()).into();
        self
    }

    /// The path of the value in the config, as Rust spells it: `db.password`. Empty if the config as a whole
    /// was refused, for instance by its `validate`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The secret, as the config names it; `None` if the problem is not about one secret, as for
    /// [`ProblemKind::Validation`].
    pub fn secret(&self) -> Option<&SecretRef> {
        self.secret.as_ref()
    }

    /// The id of the secret that was read or looked for: the target of an alias or a display name, otherwise
    /// the id that the config names. `None` if a name fits no secret.
    pub fn resolved_id(&self) -> Option<&str> {
        self.resolved_id.as_deref()
    }

    /// The field of the secret; `None` if the whole secret is the value.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// The class of the problem, for a program to branch on.
    pub fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// The client's error, if the kind is [`ProblemKind::Unavailable`], or if the [`ConfigError`] was
    /// made from one.
    pub fn client_error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// The text of the problem, as in the report, without path and secret.
    pub fn message(&self) -> &str {
        &self.text
    }

    /// Whether the problem is only that the value is missing, which an `Option` or a default allows.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self.kind, ProblemKind::Missing | ProblemKind::FieldMissing)
    }
}

/// Two problems are equal if they report the same about the same value.
impl PartialEq for Problem {
    fn eq(&self, other: &Self) -> bool {
        let said = |problem: &Self| (problem.kind, problem.error.as_ref().map(Error::kind));
        said(self) == said(other)
            && (&self.path, &self.text) == (&other.path, &other.text)
            && (&self.secret, &self.resolved_id, &self.field)
                == (&other.secret, &other.resolved_id, &other.field)
    }
}

impl StdError for Problem {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.client_error()
            .map(|error| error as &(dyn StdError + 'static))
    }
}
