//! How often each secret of one live config is read again unasked.

use std::collections::BTreeMap;

use super::builder::LiveOptions;
use crate::config::error::{Problem, ProblemKind};
use crate::config::requirement::SecretRef;
use crate::config::schema::Schema;
use crate::config::similar::near;
use crate::config::snapshot::Snapshot;
use crate::resync::Resync;
use crate::text::quoted;

/// The settings of the config and its loader; otherwise the client's setting applies.
#[derive(Debug, Default)]
pub(super) struct ResyncPlan {
    /// Settings of single secrets, by id.
    own: BTreeMap<String, Resync>,
    others: Option<Resync>,
}

impl ResyncPlan {
    /// Makes the plan. Also returns the problems of the loader's settings.
    pub(super) fn new<T>(
        schema: &Schema,
        snapshot: &Snapshot,
        options: &LiveOptions<T>,
    ) -> (Self, Vec<Problem>) {
        let id_of = |secret: &SecretRef| snapshot.id_or_name(secret).to_owned();
        // Problems of the fields' settings are reported by each build.
        let (mut own, _) = schema.resyncs(snapshot);
        let mut problems = Vec::new();
        let secrets = schema.secrets();
        for (said, resync) in &options.resync_secrets {
            problems.extend(mistake(*resync).map(|text| {
                Problem::new(
                    ProblemKind::Conflict,
                    format!("resync_secret {}: {text}", quoted(said)),
                )
            }));
            let named = |secret: &&&SecretRef| secret.as_str() == said || id_of(secret) == *said;
            match secrets.iter().find(named) {
                Some(secret) => {
                    own.insert(id_of(secret), *resync);
                }
                None => {
                    let names = secrets.iter().map(|secret| secret.as_str());
                    problems.push(unknown("resync_secret", said, names));
                }
            }
        }
        if let Some(text) = options.resync.and_then(mistake) {
            problems.push(Problem::new(ProblemKind::Conflict, text));
        }
        let plan = ResyncPlan {
            own,
            others: options.resync,
        };
        (plan, problems)
    }

    /// Returns the setting of a secret.
    pub(super) fn of(&self, id: &str) -> Option<Resync> {
        self.own.get(id).copied().or(self.others)
    }

    /// Whether the secret has a setting of its own. If so, policies may count its reads.
    pub(super) fn is_own(&self, id: &str) -> bool {
        self.own.contains_key(id)
    }
}

fn mistake(resync: Resync) -> Option<String> {
    let mistake = resync.mistake()?;
    Some(format!("resync {resync}: {mistake}"))
}

/// Returns a problem for each setting of a secret that the config does not read.
pub(super) fn unknown<'a>(
    setting: &str,
    said: &str,
    names: impl Iterator<Item = &'a str>,
) -> Problem {
    let alike: Vec<String> = near(said, names).into_iter().map(quoted).collect();
    let hint = match alike.is_empty() {
        true => String::new(),
        false => format!("; did you mean {}?", alike.join(" or ")),
    };
    Problem::new(
        ProblemKind::Conflict,
        format!(
            "{setting} {}: the config reads no such secret{hint}",
            quoted(said)
        ),
    )
}
