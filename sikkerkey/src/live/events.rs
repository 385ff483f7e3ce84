//! Log events at the end of an attempt to update a live config: one line for each.

use super::status::SecretState;
use crate::log::log;
use crate::text;

/// Events that are collected while the record is locked, and logged after it is unlocked.
#[derive(Default)]
pub(super) struct AttemptEvents {
    /// Secrets that were newly found deleted or denied.
    pub(super) lost: Vec<(String, SecretState)>,
    /// Why the new config was refused, unless it was logged before.
    pub(super) refused: Option<String>,
    /// The generation of the config that was swapped in.
    pub(super) swapped: Option<u64>,
    /// Set after a recovery: the number of failures before it.
    pub(super) recovered: Option<u32>,
}

impl AttemptEvents {
    /// Logs the events. `changed` are the key paths that the swap changed.
    pub(super) fn log(self, config: &'static str, changed: Option<&[String]>) {
        for (id, state) in self.lost {
            log!(
                warn,
                "{config} keeps its last value of secret {id}, which is {state}"
            );
        }
        if let Some(line) = self.refused {
            log!(warn, "the live config keeps its last good values: {line}");
        }
        if let Some(generation) = self.swapped {
            let changed = changed.unwrap_or_default();
            let paths = text::list(changed, |path| text::name(path));
            // A swap by a test may name no key paths.
            let colon = if changed.is_empty() { "" } else { ": " };
            log!(info, "{config} is at generation {generation}{colon}{paths}");
        }
        match self.recovered {
            None => {}
            Some(0) => log!(info, "{config} has recovered"),
            Some(1) => log!(info, "{config} has recovered after 1 failure"),
            Some(failures) => log!(info, "{config} has recovered after {failures} failures"),
        }
    }
}
