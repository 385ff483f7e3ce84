//! The secrets that a machine sees, and those among which display names are looked up.

use std::collections::BTreeSet;

use super::options::LoadOptions;
use crate::client::SikkerKey;
use crate::error::Error;
use crate::id::check_id;
use crate::log::log;
use crate::protocol::details::{SecretDetails, SecretKind};

/// The secrets that a machine sees, with kinds and applications if the service reports them.
#[derive(Default)]
pub(super) struct Listing {
    /// Every secret that the machine sees.
    pub(super) all: Vec<SecretDetails>,
    /// The secrets among which display names are looked up.
    pub(super) named: Vec<SecretDetails>,
}

impl Listing {
    /// Reads the list: one request, or two or three if the service is too old.
    pub(super) fn read(client: &SikkerKey, options: &LoadOptions) -> Result<Self, Error> {
        if let Some(application) = options.application_name() {
            check_id(application)?;
        }
        let Some(all) = client.details()? else {
            let all = plain(client, None)?;
            let named = match options.project_name() {
                Some(project) => plain(client, Some(project))?,
                None => without_applications(options, all.clone()),
            };
            return Ok(Listing { all, named });
        };
        let named = all.iter().filter(|secret| is_in_scope(secret, options));
        Ok(Listing {
            named: named.cloned().collect(),
            all,
        })
    }

    pub(super) fn canaries(&self) -> BTreeSet<&str> {
        if self
            .all
            .iter()
            .all(|secret| secret.kind == SecretKind::Unknown)
            && !self.all.is_empty()
        {
            log!(
                warn,
                "the service does not say which secrets are canaries, so none is refused"
            );
        }
        let canaries = self.all.iter();
        let canaries = canaries.filter(|secret| secret.kind == SecretKind::Canary);
        canaries.map(|secret| secret.id.as_str()).collect()
    }
}

/// Reads the secrets among which display names are looked up, by one request if possible.
pub(super) fn named(
    client: &SikkerKey,
    options: &LoadOptions,
) -> Result<Vec<SecretDetails>, Error> {
    match (options.project_name(), options.application_name()) {
        (None, Some(_)) => Ok(Listing::read(client, options)?.named),
        (project, _) => plain(client, project),
    }
}

/// Whether a secret is in the project or application of the options. A project takes precedence over an
/// application.
fn is_in_scope(secret: &SecretDetails, options: &LoadOptions) -> bool {
    match (options.project_name(), options.application_name()) {
        (Some(project), _) => secret.project_id.as_deref() == Some(project),
        (None, Some(application)) => secret.application_id.as_deref() == Some(application),
        (None, None) => true,
    }
}

fn plain(client: &SikkerKey, project: Option<&str>) -> Result<Vec<SecretDetails>, Error> {
    let items = match project {
        Some(project) => client.list_secrets_by_project(project),
        None => client.list_secrets(),
    }?;
    Ok(items.into_iter().map(SecretDetails::from).collect())
}

fn without_applications(options: &LoadOptions, all: Vec<SecretDetails>) -> Vec<SecretDetails> {
    if options.application_name().is_some() {
        log!(
            warn,
            "the service does not say which application a secret is of, so display names are looked up in all"
        );
    }
    all
}
