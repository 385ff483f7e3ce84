//! A clock that is off.

mod common;

use std::time::{Duration, SystemTime};

use common::{Fake as _, FakeClock, builder, emulator};
use sikkerkey::{ErrorKind, RetryPolicy};
use sikkerkey_emulator::{Emulator, Fault, Reply};

fn vault() -> Emulator {
    emulator().secret("sk_key", "sk-live-1").start().unwrap()
}

#[test]
fn a_clock_that_is_off_is_corrected_once_and_for_all_calls() {
    for off in [7200, -7200, -1_000_000_000] {
        let vault = vault();
        let clock = FakeClock::new();
        clock.set_off(off);
        // Not even a policy without retries stands in the way, and nothing is waited for.
        let sk = builder(&vault)
            .fake(&clock)
            .retry(RetryPolicy::none())
            .build()
            .unwrap();
        sk.get_secret("sk_key").unwrap();
        assert_eq!(vault.request_count(), 2, "{off}");
        sk.get_secret("sk_key").unwrap();
        sk.list_secrets().unwrap();
        assert_eq!(vault.request_count(), 4, "{off}");
        assert!(clock.slept_ms().is_empty());

        // The clock is put right: one answer says so, and the correction goes.
        clock.set_off(0);
        sk.get_secret("sk_key").unwrap();
        vault.clear_requests();
        sk.get_secret("sk_key").unwrap();
        assert_eq!(vault.requests().len(), 1, "{off}");
    }
}

#[test]
fn a_small_correction_is_dropped_by_a_good_answer() {
    // 400 s off is refused, and a correction of 400 s is still within the five minutes when the
    // clock is then 200 s off the other way, so no 401 tells.
    let vault = vault();
    let clock = FakeClock::new();
    clock.set_off(400);
    let sk = builder(&vault).fake(&clock).build().unwrap();
    sk.get_secret("sk_key").unwrap();
    clock.set_off(200);
    sk.get_secret("sk_key").unwrap();
    let now = vault.requests().last().unwrap().timestamp().unwrap();
    sk.get_secret("sk_key").unwrap();
    let after = vault.requests().last().unwrap().timestamp().unwrap();
    // Signed with -400 at first, with -200 once the answer was seen.
    assert!((after - now - 200).abs() <= 5, "{now} {after}");
}

#[test]
fn a_401_with_a_good_clock_is_final() {
    let vault = vault();
    vault.fail_always(Fault::Status(401));
    let clock = FakeClock::new();
    clock.set_off(30);
    let sk = builder(&vault).fake(&clock).build().unwrap();
    let error = sk.get_secret("sk_key").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert_eq!(vault.request_count(), 1);
    assert!(!error.to_string().contains(" s ahead"), "{error}");
}

#[test]
fn a_correction_that_does_not_help_is_not_kept_and_the_error_names_it() {
    let vault = vault();
    vault.fail_always(Fault::Status(401));
    let clock = FakeClock::new();
    clock.set_off(-500);
    let sk = builder(&vault).fake(&clock).build().unwrap();
    let error = sk.get_secret("sk_key").unwrap_err();
    assert_eq!(vault.request_count(), 2);
    let text = error.to_string();
    assert!(
        text.contains("this machine's clock is ") && text.contains(" s behind the"),
        "{text}"
    );
    let seconds: i64 = text
        .split("machine's clock is ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .and_then(|number| number.parse().ok())
        .unwrap();
    assert!((seconds - 500).abs() <= 5, "{text}");
}

#[test]
fn dates_that_say_nothing_are_ignored() {
    let hour_off = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3600));
    let refusals = [
        Reply::new(401)
            .header("Date", &hour_off)
            .header("Age", "10"),
        Reply::new(401).header("Date", "Thu, 01 Jan 1970 00:00:10 GMT"),
        Reply::new(401).header("Date", "Fri, 01 Jan 2150 00:00:00 GMT"),
        Reply::new(401).header("Date", "today"),
    ];
    for refusal in refusals {
        let vault = vault();
        vault.fail_next(refusal.clone());
        let sk = builder(&vault).fake(&FakeClock::new()).build().unwrap();
        let error = sk.get_secret("sk_key").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication);
        assert_eq!(vault.request_count(), 1, "{refusal:?}");
    }
}

#[test]
fn a_lying_date_costs_one_attempt_and_is_not_kept() {
    let vault = vault();
    let hour_off = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3600));
    let clock = FakeClock::new();
    let sk = builder(&vault).fake(&clock).build().unwrap();
    vault.fail_next(Reply::new(401).header("Date", hour_off));
    // The attempt an hour ahead is refused by the real service.
    assert_eq!(
        sk.get_secret("sk_key").unwrap_err().kind(),
        ErrorKind::Authentication
    );
    assert_eq!(vault.request_count(), 2);
    clock.pass(Duration::from_secs(10));
    sk.get_secret("sk_key").unwrap();
    assert_eq!(vault.request_count(), 3);
}

#[test]
fn a_refusal_that_has_another_reason_leaves_the_correction() {
    let vault = vault();
    let clock = FakeClock::new();
    clock.set_off(7200);
    let sk = builder(&vault).fake(&clock).build().unwrap();
    sk.get_secret("sk_key").unwrap();
    vault.fail_next(Fault::Status(401));
    sk.get_secret("sk_key").unwrap_err();
    vault.clear_requests();
    clock.pass(Duration::from_secs(10));
    sk.get_secret("sk_key").unwrap();
    assert_eq!(vault.requests().len(), 1);
}

#[test]
fn a_date_of_a_year_to_come_is_not_signed_for() {
    let vault = vault();
    let sk = builder(&vault).fake(&FakeClock::new()).build().unwrap();
    let date = "Sat, 28 Nov 2099 00:00:00 GMT";
    vault.fail_next(Reply::new(401).header("Date", date));
    let error = sk.get_secret("sk_key").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert!(
        error.to_string().contains("behind the service's"),
        "{error}"
    );
    assert_eq!(vault.request_count(), 1);
}

#[test]
fn without_clock_correction_a_clock_that_is_off_is_told_only() {
    let vault = vault();
    let clock = FakeClock::new();
    clock.set_off(7200);
    let builder = builder(&vault).fake(&clock).clock_correction(false);
    let error = builder.build().unwrap().get_secret("sk_key").unwrap_err();
    assert!(error.to_string().contains("7200 s ahead"), "{error}");
    assert_eq!(vault.request_count(), 1);
}

#[test]
fn a_correction_goes_with_the_retries_of_its_call() {
    let vault = vault();
    let clock = FakeClock::new();
    clock.set_off(7200);
    let sk = builder(&vault).fake(&clock).build().unwrap();
    vault.fail_next(Fault::Pass);
    vault.fail_next(Fault::Status(503));
    sk.get_secret("sk_key").unwrap();
    assert_eq!(vault.request_count(), 3);
    assert_eq!(clock.slept_ms(), [1000]);
}

#[test]
fn many_first_reads_at_once_are_not_locked_out_by_a_clock_that_is_off() {
    let vault = vault();
    let clock = FakeClock::new();
    clock.set_off(7200);
    let sk = builder(&vault).fake(&clock).build().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| sk.get_secret("sk_key").unwrap());
        }
    });
    // The service locks an address out after three.
    let refused = vault
        .requests()
        .iter()
        .filter(|request| request.status == 401)
        .count();
    assert!(refused <= 2, "{refused}");
}
