use std::collections::BTreeSet;
use std::sync::Arc;

use crate::live::change::part_changed;
use crate::live::fingerprint::Fingerprint;
use crate::live::state::Place;

/// What a resource was built from, as far as it has to be known to say whether it still fits.
pub(super) struct Basis {
    fingerprint: Arc<Fingerprint>,
    /// The key paths of the part of the config that it is built from.
    spanned: Option<BTreeSet<String>>,
}

impl Basis {
    /// The running config and the key paths of the part of it that counts.
    pub(super) fn new<T>(place: &Place<T>, spanned: Option<BTreeSet<String>>) -> Self {
        Basis {
            fingerprint: Arc::clone(&place.fingerprint),
            spanned,
        }
    }

    /// Whether what is built from this one does not fit the newer one.
    pub(super) fn differs(&self, newer: &Basis) -> bool {
        match self.fingerprint.difference(&newer.fingerprint) {
            None => false,
            Some(paths) => part_changed(self.spanned.as_ref(), newer.spanned.as_ref(), &paths),
        }
    }
}
