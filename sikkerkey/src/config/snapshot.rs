use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::error::Problem;
use super::requirement::SecretRef;
use crate::error::{Error, Verdict};
use crate::text::{name, quoted};

/// Secrets at one instant: for each its value, or why it has none.
///
/// A snapshot never changes, and a clone shares everything. A config is built from one by a pure
/// function, [`SikkerKeyConfig::from_snapshot`](crate::SikkerKeyConfig::from_snapshot), so a unit
/// test needs no server:
///
/// ```
/// # #[cfg(feature = "derive")] {
/// use sikkerkey::{SikkerKeyConfig, Snapshot};
///
/// #[derive(SikkerKeyConfig)]
/// struct Config {
///     #[sikkerkey(secret = "sk_workers")]
///     workers: usize,
///     #[sikkerkey(name = "REGION", default = "eu")]
///     region: String,
/// }
///
/// let config = Config::from_snapshot(&Snapshot::from_iter([("sk_workers", "4")]))?;
/// assert_eq!((config.workers, config.region.as_str()), (4, "eu"));
/// # }
/// # Ok::<(), sikkerkey::ConfigError>(())
/// ```
///
/// `Debug` shows which outcome each secret has, never a value. Two snapshots are equal if they hold the same
/// secrets with equal [outcomes](ReadOutcome).
#[derive(Clone, Default, PartialEq)]
#[must_use = "a snapshot never changes: what makes one returns it"]
pub struct Snapshot(Arc<SnapshotInner>);

#[derive(Clone, Default, PartialEq)]
struct SnapshotInner {
    /// By real id; in a snapshot made by hand, by the config's names.
    outcomes: BTreeMap<String, ReadOutcome>,
    /// Targets of the config's names and aliases.
    links: BTreeMap<SecretRef, Link>,
    /// Problems of the settings. If there are any, nothing was read.
    refusals: Vec<Problem>,
}

/// The outcome of reading one secret; from [`Snapshot::get`].
///
/// ```
/// use sikkerkey::{ReadOutcome, Snapshot};
///
/// let snapshot = Snapshot::from_iter([("sk_workers", "4")]);
/// assert!(matches!(snapshot.get("sk_workers"), Some(ReadOutcome::Value(_))));
/// assert!(snapshot.get("sk_other").is_none());
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum ReadOutcome {
    /// The secret was read: its value.
    Value(SecretString),
    /// The secret does not exist (404).
    Missing,
    /// This machine may not read the secret (403).
    Denied,
    /// The read failed in another way. This includes a 403 or 404 without the service's own JSON, such as a
    /// proxy's page.
    Unavailable(Error),
}

/// The target of a name or an alias.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Link {
    To(String),
    /// No secret has the name; these have one like it.
    Unknown(Vec<Candidate>),
    /// Several secrets have the name.
    Ambiguous(Vec<Candidate>),
    /// The target is a canary, which was not read.
    Canary(String),
    /// The list of names could not be read.
    Unlisted(Unlisted),
}

/// Why the list could not be read. Two failures of one kind are equal.
#[derive(Clone, Debug)]
pub(crate) struct Unlisted(pub(crate) Error);

/// A secret that a name might have meant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) project: Option<String>,
}

