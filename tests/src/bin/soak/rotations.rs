//! The vault, and a rotation each second. Each value names its secret and its number, so that one that is another
//! secret's, or an older one, shows.

use std::time::Duration;

use sikkerkey_emulator::Emulator;

use crate::ledger::Ledger;

/// The secrets of the live config, one that is watched, and one that is only read.
pub(crate) const IDS: [&str; 10] = [
    "sk_0", "sk_1", "sk_2", "sk_3", "sk_4", "sk_5", "sk_6", "sk_7", WATCHED, READ,
];
pub(crate) const WATCHED: &str = "sk_watched";
pub(crate) const READ: &str = "sk_read";

/// The only spelling of the value with this number.
pub(crate) fn value(id: &str, number: u64) -> String {
    let tag = id
        .bytes()
        .fold(number, |tag, byte| tag.wrapping_mul(31) ^ u64::from(byte));
    format!("soaked {id} {number} {tag:016x}")
}

/// The number of a value of this secret; none where it is not one.
pub(crate) fn number(id: &str, text: &str) -> Option<u64> {
    let number = text.split(' ').nth(2)?.parse().ok()?;
    (text == value(id, number)).then_some(number)
}

/// One that reports each change once, so that a lost response of a poll loses the change.
pub(crate) fn vault() -> Emulator {
    let builder = IDS
        .iter()
        .fold(Emulator::builder(), |all, id| all.secret(*id, value(id, 0)));
    builder
        .changed_until_read(false)
        .lock_out(false)
        .record(false)
        .start()
        .expect("an emulator")
}

#[derive(Default)]
pub(crate) struct Rotations {
    done: u64,
}

impl Rotations {
    pub(crate) fn tick(&mut self, now: Duration, vault: &Emulator, ledger: &Ledger) {
        while self.done < now.as_secs() {
            let id = IDS[self.done as usize % IDS.len()];
            self.done += 1;
            // Known before it can be seen.
            ledger.rotated(id, self.done);
            vault.put(id, value(id, self.done));
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_that_of_one_secret_and_one_number() {
        assert_eq!(number("sk_0", &value("sk_0", 17)), Some(17));
        assert_eq!(number("sk_1", &value("sk_0", 17)), None);
        let cut = value("sk_0", 17);
        assert_eq!(number("sk_0", &cut[..cut.len() - 1]), None);
        assert_eq!(number("sk_0", "stand-in"), None);
    }
}
