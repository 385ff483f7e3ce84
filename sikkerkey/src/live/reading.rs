//! The values and states of a live config's secrets after a cycle or a refresh.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::status::SecretState;
use crate::config::error::{ConfigError, Failed, Problem};
use crate::config::requirement::{Necessity, SecretRef};
use crate::config::schema::Schema;
use crate::config::snapshot::{ReadOutcome, Snapshot};
use crate::error::Error;
use crate::watch::UpdateKind;

/// The newest values, and the new state of each secret that changed.
pub(super) struct Reading {
    pub(super) snapshot: Snapshot,
    pub(super) states: BTreeMap<String, SecretState>,
    /// The secrets whose values differ from before.
    pub(super) changed: BTreeSet<String>,
    /// Why reads or the poll failed, in whole or in part.
    pub(super) unanswered: Option<ConfigError>,
}

impl Reading {
    pub(super) fn new(snapshot: Snapshot) -> Self {
        Reading {
            snapshot,
            states: BTreeMap::new(),
            changed: BTreeSet::new(),
            unanswered: None,
        }
    }

    /// Adds what the poller found.
    pub(super) fn take_updates(
        &mut self,
        config: &'static str,
        updates: BTreeMap<Arc<str>, UpdateKind>,
    ) {
        let updates = updates.into_iter();
        let outcomes = updates.filter_map(|(id, kind)| {
            let outcome = match kind {
                UpdateKind::Value(value) => ReadOutcome::Value(value),
                UpdateKind::Deleted => ReadOutcome::Missing,
                UpdateKind::Denied => ReadOutcome::Denied,
                UpdateKind::Failed(error) => ReadOutcome::Unavailable(error),
                UpdateKind::Outdated => return None,
            };
            Some((id.to_string(), outcome))
        });
        self.take_outcomes(config, outcomes);
    }

    /// Adds the outcomes of reads. A new value replaces the old one; without one, the last good value stays
    /// and the state says why.
    pub(super) fn take_outcomes(
        &mut self,
        config: &'static str,
        outcomes: impl IntoIterator<Item = (String, ReadOutcome)>,
    ) {
        let mut taken = Vec::new();
        for (id, outcome) in outcomes {
            let before = self.snapshot.get(&id);
            let had_value = before.is_some_and(|old| old.value().is_some());
            if let ReadOutcome::Unavailable(error) = &outcome {
                self.unanswered = Some(unanswered(config, error));
            }
            self.states
                .insert(id.clone(), state_of(&outcome, had_value));
            if outcome.value().is_some() && before != Some(&outcome) {
                self.changed.insert(id.clone());
            }
            // A secret that is named for the first time counts even without a value.
            if outcome.value().is_some() || before.is_none() {
                taken.push((id, outcome));
            }
        }
        if !taken.is_empty() {
            self.snapshot = self.snapshot.with(taken);
        }
    }

    /// Records that a read confirmed that optional secrets do not exist.
    pub(super) fn take_absent(&mut self, ids: impl IntoIterator<Item = String>) {
        let absent: Vec<_> = ids.into_iter().collect();
        for id in &absent {
            self.states.insert(id.clone(), SecretState::Absent);
            self.changed.insert(id.clone());
        }
        let outcomes = absent.into_iter().map(|id| (id, ReadOutcome::Missing));
        self.snapshot = self.snapshot.with(outcomes);
    }

    /// Returns the optional secrets that had a value and were deleted.
    pub(super) fn lost_optional(&self, schema: &Schema) -> BTreeSet<String> {
        let deleted = self.states.iter();
        let deleted = deleted.filter(|(_, state)| **state == SecretState::Deleted);
        let optional = deleted.filter(|(id, _)| is_optional(schema, &self.snapshot, id));
        optional.map(|(id, _)| id.clone()).collect()
    }

    /// Returns a problem for each required value whose secret was deleted or denied.
    pub(super) fn losses(&self, schema: &Schema) -> Vec<Problem> {
        let mut problems = Vec::new();
        for requirement in schema {
            let id = self.snapshot.id_of(requirement.secret());
            let state = id.and_then(|id| self.states.get(id));
            let problem = match state {
                Some(SecretState::Deleted) => Problem::deleted(),
                Some(SecretState::Denied) => Problem::denied(),
                _ => continue,
            };
            let problem = problem.of(requirement.secret(), requirement.field());
            problems.push(problem.at(requirement.path()));
        }
        problems
    }
}

pub(super) fn unanswered(config: &'static str, error: &Error) -> ConfigError {
    ConfigError::to(Failed::Refresh, config, vec![Problem::unavailable(error)])
}

pub(super) fn state_of(outcome: &ReadOutcome, had_value: bool) -> SecretState {
    match outcome {
        ReadOutcome::Value(_) => SecretState::Current,
        ReadOutcome::Missing if had_value => SecretState::Deleted,
        ReadOutcome::Missing => SecretState::Absent,
        ReadOutcome::Denied => SecretState::Denied,
        ReadOutcome::Unavailable(_) => SecretState::Pending,
    }
}

/// Whether a config can be built without this secret.
fn is_optional(schema: &Schema, snapshot: &Snapshot, id: &str) -> bool {
    let mut requirements = schema
        .iter()
        .filter(|requirement| snapshot.id_of(requirement.secret()) == Some(id));
    requirements.all(|requirement| requirement.necessity() != Necessity::Required)
}

/// Maps the config's names of its secrets to their ids.
pub(super) fn names(schema: &Schema, snapshot: &Snapshot) -> BTreeMap<String, String> {
    let secrets = schema.secrets().into_iter();
    let named = secrets.filter_map(|secret: &SecretRef| {
        let id = snapshot.id_of(secret)?;
        Some((secret.as_str().to_owned(), id.to_owned()))
    });
    named.collect()
}
