//! `Live::load` against the cells that a program could hold its config in.

use std::hint::black_box;
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::Instant;

use arc_swap::ArcSwap;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode};
use sikkerkey::{SikkerKey, SikkerKeyConfig as _};
use sikkerkey_benches::Config;

use crate::{OURS, vault};

pub(crate) fn bench(criterion: &mut Criterion) {
    let vault = vault();
    let sk = SikkerKey::new(vault.identity_path()).unwrap();
    let live = Config::live(&sk).unwrap();
    let swap = ArcSwap::from_pointee(5432_u16);
    let lock = RwLock::new(Arc::new(5432_u16));
    let (_keep, watch) = tokio::sync::watch::channel(5432_u16);
    for (threads, name) in [(1, "load, 1 thread"), (2, "load, 2 threads")] {
        let mut group = criterion.benchmark_group(name);
        group.sampling_mode(SamplingMode::Flat).sample_size(400);
        cell(&mut group, OURS, threads, || live.load().port);
        cell(&mut group, "ArcSwap", threads, || **swap.load());
        cell(&mut group, "RwLock of an Arc", threads, || {
            **lock.read().unwrap()
        });
        cell(&mut group, "RwLock of an Arc, cloned", threads, || {
            *Arc::clone(&lock.read().unwrap())
        });
        cell(&mut group, "tokio's watch", threads, || *watch.borrow());
        group.finish();
    }
}

/// The time in which each of the threads does one load.
fn cell(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    threads: usize,
    load: impl Fn() -> u16 + Sync,
) {
    group.bench_function(name, |b| {
        b.iter_custom(|loads| {
            let start = Instant::now();
            thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| {
                        for _ in 0..loads {
                            black_box(load());
                        }
                    });
                }
            });
            start.elapsed()
        });
    });
}