/// The result of looking up a secret.
pub(super) enum Located<'a> {
    /// Nothing was read, for this first reason.
    Refused(&'a Problem),
    ReadOutcome {
        id: &'a str,
        outcome: &'a ReadOutcome,
    },
    Link(&'a Link),
    /// The snapshot does not have the secret.
    Unknown,
}

impl Snapshot {
    /// The outcome of reading a secret; `None` if the snapshot does not have it.
    ///
    /// `id` is the secret's real id, or its key in a snapshot made by hand.
    pub fn get(&self, id: &str) -> Option<&ReadOutcome> {
        self.0.outcomes.get(id)
    }

    /// Iterates over the secrets with their outcomes, sorted by id.
    pub fn iter(&self) -> Outcomes<'_> {
        fn entry<'a>((id, outcome): (&'a String, &'a ReadOutcome)) -> (&'a str, &'a ReadOutcome) {
            (id, outcome)
        }
        self.0.outcomes.iter().map(entry)
    }

    /// The ids of the secrets, sorted; names and aliases are resolved.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.outcomes.keys().map(String::as_str)
    }

    /// The real id of a secret that a config names, if the snapshot knows it.
    pub fn id_of(&self, secret: &SecretRef) -> Option<&str> {
        match self.find(secret) {
            Located::ReadOutcome { id, .. } => Some(id),
            Located::Refused(_) | Located::Link(_) | Located::Unknown => None,
        }
    }

    /// Problems of the settings that the snapshot was made with, such as an alias that fits no secret. If
    /// there are any, nothing was read, and no config can be built from it.
    pub fn refusals(&self) -> &[Problem] {
        &self.0.refusals
    }

    /// Returns the real id behind a config's name of a secret, or else that name.
    pub(crate) fn id_or_name<'a>(&'a self, secret: &'a SecretRef) -> &'a str {
        self.id_of(secret).unwrap_or(secret.as_str())
    }

    /// Returns a new snapshot in which these outcomes replace the old ones.
    ///
    /// ```
    /// use sikkerkey::{ReadOutcome, Snapshot};
    ///
    /// let secrets = Snapshot::from_iter([("sk_workers", "4"), ("sk_region", "eu")]);
    /// let denied = secrets.with([("sk_region", ReadOutcome::Denied)]);
    /// assert_eq!(secrets.changed(&denied), ["sk_region"]);
    /// ```
    pub fn with<K: Into<String>>(
        &self,
        outcomes: impl IntoIterator<Item = (K, ReadOutcome)>,
    ) -> Self {
        let mut inner = SnapshotInner::clone(&self.0);
        for (id, outcome) in outcomes {
            inner.outcomes.insert(id.into(), outcome);
        }
        Snapshot(Arc::new(inner))
    }

    /// The ids whose outcome differs in `newer`, or is in one of the two only; sorted.
    pub fn changed<'a>(&'a self, newer: &'a Snapshot) -> Vec<&'a str> {
        let mut ids: Vec<&str> = self
            .iter()
            .filter(|(id, outcome)| newer.get(id) != Some(outcome))
            .map(|(id, _)| id)
            .chain(newer.ids().filter(|id| self.get(id).is_none()))
            .collect();
        ids.sort_unstable();
        ids
    }

    /// Returns a snapshot of these secrets only.
    pub(crate) fn only<'a>(&self, secrets: impl IntoIterator<Item = &'a SecretRef>) -> Self {
        let mut only = SnapshotInner::default();
        for secret in secrets {
            if let Some(link) = self.0.links.get(secret) {
                only.links.insert(secret.clone(), link.clone());
            }
            if let Located::ReadOutcome { id, outcome } = self.find(secret) {
                // A snapshot made by hand may have a display name in place of an id.
                let link = only.links.entry(secret.clone());
                link.or_insert_with(|| Link::To(id.to_owned()));
                only.outcomes.insert(id.to_owned(), outcome.clone());
            }
        }
        Snapshot(Arc::new(only))
    }

    /// Makes a snapshot of these secrets for a load in which nothing could be read.
    pub(crate) fn unavailable<'a>(
        secrets: impl IntoIterator<Item = &'a SecretRef>,
        error: &Error,
    ) -> Self {
        let outcome = |secret: &SecretRef| {
            let failed = ReadOutcome::Unavailable(error.clone());
            (secret.as_str().to_owned(), failed)
        };
        Self::default().with(secrets.into_iter().map(outcome))
    }

    /// The targets of names and aliases.
    pub(crate) fn links(&self) -> &BTreeMap<SecretRef, Link> {
        &self.0.links
    }

    pub(crate) fn with_links(&self, links: BTreeMap<SecretRef, Link>) -> Self {
        let mut inner = SnapshotInner::clone(&self.0);
        inner.links.extend(links);
        Snapshot(Arc::new(inner))
    }

    /// Makes a snapshot for which nothing was read, because of these problems.
    pub(crate) fn refused(refusals: Vec<Problem>) -> Self {
        Snapshot(Arc::new(SnapshotInner {
            refusals,
            ..SnapshotInner::default()
        }))
    }

    /// Returns the target of a name or an alias; `None` for an id without an alias.
    pub(crate) fn link(&self, secret: &SecretRef) -> Option<&Link> {
        self.0.links.get(secret)
    }

    pub(super) fn find(&self, secret: &SecretRef) -> Located<'_> {
        if let Some(problem) = self.0.refusals.first() {
            return Located::Refused(problem);
        }
        let id = match self.0.links.get(secret) {
            Some(Link::To(id)) => id,
            Some(link) => return Located::Link(link),
            None => secret.as_str(),
        };
        match self.0.outcomes.get_key_value(id) {
            Some((id, outcome)) => Located::ReadOutcome { id, outcome },
            None => Located::Unknown,
        }
    }
}

