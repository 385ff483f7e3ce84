//! The layout of a list of problems: a heading and a line for each, or everything on one line.

use std::collections::HashSet;
use std::fmt;

use super::error::{ConfigError, Problem, ProblemKind};
use super::requirement::SecretRef;
use super::table::width;
use crate::text::one_line;

/// The largest width of the first two columns. A longer cell shifts only its own line.
const WIDEST: usize = 44;

/// The most problems that the one-line form shows.
const MOST_ON_A_LINE: usize = 12;

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (config, problems) = (self.config(), self.problems());
        let count = problems.len();
        let plural = if count == 1 { "" } else { "s" };
        let verb = self.failed().verb();
        write!(f, "cannot {verb} {config}: {count} problem{plural}")?;
        match f.alternate() {
            true => write_line(f, problems),
            false => write_report(f, config, problems),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = place(self);
        for part in [self.path(), &place].iter().filter(|p| !p.is_empty()) {
            write!(f, "{part}: ")?;
        }
        let mut lines = self.message().lines();
        f.write_str(&one_line(lines.next().unwrap_or_default()))?;
        lines.try_for_each(|line| write!(f, " {}", one_line(line.trim_start())))
    }
}

fn write_line(f: &mut fmt::Formatter<'_>, problems: &[Problem]) -> fmt::Result {
    let mut separator = ": ";
    for problem in problems.iter().take(MOST_ON_A_LINE) {
        write!(f, "{separator}{problem}")?;
        separator = "; ";
    }
    match problems.len().saturating_sub(MOST_ON_A_LINE) {
        0 => Ok(()),
        more => write!(f, "{separator}and {more} more"),
    }
}

fn write_report(f: &mut fmt::Formatter<'_>, config: &str, problems: &[Problem]) -> fmt::Result {
    let places: Vec<_> = problems.iter().map(place).collect();
    let paths: Vec<_> = problems
        .iter()
        .map(|problem| path(problem, config))
        .collect();
    let path_width = width(paths.iter().copied()).min(WIDEST);
    let place_width = width(places.iter().map(String::as_str)).min(WIDEST);
    let mut told = HashSet::new();
    for ((problem, path), place) in problems.iter().zip(paths).zip(&places) {
        let indent = path_width + place_width + 6;
        write!(f, "\n  {path:path_width$}  {place:place_width$}  ")?;
        match as_above(problem) {
            // A problem of a whole secret is explained once, at the first of its fields; a problem that
            // several secrets share, at the first of them.
            Some(short) if !told.insert((told_of(problem), problem.message())) => {
                write!(f, "{short}, as above")?;
            }
            _ => {
                let mut lines = problem.message().lines();
                write!(f, "{}", one_line(lines.next().unwrap_or_default()))?;
                for line in lines {
                    write!(f, "\n{:indent$}{}", "", one_line(line))?;
                }
            }
        }
    }
    Ok(())
}

/// Shows secret and field: `sk_db_prod/port`, `sk_db -> sk_db_stg/port`. Empty if the problem is not about a
/// secret.
fn place(problem: &Problem) -> String {
    let secret = |secret: &SecretRef| secret.with_id(problem.resolved_id());
    let place = match (problem.secret(), problem.field()) {
        (None, _) => String::new(),
        (Some(named), None) => secret(named),
        (Some(named), Some(field)) => format!("{}/{field}", secret(named)),
    };
    one_line(&place)
}

fn path<'a>(problem: &'a Problem, config: &'a str) -> &'a str {
    match problem.path() {
        "" => config,
        path => path,
    }
}

fn told_of(problem: &Problem) -> Option<&SecretRef> {
    match problem.kind() {
        ProblemKind::Unavailable => None,
        _ => problem.secret(),
    }
}

fn as_above(problem: &Problem) -> Option<&'static str> {
    match problem.kind() {
        ProblemKind::Missing => Some("missing"),
        ProblemKind::Denied => Some("denied"),
        ProblemKind::Ambiguous => Some("ambiguous"),
        ProblemKind::NotStructured => Some("not structured"),
        ProblemKind::Unavailable => Some("not read"),
        ProblemKind::Canary => Some("a canary"),
        ProblemKind::FieldMissing
        | ProblemKind::Invalid
        | ProblemKind::Validation
        | ProblemKind::Conflict
        | ProblemKind::Probe => None,
    }
}
