//! Reads from many threads while three of ten requests go wrong.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sikkerkey::{ErrorKind, ExposeSecret as _};
use sikkerkey_emulator::{Emulator, Fault, Reply};

use crate::{canary, count, hasty, long, seed};

const THREADS: usize = 16;
const SECRETS: usize = 8;
/// Of one attempt; delays and hangs are longer.
const TIMEOUT: Duration = Duration::from_millis(250);
const DEADLINE: Duration = Duration::from_secs(2);

/// Everything that can go wrong with one request.
fn faults() -> Vec<Fault> {
    let before = vec![
        Fault::Status(429),
        Fault::Status(500),
        Fault::Status(502),
        Fault::Status(503),
        Fault::Status(504),
        Fault::Status(520),
        Fault::Status(524),
        Fault::Close,
        Fault::Reset,
        Fault::Truncated,
        Fault::WrongLength(-3),
        Fault::WrongLength(7),
        Fault::Garbage,
        Fault::InvalidUtf8,
        Fault::InvalidJson,
        Fault::EmptyObject,
        Fault::Delay(Duration::from_millis(5)),
        Fault::Redirect("http://localhost:9/v1/secret/sk_0".into()),
        Reply::new(429).header("Retry-After", "1").into(),
        Reply::new(503)
            .header("Retry-After", "Wed, 21 Oct 2037 07:28:00 GMT")
            .into(),
        Reply::new(200).body("{\"value\":17}").into(),
        Reply::new(200).body("null").into(),
        Reply::new(200)
            .header("Content-Length", "99999999999")
            .into(),
    ];
    let after = before
        .iter()
        .take(16)
        .cloned()
        .map(Fault::after)
        .collect::<Vec<_>>();
    before.into_iter().chain(after).collect()
}

#[test]
fn no_read_is_wrong_and_none_hangs() {
    let seed = seed();
    let reads = count(3_000, 100_000);
    let mut builder = Emulator::builder()
        .lock_out(false)
        .record_limit(2 * reads.min(200_000));
    let values: Vec<String> = (0..SECRETS).map(|n| canary::value("reads", n)).collect();
    for (n, value) in values.iter().enumerate() {
        canary::guard(value);
        builder = builder.secret(format!("sk_{n}"), value);
    }
    let vault = builder.start().unwrap();
    canary::guard_key(&vault);
    let mut faults = faults();
    if long() > 0 {
        // Each of these costs a whole timeout.
        faults.extend([Fault::Hang, Fault::Delay(2 * TIMEOUT)]);
    }
    vault.fail_randomly(seed, 30, faults);
    let sk = hasty(&vault)
        .timeout(TIMEOUT)
        .deadline(DEADLINE)
        .build()
        .unwrap();

    let next = AtomicUsize::new(0);
    let outcomes: Vec<(BTreeMap<String, usize>, Duration)> = thread::scope(|scope| {
        let (sk, next, values) = (&sk, &next, &values);
        let reader = move || {
            let mut outcomes = BTreeMap::new();
            let mut longest = Duration::ZERO;
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= reads {
                    return (outcomes, longest);
                }
                let start = Instant::now();
                let outcome = match sk.get_secret(&format!("sk_{}", n % SECRETS)) {
                    Ok(value) if value.expose_secret() == values[n % SECRETS] => "right".to_owned(),
                    Ok(_) => panic!("a wrong value at read {n}; SIKKERKEY_SEED={seed}"),
                    Err(error) => {
                        canary::search_error(&error);
                        assert!(expected(error.kind()), "{error:?}; SIKKERKEY_SEED={seed}");
                        format!("{:?}", error.kind())
                    }
                };
                longest = longest.max(start.elapsed());
                *outcomes.entry(outcome).or_insert(0) += 1;
            }
        };
        let readers: Vec<_> = (0..THREADS).map(|_| scope.spawn(reader)).collect();
        readers
            .into_iter()
            .map(|reader| reader.join().unwrap())
            .collect()
    });

    let mut sum = BTreeMap::new();
    for (kind, n) in outcomes.iter().flat_map(|(outcomes, _)| outcomes) {
        *sum.entry(kind.clone()).or_insert(0) += n;
    }
    let longest = outcomes.iter().map(|(_, longest)| *longest).max().unwrap();
    assert_eq!(sum.values().sum::<usize>(), reads);
    assert!(sum["right"] > reads / 2, "{sum:?}");
    vault.clear_faults();
    for (n, value) in values.iter().enumerate() {
        let read = sk.get_secret(&format!("sk_{n}")).unwrap();
        assert_eq!(read.expose_secret(), value, "the client is whole again");
    }
    let requests = vault.requests();
    let nonces: HashSet<_> = requests
        .iter()
        .filter_map(|request| request.nonce())
        .collect();
    assert_eq!(
        nonces.len(),
        requests.len(),
        "a nonce was used twice; SIKKERKEY_SEED={seed}"
    );
    let searched = canary::assert_none();
    println!(
        "reads: {reads} from {THREADS} threads in {} requests: {sum:?}; 0 wrong; longest {longest:?} of a \
         deadline of {DEADLINE:?}; {} nonces, 0 twice; {searched} texts searched",
        vault.request_count(),
        nonces.len()
    );
    if long() > 0 {
        assert!(
            longest < DEADLINE + Duration::from_secs(1),
            "{longest:?}; SIKKERKEY_SEED={seed}"
        );
    }
}

fn expected(kind: ErrorKind) -> bool {
    use ErrorKind::{Api, Decode, Network, RateLimited, Unavailable};
    matches!(kind, Api | Decode | Network | RateLimited | Unavailable)
}
