//! What a live config says in the log at the end of an attempt: one line for each.

use super::status::SecretState;
use crate::log::log;
use crate::text;

/// Collected while the record is locked, logged once it is not.
#[derive(Default)]
pub(super) struct AttemptEvents {
    /// Secrets that are deleted or denied since.
    pub(super) lost: Vec<(String, SecretState)>,
    /// Why the new config was refused, if that is news.
    pub(super) refused: Option<String>,
    /// The number of the config that was swapped in.
    pub(super) swapped: Option<u64>,
    /// All is well again, after this many failures.
    pub(super) recovered: Option<u32>,
}

impl AttemptEvents {
    /// `changed` are the key paths in which the config that was swapped in differs.
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
            // A config that a test swaps in may name none.
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
