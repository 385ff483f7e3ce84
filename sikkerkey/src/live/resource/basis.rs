use std::collections::BTreeSet;
use std::sync::Arc;

use crate::live::change::part_changed;
use crate::live::fingerprint::Fingerprint;
use crate::live::state::Place;

/// What a resource was built from, to decide whether it still fits the config.
pub(super) struct Basis {
    fingerprint: Arc<Fingerprint>,
    /// The key paths of the part of the config that it is built from.
    spanned: Option<BTreeSet<String>>,
}

impl Basis {
    /// Records the running config, and the key paths of the selected part.
    pub(super) fn new<T>(place: &Place<T>, spanned: Option<BTreeSet<String>>) -> Self {
        Basis {
            fingerprint: Arc::clone(&place.fingerprint),
            spanned,
        }
    }

    /// Whether a resource that was built from this basis no longer fits the newer one.
    pub(super) fn differs(&self, newer: &Basis) -> bool {
        match self.fingerprint.difference(&newer.fingerprint) {
            None => false,
            Some(paths) => part_changed(self.spanned.as_ref(), newer.spanned.as_ref(), &paths),
        }
    }
}
