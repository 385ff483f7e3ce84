//! When calls are made again, with a clock that does not wait.

mod common;

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use common::{Fake as _, FakeClock, builder, emulator};
use sikkerkey::{ErrorKind, ExposeSecret, RetryPolicy};
use sikkerkey_emulator::{Emulator, Fault, Reply};

fn vault() -> Emulator {
    emulator().secret("sk_key", "sk-live-1").start().unwrap()
}

/// The sleeps of a read that meets these faults, how many requests it made, and whether it ended
/// well.
fn read(faults: &[Fault], fraction: f64, policy: RetryPolicy) -> (Vec<u128>, u64, bool) {
    let vault = vault();
    let clock = FakeClock::with_fraction(fraction);
    let sk = builder(&vault).fake(&clock).retry(policy).build().unwrap();
    for fault in faults {
        vault.fail_next(fault.clone());
    }
    let ended_well = sk.get_secret("sk_key").is_ok();
    (clock.slept_ms(), vault.request_count(), ended_well)
}

#[test]
fn four_attempts_after_one_two_and_four_seconds() {
    let busy = Fault::Status(503);
    for (fraction, slept) in [
        (0.0, [750, 1500, 3000]),
        (0.5, [1000, 2000, 4000]),
        (1.0, [1250, 2500, 5000]),
    ] {
        let faults = vec![busy.clone(); 9];
        let ended = read(&faults, fraction, RetryPolicy::default());
        assert_eq!(ended, (slept.to_vec(), 4, false));
    }
    let ended = read(
        &[Fault::Close, busy.clone(), Fault::Status(429)],
        0.5,
        RetryPolicy::default(),
    );
    assert_eq!(ended, (vec![1000, 2000, 4000], 4, true));
    // A connection that was used before and closes is none of the policy's.
    let ended = read(
        &[busy.clone(), Fault::Close, Fault::Status(429)],
        0.5,
        RetryPolicy::default(),
    );
    assert_eq!(ended, (vec![1000, 2000], 4, true));
    let ended = read(&[Fault::Truncated], 0.5, RetryPolicy::default());
    assert_eq!(ended, (vec![1000], 2, true));
}

#[test]
fn a_policy_can_be_changed_and_turned_off() {
    let busy = vec![Fault::Status(503); 9];
    assert_eq!(read(&busy, 0.5, RetryPolicy::none()), (vec![], 1, false));
    let policy = RetryPolicy::default()
        .attempts(6)
        .base_delay(Duration::from_millis(100));
    assert_eq!(
        read(&busy, 0.5, policy),
        (vec![100, 200, 400, 800, 1600], 6, false)
    );
}

#[test]
fn what_the_service_asks_for_is_waited() {
    let asks = |value: &str| Fault::from(Reply::new(429).header("Retry-After", value));
    let policy = RetryPolicy::default;
    assert_eq!(read(&[asks("7")], 0.0, policy()), (vec![7000], 2, true));
    assert_eq!(read(&[asks("0")], 0.5, policy()), (vec![0], 2, true));
    assert_eq!(
        read(&[asks("nonsense")], 0.5, policy()),
        (vec![1000], 2, true)
    );
    // A date counts from the service's own.
    let now = SystemTime::now();
    let dated = Reply::new(503)
        .header("Date", httpdate::fmt_http_date(now))
        .header(
            "Retry-After",
            httpdate::fmt_http_date(now + Duration::from_secs(9)),
        );
    assert_eq!(read(&[dated.into()], 0.0, policy()), (vec![9000], 2, true));
    let past = Reply::new(503).header("Retry-After", "Tue, 26 Mar 2024 16:00:00 GMT");
    assert_eq!(read(&[past.into()], 0.0, policy()), (vec![0], 2, true));
    // Thirty seconds would end after the deadline, so the call ends at once.
    assert_eq!(read(&[asks("3600")], 0.0, policy()), (vec![], 1, false));
}

#[test]
fn a_cap_keeps_a_long_wish_within_the_deadline() {
    let vault = vault();
    let clock = FakeClock::new();
    let deadline = Duration::from_secs(300);
    let sk = builder(&vault)
        .fake(&clock)
        .deadline(deadline)
        .build()
        .unwrap();
    vault.fail_next(Reply::new(503).header("Retry-After", "3600"));
    sk.get_secret("sk_key").unwrap();
    assert_eq!(clock.slept_ms(), [30_000]);
}

#[test]
fn a_delay_that_would_pass_the_deadline_ends_the_call_with_the_last_error() {
    let vault = vault();
    let clock = FakeClock::new();
    let deadline = Duration::from_millis(3500);
    let sk = builder(&vault)
        .fake(&clock)
        .deadline(deadline)
        .build()
        .unwrap();
    vault.fail_always(Fault::Status(429));
    let error = sk.get_secret("sk_key").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!(clock.slept_ms(), [1000, 2000]);
    assert_eq!(vault.request_count(), 3);
}

