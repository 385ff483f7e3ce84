mod compare;
mod shown;

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use self::compare::{compare, id_of, judge};
use super::error::Problem;
use super::requirement::{Requirement, SecretRef};
use super::schema::Schema;
use super::snapshot::Link;
use crate::protocol::details::{SecretDetails, SecretKind};

/// A pre-flight report: what a machine would find if it loaded a config now. No value is read.
///
/// `Display` is a table with a line for each requirement, then one for each of the
/// [refusals](Self::refusals) and of the [unneeded](Self::unneeded) secrets; `Serialize` writes
/// them as a list. [`SikkerKeyConfig::check`](crate::SikkerKeyConfig::check) makes it.
///
/// The first column of the table is `ok`, `??` if the list cannot tell, and `!!` for a problem.
///
/// ```
/// # #[cfg(feature = "derive")] {
/// # let vault = sikkerkey_emulator::Emulator::builder().secret("sk_workers", "4").start()?;
/// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
/// use sikkerkey::{CheckStatus, SikkerKeyConfig};
///
/// #[derive(SikkerKeyConfig)]
/// struct Config {
///     #[sikkerkey(secret = "sk_workers")]
///     workers: usize,
///     #[sikkerkey(secret = "sk_region")]
///     region: String,
/// }
///
/// let report = Config::check(&sk)?;
/// let missing: Vec<_> = report.problems().map(|check| check.requirement().path()).collect();
/// assert_eq!(missing, ["region"]);
/// assert_eq!(report.problems().next().map(|check| check.status()), Some(CheckStatus::Missing));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CheckReport {
    checks: Vec<Check>,
    refusals: Vec<Problem>,
    unneeded: Vec<SecretDetails>,
}

/// One value of a config, and whether the machine would find it; from [`CheckReport::iter`].
///
/// ```
/// # #[cfg(feature = "derive")] {
/// # let vault = sikkerkey_emulator::Emulator::builder()
/// #     .structured("sk_db", [("hostname", "db.internal")])
/// #     .start()?;
/// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
/// use sikkerkey::SikkerKeyConfig;
///
/// #[derive(SikkerKeyConfig)]
/// #[sikkerkey(secret = "sk_db")]
/// struct Database {
///     host_name: String,
/// }
///
/// let report = Database::check(&sk)?;
/// for check in &report {
///     println!("{}: {}", check.requirement().path(), check.status());
///     if let Some(hint) = check.hint() {
///         println!("  {hint}"); // did you mean "hostname"?
///     }
/// }
/// # assert!(report.iter().any(|check| check.hint().is_some_and(|hint| hint.contains("hostname"))));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Check {
    requirement: Requirement,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<SecretKind>,
    status: CheckStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Whether the config can be built, as far as this check can tell.
    ok: bool,
}

/// The result of a [`Check`]: what the list of secrets says about one value of a config.
///
/// ```
/// # #[cfg(feature = "derive")] {
/// use sikkerkey::{Check, CheckStatus, SikkerKeyConfig, Snapshot};
///
/// #[derive(SikkerKeyConfig)]
/// #[sikkerkey(secret = "sk_db")]
/// struct Database {
///     password: String,
/// }
///
/// /// What the person who deploys has to do.
/// fn advice(check: &Check) -> &'static str {
///     match check.status() {
///         CheckStatus::Ok | CheckStatus::Overridden => "nothing",
///         CheckStatus::Missing | CheckStatus::Uncertain => "create the secret, or grant it",
///         CheckStatus::FieldMissing => "add the field to the secret",
///         _ => "read the hint",
///     }
/// }
///
/// let report = Database::offline(Snapshot::from_iter([("sk_db", r#"{"host": "db"}"#)])).check()?;
/// assert_eq!(report.iter().map(advice).collect::<Vec<_>>(), ["add the field to the secret"]);
/// # }
/// # Ok::<(), sikkerkey::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CheckStatus {
    /// The secret exists, and so does the field.
    Ok,
    /// This machine does not see the secret, and the config has a default for it. It may not exist, which is
    /// fine, or it may be denied, which fails the load: the list cannot tell.
    Uncertain,
    /// This machine does not see the secret, and the config needs it: it does not exist, or it is not
    /// granted. The list cannot tell which.
    Missing,
    /// The secret exists, without this field.
    FieldMissing,
    /// The secret is a single value, which has no fields.
    NotStructured,
    /// Several secrets have this display name.
    Ambiguous,
    /// The secret is a canary: reading it raises an alarm.
    Canary,
    /// The secret is a certificate, which is issued to a key and has no value to read.
    Certificate,
    /// An [override](crate::Loader::overrides) replaces the vault's value.
    Overridden,
}

