//! Configs of many secrets: a load of 200 over 20 ms of latency, and a change of one of 1,000.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};
use sikkerkey::__private::{ConfigSource, Fingerprint, live_from, loader};
use sikkerkey::{
    ConfigError, ExposeSecret as _, Fetch, Live, ReadOutcome, Requirement, Schema, SecretRef,
    SikkerKey, Snapshot,
};
use sikkerkey_emulator::Emulator;

use crate::OURS;
use crate::floor::Floor;

const LOADED: usize = 200;
const ROUND_TRIP: Duration = Duration::from_millis(20);
/// As many reads as a loader has under way at once.
const AT_ONCE: usize = 8;
const FOLLOWED: usize = 1_000;
/// Of the config that the one with a thousand is compared with.
const FEW: usize = 5;

pub(crate) fn bench(criterion: &mut Criterion) {
    load(criterion);
    change(criterion);
}

/// By a new client each time, as at the start of a program.
fn load(criterion: &mut Criterion) {
    let vault = vault(LOADED);
    let mut floor = Floor::new(&vault);
    vault.latency(ROUND_TRIP);
    let schema = schema(LOADED);
    let mut group = criterion.benchmark_group("load of 200 secrets");
    group
        .sampling_mode(SamplingMode::Flat)
        .sample_size(10)
        .measurement_time(Duration::from_secs(6));
    group.bench_function(OURS, |b| {
        b.iter(|| {
            let sk = SikkerKey::new(vault.identity_path()).unwrap();
            let snapshot = Fetch::new(&sk).snapshot(&schema);
            assert!(snapshot.iter().all(|(_, read)| read.value().is_some()));
        });
    });
    group.bench_function("25 reads one after the other", |b| {
        b.iter(|| (0..LOADED / AT_ONCE).for_each(|_| floor.read()));
    });
    group.finish();
}

/// From the rotation to the swap, with a poll every millisecond: a poll of all, one read, the build and the swap.
fn change(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("change in 1,000 secrets");
    group.sampling_mode(SamplingMode::Flat).sample_size(50);
    for (name, secrets) in [(OURS, FOLLOWED), ("change in 5 secrets", FEW)] {
        // Each by itself: the polls of one would be in the time of the other.
        let vault = vault(secrets);
        let live = live(&vault, secrets);
        let mut changes = live.subscribe();
        let mut rotation = 0;
        group.bench_function(name, |b| {
            b.iter_custom(|calls| {
                let start = Instant::now();
                for _ in 0..calls {
                    rotation += 1;
                    vault.put("sk_3", format!("rotated {rotation}"));
                    changes.recv_timeout(Duration::from_secs(30)).unwrap();
                }
                start.elapsed()
            });
        });
    }
    group.finish();
}

fn vault(secrets: usize) -> Emulator {
    let builder = (0..secrets).fold(Emulator::builder().record(false), |builder, n| {
        builder.secret(format!("sk_{n}"), format!("value-{n}"))
    });
    builder.start().unwrap()
}

fn schema(secrets: usize) -> Schema {
    (0..secrets)
        .map(|n| Requirement::new(format!("values.{n}"), SecretRef::Id(format!("sk_{n}"))))
        .collect()
}

fn live(vault: &Emulator, secrets: usize) -> Live<Vec<String>> {
    let sk = SikkerKey::builder()
        .identity_file(vault.identity_path())
        .poll_interval(Duration::from_millis(1))
        .build()
        .unwrap();
    let many = Many {
        schema: schema(secrets),
        hasher: RandomState::new(),
    };
    live_from(Box::new(many), loader(Fetch::new(&sk))).unwrap()
}

/// A config that is all its values, which no struct has a thousand fields for.
struct Many {
    schema: Schema,
    hasher: RandomState,
}

impl ConfigSource<Vec<String>> for Many {
    fn name(&self) -> &'static str {
        "Many"
    }

    fn schema(&mut self) -> Result<Schema, ConfigError> {
        Ok(self.schema.clone())
    }

    fn build(
        &mut self,
        snapshot: &Snapshot,
        _running: Option<&Snapshot>,
    ) -> Result<Vec<String>, ConfigError> {
        let values = snapshot
            .iter()
            .filter_map(|(_, read)| ReadOutcome::value(read));
        Ok(values
            .map(|value| value.expose_secret().to_owned())
            .collect())
    }

    fn fingerprint(&mut self, snapshot: &Snapshot) -> Fingerprint {
        let keys = snapshot.iter().map(|(id, read)| {
            let value = read.value().map(|value| value.expose_secret());
            (
                id.to_owned(),
                value.map(|value| self.hasher.hash_one(value)),
            )
        });
        keys.collect()
    }

    fn has_more_than_secrets(&self) -> bool {
        false
    }
}
