//! What was read, as the service's audit log has it.

use std::collections::{BTreeMap, BTreeSet};

use crate::emulator::Emulator;

/// # What was read
///
/// A read is a value that went out, alone or in an export. Lists and polls are none. These counts do not depend on how
/// many requests are recorded.
impl Emulator {
    /// How many times the value of this secret went out.
    pub fn reads(&self, id: impl AsRef<str>) -> u64 {
        self.vault(|vault| vault.reads.of(id.as_ref()))
    }

    /// The same for every secret that was read, by id.
    pub fn read_counts(&self) -> BTreeMap<String, u64> {
        self.vault(|vault| vault.reads.counts())
    }

    /// The ids of the canaries that were read, once for each read, oldest first.
    pub fn alarms(&self) -> Vec<String> {
        self.vault(|vault| vault.reads.alarms())
    }

    /// Forgets the reads and alarms so far. What policies count goes on.
    pub fn clear_reads(&self) {
        self.vault(|vault| vault.reads.clear());
    }

    /// Panics where a machine asked for the value of any secret but these, also where it was refused.
    ///
    /// ```
    /// # use sikkerkey_emulator::Emulator;
    /// # let vault = Emulator::builder().start()?;
    /// vault.assert_reads_only(["sk_stripe_key", "sk_db_prod"]);
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
    ///
    /// # Panics
    ///
    /// With the ids of the others; never with a value.
    #[track_caller]
    pub fn assert_reads_only(&self, ids: impl IntoIterator<Item = impl AsRef<str>>) {
        let allowed: BTreeSet<_> = ids.into_iter().map(|id| id.as_ref().to_owned()).collect();
        let outside = self.vault(|vault| vault.reads.outside(&allowed));
        assert!(
            outside.is_empty(),
            "secrets were read that should not be: {}",
            outside.join(", ").escape_debug()
        );
    }
}