impl CheckReport {
    /// Compares a schema with the secrets that the machine sees. `links` maps names and aliases to ids.
    pub(crate) fn new<'a>(
        schema: &Schema,
        links: &BTreeMap<SecretRef, Link>,
        listed: impl Iterator<Item = &'a SecretDetails>,
        has_resync: impl Fn(&SecretRef, &str) -> bool,
    ) -> Self {
        CheckReport {
            checks: compare(schema, links, listed, has_resync),
            refusals: Vec::new(),
            unneeded: Vec::new(),
        }
    }

    /// Returns the report with the status of overridden requirements replaced.
    pub(crate) fn overridden(
        mut self,
        schema: &Schema,
        decide: impl Fn(&Requirement) -> Option<CheckStatus>,
    ) -> Self {
        for check in &mut self.checks {
            if let Some(status) = decide(&check.requirement) {
                check.status = status;
                check.hint = None;
            }
        }
        judge(schema, &mut self.checks);
        self
    }

    /// Returns the report with problems that would prevent a load from reading anything.
    pub(crate) fn with_refusals(mut self, refusals: Vec<Problem>) -> Self {
        self.refusals = refusals;
        self
    }

    /// Returns the report with the secrets that the config does not need.
    pub(crate) fn with_unneeded(
        mut self,
        links: &BTreeMap<SecretRef, Link>,
        listed: &[SecretDetails],
    ) -> Self {
        let mut needed: HashSet<&str> = HashSet::new();
        for check in &self.checks {
            let secret = check.requirement.secret();
            match links.get(secret) {
                // One of these is meant, so all count as needed.
                Some(Link::Ambiguous(secrets)) => {
                    needed.extend(secrets.iter().map(|s| s.id.as_str()))
                }
                _ => needed.extend(id_of(secret, links)),
            }
        }
        let is_unneeded = |secret: &&SecretDetails| {
            secret.kind != SecretKind::Canary && !needed.contains(secret.id.as_str())
        };
        self.unneeded = listed.iter().filter(is_unneeded).cloned().collect();
        self
    }

    /// Whether a load would find everything that the config needs, and trigger no canary. A value that it
    /// finds may still fail to parse, and an [uncertain](CheckStatus::Uncertain) secret may be denied;
    /// [`is_strictly_ok`](Self::is_strictly_ok) excludes uncertain secrets.
    pub fn is_ok(&self) -> bool {
        self.refusals.is_empty() && self.checks.iter().all(Check::is_ok)
    }

    /// Whether the report [is ok](Self::is_ok), nothing in it is
    /// [uncertain](CheckStatus::Uncertain), and no secret is [unneeded](Self::unneeded).
    pub fn is_strictly_ok(&self) -> bool {
        self.is_ok() && self.unneeded.is_empty() && self.uncertain().next().is_none()
    }

    /// Iterates over all checks, in the order of the fields.
    pub fn iter(&self) -> std::slice::Iter<'_, Check> {
        self.checks.iter()
    }

    /// Iterates over the checks that would fail the load, or trigger a canary.
    pub fn problems(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.is_ok())
    }

    /// Iterates over the checks that may fail the load: the list cannot tell.
    pub fn uncertain(&self) -> impl Iterator<Item = &Check> {
        let is_uncertain = |check: &&Check| check.status == CheckStatus::Uncertain;
        self.checks.iter().filter(is_uncertain)
    }

    /// Problems of the options, such as an alias that fits no secret of the config. If there are any, a load
    /// reads nothing and fails with them.
    pub fn refusals(&self) -> &[Problem] {
        &self.refusals
    }

    /// The secrets that this machine may read and the config does not need. Empty unless
    /// [`LoadOptions::least_privilege`](crate::LoadOptions::least_privilege) is on. Canaries are not among
    /// them: their grants are part of the trap.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().secret("sk_workers", "4").secret("sk_old", "1").start()?;
    /// # #[cfg(feature = "derive")] {
    /// # let sk = sikkerkey::SikkerKey::new(vault.identity_path())?;
    /// use sikkerkey::SikkerKeyConfig;
    ///
    /// #[derive(SikkerKeyConfig)]
    /// struct Config {
    ///     #[sikkerkey(secret = "sk_workers")]
    ///     workers: usize,
    /// }
    ///
    /// let report = Config::loader(&sk).least_privilege().check()?;
    /// assert!(report.is_ok() && !report.is_strictly_ok());
    /// assert_eq!(report.unneeded()[0].id, "sk_old"); // this grant can go
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unneeded(&self) -> &[SecretDetails] {
        &self.unneeded
    }
}

impl<'a> IntoIterator for &'a CheckReport {
    type Item = &'a Check;
    type IntoIter = std::slice::Iter<'a, Check>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Check {
    /// The requirement: which value the config reads, and from which secret.
    pub fn requirement(&self) -> &Requirement {
        &self.requirement
    }

    /// The id of the secret that a load would read: the target of an alias or a display name, otherwise the
    /// id that the config names. `None` if a name fits no secret.
    pub fn resolved_id(&self) -> Option<&str> {
        self.resolved_id.as_deref()
    }

    /// The kind of the secret; `None` if this machine does not see it.
    pub fn kind(&self) -> Option<SecretKind> {
        self.kind
    }

    /// The status: what the list of secrets says about the value.
    pub fn status(&self) -> CheckStatus {
        self.status
    }

    /// Advice: similar names, the names to choose from, or what to consider; escaped for a terminal.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether the config would load with it: the secret was found and is not a canary, or it is missing and
    /// the value has a default.
    pub fn is_ok(&self) -> bool {
        self.ok
    }
}

impl fmt::Display for CheckStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CheckStatus::Ok => "found",
            CheckStatus::Uncertain | CheckStatus::Missing => {
                "not visible to this machine: missing or not granted"
            }
            CheckStatus::FieldMissing => "field missing",
            CheckStatus::NotStructured => "a single value, without fields",
            CheckStatus::Ambiguous => "several secrets have this name",
            CheckStatus::Canary => "this id is a canary: reading it raises an alarm",
            CheckStatus::Certificate => "a certificate: it has no value to read",
            CheckStatus::Overridden => "overridden",
        })
    }
}
