//! The recorded reads, as in the service's audit log.

use std::collections::{BTreeMap, BTreeSet};

use crate::emulator::Emulator;

/// # Recorded reads
///
/// A read is a value that was sent, alone or in an export, or a certificate that was issued. Lists and polls are not
/// reads. These counts are kept even if no requests are recorded.
impl Emulator {
    /// Returns the number of reads of this secret.
    pub fn reads(&self, id: impl AsRef<str>) -> u64 {
        self.vault(|vault| vault.reads.of(id.as_ref()))
    }

    /// Returns the number of reads by id, of every secret that was read.
    pub fn read_counts(&self) -> BTreeMap<String, u64> {
        self.vault(|vault| vault.reads.counts())
    }

    /// Returns the canaries that were read: one id for each read, oldest first.
    ///
    /// ```
    /// # use sikkerkey_emulator::{Emulator, Kind};
    /// let vault = Emulator::builder().secret("sk_trap", "-").kind("sk_trap", Kind::Canary).start()?;
    /// // … run the program under test …
    /// assert!(vault.alarms().is_empty(), "it read a canary");
    /// # Ok::<(), sikkerkey_emulator::Error>(())
    /// ```
    pub fn alarms(&self) -> Vec<String> {
        self.vault(|vault| vault.reads.alarms())
    }

    /// Returns the secrets that their policies rotated after reads
    /// ([`Policy::rotate_after_reads`](crate::Policy::rotate_after_reads)): one id for each rotation, oldest first.
    pub fn rotations(&self) -> Vec<String> {
        self.vault(|vault| vault.reads.rotations())
    }

    /// Clears the recorded reads, alarms and rotations. The counts of policies are kept.
    pub fn clear_reads(&self) {
        self.vault(|vault| vault.reads.clear());
    }

    /// Asserts that machines asked only for these secrets, given by id or display name; refused reads count, too. The
    /// schema of a config is such a list: `vault.assert_reads_only(&AppConfig::schema())`.
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
    /// If another secret was asked for. The message has the ids, never a value.
    #[track_caller]
    pub fn assert_reads_only(&self, secrets: impl IntoIterator<Item = impl AsRef<str>>) {
        let secrets = secrets.into_iter();
        let allowed: BTreeSet<_> = secrets.map(|secret| secret.as_ref().to_owned()).collect();
        let outside = self.vault(|vault| vault.read_outside(&allowed));
        assert!(
            outside.is_empty(),
            "secrets outside the given set were read: {}",
            outside.join(", ").escape_debug()
        );
    }
}