/// Makes a snapshot of values by id or display name, as the config names them: for tests,
/// [`offline`](crate::SikkerKeyConfig::offline) and [`overrides`](crate::Loader::overrides).
impl<K: Into<String>, V: Into<SecretString>> FromIterator<(K, V)> for Snapshot {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(values: I) -> Self {
        Snapshot::default().with(
            values
                .into_iter()
                .map(|(id, value)| (id, ReadOutcome::Value(value.into()))),
        )
    }
}

/// The iterator of [`Snapshot::iter`].
type Outcomes<'a> = std::iter::Map<
    std::collections::btree_map::Iter<'a, String, ReadOutcome>,
    fn((&'a String, &'a ReadOutcome)) -> (&'a str, &'a ReadOutcome),
>;

impl<'a> IntoIterator for &'a Snapshot {
    type Item = (&'a str, &'a ReadOutcome);
    type IntoIter = Outcomes<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Snapshot ")?;
        f.debug_map().entries(self.iter()).finish()
    }
}

impl ReadOutcome {
    /// Makes the outcome of a read from the client's result.
    pub fn of(read: Result<SecretString, Error>) -> Self {
        match read {
            Ok(value) => ReadOutcome::Value(value),
            Err(error) => match error.verdict() {
                Some(Verdict::Missing) => ReadOutcome::Missing,
                Some(Verdict::Denied) => ReadOutcome::Denied,
                None => ReadOutcome::Unavailable(error),
            },
        }
    }

    /// The value, or `None` if the read found none.
    pub fn value(&self) -> Option<&SecretString> {
        match self {
            ReadOutcome::Value(value) => Some(value),
            ReadOutcome::Missing | ReadOutcome::Denied | ReadOutcome::Unavailable(_) => None,
        }
    }
}

/// Values are equal if their texts are; failed reads are equal if they are of one kind.
impl PartialEq for ReadOutcome {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (ReadOutcome::Value(a), ReadOutcome::Value(b)) => {
                a.expose_secret() == b.expose_secret()
            }
            (ReadOutcome::Missing, ReadOutcome::Missing)
            | (ReadOutcome::Denied, ReadOutcome::Denied) => true,
            (ReadOutcome::Unavailable(a), ReadOutcome::Unavailable(b)) => a.kind() == b.kind(),
            _ => false,
        }
    }
}

impl fmt::Debug for ReadOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadOutcome::Value(_) => f.write_str("Value([REDACTED])"),
            ReadOutcome::Missing => f.write_str("Missing"),
            ReadOutcome::Denied => f.write_str("Denied"),
            ReadOutcome::Unavailable(error) => f.debug_tuple("Unavailable").field(error).finish(),
        }
    }
}

impl Link {
    /// The id of the target.
    pub(crate) fn id(&self) -> Option<&str> {
        match self {
            Link::To(id) | Link::Canary(id) => Some(id),
            Link::Unknown(_) | Link::Ambiguous(_) | Link::Unlisted(_) => None,
        }
    }
}