#[test]
fn every_attempt_is_signed_anew() {
    let vault = vault();
    let sk = builder(&vault).fake(&FakeClock::new()).build().unwrap();
    // The service acts, so a nonce that came back would be refused.
    for _ in 0..3 {
        vault.fail_next(Fault::after(Fault::Close));
    }
    assert_eq!(
        sk.get_secret("sk_key").unwrap().expose_secret(),
        "sk-live-1"
    );
    let nonces: HashSet<_> = vault
        .requests()
        .iter()
        .map(|request| request.nonce().unwrap().to_owned())
        .collect();
    assert_eq!(nonces.len(), 4);
}

#[test]
fn nobody_there_is_no_answer_and_a_service_that_comes_back_is_found() {
    let vault = vault();
    let sk = builder(&vault).fake(&FakeClock::new()).build().unwrap();
    sk.get_secret("sk_key").unwrap();
    drop(vault);
    let error = sk.get_secret("sk_key").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(
        error.to_string().contains("no connection could be made"),
        "{error}"
    );
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn an_answer_that_does_not_end_ends_with_the_time_for_it() {
    for fault in [
        Fault::Hang,
        Fault::DripForever(Duration::from_millis(5)),
        Fault::Drip(Duration::from_millis(50)),
        Fault::DripAll(Duration::from_millis(50)),
    ] {
        let vault = vault();
        vault.fail_always(fault.clone());
        let sk = builder(&vault)
            .timeout(Duration::from_millis(200))
            .retry(RetryPolicy::none())
            .build()
            .unwrap();
        let error = sk.get_secret("sk_key").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network, "{fault:?}");
        assert!(
            error.to_string().ends_with("did not arrive in time"),
            "{fault:?}: {error}"
        );
    }
}

#[test]
fn an_answer_that_is_too_large_is_refused_and_not_asked_for_again() {
    for fault in [
        Fault::Huge(1024 * 1024 + 1),
        Fault::Huge(200 * 1024 * 1024),
        Fault::Endless,
    ] {
        let vault = vault();
        vault.fail_always(fault.clone());
        let sk = builder(&vault).fake(&FakeClock::new()).build().unwrap();
        let error = sk.get_secret("sk_key").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode, "{fault:?}");
        assert_eq!(vault.request_count(), 1, "{fault:?}");
    }
    let vault = vault();
    vault.fail_next(Fault::Huge(1024 * 1024));
    let sk = builder(&vault).fake(&FakeClock::new()).build().unwrap();
    assert_eq!(
        sk.get_secret("sk_key").unwrap().expose_secret().len(),
        1024 * 1024
    );
}

#[test]
fn a_timeout_of_nothing_is_refused() {
    let vault = vault();
    let zero = Duration::ZERO;
    for builder in [
        builder(&vault).timeout(zero),
        builder(&vault).deadline(zero),
    ] {
        assert_eq!(
            builder.build().unwrap_err().kind(),
            ErrorKind::Configuration
        );
    }
}

#[test]
fn the_deadline_ends_an_attempt_too() {
    let vault = vault();
    vault.fail_always(Fault::Hang);
    let sk = builder(&vault)
        .timeout(Duration::from_secs(600))
        .deadline(Duration::from_millis(200))
        .build()
        .unwrap();
    let error = sk.get_secret("sk_key").unwrap_err();
    assert!(
        error.to_string().ends_with("did not arrive in time"),
        "{error}"
    );
    assert_eq!(vault.request_count(), 1);
}

#[test]
fn whatever_goes_wrong_a_value_is_right_or_an_error() {
    let vault = vault();
    let faults = [
        Fault::Status(429),
        Fault::Status(500),
        Fault::Status(502),
        Fault::Status(503),
        Fault::Close,
        Fault::Reset,
        Fault::Truncated,
        Fault::WrongLength(7),
        Fault::WrongLength(-7),
        Fault::Garbage,
        Fault::InvalidUtf8,
        Fault::InvalidJson,
        Fault::EmptyObject,
        Fault::Delay(Duration::from_millis(1)),
        Fault::EndlessHead,
        Fault::after(Fault::Close),
    ];
    vault.fail_randomly(7, 30, faults);
    let policy = RetryPolicy::default().base_delay(Duration::from_millis(1));
    let sk = builder(&vault).retry(policy).build().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    match sk.get_secret("sk_key") {
                        Ok(value) => assert_eq!(value.expose_secret(), "sk-live-1"),
                        Err(error) => {
                            assert_ne!(error.kind(), ErrorKind::Authentication, "{error}")
                        }
                    }
                }
            });
        }
    });
}
