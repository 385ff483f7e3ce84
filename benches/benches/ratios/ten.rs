//! Ten distinct secrets by a new client, over 20 ms latency and 40 ms connection set-up; also the connections
//! and the requests that they took.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode};
use sikkerkey::SikkerKey;
use sikkerkey_emulator::Emulator;

use crate::official::{Official, THEIRS};
use crate::{OURS, vault};

const ROUND_TRIP: Duration = Duration::from_millis(20);
const CONNECTION: Duration = Duration::from_millis(40);

pub(crate) fn bench(criterion: &mut Criterion) {
    let vault = vault();
    vault.latency(ROUND_TRIP);
    vault.connection_latency(CONNECTION);
    let new = || SikkerKey::new(vault.identity_path()).unwrap();
    let mut group = criterion.benchmark_group("ten secrets");
    // The waits dominate and hardly differ: few samples of few calls.
    group
        .sampling_mode(SamplingMode::Flat)
        .sample_size(20)
        .measurement_time(Duration::from_secs(3));
    counted(&mut group, &vault, OURS, |calls| {
        timed(calls, || eight_at_a_time(&new()))
    });
    counted(
        &mut group,
        &vault,
        "one cold read and one round trip",
        |calls| {
            let read = timed(calls, || drop(black_box(new().get_secret("sk_0").unwrap())));
            read + ROUND_TRIP * u32::try_from(calls).unwrap()
        },
    );
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(8));
    if let Some(mut official) = Official::start(&vault, "ten") {
        counted(&mut group, &vault, THEIRS, |calls| official.time(calls));
    }
    group.finish();
}

/// As the loader reads a config.
fn eight_at_a_time(sk: &SikkerKey) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= 10 {
                        return;
                    }
                    black_box(sk.get_secret(&format!("sk_{n}")).unwrap());
                }
            });
        }
    });
}

fn timed(calls: u64, call: impl Fn()) -> Duration {
    let start = Instant::now();
    for _ in 0..calls {
        call();
    }
    start.elapsed()
}

/// Benches it, and says what a call took of the service.
fn counted(
    group: &mut BenchmarkGroup<'_, WallTime>,
    vault: &Emulator,
    name: &str,
    mut time: impl FnMut(u64) -> Duration,
) {
    let (connections, requests) = (vault.connections(), vault.request_count());
    let mut all = 0;
    group.bench_function(name, |b| {
        b.iter_custom(|calls| {
            all += calls;
            time(calls)
        });
    });
    if all > 0 {
        let each = |count: u64| count as f64 / all as f64;
        println!(
            "ten secrets/{name}: {:.1} connections and {:.1} requests each time\n",
            each(vault.connections() - connections),
            each(vault.request_count() - requests),
        );
    }
}
