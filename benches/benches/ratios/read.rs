//! A warm signed read, against a raw socket with one signature, and the official client.

use std::time::Duration;

use criterion::{Criterion, SamplingMode};
use sikkerkey::SikkerKey;

use crate::floor::Floor;
use crate::official::{Official, THEIRS};
use crate::{OURS, vault};

pub(crate) fn bench(criterion: &mut Criterion) {
    let vault = vault();
    let sk = SikkerKey::new(vault.identity_path()).unwrap();
    let mut floor = Floor::new(&vault);
    let mut group = criterion.benchmark_group("warm read");
    // A few reads a sample, on either side.
    group
        .sampling_mode(SamplingMode::Flat)
        .sample_size(1_000)
        .measurement_time(Duration::from_millis(200));
    group.bench_function(OURS, |b| b.iter(|| sk.get_secret("sk_0").unwrap()));
    group.bench_function("raw socket and one signature", |b| {
        b.iter(|| floor.read());
    });
    if let Some(mut official) = Official::start(&vault, "warm") {
        group.measurement_time(Duration::from_secs(1));
        group.bench_function(THEIRS, |b| {
            b.iter_custom(|calls| official.time(calls));
        });
    }
    group.finish();
}
