//! What was put into the vault, and what the service saw of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::rotations::READ;

/// A change that arrives later than this counts as missed.
const LATE: Duration = Duration::from_secs(90);

#[derive(Default)]
pub(crate) struct Ledger(Mutex<Book>);

#[derive(Default)]
struct Book {
    secrets: BTreeMap<&'static str, Secret>,
    summary: Summary,
    /// What the service did to itself, and how often.
    strikes: BTreeMap<String, u64>,
}

#[derive(Default)]
struct Secret {
    newest: u64,
    /// What was seen last by the live config, or by the watch.
    seen: u64,
    /// Since when the newest value is not the one that was seen. Never of the secret that is only read.
    waits: Option<Instant>,
}

/// The outcome.
#[derive(Clone, Default)]
pub(crate) struct Summary {
    /// Each in words, without the value.
    pub(crate) wrong: Vec<String>,
    pub(crate) missed: u64,
    pub(crate) seen: u64,
    pub(crate) latest: Duration,
    /// The service's own count of its reads, by outcome.
    pub(crate) reads: String,
}

impl Ledger {
    pub(crate) fn rotated(&self, id: &'static str, number: u64) {
        let mut book = self.book();
        let book = &mut *book;
        let secret = book.secrets.entry(id).or_default();
        secret.newest = number;
        if id != READ {
            let waits = secret.waits.get_or_insert_with(Instant::now);
            if waits.elapsed() > LATE {
                *waits = Instant::now();
                book.summary.missed += 1;
            }
        }
    }

    /// One line of the service's output.
    pub(crate) fn heard(&self, line: &str) {
        let mut book = self.book();
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["seen", id, number] => match number.parse() {
                Ok(number) => book.seen(id, number),
                Err(_) => book.summary.wrong.push(format!("output: {line}")),
            },
            ["struck", ..] => {
                let kind = line.trim_start_matches("struck ");
                *book.strikes.entry(kind.to_owned()).or_default() += 1;
            }
            ["reads", ..] => line.clone_into(&mut book.summary.reads),
            _ => book.summary.wrong.push(line.to_owned()),
        }
    }

    /// Whether all that is told of was told.
    pub(crate) fn is_settled(&self) -> bool {
        self.book()
            .secrets
            .values()
            .all(|secret| secret.waits.is_none())
    }

    /// What was not told by now is missed.
    pub(crate) fn end(&self) {
        let mut book = self.book();
        let waiting = book
            .secrets
            .values()
            .filter(|secret| secret.waits.is_some());
        let missed = waiting.count() as u64;
        book.summary.missed += missed;
    }

    pub(crate) fn strikes(&self) -> BTreeMap<String, u64> {
        self.book().strikes.clone()
    }

    pub(crate) fn summary(&self) -> Summary {
        self.book().summary.clone()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn seen(&mut self, id: &str, number: u64) {
        let Some((_, secret)) = self.secrets.iter_mut().find(|(known, _)| **known == id) else {
            // Its first value: it was not rotated yet.
            return;
        };
        let before = std::mem::replace(&mut secret.seen, number);
        if number > secret.newest {
            self.summary
                .wrong
                .push(format!("{id}: number {number} was never put"));
        } else if number < before {
            self.summary
                .wrong
                .push(format!("{id}: {number} after {before}"));
        } else if number > before {
            self.summary.seen += 1;
        }
        if number == secret.newest
            && let Some(waits) = secret.waits.take()
        {
            self.summary.latest = self.summary.latest.max(waits.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong, and how much is missed, where `sk_0` was put twice and this was heard.
    fn outcome(lines: &[&str]) -> (Vec<String>, u64) {
        let ledger = Ledger::default();
        ledger.rotated("sk_0", 1);
        ledger.rotated("sk_0", 11);
        lines.iter().for_each(|line| ledger.heard(line));
        ledger.end();
        let summary = ledger.summary();
        (summary.wrong, summary.missed)
    }

    #[test]
    fn a_wrong_value_and_a_missed_change_show() {
        let wrong = |text: &str| vec![text.to_owned()];
        for (lines, expected) in [
            (&["seen sk_0 11"][..], (vec![], 0)),
            (&["seen sk_0 1", "seen sk_0 11"], (vec![], 0)),
            (&["seen sk_0 1"], (vec![], 1)),
            (&[], (vec![], 1)),
            (
                &["seen sk_0 12"],
                (wrong("sk_0: number 12 was never put"), 1),
            ),
            (
                &["seen sk_0 11", "seen sk_0 1"],
                (wrong("sk_0: 1 after 11"), 0),
            ),
            (
                &["read of sk_0: another value", "seen sk_0 11"],
                (wrong("read of sk_0: another value"), 0),
            ),
        ] {
            assert_eq!(outcome(lines), expected, "{lines:?}");
        }
    }
}
