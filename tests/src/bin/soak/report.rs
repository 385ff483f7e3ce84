//! What was measured, as a table and as a picture, and whether it is good.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use crate::ledger::Summary;

/// Caches, pools and threads are filled by then.
const WARM_UP: Duration = Duration::from_secs(300);
/// What memory may grow by, in KiB an hour.
const MAX_SLOPE: f64 = 1024.0;
/// What the median may grow by, from the first third to the last, of threads or of descriptors.
const MAX_GROWTH: f64 = 2.0;
/// A shorter run reports memory, threads and descriptors, and judges none of them.
const JUDGED: u64 = 20;

/// The process once a second.
pub(crate) struct Samples {
    process: u32,
    taken: Vec<Sample>,
}

struct Sample {
    at: Duration,
    /// KiB in RAM.
    memory: f64,
    threads: f64,
    descriptors: f64,
}

impl Samples {
    pub(crate) fn new(process: u32) -> Self {
        Samples {
            process,
            taken: Vec::new(),
        }
    }

    pub(crate) fn tick(&mut self, now: Duration) {
        if now.as_secs() >= self.taken.len() as u64 {
            self.taken.extend(self.take(now));
        }
    }

    fn take(&self, at: Duration) -> Option<Sample> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process)).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        Some(Sample {
            at,
            memory: field("VmRSS:")?,
            threads: field("Threads:")?,
            descriptors: fs::read_dir(format!("/proc/{}/fd", self.process))
                .ok()?
                .count() as f64,
        })
    }

    /// Those after the warm-up; of a short run, those of its second half.
    fn warm(&self) -> &[Sample] {
        let from = self.taken.partition_point(|sample| sample.at < WARM_UP);
        let half = self.taken.len() / 2;
        &self.taken[from.min(half)..]
    }

    /// KiB an hour: the line through the medians of each minute, by least squares. A median does not see the buffers of
    /// one large answer.
    fn slope(&self) -> f64 {
        let minutes: Vec<f64> = self
            .warm()
            .chunks(60)
            .filter(|minute| minute.len() == 60)
            .map(|minute| median(minute, |sample| sample.memory))
            .collect();
        let n = minutes.len() as f64;
        let mean_at = (n - 1.0) / 2.0;
        let mean = minutes.iter().sum::<f64>() / n;
        let (mut above, mut below) = (0.0, 0.0);
        for (at, memory) in minutes.iter().enumerate() {
            let from_middle = at as f64 - mean_at;
            above += from_middle * (memory - mean);
            below += from_middle * from_middle;
        }
        if below > 0.0 {
            60.0 * above / below
        } else {
            0.0
        }
    }

    /// The medians of the first third, and of the last.
    fn thirds(&self, of: fn(&Sample) -> f64) -> (f64, f64) {
        let warm = self.warm();
        let third = (warm.len() / 3).max(1).min(warm.len());
        (
            median(&warm[..third], of),
            median(&warm[warm.len() - third..], of),
        )
    }
}

fn median(samples: &[Sample], of: fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

pub(crate) struct Report {
    pub(crate) minutes: u64,
    pub(crate) rotations: u64,
    pub(crate) requests: u64,
    pub(crate) strikes: BTreeMap<String, u64>,
    pub(crate) ended_well: bool,
    pub(crate) ledger: Summary,
    pub(crate) samples: Samples,
}

impl Report {
    pub(crate) fn print(&self) {
        println!("| fault | how often it struck |\n| --- | --- |");
        for (kind, strikes) in &self.strikes {
            println!("| {kind} | {strikes} |");
        }
        let (samples, ledger) = (&self.samples, &self.ledger);
        let memory = samples.thirds(|sample| sample.memory);
        let threads = samples.thirds(|sample| sample.threads);
        let descriptors = samples.thirds(|sample| sample.descriptors);
        println!("\n| of {} minutes | |\n| --- | --- |", self.minutes);
        for (what, figure) in [
            ("requests", self.requests.to_string()),
            ("faults", self.strikes.values().sum::<u64>().to_string()),
            ("rotations", self.rotations.to_string()),
            ("changes seen", ledger.seen.to_string()),
            ("latest", format!("{:.1?}", ledger.latest)),
            (
                "reads",
                ledger.reads.trim_start_matches("reads ").to_owned(),
            ),
            ("wrong values", ledger.wrong.len().to_string()),
            ("missed changes", ledger.missed.to_string()),
            (
                "threads, first and last third",
                format!("{} {}", threads.0, threads.1),
            ),
            (
                "descriptors, first and last third",
                format!("{} {}", descriptors.0, descriptors.1),
            ),
            (
                "memory, first and last third",
                format!("{} {} KiB", memory.0, memory.1),
            ),
            (
                "slope of memory",
                format!("{:.0} KiB an hour", samples.slope()),
            ),
        ] {
            println!("| {what} | {figure} |");
        }
        for wrong in self.ledger.wrong.iter().take(10) {
            println!("wrong: {wrong}");
        }
        let file = "target/soak.svg";
        match fs::create_dir_all("target").and_then(|()| fs::write(file, self.picture())) {
            Ok(()) => println!("\n{file}: memory over time"),
            Err(error) => println!("\n{file}: {error}"),
        }
    }

    /// Why it is not good.
    pub(crate) fn verdict(&self) -> Result<(), String> {
        let never = self.strikes.iter().find(|(_, strikes)| **strikes == 0);
        let grown = |of| {
            let (first, last) = self.samples.thirds(of);
            last - first > MAX_GROWTH
        };
        let judged = self.minutes >= JUDGED;
        let verdicts = [
            (!self.ended_well, "the service did not end well".to_owned()),
            (
                !self.ledger.wrong.is_empty(),
                "something was wrong".to_owned(),
            ),
            (self.ledger.missed > 0, "changes were missed".to_owned()),
            (self.ledger.seen == 0, "no change was seen".to_owned()),
            (
                never.is_some(),
                format!("{} never struck", never.map_or("", |(kind, _)| kind)),
            ),
            (
                judged && grown(|sample| sample.threads),
                "threads grow".to_owned(),
            ),
            (
                judged && grown(|sample| sample.descriptors),
                "descriptors grow".to_owned(),
            ),
            (
                judged && self.samples.slope() > MAX_SLOPE,
                "memory grows".to_owned(),
            ),
        ];
        match verdicts.into_iter().find(|(holds, _)| *holds) {
            Some((_, why)) => Err(why),
            None => Ok(()),
        }
    }

    /// Memory over time, from zero.
    fn picture(&self) -> String {
        const WIDTH: f64 = 800.0;
        const HEIGHT: f64 = 300.0;
        let taken = &self.samples.taken;
        let end = taken
            .last()
            .map_or(1.0, |sample| sample.at.as_secs_f64().max(1.0));
        let most = taken.iter().map(|sample| sample.memory).fold(1.0, f64::max);
        let points = taken.iter().fold(String::new(), |mut points, sample| {
            let x = sample.at.as_secs_f64() / end * WIDTH;
            let y = HEIGHT * (1.0 - sample.memory / most);
            let _ = write!(points, "{x:.1},{y:.1} ");
            points
        });
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="-10 -30 820 370" font-family="sans-serif" font-size="14">
<rect width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#999"/>
<polyline points="{points}" fill="none" stroke="#06c"/>
<text x="0" y="-10">memory of the service: {:.1} MiB at most</text>
<text x="0" y="320">0</text>
<text x="{WIDTH}" y="320" text-anchor="end">{:.0} minutes</text>
</svg>
"##,
            most / 1024.0,
            end / 60.0,
        )
    }
}