impl PartialEq for Unlisted {
    fn eq(&self, other: &Self) -> bool {
        self.0.kind() == other.0.kind()
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", name(&self.id), quoted(&self.name))?;
        match &self.project {
            Some(project) => write!(f, " in {}", name(project)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_changed_snapshot_leaves_the_old_one_alone() {
        let old = Snapshot::from_iter([("sk_a", "1"), ("sk_b", "2")]);
        let new = old.with([
            ("sk_b", ReadOutcome::Denied),
            ("sk_c", ReadOutcome::Missing),
        ]);
        assert!(old.get("sk_b").and_then(ReadOutcome::value).is_some());
        assert_eq!(new.get("sk_b"), Some(&ReadOutcome::Denied));
        assert_eq!(old.changed(&new), ["sk_b", "sk_c"]);
        assert_eq!(new.changed(&old), ["sk_b", "sk_c"]);
        assert!(
            old.changed(&old.with([("sk_a", ReadOutcome::Value("1".into()))]))
                .is_empty()
        );
    }

    #[test]
    fn equality_is_by_value_and_by_kind_of_failure() {
        let failed = |kind, text: &str| ReadOutcome::Unavailable(Error::new(kind, text));
        let same = [
            (
                ReadOutcome::Value("x".into()),
                ReadOutcome::Value("x".into()),
            ),
            (ReadOutcome::Missing, ReadOutcome::Missing),
            (
                failed(ErrorKind::Network, "a"),
                failed(ErrorKind::Network, "b"),
            ),
        ];
        let different = [
            (
                ReadOutcome::Value("x".into()),
                ReadOutcome::Value("y".into()),
            ),
            (ReadOutcome::Missing, ReadOutcome::Denied),
            (failed(ErrorKind::Network, "a"), failed(ErrorKind::Api, "a")),
        ];
        assert!(same.iter().all(|(a, b)| a == b));
        assert!(different.iter().all(|(a, b)| a != b));
    }

    #[test]
    fn a_failed_read_is_missing_denied_or_not_known() {
        let of = |kind| ReadOutcome::of(Err(Error::new(kind, "no")));
        assert_eq!(of(ErrorKind::NotFound), ReadOutcome::Missing);
        assert_eq!(of(ErrorKind::AccessDenied), ReadOutcome::Denied);
        assert!(matches!(
            of(ErrorKind::Network),
            ReadOutcome::Unavailable(_)
        ));
        assert_eq!(
            ReadOutcome::of(Ok("x".into())),
            ReadOutcome::Value("x".into())
        );
    }

    #[test]
    fn names_lead_to_ids_where_the_list_knows_them() {
        let name = |text: &str| SecretRef::Name(text.into());
        let unlisted = |kind| Link::Unlisted(Unlisted(Error::new(kind, "no list")));
        let plain = Snapshot::from_iter([("sk_a", "1")]);
        let linked = plain.with_links(BTreeMap::from([
            (name("the first"), Link::To("sk_a".into())),
            (name("gone"), Link::To("sk_gone".into())),
            (name("unlisted"), unlisted(ErrorKind::Network)),
        ]));
        assert_eq!(linked.id_of(&SecretRef::Id("sk_a".into())), Some("sk_a"));
        assert_eq!(linked.id_of(&name("the first")), Some("sk_a"));
        for unknown in ["gone", "unlisted", "no name at all"] {
            assert_eq!(linked.id_of(&name(unknown)), None, "{unknown}");
        }

        let relinked = |kind| linked.with_links([(name("unlisted"), unlisted(kind))].into());
        assert!(linked != plain);
        assert!(relinked(ErrorKind::Network) == linked);
        assert!(relinked(ErrorKind::AccessDenied) != linked);
    }

    #[test]
    fn a_candidate_is_shown_with_its_project() {
        let mut candidate = Candidate {
            id: "sk_a".into(),
            name: "the \"first\"".into(),
            project: None,
        };
        assert_eq!(candidate.to_string(), r#"sk_a "the \"first\"""#);
        candidate.project = Some("proj_x".into());
        assert_eq!(candidate.to_string(), r#"sk_a "the \"first\"" in proj_x"#);
    }

    #[test]
    fn debug_never_shows_a_value() {
        let snapshot =
            Snapshot::from_iter([("sk_a", "hunter2")]).with([("sk_b", ReadOutcome::Missing)]);
        assert_eq!(
            format!("{snapshot:?}"),
            r#"Snapshot {"sk_a": Value([REDACTED]), "sk_b": Missing}"#
        );
    }
}
