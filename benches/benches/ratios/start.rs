//! Cold start: a process that enrolls, loads a typed config of five secrets, and ends.

use std::process::Command;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};

use crate::official::{THEIRS, program, python};
use crate::{OURS, vault};

pub(crate) fn bench(criterion: &mut Criterion) {
    let vault = vault();
    let token = vault.enrollment_token(1_000_000, Duration::from_secs(3_600));
    let run = |command: &mut Command, times: u64| {
        command
            .env("TOKEN", &token)
            .env("SIKKERKEY_API_URL", vault.url());
        let start = Instant::now();
        for _ in 0..times {
            assert!(command.status().unwrap().success());
        }
        start.elapsed()
    };
    let mut group = criterion.benchmark_group("cold start");
    group.sampling_mode(SamplingMode::Flat).sample_size(200);
    group.bench_function(OURS, |b| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cold-start"));
        b.iter_custom(|times| run(&mut command, times));
    });
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(3));
    if let Some(python) = python() {
        group.bench_function(THEIRS, |b| {
            let mut command = Command::new(&python);
            command.arg(program("cold_start.py"));
            b.iter_custom(|times| run(&mut command, times));
        });
    }
    group.finish();
}
